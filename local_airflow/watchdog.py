"""
A process that outlives its parent just long enough to end what the parent had started.

    python -m local_airflow.watchdog

It reads from its standard input what the parent starts and stops, one JSON object a line. When the pipe closes, because
the parent has closed it or was killed, it ends all that is still noted and removes the directories that are.
PR_SET_PDEATHSIG would reach the children only, and Airflow's workers and tasks are grandchildren.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil

from local_airflow.families import end_families, is_alive

STOP_SECONDS = 10.0


class Watchdog:
    """The parent's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local_airflow.watchdog"],
            cwd=Path(__file__).parents[1],
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal goes to the parent's whole group
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def watch(self, leader: int, stop_signal: int = signal.SIGKILL) -> None:
        """
        Note a process, the leader of a session.

        :param stop_signal: what ends it; when it is not SIGKILL, it is given ten seconds to clean up
        """
        self._tell({"watch": leader, "signal": int(stop_signal)})

    def forget(self, leader: int) -> None:
        """Note that a process has ended with all that it started; to be told before it is reaped."""
        self._tell({"forget": leader})

    def remove_at_end(self, directory: Path) -> None:
        """Have it remove a directory when nothing runs any more."""
        self._tell({"remove": str(directory)})

    def close(self) -> None:
        """Have it end what is still noted, and wait for it."""
        self._pipe.close()
        self._process.wait()

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 - opened above
        return self._process.stdin

    def _tell(self, note: dict[str, Any]) -> None:
        # One write of less than PIPE_BUF is whole or not there at all, also when the parent is killed amid it.
        self._pipe.write(json.dumps(note).encode() + b"\n")
        self._pipe.flush()


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends by the pipe alone
    watched: dict[int, int] = {}
    directories: list[Path] = []
    for line in sys.stdin:
        note = json.loads(line)
        if "watch" in note:
            watched[note["watch"]] = note["signal"]
        elif "forget" in note:
            watched.pop(note["forget"], None)
        else:
            directories.append(Path(note["remove"]))
    # Those that have to clean up last: they serve the others.
    patient = {pid: number for pid, number in watched.items() if number != signal.SIGKILL}
    end_families(watched.keys() - patient.keys(), grace=0)
    _stop(patient.items())
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _stop(leaders: Iterable[tuple[int, int]]) -> None:
    leaders = list(leaders)
    processes = []
    for pid, number in leaders:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            processes.append(psutil.Process(pid))
            os.kill(pid, number)
    deadline = time.monotonic() + STOP_SECONDS
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    end_families([pid for pid, _ in leaders], grace=0)


if __name__ == "__main__":
    _main()
