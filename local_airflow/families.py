"""A process and all that it started: how to find them, how to end them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

KILL_SECONDS = 60.0  # a process that outlives SIGKILL this long hangs in the kernel; a busy machine takes ten


def is_alive(process: psutil.Process) -> bool:
    """Whether the process runs; one that has ended and waits for its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def family(leaders: Iterable[int]) -> set[psutil.Process]:
    """
    Return every process of the leaders' sessions, and their descendants in other sessions.

    :param leaders: ids of processes that each lead a session. The session is what ties a process's offspring to it:
        Airflow gives each task its own process group, which stays in the session even when its parent is gone
    """
    sessions = set(leaders)
    found: set[psutil.Process] = set()
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) in sessions:
                member = psutil.Process(pid)
                found |= {member, *member.children(recursive=True)}
    return found


def end_families(leaders: Iterable[int], grace: float) -> None:
    """
    End the leaders and all that they started.

    :param leaders: ids of processes that each lead a session, and that nobody reaps meanwhile: until then no other
        process can get their ids, so that a session or group of that number is theirs
    :param grace: seconds between SIGTERM and SIGKILL; 0 sends SIGKILL at once
    :raises TimeoutError: SIGKILL did not end one of them
    """
    leaders = list(leaders)
    # Read before SIGTERM, because a child with a session of its own can no longer be found once its parent is gone.
    members = family(leaders)
    if grace > 0:
        for leader in leaders:
            with suppress(ProcessLookupError):
                os.killpg(leader, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(map(is_alive, members)) and time.monotonic() < deadline:
        time.sleep(0.05)
        members |= family(leaders)
    deadline = time.monotonic() + KILL_SECONDS
    while left := [process for process in members | family(leaders) if is_alive(process)]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"SIGKILL did not end {left}")
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        members |= set(left)
        time.sleep(0.02)
