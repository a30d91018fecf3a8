"""Waits for a long-running task in the triggerer, where a wait costs no worker slot."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_ims.exceptions import GstnError, GstnTaskFailed, GstnTransientError
from airflow_provider_ims.hooks.gstn import GstnAsyncHook
from airflow_provider_ims.hooks.retries import backoff
from airflow_provider_ims.models.task import TaskStatus

LONGEST_BACKOFF = 300.0
"""Seconds; cap of the wait after failed polls, and of an exponential wait that was given no cap."""

SETTLING = 5.0
"""Seconds before the first poll: Airflow's LocalExecutor fails a task that is resumed before the scheduler has heard
that the process which deferred it has ended."""

log = logging.getLogger(__name__)


def is_finished(status: TaskStatus) -> bool:
    """
    Decide whether a wait is over. Sensor and trigger both ask here.

    :param status: what the service says
    :return: ``True`` only for a completed task; a word that nobody knows means waiting on
    :raises GstnTaskFailed: when the task failed
    """
    if status.state == "failed":
        raise GstnTaskFailed(
            f"Task {status.reference_id} ended as {status.word!r}. Its documents may or may not be reset: read its"
            " result if there is one, or look on the GST portal. A GSTN logout while a task runs makes it fail.",
            code=status.word,
        )
    return status.state == "completed"


class ImsTaskTrigger(BaseTrigger):
    """
    Ask for a task's status until it ends or the deadline comes.

    Everything here is an id or a number: triggers are kept in Airflow's database. Times are wall clock, since a
    trigger moves between processes; the waits depend on the time since ``start_time`` alone, so that a trigger
    that was restarted goes on as before.

    :param reference_id: the task to wait for
    :param gstn_conn_id: id of the connection
    :param poll_interval: seconds between two polls
    :param start_time: when the wait began, seconds since the epoch
    :param end_time: when it is given up, seconds since the epoch
    :param exponential_backoff: wait longer each time
    :param max_wait: longest time between two polls with ``exponential_backoff``, seconds
    """

    def __init__(
        self,
        *,
        reference_id: str,
        gstn_conn_id: str,
        poll_interval: float,
        start_time: float,
        end_time: float,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reference_id = reference_id
        self.gstn_conn_id = gstn_conn_id
        self.poll_interval = poll_interval
        self.start_time = start_time
        self.end_time = end_time
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another process needs to go on with this wait."""
        return (
            f"{__name__}.{type(self).__qualname__}",
            {
                "reference_id": self.reference_id,
                "gstn_conn_id": self.gstn_conn_id,
                "poll_interval": self.poll_interval,
                "start_time": self.start_time,
                "end_time": self.end_time,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: ``completed``, ``timeout`` or ``error``, always with the reference id."""
        try:
            yield TriggerEvent(await self._wait())
        except GstnError as error:
            yield TriggerEvent(
                {
                    "status": "error",
                    "reference_id": self.reference_id,
                    "error": type(error).__name__,
                    "code": error.code,
                    "message": str(error),
                }
            )

    async def _wait(self) -> dict[str, str]:
        last = "nothing yet"
        failures = 0
        delay = max(SETTLING, self._next_wait())
        async with GstnAsyncHook(self.gstn_conn_id, read_attempts=1) as hook:
            while True:
                await asyncio.sleep(max(0.0, min(delay, self.end_time - time.time())))
                try:
                    status = await hook.get_task_status(self.reference_id)
                except GstnTransientError as error:
                    failures += 1
                    last = str(error)
                    delay = backoff(failures, first=max(1.0, self.poll_interval), longest=LONGEST_BACKOFF, error=error)
                    log.warning("Poll failed %d times in a row; next in %.0f s. %s", failures, delay, error)
                else:
                    if is_finished(status):
                        return {"status": "completed", "reference_id": self.reference_id}
                    self._tell(status, last)
                    last, failures, delay = str(status), 0, self._next_wait()
                if time.time() >= self.end_time:
                    return {"status": "timeout", "reference_id": self.reference_id, "message": last}

    def _next_wait(self) -> float:
        """Return the seconds to the next poll, a tenth more or less so that many waits do not poll in step."""
        wait = self.poll_interval
        if self.exponential_backoff:
            # Doubling from the start means: as long again as it has taken so far.
            wait += max(0.0, time.time() - self.start_time)
            wait = min(wait, self.max_wait if self.max_wait is not None else LONGEST_BACKOFF)
        return max(1.0, wait) * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret

    def _tell(self, status: TaskStatus, last: str) -> None:
        if str(status) == last:
            return
        if status.state == "unknown":
            log.warning(
                "Task %s has the status %r, which means nothing to us: neither done nor failed. Waiting on.",
                self.reference_id,
                status.word,
            )
        else:
            log.info("Task %s: %s", self.reference_id, status)
