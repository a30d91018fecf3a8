"""Child processes that do not outlive their parent, whatever they start and wherever Ctrl-C hits."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import psutil

# Enough for a scheduler with running tasks. The API server says farewell at once, but its interpreter takes longer
# than this to leave.
GRACE_SECONDS = 5.0
KILL_SECONDS = 10.0  # a process that outlives SIGKILL this long hangs in the kernel


@contextmanager
def signals_held() -> Iterator[None]:
    """
    Keep SIGINT, SIGTERM and SIGHUP back until the block is done, then deliver the first of them.

    A KeyboardInterrupt between the fork and the assignment of its result would lose a process for good, and
    one amid stopping would leave the rest running. Handlers are swapped rather than signals blocked, because
    a child inherits a blocked signal but not a handler.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers can be set in the main thread only, which is also where signals arrive
        return
    arrived: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])


class ProcessSet:
    """
    Named child processes, each in a session of its own, its output in a file.

    The session is what ties a process's offspring to it: Airflow gives each task its own process group, which
    stays in the session even when its parent is gone. Only what this set started is ever signalled.
    """

    def __init__(self) -> None:
        self._leaders: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: dict[str, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        """Start `command`; a second start of the same name appends to the same log."""
        with signals_held(), log.open("ab") as output:
            self._leaders[name] = subprocess.Popen(  # noqa: S603 - our own command, no shell
                command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._logs[name] = log

    def pid(self, name: str) -> int:
        """Process id of `name`, which is also its session's and its process group's."""
        return self._leaders[name].pid

    def dead(self) -> list[str]:
        """Names of the processes that ended by themselves."""
        return [name for name, leader in self._leaders.items() if not _is_alive(psutil.Process(leader.pid))]

    def wait(self, name: str, timeout: float) -> int | None:
        """Exit code of a process that is to end by itself; None when it has not within `timeout` seconds."""
        try:
            code = self._leaders[name].wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        del self._leaders[name]
        return code

    def log_tail(self, name: str, lines: int = 25) -> str:
        """Return the last lines that `name` wrote."""
        return "\n".join(self._logs[name].read_text(errors="replace").splitlines()[-lines:])

    def kill(self, name: str) -> None:
        """End `name` and everything that it started, at once, as a machine's failure would."""
        with signals_held():
            self._end([self._leaders[name]], grace=0)
            del self._leaders[name]

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """End all processes: SIGTERM, `grace` seconds for all of them together, SIGKILL for what is left."""
        with signals_held():
            self._end(self._leaders.values(), grace)
            self._leaders.clear()

    def _end(self, leaders: Iterable[subprocess.Popen[bytes]], grace: float) -> None:
        # Leaders are reaped last: until then no other process can get their ids, so that a session or group
        # of that number is ours. The family is read before SIGTERM, because a child with a session of its
        # own can no longer be found once its parent is gone.
        leaders = list(leaders)
        family = _family(leaders)
        if grace > 0:
            for leader in leaders:
                with suppress(ProcessLookupError):
                    os.killpg(leader.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while any(map(_is_alive, family)) and time.monotonic() < deadline:
            time.sleep(0.05)
            family |= _family(leaders)
        deadline = time.monotonic() + KILL_SECONDS
        while left := [process for process in family | _family(leaders) if _is_alive(process)]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"SIGKILL did not end {left}")
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.02)
        for leader in leaders:
            leader.wait()


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _family(leaders: Iterable[subprocess.Popen[bytes]]) -> set[psutil.Process]:
    """Every process of the leaders' sessions, and their descendants in other sessions."""
    sessions = {leader.pid for leader in leaders}
    family: set[psutil.Process] = set()
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) in sessions:
                member = psutil.Process(pid)
                family |= {member, *member.children(recursive=True)}
    return family
