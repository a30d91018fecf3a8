"""One at a time on this host: a lock file that processes, threads and coroutines share."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import random
import stat
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import ClassVar
from weakref import WeakKeyDictionary

LONGEST_WAIT = 60.0
"""Seconds after which the lock is passed over: a login too many does less harm than a task that hangs."""

log = logging.getLogger(__name__)

_warned: set[str] = set()
_warning = threading.Lock()
_loop_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()


@contextmanager
def exclusive(key: str) -> Iterator[None]:
    """
    Run a block while nobody else on this host runs one of the same key.

    :param key: what nobody else may work on; letters, digits and underscores
    """
    lock = _lock_of(key)
    deadline = time.monotonic() + LONGEST_WAIT
    try:
        while not lock.take() and not _is_too_late(key, deadline):
            time.sleep(_pause())
        yield
    finally:
        lock.release()


@asynccontextmanager
async def aexclusive(key: str) -> AsyncIterator[None]:
    """Run a block as :func:`exclusive` does, from within an event loop."""
    locks = _loop_locks.setdefault(asyncio.get_running_loop(), {})
    # First among the coroutines of this loop, so that thousands of them do not poll one file.
    async with locks.setdefault(key, asyncio.Lock()):
        lock = _lock_of(key)
        deadline = time.monotonic() + LONGEST_WAIT
        try:
            while not lock.take() and not _is_too_late(key, deadline):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(_pause())
            yield
        finally:
            lock.release()


class _FileLock:
    """
    A lock that all processes of this host share.

    :param file: the lock's file
    :raises OSError: when it cannot be opened
    """

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def take(self) -> bool:
        """Take it if nobody has it; on a file system without locks it is always free."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            _warn_once(type(error).__name__)
        return True

    def release(self) -> None:
        """Let others take it."""
        os.close(self._descriptor)


class _ProcessLock:
    """
    A lock that the threads of this process share.

    :param key: what is locked
    """

    _locks: ClassVar[dict[str, threading.Lock]] = {}

    def __init__(self, key: str) -> None:
        self._lock = self._locks.setdefault(key, threading.Lock())
        self._is_ours = False

    def take(self) -> bool:
        """Take it if nobody has it."""
        self._is_ours = self._lock.acquire(blocking=False)
        return self._is_ours

    def release(self) -> None:
        """Let others take it."""
        if self._is_ours:
            self._lock.release()


def _lock_of(key: str) -> _FileLock | _ProcessLock:
    """Return the lock of a key; without a folder to keep it in, one of this process: a login never fails by it."""
    try:
        lock = _FileLock(_folder() / f"{key}.lock")
    except OSError as error:
        _warn_once(type(error).__name__)
        return _ProcessLock(key)
    return lock


def _folder() -> Path:
    # A folder of this user's own: in a shared one, somebody else could hold the lock, or plant a link.
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-ims-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.stat(follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError
    if found.st_uid != os.getuid():
        raise PermissionError
    return folder


def _warn_once(reason: str) -> None:
    with _warning:
        if reason in _warned:
            return
        _warned.add(reason)
    log.warning(
        "There is no folder for locks below %s (%s): only this process's threads take turns at logging in, so that"
        " theodore may see a login more. Remove what stands there, or set TMPDIR to a folder that can be written.",
        _temporary_folder(),
        reason,
    )


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # there is none that can be written
        return os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - for the text only


def _is_too_late(key: str, deadline: float) -> bool:
    if time.monotonic() < deadline:
        return False
    log.warning("Somebody on this host has held %s for %d s; going on without waiting.", key, LONGEST_WAIT)
    return True


def _pause() -> float:
    return random.uniform(0.02, 0.2)  # noqa: S311 - jitter, not a secret
