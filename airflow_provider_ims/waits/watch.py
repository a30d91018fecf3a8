"""Which tasks still run, which have ended and how, and which are not there yet."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from airflow_provider_ims.exceptions import GstnError, GstnTaskFailed, GstnTaskNotFound
from airflow_provider_ims.hooks.gstn import RESET, Call
from airflow_provider_ims.models.task_status import TaskStatus, is_gone

log = logging.getLogger(__name__)


class TaskWatch:
    """
    Which of some tasks still run, and how the others ended. Sensor and trigger both decide here.

    :param reference_ids: the tasks to wait for
    :param since: since when they are waited for, seconds since the epoch
    :param clock: seconds since the epoch
    :param call: which call they are of, for messages
    """

    def __init__(
        self,
        reference_ids: Iterable[str],
        since: float,
        clock: Callable[[], float] | None = None,
        call: Call[Any, Any] = RESET,
    ) -> None:
        self._call = call
        self._since = since
        self._clock = clock or time.time
        self.pending = list(dict.fromkeys(reference_ids))
        self._failures: list[GstnError] = []
        self._last: dict[str, TaskStatus] = {}

    def note(self, status: TaskStatus) -> None:
        """Take note of what the service says of a task; a word that nobody knows means waiting on."""
        if self._last.get(status.reference_id) == status:
            return  # as before, when it was not the end: ended ones are not asked about again
        state = status.state
        if state == "completed":
            self.pending.remove(status.reference_id)
        elif state == "failed":
            self.pending.remove(status.reference_id)
            self._failures.append(
                GstnTaskFailed(
                    f"Task {status.reference_id} ended as {status.word!r}. {_after_failure(self._call)}"
                    " A GSTN logout while a task runs makes it fail.",
                    code=status.word,
                ),
            )
        self._last[status.reference_id] = status
        if state == "unknown":
            log.warning(
                "Task %s has the status %r, which means nothing to us: neither done nor failed. Waiting on.",
                status.reference_id,
                status.word,
            )
        else:
            log.info("Task %s: %s", status.reference_id, status)

    def miss(self, reference_id: str, error: GstnError) -> None:
        """
        Take note that the service could not be asked about a task.

        A task that is not found may not be there yet, or is given up: the others go on, and it is told when they have
        ended. Else the task is asked about last from now on, so that it does not keep the others from being asked
        about.

        :raises GstnError: the error, when it is not about this task alone
        """
        self.pending.remove(reference_id)
        if isinstance(error, GstnTaskNotFound) and is_gone(self._since, self._clock()):
            self._failures.append(error)
            return
        self.pending.append(reference_id)
        if not isinstance(error, GstnTaskNotFound):
            raise error
        log.info("Task %s is not there yet. %s", reference_id, error)

    def is_over(self) -> bool:
        """
        Say whether every task has ended.

        :raises GstnTaskFailed: when all have ended and some failed
        """
        if self.pending:
            return False
        if self._failures:
            first = self._failures[0]
            told = [str(error).splitlines() for error in self._failures]
            # What is to be done is the same for most of them, and said once.
            rest = dict.fromkeys(line for lines in told for line in lines[1:])
            raise type(first)("\n".join([*(lines[0] for lines in told), *rest]), code=first.code)
        return True

    @property
    def remaining(self) -> float | None:
        """
        Seconds that the tasks still need, if their jobs go on as fast as so far; ``None`` when not all of them tell.

        Counted from the start of the wait. What a service tells that cannot be is as if it had told nothing.
        """
        waited, longest = max(0.0, self._clock() - self._since), 0.0
        for reference_id in self.pending:
            status = self._last.get(reference_id)
            total, pending = (status.jobs_total, status.jobs_pending) if status else (None, None)
            if total is None or pending is None or not 0 <= pending < total:
                return None
            longest = max(longest, waited * pending / (total - pending))
        return longest

    @property
    def last_seen(self) -> str:
        """What is known of the tasks that still run, in words."""
        seen = [(reference_id, self._last.get(reference_id)) for reference_id in self.pending[:5]]
        words = [f"{reference_id}: {status or 'nothing yet'}" for reference_id, status in seen]
        more = [f"and {len(self.pending) - 5} more"] if len(self.pending) > 5 else []
        failed = [f"; {len(self._failures)} failed, first: {self._failures[0]}"] if self._failures else []
        return ", ".join(words + more) + "".join(failed)


def ask(watch: TaskWatch, get_task_status: Callable[[str], TaskStatus]) -> None:
    """
    Ask once about each task that has not ended.

    :param get_task_status: asks the service; see :meth:`GstnHook.get_task_status`
    :raises GstnError: when the service could not be asked, for a reason that is not one task's own
    """
    for reference_id in list(watch.pending):
        try:
            watch.note(get_task_status(reference_id))
        except GstnError as error:
            watch.miss(reference_id, error)


async def aask(watch: TaskWatch, get_task_status: Callable[[str], Awaitable[TaskStatus]]) -> None:
    """Ask once about each task that has not ended; the awaited twin of :func:`ask`."""
    for reference_id in list(watch.pending):
        try:
            watch.note(await get_task_status(reference_id))
        except GstnError as error:
            watch.miss(reference_id, error)


def ids_of(reference_id: Any) -> list[str]:
    """Return reference ids as a list, from one or from several, such as the output of a mapped task."""
    if isinstance(reference_id, str) or not isinstance(reference_id, Iterable):
        return [_plain(str(reference_id).strip())]
    return [_plain(str(each).strip()) for each in reference_id]


def _plain(reference_id: str) -> str:
    """Return a reference id without the quotes that Airflow (3.3.2) keeps around what its triggerer pushes to XCom."""
    if len(reference_id) > 2 and reference_id[0] == reference_id[-1] == '"':
        with suppress(ValueError):
            return str(json.loads(reference_id))
    return reference_id


def _after_failure(call: Call[Any, Any]) -> str:
    if call.repeatable:
        return f"The {call.noun} changed nothing, and can be asked for again."
    return (
        f"Its documents may or may not be {call.done or 'done'}: read its result if there is one, or look on the GST"
        " portal."
    )


def _ended_from_outside(reference_id: Any, call: Call[Any, Any]) -> str:
    not_again = "" if call.repeatable else f"; do not send the {call.noun} again"
    return (
        f"The wait for {', '.join(ids_of(reference_id))} was ended from outside. The service has no cancel: it goes on"
        f" with what was sent{not_again}."
    )


def abandoned_message(reference_id: Any, call: Call[Any, Any] = RESET) -> str:
    """
    Say what becomes of tasks for which nobody waits any more.

    :param call: which call they are of
    """
    return (
        f"{_ended_from_outside(reference_id, call)} If the task that waited was marked by hand, clearing it waits on."
    )


def moved_message(reference_id: Any, call: Call[Any, Any] = RESET) -> str:
    """
    Say what it means that a trigger is stopped: Airflow does not tell it whether a person or a move is the cause.

    :param call: which call they are of
    """
    return (
        f"{_ended_from_outside(reference_id, call)} If another triggerer has taken over, the wait goes on there, and"
        " nothing is to be done."
    )
