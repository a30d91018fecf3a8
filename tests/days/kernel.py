"""Simulated time and the processes that live in it: one thread, one order of events, all of it from one seed."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from itertools import count
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet


class Killed(BaseException):
    """The process that runs has died: nothing that it does from here on reaches anybody."""


class Process:
    """
    A worker, a triggerer, or a thread of one.

    :param name: for the story
    :param host: the machine it runs on, which has a lock folder of its own
    :param parent: the process that this is a thread of: both share their memory, and die together
    """

    def __init__(self, kernel: Kernel, name: str, work: Callable[[], None], host: str, parent: Process | None) -> None:
        self.name = name
        self.host = host
        self.dead = False
        self.is_cut = False
        self.memory: dict[Any, Any] = {} if parent is None else parent.memory
        self.parent = parent
        self.threads: list[Process] = []
        self.subject: Any = None if parent is None else parent.subject
        self.waits = 0
        self._work = work
        self._kernel = kernel
        self.greenlet = greenlet(self._run, parent=kernel.hub)

    def _run(self) -> None:
        try:
            self._work()
        except (Killed, GreenletExit):
            self.dead = True

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return bool(self.greenlet.dead)


class Kernel:
    """
    The clock, and what happens when.

    :param start: seconds since the epoch at which the day begins
    :param seed: of the order of what happens at the same moment
    """

    def __init__(self, start: float, seed: int) -> None:
        self.now = start
        self.hub = getcurrent()
        self.current: Process | None = None
        self.rng = random.Random(seed)
        self.on_switch: Callable[[Process], None] = lambda process: None
        self._queue: list[tuple[float, float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._processes: list[Process] = []

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Have something happen at a time, in any order with what else happens then."""
        heapq.heappush(self._queue, (max(moment, self.now), self.rng.random(), next(self._numbers), act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something happen some seconds from now."""
        self.at(self.now + seconds, act)

    def spawn(
        self,
        name: str,
        work: Callable[[], None],
        host: str = "worker",
        subject: Any = None,
        thread_of: Process | None = None,
    ) -> Process:
        """Start a process; it runs as soon as nothing else does."""
        process = Process(self, name, work, host, thread_of)
        if subject is not None:
            process.subject = subject
        if thread_of is not None:
            thread_of.threads.append(process)
        self._processes.append(process)
        self.after(0.0, lambda: self._resume(process))
        return process

    def sleep(self, seconds: float) -> None:
        """Let others run; called by a process."""
        process = self.check_alive()
        turn = self._turn_of(process)
        self.after(max(0.0, seconds), lambda: self._resume(process, turn))
        self._leave(process)

    def park(self, seconds: float | None) -> None:
        """Wait until :meth:`wake` is called, or the seconds are over."""
        process = self.check_alive()
        turn = self._turn_of(process)
        if seconds is not None:
            self.after(max(0.0, seconds), lambda: self._resume(process, turn))
        self._leave(process)

    def wake(self, process: Process) -> None:
        """End the wait of a process."""
        turn = process.waits
        self.after(0.0, lambda: self._resume(process, turn))

    def check_alive(self) -> Process:
        """Return the process that runs; one that has died gets no further."""
        process = self.current
        assert process is not None, "only a process waits"
        if process.dead:
            raise Killed
        return process

    def die(self) -> None:
        """Kill the process that runs."""
        process = self.current
        assert process is not None
        for each in _family(process):
            each.dead = True
        raise Killed

    def kill(self, process: Process) -> None:
        """Kill a process that does not run now."""
        for each in _family(process):
            each.dead = True
            if each is not self.current and each.greenlet and not each.is_over:
                self._throw(each)

    def run(self, until: float) -> None:
        """Let everything happen up to a time."""
        while self._queue and self._queue[0][0] <= until:
            moment, _, _, act = heapq.heappop(self._queue)
            self.now = moment
            act()
        self.now = max(self.now, until)

    def next_event(self) -> float | None:
        """Return when the next thing happens."""
        return self._queue[0][0] if self._queue else None

    def end(self) -> None:
        """Let every process die."""
        self._queue.clear()
        for process in self._processes:
            self.kill(process)
        self._queue.clear()

    @staticmethod
    def _turn_of(process: Process) -> int:
        process.waits += 1
        return process.waits

    def _resume(self, process: Process, turn: int | None = None) -> None:
        if process.is_over or process.dead or (turn is not None and turn != process.waits):
            return
        self.current = process
        self.on_switch(process)
        try:
            process.greenlet.switch()
        finally:
            self.current = None

    def _throw(self, process: Process) -> None:
        before, self.current = self.current, process
        self.on_switch(process)
        try:
            process.greenlet.throw(Killed)
        finally:
            self.current = before
            if before is not None:
                self.on_switch(before)

    def _leave(self, process: Process) -> None:
        # Which loop is running is known by thread, and all processes share this one.
        loop = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            self.hub.switch()
        finally:
            asyncio._set_running_loop(loop)
        if process.dead:
            raise Killed


def _family(process: Process) -> list[Process]:
    while process.parent is not None:
        process = process.parent
    return [process, *process.threads]
