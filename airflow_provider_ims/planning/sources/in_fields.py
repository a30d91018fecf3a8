"""The user's columns under the API's names, in SQL: what :meth:`Columns.finished` makes of a row, for a whole table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_ims.models.columns import ColumnMap
from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.planning.checks.in_sql import Column
from airflow_provider_ims.planning.sources.columns import FOR_ALL, OF_SECTION
from airflow_provider_ims.tables.sql import identifier, literal

_EVERYWHERE = ("rtin", "section")


def in_fields(rows: str, columns: Sequence[Column], names: ColumnMap) -> tuple[str, Sequence[Column]] | None:
    """
    Return a table whose columns are fields of the API, with the user's words and fixed values in them.

    :param rows: SQL of the table: ``place``, and the columns
    :param columns: its columns
    :param names: what the user says of them
    :return: SQL of the new table and its columns; ``None`` where Python has to say what is meant, row by row
    """
    of_field = {column.field: column for column in columns if column.field is not None}
    if not (names.words or names.fixed or of_field.keys() & set(FOR_ALL)):
        return rows, columns
    section = _worded(of_field["section"], names) if "section" in of_field else literal(names.fixed["section"])
    found: list[tuple[str, str, str]] = []  # field, its SQL, its type
    for field, column in of_field.items():
        found += ((own, _only(section, own, _worded(column, names), field), column.kind) for own in _own(field))
    for field, value in names.fixed.items():
        found += ((own, _only(section, own, literal(value), None), "VARCHAR") for own in _own(field))
    fields = [field for field, _, _ in found]
    if len(set(fields)) < len(fields):
        return None
    beside = [column for column in columns if column.carried is not None]
    listed = [f"{sql} AS {identifier(field)}" for field, sql, _ in found] + [column.sql for column in beside]
    return f"(SELECT place, {', '.join(listed)} FROM {rows})", [
        *(Column(identifier(field), kind, field, None) for field, _, kind in found),
        *(column._replace(field=None) for column in beside),
    ]


def _own(field: str) -> Iterator[str]:
    """Yield the fields of the API that a field's name stands for, each once."""
    if field not in FOR_ALL:
        yield field
        return
    yield from dict.fromkeys(names[field] for names in OF_SECTION.values() if field in names)


def _only(section: str, own: str, sql: str, column: str | None) -> str:
    """Return a value in the sections that have its field; a column of that very name is as it is in all of them."""
    if own in _EVERYWHERE or own == column:
        return sql
    sections = [name for name, model in SECTIONS.items() if own in model.model_fields]
    return f"CASE WHEN {section} IN ({', '.join(map(literal, sections))}) THEN {sql} END"


def _worded(column: Column, names: ColumnMap) -> str:
    """Return what a column's words stand for; an empty text, which no field takes, for one that is not listed so."""
    words = names.words.get(str(column.field))
    if words is None or column.kind != "VARCHAR":  # the model looks at every row whose section has the field
        return column.sql
    cases = " ".join(f"WHEN {literal(word)} THEN {literal(value)}" for word, value in words.items())
    return f"CASE WHEN {column.sql} IS NOT NULL THEN CASE {column.sql} {cases} ELSE '' END END"
