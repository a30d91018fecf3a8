"""Rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_ims.planning.checks.checker import Checker
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.rows import NOT_PLANNED, NumberedRow, Table
from airflow_provider_ims.planning.sources.table_rows import Described, table_of, table_rows
from airflow_provider_ims.tables.database import open_database, reading, rows_of, workspace
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.files import digest_of, save
from airflow_provider_ims.tables.sql import identifier, literal

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from duckdb import DuckDBPyConnection

_MEMORY_LIMIT: Final = "256MB"
_KIND: Final = "Parquet"
_NUMBER: Final = "file_row_number"


class ParquetFile:
    """
    A Parquet file.

    :param path: the file
    :param columns: the names of its columns
    :param digest: SHA-256 of the bytes that it must have; ``None``: whatever is there
    """

    unit = "row"
    text_amounts = False

    def __init__(self, path: ObjectStoragePath, columns: Columns, digest: str | None = None) -> None:
        self.name = str(path)
        self._path = path
        self.columns = columns
        self._digest = digest

    def rows(self, checker: Checker | None = None) -> Iterator[NumberedRow]:
        """Yield each row with its number, from 1."""
        with workspace() as folder, open_database(folder, memory_limit=_MEMORY_LIMIT, threads=1) as database:
            file = self._saved(folder / "rows.parquet")
            with reading(self.name, _KIND):
                names, _ = self._described(database, file)
                cells = enumerate(rows_of(database.execute(f"FROM read_parquet({literal(file)})")), 1)
                yield from table_rows(names, cells, columns=self.columns, name=self.name, nothing=None, checker=checker)

    def table(self, database: DuckDBPyConnection, copy: Path) -> Table | None:
        """Return the file as the database reads it."""
        file = self._saved(copy)
        with reading(self.name, _KIND):
            names, kinds = self._described(database, file)
            [(count,)] = database.execute(f"SELECT num_rows FROM parquet_file_metadata({literal(file)})").fetchall()
        if _NUMBER in map(str.casefold, names):  # the file's own column would hide what the database counts
            return None
        cells = ", ".join(f"{identifier(name)} AS c{at}" for at, name in enumerate(names))
        rows = f"(SELECT {_NUMBER} + 1 AS place, {cells} FROM read_parquet({literal(file)}, {_NUMBER} = true))"
        described = Described(_KIND, rows, count, names, kinds, nothing=None, first=1)
        return table_of(described, columns=self.columns, name=self.name)

    def _saved(self, copy: Path) -> Path:
        save(self._path, copy, NOT_PLANNED)
        self._look_for_another(copy)
        return copy

    def _look_for_another(self, copy: Path) -> None:
        if self._digest is not None and (found := digest_of(copy)) != self._digest:
            raise FileUnusable(
                self.name,
                f"is not the one that was decided on. Its digest is {found[:12]}, not {self._digest[:12]}:\nthe"
                " reconciliation was made anew meanwhile, and nobody has looked at this one. Nothing was planned."
                "\nClear the task that source comes from (an approval is asked for again), with all that follow it.",
            )

    @staticmethod
    def _described(database: DuckDBPyConnection, file: Path) -> tuple[list[str], list[str]]:
        """Return the names and the types of the columns."""
        columns = database.execute(f"DESCRIBE FROM read_parquet({literal(file)})").fetchall()
        return [str(column[0]) for column in columns], [str(column[1]) for column in columns]
