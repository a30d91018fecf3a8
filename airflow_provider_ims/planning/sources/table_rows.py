"""Rows of a table: cells under one header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from airflow_provider_ims.planning.checks.checker import Checker
from airflow_provider_ims.planning.checks.coercion import ROW_FIELDS
from airflow_provider_ims.planning.sources.columns import Columns, lacking
from airflow_provider_ims.planning.sources.rows import NumberedRow, Row, Unreadable
from airflow_provider_ims.tables.errors import FileUnusable


def table_rows(
    header: Sequence[str],
    cells: Iterable[tuple[int, Sequence[Any] | Unreadable]],
    *,
    columns: Columns,
    name: str,
    nothing: object,
    checker: Checker | None = None,
) -> Iterator[NumberedRow]:
    """
    Turn the cells of a table into rows.

    :param header: the names of the columns
    :param cells: the number of each row, with its cells in the order of the header
    :param name: the table, for the error
    :param nothing: what stands in a cell without a value
    :param checker: what it finds valid as it stands comes as such
    :raises FileUnusable: when the columns do not suffice, for every row or for the section of the first one
    """
    fields, carried = columns.of_header(header, name)
    changes = columns.changes or not ROW_FIELDS.issuperset(field for field in fields if field is not None)
    valid = checker.cells_checker(fields, nothing) if checker and not changes and not carried else None
    first = True
    for number, row in cells:
        if valid and type(row) is not Unreadable and (document := valid(row)):
            first = False
            yield number, document
            continue
        if isinstance(row, Unreadable):
            yield number, row
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
        if first:
            first = False
            missing = lacking(fields, named.get("section"), columns.map.fixed)
            if missing:
                raise FileUnusable(
                    name,
                    f"has no column for {', '.join(missing)}, which section {named['section']} needs (row {number})."
                    f' If it stands under another name, say so: columns={{"the name": "{missing[0]}"}}',
                )
        yield number, named
