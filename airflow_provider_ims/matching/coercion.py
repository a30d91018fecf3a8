"""
The SQL that reads one cell of the books: its value, or null where that is not beyond doubt.

A row in which any of them is null goes to the rejects; what it says there stands in :data:`RULES`.
"""

from __future__ import annotations

from typing import Final

from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.tables.documents import RUPEES

RULES: Final = {
    "rtin": "your own GSTIN: 15 characters",
    "stin": "the supplier's GSTIN: 15 characters. A purchase without one cannot be in IMS; leave such rows out",
    "number": "the document's number as text, as its supplier wrote it; a spreadsheet that shows 1E+05 has lost it",
    "amount": (
        "an amount such as 118000.00, 1,18,000.00, (118.00) or 118.00-, below 10,000,000,000,000; what a spreadsheet"
        " shows as 1E+05 has lost its digits: format the column as a number"
    ),
    "txval": "the taxable value is empty",
    "negative": "an invoice or debit note is not negative; is this a credit note?",
    "reversed": (
        "a number that is booked once: another row has it with a negative amount. Is the booking taken back? Then leave"
        " both out; is it corrected? Then give one row with what remains"
    ),
    "signs": "the amounts of one credit note have one sign",
    "date": "a real date from 2017-07-01 on, such as 2026-10-04, 04-10-2026, 04/10/2026 or 04-Oct-2026",
    "serial": "a date; this is a spreadsheet's day number: format the column as a date",
    "ambiguous": (
        "a date that can be read one way only: nothing says whether the day or the month comes first here."
        ' Say so with date_order="DMY" (or "MDY"), or write 2026-10-04'
    ),
}

_FLOATS: Final = {"DOUBLE", "FLOAT"}
_INTEGERS: Final = {
    f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
}

_FINE: Final = "DECIMAL(18,4)"  # rounds to paise in the end, half of one upwards
_GROUPED: Final = r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]*)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_CURRENCY: Final = r"(?:₹|Rs\.?|INR)?"


def text(column: str, kind: str) -> str:
    """
    Return the SQL of a cell without blanks around it; null if nothing is in it.

    :param column: SQL of the cell
    :param kind: DuckDB's type of it
    """
    if kind in _FLOATS:
        return f"CASE WHEN NOT isnan({column}) THEN {column}::VARCHAR END"  # pandas writes NaN for nothing
    value = column if kind == "VARCHAR" else f"{column}::VARCHAR"
    odd = " OR ".join(
        (
            f"{value} < '!'",  # a blank, a tab or a line's end comes before it
            f"ord(({value})[-1]) IN (9, 10, 13, 32, 160)",
            f"prefix({value}, chr(160))",
        )
    )
    stripped = f"regexp_replace({value}, '^[\\s\\x{{a0}}]+|[\\s\\x{{a0}}]+$', '', 'g')"
    return f"nullif(CASE WHEN {odd} THEN {stripped} ELSE {value} END, '')"


def gstin(value: str) -> str:
    """
    Return the SQL of a GSTIN in capitals.

    :param value: SQL of the cell's text
    """
    capitals = f"upper({value})"
    return f"CASE WHEN regexp_matches({capitals}, '{GSTIN_PATTERN}') THEN {capitals} END"


def number(value: str) -> str:
    """Return the SQL of a document's number; ``123.0``, as a table of floats has it, is 123."""
    rewritten = f"contains({value}, '+') AND regexp_matches({value}, '^[0-9.]+[eE]\\+[0-9]+$')"
    from_float = f"suffix({value}, '.0') AND regexp_full_match({value}, '[0-9]+\\.0')"
    return f"CASE WHEN {rewritten} THEN NULL WHEN {from_float} THEN left({value}, length({value}) - 2) ELSE {value} END"


def amount(value: str, column: str, kind: str) -> str:
    """
    Return the SQL of an amount: exact, rounded to paise as a tax return is.

    :param value: SQL of the cell's text
    :param column: SQL of the cell
    :param kind: DuckDB's type of it
    """
    if kind in _INTEGERS or kind.startswith("DECIMAL"):
        return f"try_cast({column} AS {RUPEES})"
    # The text of a float is the shortest one that reads back as it: 1.005 stays 1.005 and is not 1.00499.
    plain = f"NOT (contains({value}, 'e') OR contains({value}, 'E') OR contains({value}, '_'))"
    return (
        f"coalesce(CASE WHEN {plain} THEN try_cast(try_cast({value} AS {_FINE}) AS {RUPEES}) END,"
        f" CASE WHEN {value} IS NOT NULL THEN {_written_for_people(value)} END)"
    )


def _written_for_people(value: str) -> str:
    sign = "(?:-|\u2212|\u2013)"
    bare = f"regexp_replace({value}, '[\\s\\x{{a0}}]', '', 'g')"
    # With the currency before them: the point of "Rs.1180" is none of the amount's.
    digits = f"regexp_extract({bare}, '{_CURRENCY}[-\u2212\u2013(]*({_GROUPED})', 1)"
    money = f"try_cast(try_cast(replace({digits}, ',', '') AS {_FINE}) AS {RUPEES})"
    plus = f"^\\+?{_CURRENCY}(?:{_GROUPED})(?:/-)?$"
    minus = "|".join(
        (
            f"^{sign}{_CURRENCY}(?:{_GROUPED})$",
            f"^{_CURRENCY}{sign}(?:{_GROUPED})$",
            f"^{_CURRENCY}(?:{_GROUPED}){sign}$",
            f"^\\({_CURRENCY}(?:{_GROUPED})\\)$",
            f"^{_CURRENCY}\\((?:{_GROUPED})\\)$",
        )
    )
    # What binary arithmetic leaves of nothing: 1.4551915228366852e-11.
    remnant = f"regexp_full_match({bare}, '-?[0-9](?:\\.[0-9]+)?[eE]-(?:0?[7-9]|[1-9][0-9])')"
    return (
        f"CASE WHEN regexp_matches({bare}, '{plus}') THEN {money}"
        f" WHEN regexp_matches({bare}, '{minus}') THEN -{money}"
        f" WHEN regexp_full_match({bare}, '{_CURRENCY}{sign}') OR {remnant} THEN 0::{RUPEES} END"
    )


_TIME: Final = r"(?:[T ][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
_EITHER_FIRST: Final = rf"^([0-9]{{1,2}})[-/. ]([0-9]{{1,2}})[-/. ]((?:20)?[0-9]{{2}}){_TIME}$"
_YEAR_FIRST: Final = rf"^(20[0-9]{{2}})(?:[-/.]([0-9]{{1,2}})[-/.]([0-9]{{1,2}})|([0-9]{{2}})([0-9]{{2}})){_TIME}$"
_NAMED: Final = r"^([0-9]{1,2})[-/., ]*([A-Za-z]{3})[A-Za-z]*[-/., ]*((?:20)?[0-9]{2})$"
_MONTHS: Final = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"


def date_parts(value: str, column: str, kind: str) -> dict[str, str]:
    """
    Return the SQL of what a date is made of: ``day`` where it can be read one way only, else ``a``, ``b``, ``y``.

    ``slash`` says whether it is written with slashes, as Americans do, too; 04-10-2026 is how GSTN itself writes it.

    :param value: SQL of the cell's text
    :param column: SQL of the cell
    :param kind: DuckDB's type of it
    """
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        # The database's time zone is India's.
        nothing = "NULL::INTEGER"
        return {"day": f"{column}::DATE", "a": nothing, "b": nothing, "y": nothing, "slash": "false"}
    fixed = f"length({value}) = 10 AND {value}[3] = {value}[6] AND {value}[3] IN ('-', '/', '.')"
    loose = f"regexp_matches({value}, '{_EITHER_FIRST}')"

    def part(place: int, pattern: str) -> str:
        return f"regexp_extract({value}, '{pattern}', {place})"

    def either(begin: int, end: int, place: int) -> str:
        whole = f"CASE WHEN {fixed} THEN {value}[{begin}:{end}] WHEN {loose} THEN {part(place, _EITHER_FIRST)} END"
        return f"try_cast({whole} AS INTEGER)"

    months, days = (
        f"coalesce(nullif({part(place, _YEAR_FIRST)}, ''), {part(place + 2, _YEAR_FIRST)})" for place in (2, 3)
    )
    month = f"position(upper({part(2, _NAMED)}) IN '{_MONTHS}')"
    named_month = f"CASE WHEN {month} % 3 = 1 THEN ({month} + 2) // 3 END"
    year = f"try_cast({part(3, _NAMED)} AS INTEGER)"
    return {
        "day": (
            f"CASE WHEN length({value}) = 10 AND {value}[5] = '-' THEN try_cast({value} AS DATE)"
            f" WHEN {fixed} THEN NULL"
            f" WHEN regexp_matches({value}, '{_YEAR_FIRST}') THEN {_day(part(1, _YEAR_FIRST), months, days)}"
            f" WHEN regexp_matches({value}, '{_NAMED}')"
            f" THEN {_day(_in_2000s(year), named_month, part(1, _NAMED))} END"
        ),
        "a": either(1, 2, 1),
        "b": either(4, 5, 2),
        "y": _in_2000s(either(7, 10, 3)),
        "slash": f"contains({value}, '/')",
    }


def date(order: str | None, dashes: str | None) -> str:
    """
    Return the SQL of a date from its parts.

    :param order: ``DMY`` or ``MDY``; ``None``: only what can be read one way is read
    :param dashes: the same for dates without slashes
    """
    day_first, month_first = _day("y", "b", "a"), _day("y", "a", "b")
    unknown = f"CASE WHEN a = b OR (a > 12 AND b <= 12) THEN {day_first} WHEN a <= 12 AND b > 12 THEN {month_first} END"
    chosen = {"DMY": day_first, "MDY": month_first, None: unknown}
    found = f"CASE WHEN a IS NULL OR b IS NULL THEN day WHEN slash THEN {chosen[order]} ELSE {chosen[dashes]} END"
    return f"CASE WHEN {found} >= DATE '2017-07-01' THEN {found} END"


def _in_2000s(year: str) -> str:
    return f"CASE WHEN {year} < 100 THEN {year} + 2000 ELSE {year} END"


def _day(year: str, month: str, day: str) -> str:
    return f"try_cast(concat({year}, '-', {month}, '-', {day}) AS DATE)"
