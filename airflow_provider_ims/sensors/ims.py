"""Waits for a long-running task of the service."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_ims._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    conf,
)
from airflow_provider_ims.exceptions import GstnPermanentError, GstnTransientError, by_name
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.triggers.ims import ImsTaskTrigger, is_finished

if TYPE_CHECKING:
    from airflow.sdk import Context

_FRAMEWORK_SLACK = 60.0


class ImsTaskSensor(BaseSensorOperator):
    """
    Wait until a task of the service is complete; return its reference id.

    Polls once. If the task is not done and the sensor is deferrable, it hands the wait to the triggerer and
    gives its worker slot back. A fault that may pass (503, 429, no connection) is ridden out in both modes; a
    failed or unknown task fails the sensor without a retry; a status word that nobody knows is waited on until
    the deadline and is never success.

    The deadline is ``timeout`` or ``execution_timeout`` after the attempt's start, whichever is sooner (Airflow
    itself ignores ``execution_timeout`` while a task is deferred). It raises ``AirflowSensorTimeout``, which is
    not retried. ``soft_fail`` and ``never_fail`` skip the task in both modes for a deadline and for a failure
    that no retry can mend.

    :param reference_id: the task to wait for, such as ``reset.output`` (templated)
    :param gstn_conn_id: id of the connection (templated)
    :param deferrable: wait in the triggerer; the default is Airflow's ``[operators] default_deferrable``
    """

    template_fields: Sequence[str] = ("reference_id", "gstn_conn_id")
    ui_color = "#d7e8f7"

    def __init__(
        self,
        *,
        reference_id: str,
        gstn_conn_id: str = GstnHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.reference_id = reference_id
        self.gstn_conn_id = gstn_conn_id
        self.deferrable = deferrable
        self._hook: GstnHook | None = None
        self._quiet_until = 0.0

    def execute(self, context: Context) -> Any:
        """
        Poll, then wait.

        :return: the reference id
        :raises AirflowSensorTimeout: at the deadline
        :raises GstnTaskFailed: when the task failed
        """
        start = time.time()
        try:
            with GstnHook(self.gstn_conn_id, read_attempts=1) as self._hook:
                if not self.deferrable:
                    return super().execute(context)
                if self.poke(context):
                    return str(self.reference_id)
        except (AirflowSensorTimeout, AirflowFailException) as error:
            self._skip_if_asked(error)
            raise
        return self._hand_over(start)

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once; a fault that may pass counts as "not yet"."""
        hook = self._hook or GstnHook(self.gstn_conn_id, read_attempts=1)
        if time.time() < self._quiet_until:
            return PokeReturnValue(is_done=False)
        try:
            status = hook.get_task_status(self.reference_id)
        except GstnTransientError as error:
            self._quiet_until = time.time() + (error.retry_after or 0.0)
            self.log.warning("Poll failed; the next one may work. %s", error)
            return PokeReturnValue(is_done=False)
        self.log.info("Task %s: %s", status.reference_id, status)
        if status.state == "unknown":
            self.log.warning("The status %r means nothing to us: neither done nor failed.", status.word)
        return PokeReturnValue(is_done=is_finished(status), xcom_value=status.reference_id)

    def execute_complete(self, context: Context, event: dict[str, str] | None = None) -> str:
        """
        End the wait as the trigger's event says.

        :param event: the trigger's event; read as something that may be out of date or not ours
        :return: the reference id
        """
        try:
            return self._read_event(event or {})
        except (AirflowSensorTimeout, AirflowFailException) as error:
            self._skip_if_asked(error)
            raise

    def _hand_over(self, start: float) -> None:
        budget = float(self.timeout)
        if self.execution_timeout is not None:
            budget = min(budget, self.execution_timeout.total_seconds())
        end = start + budget
        # The trigger keeps the deadline; Airflow's own timeout is a safety net for a trigger that never runs.
        slack = 2 * self.poke_interval + _FRAMEWORK_SLACK
        self.defer(
            trigger=ImsTaskTrigger(
                reference_id=str(self.reference_id),
                gstn_conn_id=self.gstn_conn_id,
                poll_interval=self.poke_interval,
                start_time=start,
                end_time=end,
                exponential_backoff=self.exponential_backoff,
                max_wait=self.max_wait.total_seconds() if self.max_wait else None,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=end - time.time() + slack),
        )

    def _read_event(self, event: dict[str, str]) -> str:
        reference_id = event.get("reference_id", "")
        if reference_id != str(self.reference_id):
            raise GstnPermanentError(
                f"The trigger reports on task {reference_id!r}, but this sensor waits for {self.reference_id!r}."
                " Clear the sensor to wait again."
            )
        match event.get("status"):
            case "completed":
                self.log.info("Task %s is complete.", reference_id)
                return reference_id
            case "timeout":
                raise AirflowSensorTimeout(
                    f"Task {reference_id} was not complete at the deadline. Last seen: {event.get('message')}."
                    " It may still run: clear this sensor to wait on; do not send the reset again."
                )
            case "error":
                raise by_name(event.get("error", ""), event.get("message", ""), event.get("code", ""))
            case other:
                raise GstnPermanentError(f"The trigger's event for task {reference_id} has the status {other!r}.")

    def _skip_if_asked(self, error: Exception) -> None:
        if self.soft_fail or self.never_fail:
            asked = "soft_fail" if self.soft_fail else "never_fail"
            raise AirflowSkipException(f"Skipped since {asked} is set. {error}") from None
