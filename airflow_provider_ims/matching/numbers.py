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
    steps = [table]
    for step in _STEPS:
        columns = ", ".join(
            f"{sql.format(name=name, year=year)} AS {new}_{name}" for name in numbers for new, sql in step
        )
        steps.append(f"(SELECT *, {columns} FROM {steps[-1]})")
    helping = ", ".join(f"{new}_{name}" for name in numbers for step in _STEPS for new, _ in step)
    forms = ", ".join(f"{_FORM.format(name=name)} AS {new}" for name, new in numbers.items())
    return f"SELECT * EXCLUDE ({helping}), {forms} FROM {steps[-1]}"


_BEGINS = "CASE WHEN length({0}) = 8 THEN substr({0}, 3, 2) ELSE left(right({0}, 4), 2) END"
# The digits of the whole are the token's: to ask for a group costs five times as much.
_TOKEN = f"regexp_extract(regexp_extract(bare_{{name}}, '{YEAR_TOKEN_UNSEPARATED}'), '[0-9]+')"

# One step after the other, each with what the one before found; to look costs a fraction of what replacing does.
_STEPS: Final = (
    (("capitals", "upper({name})"),),
    (("has_year", f"regexp_matches(capitals_{{name}}, '{YEAR_TOKEN}')"),),
    (
        (
            "bare",
            "CASE WHEN has_year_{name}"
            f" THEN regexp_replace(capitals_{{name}}, '{YEAR_TOKEN}', '\\1 \\2', 'g') ELSE capitals_{{name}} END",
        ),
    ),
    (("has_token", f"regexp_matches(bare_{{name}}, '{YEAR_TOKEN_UNSEPARATED}')"),),
    (
        (
            "barer",
            "CASE WHEN has_token_{name}"
            f" AND abs(try_cast({_BEGINS.format(_TOKEN)} AS INTEGER) + 2000 - {{year}}) <= 1"
            f" THEN regexp_replace(bare_{{name}}, '{YEAR_TOKEN_UNSEPARATED}', '\\1 \\3', 'g')"
            " ELSE bare_{name} END",
        ),
    ),
    (
        (
            "kept",  # a number that is nothing but a year is a number all the same
            "CASE WHEN regexp_matches(barer_{name}, '[0-9]') THEN barer_{name} ELSE capitals_{name} END",
        ),
    ),
    (
        (
            "short",
            "CASE WHEN regexp_matches(kept_{name}, '(^|[^0-9])0+[0-9]')"
            " THEN regexp_replace(kept_{name}, '(^|[^0-9])0+([0-9])', '\\1\\2', 'g') ELSE kept_{name} END",
        ),
    ),
)
_FORM: Final = (
    "nullif(CASE WHEN regexp_matches(short_{name}, '[^0-9A-Z]')"
    " THEN regexp_replace(short_{name}, '[^0-9A-Z]', '', 'g') ELSE short_{name} END, '')"
)
