"""The notes that a plan takes on the way: in a database on disk, since there may be millions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE document (spill INTEGER, key TEXT, offset INTEGER);
CREATE TABLE dropped (spill INTEGER, offset INTEGER, PRIMARY KEY (spill, offset)) WITHOUT ROWID;
CREATE TABLE reject (
    source INTEGER, row INTEGER,
    rtin TEXT, section TEXT, number TEXT, date TEXT, field TEXT, col TEXT, value TEXT, reason TEXT
);
"""
_CACHE_KIB = 4096


class Place(NamedTuple):
    """
    Where a row stands.

    :param source: index of the source
    :param row: number of the row in it
    """

    source: int
    row: int


@contextmanager
def open_database(folder: Path) -> Iterator[sqlite3.Connection]:
    """
    Open an empty database.

    :param folder: a directory that is removed with all that is in it when the plan is done
    """
    with closing(sqlite3.connect(folder / "workspace.db", isolation_level=None)) as database:
        # Nothing in it has to outlive this process, and what is sorted stays out of memory.
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", f"cache_size=-{_CACHE_KIB}"):
            database.execute(f"PRAGMA {pragma}")
        database.executescript(_SCHEMA)
        yield database
