"""An in-process DuckDB that takes no more than it may: memory, disk, files, and nothing from the network."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.tables.errors import FileUnusable, NoRoom, TableError
from airflow_provider_ims.tables.sql import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "1GB"
"""What DuckDB may hold in memory; what is more goes to the disk."""

_BATCH = 2048
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?B)\s*", re.IGNORECASE)


def checked_memory_limit(limit: str) -> str:
    """
    Return a memory limit as it stands.

    :param limit: a number and a unit, such as ``1GB`` or ``512MiB``
    :raises TableError: when it is none
    """
    part_of(limit, 1)
    return limit.strip()


def part_of(limit: str, share: float) -> str:
    """
    Return a part of a memory limit.

    :param limit: a number and a unit, such as ``1GB``
    :param share: from 0 to 1
    """
    size = _SIZE.fullmatch(limit)
    if not size:
        raise TableError(f"memory_limit is {limit!r}; it takes a number and a unit, such as 1GB or 512MiB")
    return f"{float(size[1]) * share:.2f}{size[2]}"


@contextmanager
def workspace() -> Iterator[Path]:
    """
    Make a directory below the worker's temporary one (``TMPDIR``), and remove it with all that is in it.

    :raises NoRoom: when there is no room for it, or memory or disk did not suffice for what was done in it
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="ims-tables-")
    except OSError as error:
        raise no_room(error) from error
    try:
        with folder as name:
            yield Path(name).resolve()
    except Exception as error:
        if _is_want_of_room(error):
            raise no_room(error) from error
        raise


@contextmanager
def open_database(
    folder: Path, *, readable: Iterable[Path] = (), memory_limit: str = MEMORY_LIMIT, threads: int | None = None
) -> Iterator[DuckDBPyConnection]:
    """
    Open a database that is gone afterwards.

    It reads and writes files in its directory only, and reads those that are named; it installs and loads no
    extension; its settings cannot be changed by what runs in it.

    :param folder: a directory of its own, as :func:`workspace` makes one; it spills there
    :param readable: further local files that it may read
    :param memory_limit: as DuckDB writes it: ``1GB``
    :param threads: number of threads; ``None``: the cores that this process may use
    """
    import duckdb

    connection = duckdb.connect(
        str(folder / "tables.duckdb"),
        config={
            "memory_limit": checked_memory_limit(memory_limit),
            "threads": str(threads or _cores()),
            "temp_directory": str(folder / "spill"),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_unsigned_extensions": "false",
            "python_enable_replacements": "false",  # a table's name never means a variable of the program
        },
    )
    try:
        connection.execute("SET TimeZone = 'Asia/Kolkata'")  # GST's days are India's
        connection.execute(f"SET allowed_directories = [{literal(folder)}]")
        connection.execute(f"SET allowed_paths = [{', '.join(map(literal, readable))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def rows_of(found: DuckDBPyConnection) -> Iterator[Any]:
    """
    Yield the rows that a query found, few of which are in memory at any time.

    :param found: what ``execute`` returned; it runs nothing else until the last row has been read
    """
    while batch := found.fetchmany(_BATCH):
        yield from batch


@contextmanager
def reading(name: str, kind: str) -> Iterator[None]:
    """
    Read a file in a database, and tell a broken one from a machine that is too small.

    :param name: the file, as its owner knows it
    :param kind: what it should be: ``Parquet``
    :raises FileUnusable: when the database cannot read it
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if _is_want_of_room(error):
            raise
        # In quotes stand what is in the file, which is nobody's business here, and where its copy was.
        said = re.sub(r'"[^"]*("|$)', '"..."', str(error).strip().splitlines()[0])[:200]
        raise FileUnusable(name, f"is not a whole {kind} file ({said}); write it again") from None


def _is_want_of_room(error: Exception) -> bool:
    import duckdb

    if isinstance(error, duckdb.Error):
        full = "No space left" in str(error) or "max_temp_directory_size" in str(error)
        return full or isinstance(error, duckdb.OutOfMemoryException)
    # That another place is full, StorageError says, which has no number.
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _FULL)


def no_room(error: BaseException) -> NoRoom:
    """Return the error for a machine that is too small for what was asked of it."""
    said = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return NoRoom(
        f"Memory or the temporary directory {tempfile.gettempdir()} does not suffice"
        f" ({type(error).__name__}: {said}).\nNothing was written. Raise memory_limit, or set TMPDIR on the"
        " worker to a directory with room for about three times the input, and run this again."
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
