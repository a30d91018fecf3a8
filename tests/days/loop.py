"""An event loop in simulated time; what it hands to threads runs beside it, as it would."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from typing import Any

from .kernel import Kernel, Killed, Process


class SimulatedLoop(asyncio.SelectorEventLoop):
    """
    An event loop whose waits are the kernel's.

    :param process: the process that it runs in
    """

    def __init__(self, kernel: Kernel, process: Process) -> None:
        self._kernel = kernel
        self._process = process
        super().__init__(_Selector(kernel))
        # Seconds since the epoch, as floats, are no finer than this.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._kernel.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except Killed:
                raise
            except BaseException as error:
                self.call_soon_threadsafe(_unless_done(future.set_exception, future), error)
            else:
                self.call_soon_threadsafe(_unless_done(future.set_result, future), result)

        self._kernel.spawn(f"{self._process.name}, thread", work, self._process.host, thread_of=self._process)
        return future

    def _make_self_pipe(self) -> None:
        """There is nobody outside to wake this up."""

    def _close_self_pipe(self) -> None:
        """There is none."""

    def _write_to_self(self) -> None:
        self._kernel.wake(self._process)


def _unless_done(act: Callable[[Any], None], future: asyncio.Future[Any]) -> Callable[[Any], None]:
    def once(value: Any) -> None:
        if not future.done():
            act(value)

    return once


class _Selector(selectors.BaseSelector):
    """Waits for nothing but time."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def select(self, timeout: float | None = None) -> list[Any]:
        self._kernel.check_alive()
        if timeout is None or timeout > 0:
            self._kernel.park(timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise OSError("no socket is opened in a simulated day")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}
