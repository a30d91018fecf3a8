"""Rows of a table: cells under one header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from airflow_provider_ims.planning.checks.checker import Checker
from airflow_provider_ims.planning.checks.coercion import ROW_FIELDS
from airflow_provider_ims.planning.checks.in_sql import Column
from airflow_provider_ims.planning.sources.columns import Columns, lacking
from airflow_provider_ims.planning.sources.in_fields import in_fields
from airflow_provider_ims.planning.sources.rows import NumberedRow, Row, Table, Unreadable
from airflow_provider_ims.tables.blank_rows import is_blank
from airflow_provider_ims.tables.errors import FileUnusable


def table_rows(
    header: Sequence[str],
    cells: Iterable[tuple[int, Sequence[Any] | Unreadable]],
    *,
    columns: Columns,
    name: str,
    nothing: object,
    checker: Checker | None = None,
    first: int | None = None,
) -> Iterator[NumberedRow]:
    """
    Turn the cells of a table into rows; where no cell is filled, there is none.

    :param header: the names of the columns
    :param cells: the number of each row, with its cells in the order of the header
    :param name: the table, for the error
    :param nothing: what stands in a cell without a value
    :param checker: what it finds valid as it stands comes as such
    :param first: number of the table's first row, if not all rows are among the cells; all in which no cell is filled
        are
    :raises FileUnusable: when the columns do not suffice, for every row or for the section of the first one
    """
    fields, carried = columns.of_header(header, name)
    changes = columns.changes or not ROW_FIELDS.issuperset(field for field in fields if field is not None)
    valid = checker.cells_checker(fields, nothing) if checker and not changes and not carried else None
    is_first = True
    for number, row in cells:
        if first is not None:
            is_first = number == first
        if valid and type(row) is not Unreadable and (document := valid(row)):
            is_first = False
            yield number, document
            continue
        if isinstance(row, Unreadable):
            yield number, row
            continue
        if is_blank(row):
            if number == first:
                first += 1
            continue
        if len(row) != len(fields):
            yield number, Unreadable(len(row), f"as many cells as the header has columns: {len(fields)}")
            continue
        named = {field: cell for field, cell in zip(fields, row, strict=True) if field is not None and cell != nothing}
        if carried:
            named = Row(named, {column: row[place] for place, column in carried if row[place] not in ("", None)})
        if changes and isinstance(found := columns.finished(named), Unreadable):
            yield number, found
            continue
        if is_first:
            is_first = False
            missing = lacking(fields, named.get("section"), columns.map.fixed)
            if missing:
                raise FileUnusable(
                    name,
                    f"has no column for {', '.join(missing)}, which section {named['section']} needs (row {number})."
                    f' If it stands under another name, say so: columns={{"the name": "{missing[0]}"}}',
                )
        yield number, named


class Described(NamedTuple):
    """
    A file that the database reads by itself, before it is known what its columns mean.

    :param kind: what kind of file it is
    :param rows: SQL of its rows: ``place``, and the cells as ``c0``, ``c1`` and so on
    :param total: how many rows it has
    :param header: the names of the columns
    :param kinds: DuckDB's types of the columns
    :param nothing: what stands in a cell without a value
    :param first: number of its first row
    """

    kind: str
    rows: str
    total: int
    header: Sequence[str]
    kinds: Sequence[str]
    nothing: object
    first: int


def table_of(file: Described, *, columns: Columns, name: str) -> Table | None:
    """
    Return a file that the database reads by itself.

    :param name: the file, for the error
    :return: ``None`` where Python has to say what a column means, row by row
    :raises FileUnusable: when the columns do not suffice
    """
    fields, carried = columns.of_header(file.header, name)
    beside = dict(carried)
    cells = [Column(f"c{at}", kind, fields[at], beside.get(at)) for at, kind in enumerate(file.kinds)]
    found = in_fields(file.rows, cells, columns.map)
    if found is None:
        return None

    def as_rows(misfits: Iterable[tuple[int, Sequence[Any]]]) -> Iterator[NumberedRow]:
        return table_rows(file.header, misfits, columns=columns, name=name, nothing=file.nothing, first=file.first)

    return Table(file.kind, file.rows, file.total, [cell.sql for cell in cells], *found, as_rows)
