"""Rows of a Parquet file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ims.planning.checks.checker import Checker
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.rows import NOT_PLANNED, NumberedRow
from airflow_provider_ims.planning.sources.table_rows import table_rows
from airflow_provider_ims.tables.database import open_database, workspace
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.files import save
from airflow_provider_ims.tables.sql import literal

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from duckdb import DuckDBPyConnection

_BATCH = 4096
_MEMORY_LIMIT: Final = "256MB"


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
        import duckdb

        try:
            with workspace() as folder:
                copy = folder / "rows.parquet"
                save(self._path, copy, NOT_PLANNED)
                self._look_for_another(copy)
                source = f"FROM read_parquet({literal(copy)})"
                with open_database(folder, memory_limit=_MEMORY_LIMIT, threads=1) as database:
                    names = [str(row[0]) for row in database.execute(f"DESCRIBE {source}").fetchall()]
                    cells = self._cells(database, source)
                    yield from table_rows(
                        names, cells, columns=self.columns, name=self.name, nothing=None, checker=checker
                    )
        except duckdb.Error as error:
            said = str(error).strip().splitlines()[0][:200]
            raise FileUnusable(self.name, f"is not a whole Parquet file ({said}); write it again") from None

    def _look_for_another(self, copy: Path) -> None:
        if self._digest is None:
            return
        with copy.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._digest:
            raise FileUnusable(
                self.name,
                f"is not the one that was decided on. Its digest is {found[:12]}, not {self._digest[:12]}:\nthe"
                " reconciliation was made anew meanwhile, and nobody has looked at this one. Nothing was planned."
                "\nClear the task that source comes from (an approval is asked for again), with all that follow it.",
            )

    @staticmethod
    def _cells(database: DuckDBPyConnection, source: str) -> Iterator[tuple[int, Sequence[Any]]]:
        found = database.execute(source)
        number = 0
        while batch := found.fetchmany(_BATCH):
            for row in batch:
                number += 1
                yield number, row
