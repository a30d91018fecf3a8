"""Rows as CSV: a header, then one document a line; every cell is text."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_ims.planning.checks.checker import Checker
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.plain_lines import copy_plain
from airflow_provider_ims.planning.sources.rows import NOT_PLANNED, NumberedRow, Table, Unreadable
from airflow_provider_ims.planning.sources.table_rows import Described, table_of, table_rows
from airflow_provider_ims.planning.sources.text_lines import BadLine, text_lines
from airflow_provider_ims.tables.appender import read_lines
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.files import empty_file, opened

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from duckdb import DuckDBPyConnection


class CsvFile:
    """
    A CSV file with a header; an empty cell is no value, blank lines are passed over.

    :param path: the file
    :param columns: the names of its columns
    :param delimiter: what stands between two cells
    """

    unit = "line"
    text_amounts = True

    def __init__(self, path: ObjectStoragePath, columns: Columns, delimiter: str = ",") -> None:
        self.name = str(path)
        self._path = path
        self.columns = columns
        self._delimiter = delimiter

    def rows(self, checker: Checker | None = None) -> Iterator[NumberedRow]:
        """Yield each row with the number of its first line."""
        with opened(self._path, NOT_PLANNED) as stream:
            rows = self._cells(stream)
            number, header = next(rows, (0, None))
            if header is None:
                raise empty_file(self.name)
            if isinstance(header, Unreadable):
                raise FileUnusable(self.name, f"line {number}, the header: {header.rule}")
            names = [str(name) for name in header]
            yield from table_rows(names, rows, columns=self.columns, name=self.name, nothing="", checker=checker)

    def table(self, database: DuckDBPyConnection, copy: Path) -> Table | None:
        """Return the file as the database reads it, if every line of it is a row however CSV is read."""
        with opened(self._path, NOT_PLANNED) as stream:
            lines = copy_plain(stream, copy, self._delimiter)
        if lines is None:
            return None
        cells = {"place": "UBIGINT"} | {f"c{at}": "VARCHAR" for at in range(len(lines.header))}
        rows = read_lines(copy, cells, delimiter=self._delimiter)
        kinds = ["VARCHAR"] * len(lines.header)
        described = Described("CSV", rows, lines.rows, lines.header, kinds, nothing="", first=2)
        return table_of(described, columns=self.columns, name=self.name)

    def _cells(self, stream: IO[bytes]) -> Iterator[tuple[int, Sequence[Any] | Unreadable]]:
        bad: list[BadLine] = []

        def lines() -> Iterator[str]:
            for line in text_lines(stream, self.name):
                if isinstance(line, BadLine):
                    bad.append(line)
                yield line + "\n"

        reader = csv.reader(lines(), delimiter=self._delimiter, strict=True)
        before = 0
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                # After a broken quote nobody can say where rows begin.
                raise FileUnusable(
                    self.name,
                    f"line {before + 1}: a row begins here that is not valid CSV ({error}); look for a quote"
                    " that is never closed",
                ) from None
            if row is None:
                return
            first, before = before + 1, reader.line_num
            if bad:
                yield first, Unreadable(bad[0][:200], bad[0].fault())
                bad.clear()
            elif row and before > first and any("\n" in cell for cell in row):
                rule = f"one row a line; a quoted cell runs from line {first} to line {before}. Is a quote missing?"
                yield first, Unreadable(",".join(row)[:200], rule)
            elif row:
                yield first, row
