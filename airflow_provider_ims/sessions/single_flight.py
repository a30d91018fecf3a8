"""One at a time on this host: a lock file that processes, threads and coroutines share."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

LONGEST_WAIT = 60.0
"""Seconds after which the lock is passed over: a login too many does less harm than a task that hangs."""

log = logging.getLogger(__name__)

_loop_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()


@contextmanager
def alone(key: str) -> Iterator[None]:
    """
    Run a block while nobody else on this host runs one of the same key.

    :param key: what nobody else may work on; letters, digits and underscores
    """
    descriptor = _open(key)
    try:
        deadline = time.monotonic() + LONGEST_WAIT
        while not _try_lock(descriptor) and not _is_too_late(key, deadline):
            time.sleep(_pause())
        yield
    finally:
        os.close(descriptor)


@asynccontextmanager
async def aalone(key: str) -> AsyncIterator[None]:
    """Run a block as :func:`alone` does, from within an event loop."""
    locks = _loop_locks.setdefault(asyncio.get_running_loop(), {})
    # First among the coroutines of this loop, so that thousands of them do not poll one file.
    async with locks.setdefault(key, asyncio.Lock()):
        descriptor = _open(key)
        try:
            deadline = time.monotonic() + LONGEST_WAIT
            while not _try_lock(descriptor) and not _is_too_late(key, deadline):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(_pause())
            yield
        finally:
            os.close(descriptor)


def _open(key: str) -> int:
    # A folder of this user's own: in a shared one, somebody else could hold the lock, or plant a link.
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-ims-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat(follow_symlinks=False).st_uid != os.getuid():
        folder = Path(tempfile.mkdtemp(prefix="airflow-provider-ims-"))
    return os.open(folder / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_too_late(key: str, deadline: float) -> bool:
    if time.monotonic() < deadline:
        return False
    log.warning("Somebody on this host has held %s for %d s; going on without waiting.", key, LONGEST_WAIT)
    return True


def _pause() -> float:
    return random.uniform(0.02, 0.2)  # noqa: S311 - jitter, not a secret
