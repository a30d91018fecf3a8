"""Waits for long-running tasks in the triggerer, where a wait costs no worker slot."""

from __future__ import annotations

import logging
import random
import time
from asyncio import timeout
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_ims._compat import AirflowException
from airflow_provider_ims.backoff import backoff
from airflow_provider_ims.exceptions import GstnError, GstnLoginError, GstnPermanentError
from airflow_provider_ims.hooks.gstn import RESET, Call, GstnAsyncHook
from airflow_provider_ims.triggers._poll_loop import repeat
from airflow_provider_ims.waits.events import COMPLETED, UNDECIDED, event_about, failed, timed_out
from airflow_provider_ims.waits.limits import LONGEST_BACKOFF, LONGEST_POLL, SETTLING
from airflow_provider_ims.waits.poll_interval import FIRST, pause
from airflow_provider_ims.waits.watch import TaskWatch, aask, ids_of, moved_message

__all__ = ["ImsTaskStartTrigger", "ImsTaskTrigger"]


log = logging.getLogger(__name__)

_NO_ID = frozenset("[](){}<>,'")
"""What stands in the text of a list, and in no reference id."""


class ImsTaskTrigger(BaseTrigger):
    """
    Ask for the status of one or more tasks until they end or the deadline comes.

    Everything here is an id or a number: triggers are kept in Airflow's database. Times are wall clock, since a
    trigger moves between processes; the waits depend on the time since ``start_time`` alone, so that a trigger
    that was restarted goes on as before.

    :param reference_id: the task or tasks to wait for
    :param gstn_conn_id: id of the connection
    :param poll_interval: seconds between two polls; with ``poll_early`` at most
    :param start_time: when the wait began, seconds since the epoch
    :param end_time: when it is given up, seconds since the epoch
    :param exponential_backoff: wait longer each time
    :param max_wait: longest time between two polls with ``exponential_backoff``, seconds
    :param poll_early: poll after a few seconds first, then less and less often; see :func:`.poll_interval.pause`
    :param end_from_trigger: when a task is complete, end the wait as a success without a worker. Whatever else comes,
        and the end of several tasks, is left to the worker
    :param call: name of the call that the tasks are of, for messages
    """

    def __init__(
        self,
        *,
        reference_id: str | list[str],
        gstn_conn_id: str,
        poll_interval: float,
        start_time: float,
        end_time: float,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        poll_early: bool = False,
        end_from_trigger: bool = False,
        call: str = RESET.name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reference_id = reference_id
        self.gstn_conn_id = gstn_conn_id
        self.poll_interval = poll_interval
        self.start_time = start_time
        self.end_time = end_time
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.poll_early = poll_early
        self.end_from_trigger = end_from_trigger
        self.call = call

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another process needs to go on with this wait."""
        kwargs = {
            "reference_id": self.reference_id,
            "gstn_conn_id": self.gstn_conn_id,
            "poll_interval": self.poll_interval,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "exponential_backoff": self.exponential_backoff,
            "max_wait": self.max_wait,
        }
        if self.poll_early:  # a triggerer of the version before does not know it, and need not
            kwargs["poll_early"] = True
        if self.end_from_trigger:
            kwargs["end_from_trigger"] = True
        if self.call != RESET.name:
            kwargs["call"] = self.call
        return f"{__name__}.{type(self).__qualname__}", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: ``completed``, ``timeout`` or ``error``, always with the reference id."""
        try:
            said = await self._wait()
        except GstnError as error:
            said = failed(error)
        yield self._event(said)

    def _event(self, said: dict[str, str]) -> TriggerEvent:
        # The length of a list, which tasks mapped over it need, is kept only by a worker.
        if self.end_from_trigger and said == COMPLETED and isinstance(self.reference_id, str):
            return TaskSuccessEvent(xcoms={"return_value": ids_of(self.reference_id)[0]})
        return TriggerEvent(event_about(self.reference_id, said))

    async def on_kill(self) -> None:
        """
        Say what becomes of the task when the wait ends here (called from Airflow 3.3 on).

        Airflow calls it when a person ends the wait, and also when another triggerer takes over: no alarm.
        """
        log.info("%s", moved_message(self.reference_id, Call.named(self.call)))

    async def _wait(self) -> dict[str, str]:
        wait = _Wait(self)
        # Anywhere within the first interval: thousands of waits that begin together do not poll together.
        latest = max(SETTLING, self.next_wait(), min(1.5 * FIRST, self.poll_interval) if self.poll_early else 0.0)
        first = random.uniform(SETTLING, latest)  # noqa: S311 - jitter, not a secret
        try:
            await repeat(wait.poll, wait.capped(first))
        finally:
            await wait.close()
        return wait.event

    def next_wait(self, remaining: float | None = None) -> float:
        """
        Return the seconds to the next poll, a tenth more or less so that many waits do not poll in step.

        :param remaining: seconds that the tasks still need by their own progress, where that is known
        """
        wait = self.poll_interval
        if self.poll_early:
            wait = pause(time.time() - self.start_time, self.poll_interval, remaining)
        elif self.exponential_backoff:
            # Doubling from the start means: as long again as it has taken so far.
            wait += max(0.0, time.time() - self.start_time)
            wait = min(wait, self.max_wait if self.max_wait is not None else LONGEST_BACKOFF)
        return max(1.0, wait) * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret


class ImsTaskStartTrigger(ImsTaskTrigger):
    """
    The same wait, started by the scheduler: no worker has seen its sensor yet.

    When the DAG is parsed, and its arguments written, nobody knows the times. They follow from Airflow's own deadline
    for the trigger, which is kept with the task instance: another triggerer that takes over finds the same.

    :param reference_id: the task or tasks to wait for (templated)
    :param gstn_conn_id: id of the connection (templated)
    :param poll_interval: see :class:`ImsTaskTrigger`, as the others
    :param wait_seconds: how long to wait at most, seconds
    :param airflow_seconds: seconds after its start when Airflow gives it up
    """

    def __init__(
        self,
        *,
        reference_id: str | list[str],
        gstn_conn_id: str,
        poll_interval: float,
        wait_seconds: float,
        airflow_seconds: float,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        poll_early: bool = False,
        end_from_trigger: bool = False,
        call: str = RESET.name,
    ) -> None:
        now = time.time()
        super().__init__(
            reference_id=reference_id,
            gstn_conn_id=gstn_conn_id,
            poll_interval=poll_interval,
            start_time=now,
            end_time=now + wait_seconds,
            exponential_backoff=exponential_backoff,
            max_wait=max_wait,
            poll_early=poll_early,
            end_from_trigger=end_from_trigger,
            call=call,
        )
        self.wait_seconds = wait_seconds
        self.airflow_seconds = airflow_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another process needs to go on with this wait."""
        path, kwargs = super().serialize()
        del kwargs["start_time"], kwargs["end_time"]
        return path, {**kwargs, "wait_seconds": self.wait_seconds, "airflow_seconds": self.airflow_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, as :meth:`ImsTaskTrigger.run` does, or ``undecided`` when there is no reference id."""
        given_up: datetime | None = getattr(self, "timeout_after", None)  # the triggerer sets it
        if given_up is not None:
            moment = given_up if given_up.tzinfo else given_up.replace(tzinfo=UTC)
            self.start_time = moment.timestamp() - self.airflow_seconds
            self.end_time = self.start_time + self.wait_seconds
        if not all(map(_is_one, [*ids_of(self.reference_id), str(self.gstn_conn_id)])):
            log.info("What is waited for, or with which connection, is not known here; a worker looks at it.")
            yield TriggerEvent(event_about(self.reference_id, UNDECIDED))
            return
        async for event in super().run():
            yield event


def _is_one(rendered: str) -> bool:
    """Say whether a template became an id, and not the text of a list or of nothing."""
    return rendered != "None" and not _NO_ID.intersection(rendered) and len(rendered.split()) == 1


class _Wait:
    """
    What a trigger knows while it waits.

    :param trigger: the trigger; says how often to poll, and for how long
    """

    def __init__(self, trigger: ImsTaskTrigger) -> None:
        self.event: dict[str, str] = {}
        self._trigger = trigger
        self._watch = TaskWatch(ids_of(trigger.reference_id), trigger.start_time, call=Call.named(trigger.call))
        self._hook: GstnAsyncHook | None = None
        self._failures = 0

    async def poll(self) -> float | None:
        """
        Ask how far the tasks are.

        :return: seconds to the next poll; ``None`` when the wait is over, and ``event`` says how
        """
        trouble = ""
        try:
            if self._hook is None or self._hook.is_rate_limited:
                # Where requests are limited, a poll may have to wait for its turn longer than there is time.
                async with timeout(max(LONGEST_POLL, self._trigger.end_time - time.time())):
                    await self._ask()
            else:  # the HTTP timeout is enough, and a timer less for each of thousands of polls
                await self._ask()
        except GstnPermanentError:
            raise
        except (AirflowException, TimeoutError) as error:
            # Also what Airflow says while its API server is away: a connection or a Variable cannot be read.
            self._failures += 1
            trouble = str(error) or "the request did not get its turn (max_requests_per_second)"
            known = error if isinstance(error, GstnError) else None
            first = max(1.0, self._trigger.poll_interval)
            if self._trigger.poll_early:
                first = min(first, FIRST)
            delay = max(1.0, backoff(self._failures, first=first, longest=LONGEST_BACKOFF, error=known))
            following = f"next in {self.capped(delay):.0f} s" if self.capped(delay) >= 1 else "the time is up"
            log.warning("Poll failed %d times in a row; %s. %s", self._failures, following, trouble)
        else:
            if self._watch.is_over():
                self.event = COMPLETED
                return None
            self._failures, delay = 0, self._trigger.next_wait(self._watch.remaining)
        if time.time() >= self._trigger.end_time:
            self.event = timed_out(trouble or self._watch.last_seen)
            return None
        return self.capped(delay)

    def capped(self, delay: float) -> float:
        """Return the seconds to the next poll: the last one is at the deadline."""
        return max(0.0, min(delay, self._trigger.end_time - time.time()))

    async def close(self) -> None:
        """Give back what the polls used."""
        if self._hook is not None:
            await self._hook.__aexit__(None, None, None)

    async def _ask(self) -> None:
        if self._hook is None:
            self._hook = await GstnAsyncHook(self._trigger.gstn_conn_id, read_attempts=1).__aenter__()
        try:
            await aask(self._watch, self._hook.get_task_status)
        except GstnLoginError:
            if not await self._hook.look_again():
                raise
            await aask(self._watch, self._hook.get_task_status)
