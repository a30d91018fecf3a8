"""Which rows of a table are none: a spreadsheet leaves rows below its own in which no cell is filled."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from airflow_provider_ims.tables.sql import literal

BLANKS: Final = " \t\r\n\xa0"
"""What may stand in a cell that is not filled."""


def is_blank(cells: Iterable[object]) -> bool:
    """
    Say whether no cell is filled: each is null, a text of blanks, or NaN, which pandas writes for nothing.

    :param cells: the cells of one row, also those whose columns are left out
    """
    for cell in cells:
        if isinstance(cell, str):
            if cell.strip(BLANKS):
                return False
        elif isinstance(cell, float):
            if not math.isnan(cell):
                return False
        elif cell is not None and not (isinstance(cell, Decimal) and cell.is_nan()):
            return False
    return True


def filled_sql(columns: Iterable[tuple[str, str]]) -> str:
    """
    Return the SQL of the opposite of :func:`is_blank`.

    :param columns: SQL of each column, and DuckDB's type of it
    """
    known = list(columns)
    # Nearly every cell begins with a letter or a digit, which is seen in no time; what is left is looked at well.
    quick = (f"({sql} >= '!' AND {sql} < '~')" for sql, kind in known if kind == "VARCHAR")
    found = " OR ".join([*quick, *(_filled(sql, kind) for sql, kind in known)])
    return f"coalesce({found}, false)"


def _filled(sql: str, kind: str) -> str:
    if kind == "VARCHAR":
        return f"trim({sql}, {literal(BLANKS)}) <> ''"
    if kind in {"DOUBLE", "FLOAT"}:
        return f"NOT isnan({sql})"
    return f"{sql} IS NOT NULL"
