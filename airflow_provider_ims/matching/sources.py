"""Where books come from: files and queries, each brought into one raw table as it stands."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from airflow_provider_ims.tables.blank_rows import BLANKS
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.files import (
    format_of,
    local_file,
    utf8_text,
    with_like_line_ends,
    with_rows_for_empty_lines,
)
from airflow_provider_ims.tables.queries import answered
from airflow_provider_ims.tables.sql import identifier, literal

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from duckdb import DuckDBPyConnection

_DELIMITERS: Final = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Unread:
    """
    A row that could not even be taken apart.

    :param number: its number
    :param text: what stands there, or its beginning
    :param rule: what should stand there
    :param is_filled: whether a cell of it is filled; if not, it is no row
    """

    number: int
    text: str
    rule: str
    is_filled: bool = True


@dataclass(frozen=True)
class Raw:
    """
    A source as a table.

    :param name: the source, as its owner knows it
    :param table: the table; its ``rowid`` counts the rows in their order from 0
    :param header: the names of its columns, which are called c0, c1 ... in the table
    :param types: DuckDB's types of them
    :param first: number of the first row for a person; a spreadsheet counts its heading
    :param unread: rows that are not in the table
    :param notes: what is worth knowing
    """

    name: str
    table: str
    header: list[str]
    types: list[str]
    first: int
    unread: list[Unread]
    notes: list[str]


class Books(Protocol):
    """
    A source of rows.

    :param name: the source, as its owner knows it
    :param unit: what its rows are counted in: ``books.csv line 17``
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def unit(self) -> str: ...  # noqa: D102

    def fetch(self, folder: Path) -> Local:
        """Bring it to the local disk."""
        ...


class Local(Protocol):
    """A source on the local disk."""

    @property
    def path(self) -> Path: ...  # noqa: D102

    def load(self, database: DuckDBPyConnection, table: str) -> Raw:
        """Read it into a table."""
        ...


@dataclass(frozen=True)
class BookFile:
    """
    A file of books.

    :param path: the file; ``.gz`` after its suffix says that it is compressed
    :param file_format: one of :data:`tables.files.FORMATS`; ``None``: the file's suffix
    :param delimiter: what stands between two cells of a CSV file; ``None``: the one of ``, ; | tab`` that its heading
        has most of
    :param encoding: of a text file, as Python names it; ``None``: see :func:`tables.files.utf8_text`
    """

    path: ObjectStoragePath
    file_format: str | None = None
    delimiter: str | None = None
    encoding: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return str(self.path)

    @property
    def kind(self) -> str:
        """
        The format.

        :raises FileUnusable: when nobody knows it
        """
        return format_of(self.path, self.file_format)

    @property
    def unit(self) -> str:
        """What its rows are counted in."""
        return {"csv": "line", "jsonl": "line", "ndjson": "line", "json": "item", "parquet": "row"}[self.kind]

    def fetch(self, folder: Path) -> Local:
        """
        Bring it to the local disk, text as UTF-8.

        :raises FileUnusable: when it is not what it is called
        :raises FileUnavailable: when it cannot be read now
        """
        kind = self.kind
        local = local_file(self.path, folder)
        if kind == "parquet":
            return _Parquet(self.name, local)
        text = utf8_text(local, self.name, folder, self.encoding)
        notes = []
        if text.encoding == "cp1252" and self.encoding is None:
            notes.append(f"{self.name} is not UTF-8; it was read as Windows' cp1252. Say otherwise with encoding=...")
        if kind == "csv":
            return _Csv(self.name, with_like_line_ends(text.path, folder), folder, self.delimiter, tuple(notes))
        return _Json(self.name, text.path, "array" if kind == "json" else "newline_delimited", tuple(notes))


@dataclass(frozen=True)
class BookQuery:
    """
    A query on a database that Python reaches in its usual way (DB-API 2).

    :param connect: opens the connection
    :param sql: one statement that returns rows
    :param parameters: values for the statement's placeholders
    """

    connect: Callable[[], Any]
    sql: str
    parameters: Mapping[str, Any] | Sequence[Any] | None = None

    name = "query"
    unit = "row"

    def fetch(self, folder: Path) -> Local:
        """
        Write the rows to a local file, a batch at a time.

        :raises FileUnusable: when the statement returns no rows
        :raises FileUnavailable: when the database does not answer as it should
        """
        local = folder / f"{len(list(folder.iterdir()))}-query.csv"
        with (
            answered(self.connect, self.sql, self.parameters) as (header, rows),
            local.open("x", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)
        return _Csv(self.name, local, folder, ",", (), first=1)


@dataclass(frozen=True)
class _Csv:
    name: str
    path: Path
    folder: Path
    delimiter: str | None
    notes: tuple[str, ...]
    first: int = 2

    def load(self, database: DuckDBPyConnection, table: str) -> Raw:
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            start = stream.readline()
            delimiter = self.delimiter or max(_DELIMITERS, key=start.count)
            stream.seek(0)
            header = next(csv.reader(stream, delimiter=delimiter), [])
        if len(header) < 2:
            raise FileUnusable(
                self.name,
                f"its heading is one column with {delimiter!r} between cells: {start.strip()[:80]!r}. Is the first line"
                " the heading, and which delimiter is it?",
            )
        columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(header)))
        whole = with_rows_for_empty_lines(self.path, self.folder, delimiter.encode() * (len(header) - 1))
        reader = (
            f"read_csv({literal(whole)}, delim={literal(delimiter)}, quote='\"', escape='\"', header=true,"
            f" auto_detect=false, columns={{{columns}}}, ignore_errors=true, store_rejects=true,"
            f" rejects_table='{table}_errors', rejects_scan='{table}_scans', rejects_limit=0,"
            " max_line_size=4000000, parallel=true)"
        )
        _fetched(database, self.name, f"CREATE TEMP TABLE {table} AS SELECT * FROM {reader}")
        unread = self._unread(database, table, len(header), delimiter)
        return Raw(self.name, table, header, ["VARCHAR"] * len(header), self.first, unread, list(self.notes))

    def _unread(self, database: DuckDBPyConnection, table: str, width: int, delimiter: str) -> list[Unread]:
        blanks = literal(f'{BLANKS}"{delimiter}')
        found = database.execute(
            f"SELECT DISTINCT ON (line) line, error_type, left(csv_line, 200), trim(csv_line, {blanks}) <> ''"
            f" FROM {table}_errors ORDER BY line"
        ).fetchall()
        unread = []
        for line, kind, text, is_filled in found:
            if kind == "UNQUOTED VALUE":
                raise FileUnusable(
                    self.name, f"line {line}: a quote is opened here that is never closed, so rows cannot be told apart"
                )
            rule = f"as many cells as the heading has columns: {width}"
            if kind not in {"MISSING COLUMNS", "TOO MANY COLUMNS"}:
                rule = f"a line of a CSV file ({kind.lower()})"
            unread.append(Unread(line - (2 - self.first), str(text or "").strip(), rule, is_filled is not False))
        return unread


@dataclass(frozen=True)
class _Json:
    name: str
    path: Path
    layout: str
    notes: tuple[str, ...]

    def load(self, database: DuckDBPyConnection, table: str) -> Raw:
        objects = f"read_json_objects({literal(self.path)}, format='{self.layout}', maximum_object_size=4000000)"
        found = _fetched(
            database,
            self.name,
            f"SELECT key FROM (SELECT unnest(json_keys(json)) AS key FROM {objects}) GROUP BY key ORDER BY key",
        )
        header = [str(key) for (key,) in found]
        if header and self.layout == "array" and not _ends_with(self.path, b"]"):
            raise FileUnusable(self.name, "is not a whole file of its kind (its list has no end); write it again")
        if not header:
            raise FileUnusable(self.name, "has no objects with fields in it: one object a row is needed")
        columns = ", ".join(
            f"json_extract_string(json, {literal('$.' + json.dumps(name, ensure_ascii=False))}) AS c{place}"
            for place, name in enumerate(header)
        )
        _fetched(database, self.name, f"CREATE TEMP TABLE {table} AS SELECT {columns} FROM {objects}")
        return Raw(self.name, table, header, ["VARCHAR"] * len(header), 1, [], list(self.notes))


@dataclass(frozen=True)
class _Parquet:
    name: str
    path: Path

    def load(self, database: DuckDBPyConnection, table: str) -> Raw:
        source = f"read_parquet({literal(self.path)})"
        described = _fetched(database, self.name, f"DESCRIBE SELECT * FROM {source}")
        header = [str(row[0]) for row in described]
        types = [str(row[1]) for row in described]
        columns = ", ".join(f"{identifier(name)} AS c{place}" for place, name in enumerate(header))
        _fetched(database, self.name, f"CREATE TEMP TABLE {table} AS SELECT {columns} FROM {source}")
        return Raw(self.name, table, header, types, 1, [], [])


def _ends_with(path: Path, end: bytes) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read().rstrip().endswith(end)


def _fetched(database: DuckDBPyConnection, name: str, sql: str) -> list[tuple[Any, ...]]:
    import duckdb

    try:
        return database.execute(sql).fetchall()
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.SerializationException) as error:
        raise _broken(name, error) from None
    except duckdb.IOException as error:
        if "No space left" in str(error) or "max_temp_directory_size" in str(error):
            raise
        raise _broken(name, error) from None


def _broken(name: str, error: Exception) -> FileUnusable:
    said = next((line for line in str(error).splitlines() if line.strip()), "")
    return FileUnusable(name, f"is not a whole file of its kind ({said[:200]}); write it again")
