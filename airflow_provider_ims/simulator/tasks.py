"""Long-running tasks, whatever their work is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock
from .errors import ServiceError
from .options import Options


@dataclass(frozen=True)
class Result:
    """What a task brought: the result's ``data`` and, where the call has any, its pages.

    Each page is written when it is read, so that the end of a large task holds up nobody.
    """

    data: dict[str, Any]
    pages: Sequence[Callable[[], dict[str, Any]]] = ()


@dataclass
class Task:
    """One task; ``work`` is called once, when the task completes. What it refuses becomes the result's error."""

    org: str
    gstin: str
    kind: str
    started: float
    ready_at: float
    work: Callable[[], Result]
    final_status: str = "completed"
    early_results: list[dict[str, Any]] = field(default_factory=list)
    """Answers to the first result calls, before the true one."""
    error: dict[str, Any] | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "processing"
    outcome: Result | None = None

    @property
    def running(self) -> bool:
        """Return whether the task has not ended yet."""
        return self.status == "processing"

    @property
    def completed(self) -> bool:
        """Return whether the task came to a good end, written in capitals or not."""
        return self.status.lower() == "completed"


class Tasks:
    """Runs tasks by the clock and keeps them for the retention time."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._tasks: dict[str, Task] = {}

    def add(self, task: Task) -> None:
        """Start a task."""
        self._tasks[task.id] = task

    def settle(self) -> None:
        """End the tasks whose time has come, in that order, and forget those past retention."""
        now = self._clock.now()
        due = [task for task in self._tasks.values() if task.running and task.ready_at <= now]
        for task in sorted(due, key=lambda task: task.ready_at):
            task.status = task.final_status
            if task.completed and task.error is None:
                try:
                    task.outcome = task.work()
                except ServiceError as refusal:
                    task.error = refusal.body()
        oldest = now - self._options.retention_days * 86400
        self._tasks = {task.id: task for task in self._tasks.values() if task.started > oldest}

    def running(self, gstin: str, kind: str) -> bool:
        """Return whether GSTN is busy with such a task for this GSTIN."""
        return any(task.running and (task.gstin, task.kind) == (gstin, kind) for task in self._tasks.values())

    def fail_running(self, org: str, gstin: str) -> None:
        """End the running tasks of a GSTIN whose session was closed."""
        for task in self._tasks.values():
            if task.running and (task.org, task.gstin) == (org, gstin):
                task.status = "failed"

    def get(self, org: str, task_id: str) -> Task:
        """Return a task of the organisation, or refuse."""
        task = self._tasks.get(task_id)
        if task is None or task.org != org or self._clock.now() < task.started + self._options.visible_after_seconds:
            raise _not_found(task_id)
        return task

    def gstin_of(self, task_id: str) -> str | None:
        """Return for whom a task works, if there is such a task."""
        task = self._tasks.get(task_id)
        return None if task is None else task.gstin

    def status(self, task: Task) -> dict[str, Any]:
        """Return the status ``data``: flat as live clients read it, or nested as Vayana's page prints it."""
        if self._options.status_shape == "nested":
            return {"task": {"id": task.id, "status": task.status}}
        return {"id": task.id, "status": task.status, "jobs": {"total": 1, "pending": int(task.running)}}

    def result(self, task: Task) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return the result's ``data`` and ``error``; one of them is None."""
        _check_completed(task)
        if task.error is None and task.early_results:
            return task.early_results.pop(0), None
        return (None if task.outcome is None else task.outcome.data), task.error

    def page(self, task: Task, number: str) -> dict[str, Any]:
        """Return the ``data`` of one page; which number the first one has is not documented."""
        _check_completed(task)
        pages = [] if task.outcome is None else task.outcome.pages
        first = self._options.first_page
        by_number = {str(first + index): page for index, page in enumerate(pages)}
        if number not in by_number:
            raise _not_found(task.id)
        return by_number[number]()

    def state(self) -> list[dict[str, Any]]:
        """Return what can be shown of the tasks, oldest first."""
        shown = ("id", "gstin", "kind", "status", "started", "ready_at")
        return [{name: getattr(task, name) for name in shown} for task in self._tasks.values()]


def _check_completed(task: Task) -> None:
    if not task.completed:
        # That this is a 400 is documented, its code is our invention.
        raise ServiceError(400, "err-task-not-completed", "ClientRequest", **{"task-id": task.id})


def _not_found(task_id: str) -> ServiceError:
    return ServiceError(404, "err-resource-not-found", "ResourceNotFound", **{"task-id": task_id})
