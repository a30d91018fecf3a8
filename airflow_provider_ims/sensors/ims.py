"""Waits for long-running tasks of the service."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from airflow.sdk import BaseSensorOperator, PokeReturnValue, XComArg
from airflow.sdk.definitions.xcom_arg import PlainXComArg
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_ims._compat import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralTimeout,
    can_start_from_trigger,
    conf,
)
from airflow_provider_ims.exceptions import GstnTransientError
from airflow_provider_ims.hooks.gstn import RESET, Call, GstnHook
from airflow_provider_ims.triggers.ims import ImsTaskStartTrigger, ImsTaskTrigger
from airflow_provider_ims.waits.events import UNDECIDED, not_complete_in_time, read_event
from airflow_provider_ims.waits.limits import safety_net
from airflow_provider_ims.waits.watch import TaskWatch, abandoned_message, ask, ids_of

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["CAN_START_FROM_TRIGGER", "ImsTaskSensor"]

CAN_START_FROM_TRIGGER = can_start_from_trigger()
"""Whether this Airflow can do what ``start_from_trigger`` asks for: 3.3.1 and newer can."""


class ImsTaskSensor(BaseSensorOperator):
    """
    Wait until tasks of the service are complete; return their reference ids.

    Polls once. If a task is not done and the sensor is deferrable, it hands the wait to the triggerer and
    gives its worker slot back. A fault that may pass (503, 429, no connection) is ridden out in both modes; a
    failed or unknown task fails the sensor without a retry; a status word that nobody knows is waited on until
    the deadline and is never success.

    The deadline is ``timeout`` or ``execution_timeout`` after the attempt's start, whichever is sooner (Airflow
    itself ignores ``execution_timeout`` while a task is deferred). It raises ``AirflowSensorTimeout``, which is
    not retried. In both modes ``soft_fail`` skips the task at the deadline and for a failure that no retry can mend,
    and ``never_fail`` for every failure.

    :param reference_id: the task to wait for, such as ``reset.output``, or a list of them, which is waited for until
        all have ended (templated)
    :param gstn_conn_id: id of the connection (templated)
    :param deferrable: wait in the triggerer; the default is Airflow's ``[operators] default_deferrable``
    :param poke_interval: time between two polls, seconds or timedelta. If it is not given, a deferred wait polls after
        a few seconds first, then less and less often, up to once a minute
    :param start_from_trigger: begin in the triggerer, without a worker; the first poll is made there. Needs Airflow
        3.3.1 or newer (see :data:`CAN_START_FROM_TRIGGER`) and no mapped task. Implies ``deferrable``
    :param end_from_trigger: end in the triggerer, without a worker, when the task is complete. A failure, the deadline
        and the end of a list of tasks are decided by a worker, by the rules above. Not for mapped tasks
    :raises ValueError: when ``start_from_trigger`` or ``end_from_trigger`` cannot work here
    """

    template_fields: Sequence[str] = ("reference_id", "gstn_conn_id")
    ui_color = "#d7e8f7"
    call: ClassVar[Call[Any, Any]] = RESET

    def __init__(
        self,
        *,
        reference_id: str | list[str],
        gstn_conn_id: str = GstnHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: float | timedelta | None = None,
        start_from_trigger: bool = False,
        end_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        if poke_interval is not None:
            kwargs["poke_interval"] = poke_interval
        super().__init__(**kwargs)
        self._polls_early = poke_interval is None and not self.exponential_backoff
        self.reference_id = reference_id
        self.gstn_conn_id = gstn_conn_id
        self.deferrable = deferrable or start_from_trigger
        self.start_from_trigger = start_from_trigger
        self.end_from_trigger = end_from_trigger
        self._hook: GstnHook | None = None
        self._watch: TaskWatch | None = None
        self._quiet_until = 0.0
        self._check_that_the_triggerer_can()
        if start_from_trigger:
            self.start_trigger_args = self._start_trigger_args()

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task, which the scheduler cannot start in the triggerer."""
        for name in ("start_from_trigger", "end_from_trigger"):
            if kwargs.get(name):
                raise ValueError(_for_no_mapped_task(str(kwargs.get("task_id")), name))
        return super().partial(**kwargs)

    def execute(self, context: Context) -> Any:
        """
        Poll, then wait.

        :return: the reference id, or the list of them
        :raises AirflowSensorTimeout: at the deadline
        :raises GstnTaskFailed: when a task failed
        """
        start = _start_of_attempt(context)
        self._watch = self._new_watch(context)
        try:
            with GstnHook(self.gstn_conn_id, read_attempts=1) as self._hook:
                if not self.deferrable:
                    return super().execute(context)
                if self.poke(context):
                    return self._done()
        except (AirflowSkipException, AirflowRescheduleException):
            raise
        except (AirflowTaskTimeout, AirflowSensorTimeout):
            self._skip_or_raise(self._timeout(self._watch.last_seen))
        except Exception as error:
            self._skip_or_raise(error)
        return self._hand_over(start)

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once; a fault that may pass counts as "not yet"."""
        hook = self._hook or GstnHook(self.gstn_conn_id, read_attempts=1)
        watch = self._watch or self._new_watch(context)
        if time.time() < self._quiet_until:
            return PokeReturnValue(is_done=False)
        try:
            ask(watch, hook.get_task_status)
        except GstnTransientError as error:
            self._quiet_until = time.time() + (error.retry_after or 0.0)
            self.log.warning("Poll failed; the next one may work. %s", error)
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=watch.is_over(), xcom_value=self._done())

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """
        End the wait as the trigger's event says.

        :param event: the trigger's event; read as something that may be out of date or not ours
        :return: the reference id, or the list of them
        """
        # dag.test() hands over the end in the triggerer as its bare word, which says nothing of what has ended.
        if not isinstance(event, Mapping | None) or (event or {}).get("status") == UNDECIDED["status"]:
            return self.execute(context)
        read_event(event, self._ids(), self.call)
        self.log.info("Complete: %s", ", ".join(self._ids()))
        return self._done()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Go on after a deferral.

        Airflow 3.1 to 3.3 skips a resumed sensor that has ``soft_fail`` whatever went wrong, and is about to change
        that; this sensor skips at the same failures in every version and in both modes.
        """
        try:
            return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException:
            raise
        except TaskDeferralTimeout:
            self._skip_or_raise(self._timeout("nothing: the trigger did not report, is a triggerer running?"))
        except Exception as error:
            self._skip_or_raise(error)

    def on_kill(self) -> None:
        """Say what becomes of the task when the wait is ended from outside."""
        self.log.warning("%s", abandoned_message(self.reference_id, self.call))

    def _hand_over(self, start: float) -> None:
        end = start + self._budget()
        self.defer(
            trigger=ImsTaskTrigger(
                reference_id=self._done(),
                gstn_conn_id=self.gstn_conn_id,
                start_time=start,
                end_time=end,
                **self._how_to_poll(),
            ),
            method_name="execute_complete",
            # The trigger keeps the deadline; Airflow's own timeout is for a trigger that never runs.
            timeout=safety_net(end - time.time(), self.poke_interval),
        )

    def _budget(self) -> float:
        """Return how long the wait may take, seconds."""
        limits = [float(self.timeout)]
        if self.execution_timeout is not None:
            limits.append(self.execution_timeout.total_seconds())
        return min(limits)

    def _how_to_poll(self) -> dict[str, Any]:
        return {
            "poll_interval": self.poke_interval,
            "exponential_backoff": self.exponential_backoff,
            "max_wait": self.max_wait.total_seconds() if self.max_wait else None,
            "poll_early": self._polls_early,
            "end_from_trigger": self.end_from_trigger,
            **({} if self.call is RESET else {"call": self.call.name}),
        }

    def _check_that_the_triggerer_can(self) -> None:
        """Refuse, when the DAG is parsed, what would be ignored or get lost when it runs."""
        if self.start_from_trigger and not CAN_START_FROM_TRIGGER:
            raise ValueError(
                f"{self.task_id}: start_from_trigger needs Airflow 3.3.1 or newer, which fills templates in the"
                " triggerer.\nUse deferrable=True here, or start_from_trigger=CAN_START_FROM_TRIGGER."
            )
        for name in ("start_from_trigger", "end_from_trigger"):
            if getattr(self, name) and self.get_closest_mapped_task_group() is not None:
                raise ValueError(_for_no_mapped_task(self.task_id, name))
        if self.start_from_trigger and (missing := self._params_without_a_default()):
            raise ValueError(
                f"{self.task_id}: start_from_trigger does not go with params without a valid default: {missing}.\n"
                "Airflow's triggerer ends, with all of its waits, when it starts a task that has one. Give the param a"
                " default, or use deferrable=True."
            )
        if self.end_from_trigger and (self.outlets or not self.do_xcom_push):
            what = "outlets: their asset events" if self.outlets else "do_xcom_push=False, which"
            raise ValueError(
                f"{self.task_id}: end_from_trigger does not go with {what} only a worker sees to.\nLeave out"
                " end_from_trigger; start_from_trigger may stay."
            )

    def _params_without_a_default(self) -> str:
        """Return the names of params that only a run gives a value: seen with Airflow 3.3.2, they end a triggerer."""
        names, task = set(), cast("Any", self)
        for params in [task.params, *([task.dag.params] if task.has_dag() else [])]:
            for name in params.keys():  # noqa: SIM118 - items() and values() resolve them
                try:
                    params.get_param(name).resolve()
                except Exception:
                    names.add(name)
        return ", ".join(sorted(names))

    def _start_trigger_args(self) -> StartTriggerArgs:
        """Return with what the scheduler starts the trigger; ids are templates, which the triggerer fills in."""
        wait = self._budget()
        allowed = safety_net(wait, self.poke_interval)
        if self.execution_timeout is not None:
            allowed = min(allowed, self.execution_timeout)  # as Airflow reckons the trigger's deadline
        return StartTriggerArgs(
            trigger_cls=f"{ImsTaskStartTrigger.__module__}.{ImsTaskStartTrigger.__qualname__}",
            trigger_kwargs={
                "reference_id": _template_of(self.task_id, self.reference_id),
                "gstn_conn_id": _template_of(self.task_id, self.gstn_conn_id),
                "wait_seconds": wait,
                "airflow_seconds": allowed.total_seconds(),
                **self._how_to_poll(),
            },
            next_method="execute_complete",
            timeout=allowed,
        )

    def _start_of_wait(self, context: Context) -> float:
        """Return when this try began to wait, however often it was rescheduled since, seconds since the epoch."""
        ti = context.get("ti")
        first = ti.get_first_reschedule_date(context) if self.reschedule and ti is not None else None
        return _start_of_attempt(context) if first is None else first.timestamp()

    def _new_watch(self, context: Context) -> TaskWatch:
        return TaskWatch(self._ids(), self._start_of_wait(context), call=self.call)

    def _ids(self) -> list[str]:
        return ids_of(self.reference_id)

    def _done(self) -> Any:
        """Return what was waited for in the form in which it was given: one, or a list."""
        ids = self._ids()
        is_list = isinstance(self.reference_id, Iterable) and not isinstance(self.reference_id, str)
        return ids if is_list else ids[0]

    def _timeout(self, last_seen: str) -> AirflowSensorTimeout:
        return not_complete_in_time(self._ids(), last_seen, self.call)

    def _skip_or_raise(self, error: Exception) -> NoReturn:
        if self.never_fail:
            raise AirflowSkipException(f"Skipped since never_fail is set. {error}") from error
        if self.soft_fail and isinstance(error, (AirflowSensorTimeout, AirflowFailException)):
            raise AirflowSkipException(f"Skipped since soft_fail is set. {error}") from error
        raise error


def _template_of(task_id: str, given: Any) -> Any:
    """
    Return another task's output as a template: Airflow keeps a trigger's arguments as plain JSON.

    It names the map index: without one Airflow asks for a slice of XComs, to which its triggerer (3.3.2) does not
    answer, so that the wait would hang. A mapped task has nothing there; then a worker looks at it.

    :raises ValueError: for a template that would hang
    """
    if isinstance(given, list | tuple):
        return [_template_of(task_id, each) for each in given]
    if isinstance(given, PlainXComArg):
        source = f"task_ids={given.operator.task_id!r}, key={given.key!r}, map_indexes=-1"
        return f"{{{{ task_instance.xcom_pull({source}) }}}}"
    if isinstance(given, XComArg) or ("xcom_pull" in str(given) and "map_indexes" not in str(given)):
        raise ValueError(
            f"{task_id}: start_from_trigger cannot read {given}: Airflow's triggerer gives no answer.\n"
            "Use the output of a task, name map_indexes=-1 in xcom_pull, or use deferrable=True."
        )
    return given


def _for_no_mapped_task(task_id: str, name: str) -> str:
    return (
        f"{task_id}: {name} does not work for mapped tasks, which Airflow starts and ends on a worker.\n"
        "Use deferrable=True, which holds no worker slot while it waits."
    )


def _start_of_attempt(context: Context) -> float:
    """Return when this try began, which a restart of its process does not change, seconds since the epoch."""
    start = getattr(context.get("ti"), "start_date", None)
    return start.timestamp() if start is not None else time.time()
