"""Document numbers as they are compared when people and programs have written them differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SEPARATORS = r"[-/_. ]"
_YEARS = range(17, 60)  # GST began in 2017

_PAIRS = "|".join(f"{year}{_SEPARATORS}+(?:20)?{year + 1}" for year in _YEARS)
_UNSEPARATED = "|".join(f"(?:20)?{year}{year + 1}|20{year}20{year + 1}" for year in _YEARS)

YEAR_TOKEN: Final = rf"(^|[^0-9])(?:FY)?{_SEPARATORS}?(?:20)?(?:{_PAIRS})([^0-9]|$)"
YEAR_TOKEN_UNSEPARATED: Final = rf"(^|[^0-9])(?:FY)?({_UNSEPARATED})([^0-9]|$)"


def with_normalised(table: str, numbers: Mapping[str, str], year: str) -> str:
    r"""
    Return the SQL of a table with the normalised form of numbers in it; null if nothing is left of one.

    In this order: capitals; financial years out (``2026-27``, ``26/27``, ``2026-2027``; ``202627`` and ``2627`` only if
    it is the year of the document or next to it, since it may as well be a running number); zeros at the beginning of
    each run of digits out, so that ``INV/2026/0891`` and ``INV-2026-891`` meet; then all but letters and digits.

    :param table: the table
    :param numbers: its columns with numbers -> names of the new ones
    :param year: its column with the year in which the document's financial year began, such as 2026
    """
    bare = {name: f"regexp_replace(upper({name}), '{YEAR_TOKEN}', '\\1 \\2', 'g')" for name in numbers}
    token = {name: f"regexp_extract(bare_{name}, '{YEAR_TOKEN_UNSEPARATED}', 2)" for name in numbers}
    helping = ", ".join(f"bare_{name}, token_{name}" for name in numbers)
    return (
        f"SELECT * EXCLUDE ({helping}), {', '.join(f'{_form(name, year)} AS {new}' for name, new in numbers.items())}"
        f" FROM (SELECT *, {', '.join(f'{sql} AS token_{name}' for name, sql in token.items())}"
        f" FROM (SELECT *, {', '.join(f'{sql} AS bare_{name}' for name, sql in bare.items())} FROM {table}))"
    )


def _form(name: str, year: str) -> str:
    token = f"token_{name}"
    begins = f"CASE WHEN length({token}) = 8 THEN substr({token}, 3, 2) ELSE left(right({token}, 4), 2) END"
    barer = (
        f"CASE WHEN {token} <> '' AND abs(try_cast({begins} AS INTEGER) + 2000 - {year}) <= 1"
        f" THEN regexp_replace(bare_{name}, '{YEAR_TOKEN_UNSEPARATED}', '\\1 \\3', 'g') ELSE bare_{name} END"
    )
    # A number that is nothing but a year is a number all the same.
    kept = f"coalesce(nullif(regexp_replace({barer}, '^[^0-9]*$', ''), ''), upper({name}))"
    without_zeros = f"regexp_replace({kept}, '(^|[^0-9])0+([0-9])', '\\1\\2', 'g')"
    return f"nullif(regexp_replace({without_zeros}, '[^0-9A-Z]', '', 'g'), '')"
