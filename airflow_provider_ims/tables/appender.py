"""Rows from Python into a table, many at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_ims.tables.sql import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_HELD = 16_384
_LONGEST: Final = 2_000_000


def read_lines(file: Path, columns: Mapping[str, str], *, delimiter: str = "\t", longest: int = _LONGEST) -> str:
    """
    Return the SQL of a text file whose cells are taken as they stand, without quotes or header; an empty one is null.

    :param file: a local file in UTF-8, one row a line
    :param columns: name -> DuckDB's type
    :param delimiter: what stands between two cells
    :param longest: length of its longest line in bytes
    """
    types = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns.items())
    return (
        f"read_csv({literal(file)}, auto_detect=false, header=false, delim={literal(delimiter)}, quote='', escape='',"
        f" new_line='\\n', columns={{{types}}}, max_line_size={max(longest, _LONGEST) + 1})"
    )


class Appender:
    """
    Takes rows by way of a file that the database reads: a statement for each would take a hundred times as long.

    :param database: gets the table; nothing else runs in it while :meth:`load` does
    :param table: its name
    :param columns: its columns, name -> DuckDB's type
    :param folder: where the file is; the database may read it
    """

    def __init__(self, database: DuckDBPyConnection, table: str, columns: Mapping[str, str], folder: Path) -> None:
        self._database = database
        self._table = table
        self._columns = columns
        self._file = folder / f"{table}.rows"
        self._held: list[str] = []
        self._longest = 0
        database.execute(f"CREATE TEMP TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")

    def add(self, line: str) -> None:
        """
        Take a row.

        :param line: its cells in ASCII, a tab between two; no cell has a tab or a line end
        """
        self._held.append(line)
        if len(self._held) >= _HELD:
            self._write()

    def _write(self) -> None:
        self._longest = max(self._longest, *map(len, self._held), 0)
        with self._file.open("ab") as file:
            file.write(("\n".join(self._held) + "\n").encode("ascii"))
        self._held.clear()

    def load(self) -> None:
        """Put what was taken so far into the table."""
        if self._held:
            self._write()
        if not self._longest:
            return
        rows = read_lines(self._file, self._columns, longest=self._longest)
        self._database.execute(f"INSERT INTO {self._table} SELECT * FROM {rows}")
        self._file.unlink()
        self._longest = 0
