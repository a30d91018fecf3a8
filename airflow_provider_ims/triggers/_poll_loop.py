"""
Calls thousands of waits of an event loop, each at its time.

A sleeping coroutine costs an ``asyncio.sleep`` with its future, timer and context, made anew for each pause. Of
10,000 waits these are so many objects that outlive a garbage collection or two that Python looks through the whole
memory of the triggerer every minute, for a third of a second in which nothing else runs. A wait that is called
from here leaves nothing behind between its calls: one entry and one future last as long as the wait does.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

_GRAIN = 0.015
"""
Seconds; what is due within the same grain is called together, since to wake up costs as much as a poll. Not longer:
of many that are in the air at once, as much outlives a garbage collection as of the sleeps above.
"""

Poll = Callable[[], Awaitable[float | None]]
"""Does what is to be done, and returns the seconds to the next call, or ``None`` when there is none."""


async def repeat(poll: Poll, first: float) -> None:
    """
    Await a call again and again until it says that it is over.

    :param poll: see :data:`Poll`; what it raises ends the repetition, and is raised here
    :param first: seconds to the first call
    """
    await _loops.setdefault(asyncio.get_running_loop(), _PollLoop()).serve(poll, first)


class _Entry:
    """One that is called again and again."""

    __slots__ = ("context", "due", "over", "poll", "task")

    def __init__(self, poll: Poll, over: asyncio.Future[None]) -> None:
        self.poll = poll
        self.over = over
        self.due = 0.0
        self.task: asyncio.Task[None] | None = None
        # Airflow's triggerer knows by it whose log a line belongs to.
        self.context = contextvars.copy_context()

    def __lt__(self, other: _Entry) -> bool:
        return self.due < other.due


class _PollLoop:
    """The entries of one event loop, and one timer for the next of them."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._served = 0
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self, poll: Poll, first: float) -> None:
        """Do as :func:`repeat`."""
        entry = _Entry(poll, asyncio.get_running_loop().create_future())
        self._served += 1
        self._enter(entry, first)
        try:
            await entry.over
        finally:
            self._leave(entry)
            if entry.task is not None:
                # The caller goes on to close what the call is using.
                entry.task.cancel()
                await asyncio.wait([entry.task])

    def _enter(self, entry: _Entry, seconds: float) -> None:
        entry.due = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._entries, entry)
        self._set_timer()

    def _leave(self, entry: _Entry) -> None:
        # Taken out of the middle it would cost a search for each of thousands; it is passed over when it is due.
        entry.poll = _nothing
        self._served -= 1
        if not self._served:
            self._entries.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _set_timer(self) -> None:
        due = math.ceil(self._entries[0].due / _GRAIN) * _GRAIN
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._ring, context=contextvars.Context())

    def _ring(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._entries and self._entries[0].due <= now:
            entry = heapq.heappop(self._entries)
            if not entry.over.done():
                entry.task = loop.create_task(self._call(entry), context=entry.context)
        if self._entries:
            self._set_timer()

    async def _call(self, entry: _Entry) -> None:
        try:
            seconds = await entry.poll()
        except asyncio.CancelledError:
            entry.over.cancel()
            raise
        except Exception as error:
            if not entry.over.done():
                entry.over.set_exception(error)
        else:
            if entry.over.done():
                return  # cancelled meanwhile
            if seconds is None:
                entry.over.set_result(None)
            else:
                self._enter(entry, seconds)
        finally:
            entry.task = None


async def _nothing() -> None:
    """Stand in for a call that nobody waits for any more."""


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _PollLoop] = WeakKeyDictionary()
