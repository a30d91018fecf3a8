"""The fast path of a table that the database reads by itself: what :mod:`fast_path` says of a row, as SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from airflow_provider_ims.models.documents import SECTIONS, Document
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.planning.checks.fast_path import amount_limit, in_json, is_date, longest, plain_pattern
from airflow_provider_ims.tables.sql import literal

SECTION_NAMES: Final = tuple(SECTIONS)
"""A section's index in here stands for it in the table of documents, and sorts it."""

FROM_DATE: Final = 16
"""What ``converted`` counts for a date; for a text such as 2025-01-23 it counts 1."""

_WHOLE: Final = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_DECIMAL: Final = re.compile(r"DECIMAL\(([0-9]+),[0-9]+\)")
_EXACT_DIGITS: Final = 15  # so many survive in a double
_SHORTEST_ROUNDED: Final = 1e15  # below it a double is written without an exponent


class Column(NamedTuple):
    """
    A column of a table.

    :param sql: its name, as SQL takes it
    :param kind: DuckDB's type
    :param field: the field that it is; ``None`` for one that is left out
    :param carried: the name under which it is carried to the result; ``None`` if it is not
    """

    sql: str
    kind: str
    field: str | None
    carried: str | None


class _Carried(NamedTuple):
    sql: str
    plain: str


def checked_sql(rows: str, columns: Sequence[Column], *, text_amounts: bool, allow_no_action: bool) -> str | None:
    """
    Return the SQL of what the rows of a table become, derived from the models.

    Its columns are ``place``; ``rtin``; ``section``, an index of :data:`SECTION_NAMES`; ``key``, what tells the
    document from the others of the same GSTIN and section; ``text``, its JSON, null for a row that the model has to
    look at; ``carried``, what is carried with it, as JSON in ASCII; ``converted``, its dates that were written
    otherwise.

    :param rows: SQL of the table, which has a column ``place``, too
    :param columns: its other columns
    :param text_amounts: amounts stand as text, as in a CSV file
    :param allow_no_action: ``prev_status`` may be ``N``
    :return: ``None`` when the model has to look at every row
    """
    by_field = {column.field: column for column in columns if column.field is not None}
    texts = {
        name: text for name, column in by_field.items() if (text := _text(name, column, text_amounts=text_amounts))
    }
    named = [column for column in columns if column.carried is not None]
    by_name = {column.carried: found for column in named if (found := _carried(column)) is not None}
    carried = list(by_name.values())
    needed = {section: {"rtin", "section", *model.model_fields} for section, model in SECTIONS.items()}
    sections = [section for section in SECTIONS if texts.keys() >= needed[section]]
    if not sections or len(carried) < len(named):  # a type that there is no SQL for, or two columns of one name
        return None

    def by_section(sql_of: Callable[[str], str]) -> str:
        cases = (f"WHEN {literal(section)} THEN {sql_of(section)}" for section in sections)
        return f"CASE {texts['section']} {' '.join(cases)} END"

    def text_of(section: str) -> str:
        rules = [f"{column.sql} IS NULL" for name, column in by_field.items() if name not in needed[section]]
        for name, field in SECTIONS[section].model_fields.items():
            if most := longest(field):
                rules.append(f"strlen({texts[name]}) <= {most}")
        return f"CASE WHEN {' AND '.join(rules)} THEN {_json_of(SECTIONS[section], texts)} END"

    def fits(section: str) -> str:
        pattern = plain_pattern(SECTIONS[section], allow_no_action=allow_no_action)
        return f"WHEN {SECTION_NAMES.index(section)} THEN regexp_full_match(text, {literal(pattern)})"

    columns_of_it = {
        "rtin": texts["rtin"],
        "section": by_section(lambda section: str(SECTION_NAMES.index(section))),
        "key": by_section(lambda section: _key_of(SECTIONS[section], texts)),
        "text": by_section(text_of),
        "carried": f"'{{' || concat_ws(',', {', '.join(each.sql for each in carried)}) || '}}'" if carried else "NULL",
        "converted": by_section(lambda section: _converted(SECTIONS[section], by_field)),
        "plain": " AND ".join(["true", *(each.plain for each in carried)]),
    }
    listed = ", ".join(f"{sql} AS {name}" for name, sql in columns_of_it.items())
    return (
        f"SELECT place, rtin, section, key, CASE WHEN plain AND regexp_full_match(rtin, {literal(GSTIN_PATTERN)})"
        f" AND CASE section {' '.join(map(fits, sections))} END THEN text END AS text, carried, converted"
        f" FROM (SELECT place, {listed} FROM {rows})"
    )


def _json_of(model: type[Document], texts: Mapping[str, str]) -> str:
    """Return the SQL of a document's JSON."""
    around = [in_json(name, "\0", quoted=amount_limit(field) is None) for name, field in model.model_fields.items()]
    first, *between, last = ("{" + ",".join(around) + "}").split("\0")
    values = [texts[name] for name in model.model_fields]
    parts = [literal(first), *chain.from_iterable(zip(values, map(literal, [*between, last]), strict=True))]
    return f"concat({', '.join(parts)})"  # of nothing it makes an empty text, which no rule takes


def _key_of(model: type[Document], texts: Mapping[str, str]) -> str:
    # As checker._key.
    return (
        f"upper(concat({', '.join(texts[name] for name in ('stin', 'rtnprd', model.date_field, model.number_field))}))"
    )


def _text(name: str, column: Column, *, text_amounts: bool) -> str | None:
    """Return the SQL of a value as it stands in the JSON; ``None`` if the model has to look at values of this type."""
    field = next((model.model_fields[name] for model in SECTIONS.values() if name in model.model_fields), None)
    if field is not None and amount_limit(field) is not None and not text_amounts:
        return _number(column)
    if column.kind == "DATE" and field is not None and is_date(field):
        return f"strftime({column.sql}, '%d-%m-%Y')"
    if column.kind != "VARCHAR":
        return None
    if field is None or not is_date(field):
        return column.sql
    year, month, day = (f"substr({column.sql}, {first}, {count})" for first, count in ((1, 4), (6, 2), (9, 2)))
    return f"CASE WHEN {_is_iso(column.sql)} THEN {day} || '-' || {month} || '-' || {year} ELSE {column.sql} END"


def _number(column: Column) -> str | None:
    """Return the SQL of a number in digits, as Python writes it."""
    if _WHOLE.fullmatch(column.kind) or _DECIMAL.fullmatch(column.kind) or column.kind == "DOUBLE":
        return f"{column.sql}::VARCHAR"
    return f"{column.sql}::DOUBLE::VARCHAR" if column.kind == "FLOAT" else None


def _is_iso(sql: str) -> str:
    return f"(strlen({sql}) = 10 AND substr({sql}, 5, 1) = '-' AND substr({sql}, 8, 1) = '-')"


def _converted(model: type[Document], by_field: Mapping[str, Column]) -> str:
    """Return the SQL of how many dates are written otherwise than they stood."""
    dates = [by_field[name] for name, field in model.model_fields.items() if is_date(field)]
    counts = (f"{FROM_DATE}" if date.kind == "DATE" else f"{_is_iso(date.sql)}::UTINYINT" for date in dates)
    return f"({' + '.join(counts)})"


def _carried(column: Column) -> _Carried | None:
    """Return a column as :func:`carried.as_text` writes it, and whether a row is plain enough for that."""
    sql, kind = column.sql, column.kind
    decimal = _DECIMAL.fullmatch(kind)
    there, plain = f"{sql} IS NOT NULL", "true"
    if kind == "VARCHAR":
        there, value = f"{sql} <> ''", f"""'"' || {sql} || '"'"""
        plain = rf"""({sql} IS NULL OR regexp_full_match({sql}, '[ !#-\[\]-~]*'))"""  # nothing that JSON escapes
    elif kind == "DATE":
        value = f"""'"' || {sql} || '"'"""
        plain = f"({sql} IS NULL OR {sql} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31')"
    elif kind == "BOOLEAN" or _WHOLE.fullmatch(kind):
        value = f"{sql}::VARCHAR"
    elif decimal and int(decimal[1]) <= _EXACT_DIGITS:
        value = f"{sql}::DOUBLE::VARCHAR"
    elif kind == "DOUBLE":
        value = f"{sql}::VARCHAR"
        plain = f"({sql} IS NULL OR ({sql} = 0 OR abs({sql}) BETWEEN 1e-4 AND {_SHORTEST_ROUNDED}))"
    else:
        return None
    return _Carried(f"CASE WHEN {there} THEN {literal(json.dumps(column.carried) + ':')} || {value} END", plain)
