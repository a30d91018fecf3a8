"""
A small Airflow: schedules task instances, runs them in workers and triggerers, and lets people meddle.

It does what Airflow 3.3.2 does, as far as a task can notice; where that is not obvious, the place in Airflow is named.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskAwaitingInput,
    TaskDeferred,
)
from airflow.sdk.execution_time.context import TaskStateStoreAccessor
from airflow.sdk.serde import deserialize, serialize

from .kernel import Killed, Process
from .loop import SimulatedLoop

_NO_ID = UUID(int=0)

DONE = ("success", "skipped", "failed", "upstream_failed")

HEARTBEAT_TIMEOUT = 300.0
"""Seconds after which the scheduler gives up a task whose machine is gone (``task_instance_heartbeat_timeout``)."""


@dataclass(eq=False)
class TaskInstance:
    """
    One task of one run.

    :param build: makes the operator, its templates rendered
    :param upstream: what has to succeed before
    :param docs: the documents that it is about
    """

    run_id: str
    task_id: str
    build: Callable[[TaskInstance], Any]
    retries: int
    retry_delay: float
    upstream: list[TaskInstance] = field(default_factory=list)
    map_index: int = -1
    flow: Any = None
    force: Any = False
    state: str | None = None
    try_number: int = 0
    max_tries: int = 0
    start_date: float = 0.0
    next_method: str | None = None
    next_kwargs: Any = None
    trigger: tuple[str, Any] | None = None
    trigger_timeout: float | None = None
    deferrals: int = 0
    process: Process | None = None
    id: UUID = _NO_ID
    error: BaseException | None = None
    clears: int = 0
    deaths: int = 0
    began: float = 0.0
    marked: str = ""
    raised: bool = False
    deferred_in: set[int] = field(default_factory=set)

    @property
    def scope(self) -> tuple[str, str, int]:
        """What Airflow keeps task state and XCom by."""
        return self.run_id, self.task_id, self.map_index

    @property
    def name(self) -> str:
        """What a story calls it."""
        return f"{self.run_id}.{self.task_id}" + (f"[{self.map_index}]" if self.map_index >= 0 else "")


class LittleAirflow:
    """
    The scheduler.

    :param world: the day
    :param keeps_state: whether it has a task state store (3.3 and newer)
    """

    def __init__(self, world: Any, *, keeps_state: bool) -> None:
        self.world = world
        self.kernel = world.kernel
        self.database = world.database
        self.keeps_state = keeps_state
        self.instances: list[TaskInstance] = []
        self.triggerer = Triggerer(self)
        self._ids = 0

    # What a DAG's author and the scheduler do

    def add_task(self, run: Any, task_id: str, build: Any, retries: int, *upstream: TaskInstance) -> TaskInstance:
        """Add a task to a run of the day."""
        instance = TaskInstance(
            run_id=run.plan.run_id,
            task_id=task_id,
            build=build,
            retries=retries,
            retry_delay=60.0,
            upstream=list(upstream),
            flow=run,
        )
        run.instances.append(self.add(instance))
        return instance

    def add(self, instance: TaskInstance) -> TaskInstance:
        """Add a task instance of a run that begins."""
        instance.max_tries = instance.retries
        self._new_id(instance)
        self.instances.append(instance)
        return instance

    def begin(self, moment: float, run_id: str) -> None:
        """Begin a run."""
        self.kernel.at(moment, lambda: self._schedule_run(run_id))

    def xcom_of(self, instance: TaskInstance, key: str = "return_value") -> Any:
        """Return what a task pushed."""
        held = self.database.xcoms.get((instance.scope, key))
        return None if held is None else json.loads(held)

    def _new_id(self, instance: TaskInstance) -> None:
        self._ids += 1
        instance.id = UUID(int=self._ids)

    def _schedule_run(self, run_id: str) -> None:
        for instance in self.instances:
            if instance.run_id == run_id and instance.state in {None, "upstream_failed"}:
                self._schedule(instance)

    def _schedule(self, instance: TaskInstance) -> None:
        states = [each.state for each in instance.upstream]
        if any(state in {"failed", "upstream_failed"} for state in states):
            instance.state = "upstream_failed"
            self._schedule_downstream(instance)
        elif any(state == "skipped" for state in states):
            instance.state = "skipped"
            self._schedule_downstream(instance)
        elif all(state == "success" for state in states):
            instance.state = "queued"
            instance.try_number += 1
            self._run_soon(instance)
        else:
            instance.state = None

    def _schedule_downstream(self, instance: TaskInstance) -> None:
        for each in self.instances:
            if instance in each.upstream and each.state in {None, "upstream_failed"}:
                self._schedule(each)

    def _run_soon(self, instance: TaskInstance) -> None:
        token = instance.id, instance.try_number, instance.deferrals

        def run() -> None:
            if instance.state == "queued" and token == (instance.id, instance.try_number, instance.deferrals):
                self._run(instance)

        self.kernel.after(self.kernel.rng.uniform(0.5, 4.0), run)

    def _run(self, instance: TaskInstance) -> None:
        instance.state = "running"
        instance.began = self.kernel.now
        if instance.next_method is None:
            # Airflow keeps it for a task that goes on after a deferral (execution_api ti_run).
            instance.start_date = self.kernel.now
        name = f"worker of {instance.name}, try {instance.try_number}"
        host = f"worker {self.kernel.rng.randrange(2)}"
        instance.process = process = self.kernel.spawn(name, lambda: self._work(instance, process), host, instance)

    # The worker

    def _work(self, instance: TaskInstance, process: Process) -> None:
        try:
            self._attempt(instance, process)
        except Killed:
            self.kernel.after(0.0, lambda: self._died(instance, process))
            raise

    def _attempt(self, instance: TaskInstance, process: Process) -> None:
        self.kernel.sleep(self.kernel.rng.uniform(0.2, 2.0))
        if instance.next_method is None:
            for scope, key in [each for each in self.database.xcoms if each[0] == instance.scope]:
                del self.database.xcoms[scope, key]
        context = self._context(instance)
        report: Callable[[], None]
        instance.raised = True
        try:
            operator = instance.build(instance)
            if instance.next_method is None:
                result = _guarded(operator, operator.execute, context=context)
            else:
                method, kwargs = instance.next_method, deserialize(json.loads(instance.next_kwargs))
                result = _guarded(
                    operator, operator.resume_execution, next_method=method, next_kwargs=kwargs, context=context
                )
            instance.raised = False
            if result is not None:
                self.push(instance, "return_value", result)
            report = lambda: self._succeed(instance)  # noqa: E731
        except TaskDeferred as deferred:
            classpath, kwargs = deferred.trigger.serialize()
            trigger = (classpath, json.dumps(serialize(kwargs)))
            next_kwargs = json.dumps(serialize(dict(deferred.kwargs or {})))
            timeout, method = deferred.timeout, deferred.method_name
            report = lambda: self._defer(instance, trigger, method, next_kwargs, timeout)  # noqa: E731
        except TaskAwaitingInput as parked:
            waits_for, arguments = parked.method_name, json.dumps(serialize(dict(parked.kwargs or {})))
            longest = parked.timeout
            report = lambda: self._await_input(instance, waits_for, arguments, longest)  # noqa: E731
        except AirflowSkipException as error:
            text = str(error)
            report = lambda: self._finish(instance, "skipped", text)  # noqa: E731
        except AirflowRescheduleException as error:
            moment = error.reschedule_date.timestamp()
            report = lambda: self._reschedule(instance, moment)  # noqa: E731
        except (AirflowFailException, AirflowSensorTimeout) as error:
            failure = error
            report = lambda: self._fail(instance, failure, final=True)  # noqa: E731
        except Exception as error:
            failure2 = error
            report = lambda: self._fail(instance, failure2, final=False)  # noqa: E731
        self.world.report(instance, report)

    def push(self, instance: TaskInstance, key: str, value: Any) -> None:
        """Push an XCom from a worker."""
        text = json.dumps(value)
        self.world.ask_airflow_here(
            "xcom set", key, lambda: self.database.xcoms.__setitem__((instance.scope, key), text)
        )

    def _context(self, instance: TaskInstance) -> dict[str, Any]:
        facade = SimpleNamespace(
            id=instance.id,
            dag_id="ims",
            run_id=instance.run_id,
            task_id=instance.task_id,
            map_index=instance.map_index,
            try_number=instance.try_number,
            max_tries=instance.max_tries,
            start_date=dt.datetime.fromtimestamp(instance.start_date, dt.UTC),
            state="running",
            xcom_push=lambda key, value: self.push(instance, key, value),
            get_first_reschedule_date=lambda context: None,
        )
        run = SimpleNamespace(run_type="manual", triggering_user_name="priya", run_id=instance.run_id, conf={})
        context: dict[str, Any] = {"ti": facade, "task_instance": facade, "dag_run": run, "run_id": instance.run_id}
        if self.keeps_state:
            context["task_state_store"] = TaskStateStoreAccessor(instance.id, scope=None)  # type: ignore[arg-type]
        return context

    # What the API server hears

    def _succeed(self, instance: TaskInstance) -> None:
        self._finish(instance, "success", "")

    def _finish(self, instance: TaskInstance, state: str, text: str) -> None:
        self.world.tell(f"{instance.name} ends as {state}" + (f": {_first(text)}" if text else ""))
        instance.state = state
        instance.next_method = None
        self.world.worker_ended(instance)
        self._schedule_downstream(instance)
        self.world.session_run_ended(instance)

    def _fail(self, instance: TaskInstance, error: BaseException, *, final: bool) -> None:
        instance.error = error
        instance.next_method = None
        if not final and instance.try_number <= instance.max_tries:
            self.world.tell(f"{instance.name} fails and will be tried again: {_first(error)}")
            self.world.tried_again(instance, error)
            self._retry(instance, instance.retry_delay)
        else:
            self.world.tell(f"{instance.name} fails: {_first(error)}")
            if final:
                self.world.gave_up(instance, error)
            instance.state = "failed"
            self._schedule_downstream(instance)
        self.world.worker_ended(instance)

    def _retry(self, instance: TaskInstance, delay: float) -> None:
        instance.state = "up_for_retry"
        self._new_id(instance)  # prepare_db_for_next_try
        token = instance.id

        def again() -> None:
            if instance.state == "up_for_retry" and instance.id == token:
                self._schedule(instance)

        self.kernel.after(delay, again)

    def _reschedule(self, instance: TaskInstance, moment: float) -> None:
        instance.state = "up_for_reschedule"
        instance.next_method = None

        def again() -> None:
            if instance.state == "up_for_reschedule":
                instance.state = "queued"
                self._run_soon(instance)

        self.kernel.at(moment, again)

    def _defer(
        self,
        instance: TaskInstance,
        trigger: tuple[str, Any],
        method: str,
        kwargs: str,
        timeout: dt.timedelta | None,
    ) -> None:
        self.world.deferring(instance, trigger, kwargs)
        instance.state = "deferred"
        instance.deferrals += 1
        instance.deferred_in.add(instance.try_number)
        instance.next_method, instance.next_kwargs = method, kwargs
        instance.trigger = trigger
        instance.trigger_timeout = None if timeout is None else self.kernel.now + timeout.total_seconds()
        self.world.worker_ended(instance)
        self.triggerer.take(instance)
        if instance.trigger_timeout is not None:
            number = instance.deferrals

            def too_late() -> None:
                if instance.state == "deferred" and instance.deferrals == number:
                    self.world.trigger_timed_out(instance)
                    self.resume(instance, number, None, failure="Trigger timeout")

            self.kernel.at(instance.trigger_timeout + self.kernel.rng.uniform(0.0, 15.0), too_late)

    def _await_input(self, instance: TaskInstance, method: str, kwargs: str, timeout: dt.timedelta | None) -> None:
        instance.state = "awaiting_input"
        instance.deferrals += 1
        instance.next_method, instance.next_kwargs = method, kwargs
        self.world.worker_ended(instance)
        number = instance.deferrals
        if timeout is not None:
            # Airflow's own words (check_awaiting_input_timeouts).
            event = {"error": "The response timeout has passed without a response.", "error_type": "timeout"}
            self.kernel.after(timeout.total_seconds(), lambda: self.resume(instance, number, event))
        self.world.awaiting_input(instance)

    def answer(self, instance: TaskInstance, number: int, typed: dict[str, str]) -> None:
        """Take what a person typed into a task's form, and queue the task."""
        self.database.hitl.setdefault(instance.id, {})["params_input"] = typed
        moment = dt.datetime.fromtimestamp(self.kernel.now, dt.UTC)
        event = {"chosen_options": ["OK"], "params_input": typed, "responded_at": moment, "responded_by_user": None}
        self.resume(instance, number, event)

    def resume(self, instance: TaskInstance, number: int, event: Any, failure: str = "") -> None:
        """Take a trigger's event, and queue the task."""
        if instance.state not in {"deferred", "awaiting_input"} or instance.deferrals != number:
            return
        if failure:
            reason = "Trigger timeout" if failure == "Trigger timeout" else "Trigger failure"
            instance.next_method = "__fail__"
            instance.next_kwargs = json.dumps(serialize({"error": reason, "traceback": [failure]}))
        else:
            kwargs = deserialize(json.loads(instance.next_kwargs))
            instance.next_kwargs = json.dumps(serialize({**kwargs, "event": event}))
        self.triggerer.drop(instance)
        instance.trigger = None
        instance.state = "queued"
        self._run_soon(instance)

    def _died(self, instance: TaskInstance, process: Process) -> None:
        instance.raised = False
        if instance.process is not process or instance.state != "running":
            return
        instance.deaths += 1
        number = instance.try_number
        # A process that is killed is noticed by its supervisor; a machine that is gone only by its silence.
        delay = self.kernel.rng.choice([3.0, 3.0, HEARTBEAT_TIMEOUT])

        def noticed() -> None:
            if instance.state == "running" and instance.process is process and instance.try_number == number:
                self._fail(instance, RuntimeError("the worker died"), final=False)

        self.kernel.after(delay, noticed)

    # What people do

    def clear(self, instance: TaskInstance, *, force: Any = None) -> None:
        """Clear a task with all that comes after it, as the button does."""
        self.world.tell(
            f"{self.world.person} clears {instance.name}" + (f" with force_resubmit={force!r}" if force else "")
        )
        if force is not None:
            instance.force = force
        instance.clears += 1
        for each in [instance, *self._after(instance)]:
            self._clear_one(each)
        self._schedule_run(instance.run_id)

    def _clear_one(self, instance: TaskInstance) -> None:
        instance.marked = ""
        instance.next_method = None
        if instance.state == "running":
            # RESTARTING: killed, and tried again whatever its tries say; max_tries stays.
            self._end_process(instance)
            self._retry(instance, instance.retry_delay)
            return
        if instance.state == "deferred":
            self.triggerer.drop(instance, by_person=True)
        if instance.state is not None or instance.try_number:
            self._new_id(instance)
        instance.max_tries = instance.try_number + instance.retries
        instance.state = None
        instance.trigger = None
        instance.deferrals += 1

    def mark(self, instance: TaskInstance, state: str) -> None:
        """Mark a task failed or success."""
        self.world.tell(f"{self.world.person} marks {instance.name} {state}")
        if instance.state == "running":
            self._end_process(instance)
        elif instance.state == "deferred":
            self.triggerer.drop(instance, by_person=True)
        instance.state = state
        instance.marked = state
        instance.error = RuntimeError("marked by a person")
        instance.next_method = None
        instance.deferrals += 1
        self._schedule_downstream(instance)

    def _end_process(self, instance: TaskInstance) -> None:
        process = instance.process
        if process is not None and not process.is_over:
            self.kernel.kill(process)
        instance.process = None

    def kill_worker(self, instance: TaskInstance) -> None:
        """Kill the worker of a task that runs, wherever it is."""
        process = instance.process
        if instance.state == "running" and process is not None and not process.is_over:
            self.world.tell(f"the worker of {instance.name} dies")
            self.kernel.kill(process)

    def _after(self, instance: TaskInstance) -> list[TaskInstance]:
        found: list[TaskInstance] = []
        for each in self.instances:
            if any(up is instance or up in found for up in each.upstream):
                found.append(each)
        return found


class Triggerer:
    """
    Runs triggers in one event loop; dies and comes back.

    :param airflow: what it works for
    """

    def __init__(self, airflow: LittleAirflow) -> None:
        self._airflow = airflow
        self._kernel = airflow.kernel
        self._world = airflow.world
        self._process: Process | None = None
        self._loop: SimulatedLoop | None = None
        self._tasks: dict[TaskInstance, asyncio.Task[None]] = {}
        self.deaths = 0
        self._is_away = False

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._process is not None and not self._process.dead and not self._process.is_over

    def take(self, instance: TaskInstance) -> None:
        """Run the trigger of a task."""
        assert instance.trigger is not None
        classpath, _ = instance.trigger
        if classpath.endswith("DateTimeTrigger"):
            # Airflow's own: it says when its moment has come, and nothing else.
            number, kwargs = instance.deferrals, deserialize(json.loads(instance.trigger[1]))
            moment = kwargs["moment"].timestamp()
            self._kernel.at(moment, lambda: self._airflow.resume(instance, number, kwargs["moment"]))
            return
        if self._is_away:
            return
        self._start()
        if self._loop is not None and self.is_up:
            self._begin(instance)

    def drop(self, instance: TaskInstance, *, by_person: bool = False) -> None:
        """Cancel the trigger of a task."""
        task = self._tasks.pop(instance, None)
        if task is not None and self._loop is not None and self.is_up:
            self._loop.call_soon_threadsafe(task.cancel, "user action" if by_person else None)

    def die(self) -> None:
        """Die, and come back with all triggers begun anew."""
        if not self.is_up or self._process is None:
            return
        self._world.tell("the triggerer dies")
        self._kernel.kill(self._process)
        self.gone()

    def gone(self) -> None:
        """Be replaced after a while."""
        self.deaths += 1
        self._is_away = True
        self._bury()
        self._kernel.after(self._kernel.rng.uniform(5.0, 60.0), self._come_back)

    def end(self) -> None:
        """Stop at the end of the day."""
        self._bury()

    def _bury(self) -> None:
        loop, self._loop, self._process = self._loop, None, None
        if loop is not None:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            self._world.graveyard.append((loop, tasks))
        self._tasks.clear()

    def _come_back(self) -> None:
        self._is_away = False
        waiting = [
            each
            for each in self._airflow.instances
            if each.state == "deferred" and each.trigger and not each.trigger[0].endswith("DateTimeTrigger")
        ]
        for instance in waiting:
            self.take(instance)

    def _start(self) -> None:
        if self._process is not None and not self._process.dead:
            return

        def work() -> None:
            loop = SimulatedLoop(self._kernel, self._process)  # type: ignore[arg-type]
            self._loop = loop
            for instance in self._airflow.instances:
                if instance.state == "deferred" and instance.trigger and "DateTime" not in instance.trigger[0]:
                    self._begin(instance)
            process = self._process
            try:
                loop.run_forever()
            except Killed:
                if self._process is process:
                    self._kernel.after(0.0, lambda: self._process is process and self.gone())
                raise

        self._process = self._kernel.spawn("triggerer", work, "triggerer")

    def _begin(self, instance: TaskInstance) -> None:
        if instance in self._tasks or self._loop is None:
            return

        def begin() -> None:
            if instance not in self._tasks and instance.state == "deferred" and self._loop is not None:
                context = contextvars.copy_context()
                self._tasks[instance] = self._loop.create_task(
                    self._watch(instance, instance.deferrals), context=context
                )

        self._loop.call_soon_threadsafe(begin)

    async def _watch(self, instance: TaskInstance, number: int) -> None:
        assert instance.trigger is not None
        classpath, text = instance.trigger
        token = _WATCHED.set(instance)
        trigger = _trigger_of(classpath, deserialize(json.loads(text)))
        try:
            async for event in trigger.run():
                payload = json.loads(json.dumps(serialize(event.payload)))
                self._world.trigger_fired(instance, payload)
                await asyncio.sleep(self._kernel.rng.uniform(0.1, 1.0))
                self._airflow.resume(instance, number, deserialize(payload))
                break
        except asyncio.CancelledError as error:
            if error.args and error.args[0] == "user action" and hasattr(trigger, "on_kill"):
                await trigger.on_kill()
            raise
        except Exception as error:
            self._world.tell(f"the trigger of {instance.name} crashes: {type(error).__name__}: {_first(error)}")
            self._airflow.resume(instance, number, None, failure=f"{type(error).__name__}: {error}")
        finally:
            _WATCHED.reset(token)
            if self._tasks.get(instance) is asyncio.current_task():
                del self._tasks[instance]


_WATCHED: contextvars.ContextVar[TaskInstance | None] = contextvars.ContextVar("watched", default=None)


def watched() -> TaskInstance | None:
    """Return whose trigger runs now."""
    return _WATCHED.get()


def _trigger_of(classpath: str, kwargs: Mapping[str, Any]) -> Any:
    from importlib import import_module

    module, _, name = classpath.rpartition(".")
    return getattr(import_module(module), name)(**kwargs)


def _guarded(operator: Any, call: Callable[..., Any], **kwargs: Any) -> Any:
    context = contextvars.copy_context()
    context.run(ExecutorSafeguard.tracker.set, operator)
    return context.run(call, **kwargs)


def _first(what: object) -> str:
    text = str(what).strip()
    name = f"{type(what).__name__}: " if isinstance(what, BaseException) else ""
    return name + (text.splitlines()[0][:300] if text else "")
