"""Child processes that do not outlive their parent, whatever they start, wherever Ctrl-C hits and however it dies."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

from local_airflow.families import end_families, is_alive
from local_airflow.service import Service
from local_airflow.watchdog import Watchdog

# Enough for a scheduler with running tasks. The API server says farewell at once, but its interpreter takes longer
# than this to leave.
GRACE_SECONDS = 5.0
# A child waits for this word until the watchdog knows it; without a parent there is nobody to say it.
START_WHEN_TOLD = 'read -r go && exec "$@" </dev/null'


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


class ProcessSet(Service):
    """
    Named child processes, each in a session of its own, its output in a file.

    All that they start ends with them: at :meth:`stop`, and also when this process is killed with SIGKILL, by a
    watchdog that runs as long as they do. Only what this set started is ever signalled.
    """

    def __init__(self) -> None:
        self._leaders: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: dict[str, Path] = {}
        self._ending: set[str] = set()
        self._watchdog: Watchdog | None = None

    @property
    def watchdog(self) -> Watchdog:
        """What ends the processes when this one is killed; it runs from its first use to :meth:`stop`."""
        if self._watchdog is None:
            self._watchdog = Watchdog()
        return self._watchdog

    def start(self) -> None:
        """Start nothing: :meth:`spawn` does."""

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        stop_signal: int = signal.SIGKILL,
    ) -> None:
        """
        Start `command`; a second start of the same name appends to the same log.

        :param stop_signal: what the watchdog sends; SIGKILL leaves a program no time to clean up after itself
        """
        with signals_held(), log.open("ab") as output:
            watchdog = self.watchdog
            self._ending.discard(name)
            leader = self._leaders[name] = subprocess.Popen(  # noqa: S603 - our own command; no part of it is shell
                ["/bin/sh", "-c", START_WHEN_TOLD, name, *command],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._logs[name] = log
            watchdog.watch(leader.pid, stop_signal)
            assert leader.stdin is not None  # noqa: S101 - opened above
            with suppress(BrokenPipeError), leader.stdin as word:  # it may have been killed, which shows soon enough
                word.write(b"go\n")

    def pid(self, name: str) -> int:
        """Process id of `name`, which is also its session's and its process group's."""
        return self._leaders[name].pid

    def dead(self) -> list[str]:
        """Names of the processes that ended by themselves."""
        ended = [(name, leader) for name, leader in list(self._leaders.items()) if not _lives(leader)]
        # Asked in this order, as another thread may be ending one of them just now.
        return [name for name, leader in ended if name not in self._ending and self._leaders.get(name) is leader]

    def wait(self, name: str, timeout: float) -> int | None:
        """Exit code of a process that is to end by itself; None when it has not within `timeout` seconds."""
        leader = self._leaders[name]
        try:
            code = leader.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._forget(name)
        return code

    def log_tail(self, name: str, lines: int = 25) -> str:
        """Return the last lines that `name` wrote."""
        return "\n".join(self._logs[name].read_text(errors="replace").splitlines()[-lines:])

    def kill(self, name: str) -> None:
        """End `name` and everything that it started, at once, as a machine's failure would."""
        with signals_held():
            self._end([name], grace=0)

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """End all processes: SIGTERM, `grace` seconds for all of them together, SIGKILL for what is left."""
        with signals_held():
            self._end(list(self._leaders), grace)
            if self._watchdog is not None:
                self._watchdog.close()
                self._watchdog = None

    def _end(self, names: Sequence[str], grace: float) -> None:
        self._ending.update(names)
        # They are reaped last, see end_families.
        end_families([self._leaders[name].pid for name in names], grace)
        for name in names:
            self._leaders[name].wait()
            self._forget(name)

    def _forget(self, name: str) -> None:
        leader = self._leaders.pop(name)
        if self._watchdog is not None:
            self._watchdog.forget(leader.pid)


def _lives(leader: subprocess.Popen[bytes]) -> bool:
    try:
        return is_alive(psutil.Process(leader.pid))
    except psutil.NoSuchProcess:  # ended and waited for by another thread
        return False
