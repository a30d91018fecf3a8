"""One value of a row: what it is turned into where that is beyond doubt, and what to tell its owner where not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

from airflow_provider_ims.models.documents import RULES, SECTIONS
from airflow_provider_ims.models.faults import Fault
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.planning.checks.fast_path import amount_limit, is_date

_FIELDS = {name: field for model in SECTIONS.values() for name, field in model.model_fields.items()}
AMOUNTS = frozenset(name for name, field in _FIELDS.items() if amount_limit(field) is not None)
DATES = frozenset(name for name, field in _FIELDS.items() if is_date(field))
FIELDS = frozenset(_FIELDS)
"""Every field that a document of any section has."""

ROW_FIELDS = frozenset({"rtin", "section"}) | FIELDS
"""Every field that a row may have."""

DATES_WRITTEN = "dates written as DD-MM-YYYY"
ISO_DATES_WRITTEN = "dates as YYYY-MM-DD written as DD-MM-YYYY"
"""What is said of dates that are written otherwise than they stood."""

_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_PLAIN_AMOUNT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]{1,2})?")
_PLAIN_AMOUNT_RULE = (
    "plain digits with at most 2 decimals, such as 118000.00: no thousands separators, no exponent,"
    " no currency sign, no leading zeros"
)


class Cells(NamedTuple):
    """
    A row after its values were looked at.

    :param row: the row without what is empty, and with the values turned into what the models take
    :param faults: values that cannot be turned into it without guessing; the place is the field
    :param conversions: what was done, one entry for each value
    """

    row: dict[str, Any]
    faults: list[Fault]
    conversions: list[str]


def converted(row: Mapping[str, Any], *, text_amounts: bool) -> Cells:
    """
    Turn values into what the models take, where nothing has to be guessed.

    :param row: field -> value
    :param text_amounts: amounts stand as text, as in a CSV file
    """
    section = row.get("section")
    model = SECTIONS.get(section) if isinstance(section, str) else None
    result: dict[str, Any] = {}
    faults: list[Fault] = []
    conversions: list[str] = []
    for name, value in row.items():
        if _is_nothing(value) or (value == "" and model and name in FIELDS and name not in model.model_fields):
            continue
        result[name] = value
        if name in DATES:
            result[name], conversion, rule = _date(value)
            if conversion:
                conversions.append(conversion)
            if rule:
                faults.append(Fault(name, value, rule))
        elif text_amounts and name in AMOUNTS and isinstance(value, str):
            if _PLAIN_AMOUNT.fullmatch(value):
                result[name] = Decimal(value)
            else:
                faults.append(Fault(name, value, _PLAIN_AMOUNT_RULE))
    return Cells(result, faults, conversions)


def _is_nothing(value: object) -> bool:
    if isinstance(value, Decimal):
        return value.is_nan()
    return value is None or (isinstance(value, (float, datetime)) and value != value)  # noqa: PLR0124  NaN, NaT


def _date(value: object) -> tuple[object, str, str]:
    """Return (value, conversion, rule that it breaks)."""
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return value, "", "a date; on which day this is depends on the time zone, give the date alone"
        if value.time() != time():
            return value, "", "a date without a time of day"
        return _as_text(value), "date-times at midnight written as DD-MM-YYYY", ""
    if isinstance(value, date):
        return _as_text(value), DATES_WRITTEN, ""
    if isinstance(value, str):
        iso = _ISO_DATE.fullmatch(value)
        if iso:
            year, month, day = iso.groups()
            return f"{day}-{month}-{year}", ISO_DATES_WRITTEN, ""
    return value, "", ""


def _as_text(day: date) -> str:
    return f"{day.day:02}-{day.month:02}-{day.year:04}"


def with_advice(faults: Iterable[Fault]) -> list[Fault]:
    """
    Add to each fault what its value looks like, where that tells the owner what happened.

    :param faults: faults whose place is a field
    """
    return [
        fault._replace(rule=f"{fault.rule}. {said}") if (said := _advice(*fault[:2])) else fault for fault in faults
    ]


def _advice(field: str, value: object) -> str:
    if isinstance(value, str):
        return _advice_on_text(field, value)
    if field in RULES and field not in AMOUNTS and isinstance(value, (int, float, Decimal)):
        return "This is a number: have it written as text, numbers lose their leading zeros"
    return ""


def _advice_on_text(field: str, text: str) -> str:
    undecoded = next((ord(letter) - 0xDC00 for letter in text if "\udc80" <= letter <= "\udcff"), None)
    if undecoded is not None:
        return f"The byte 0x{undecoded:02x} in it is not UTF-8: save the file as UTF-8"
    if field in {"rtin", "stin"} and re.fullmatch(GSTIN_PATTERN, text.strip().upper()):
        return f"Write {text.strip().upper()}"
    if text != text.strip():
        return "Remove the blanks around it"
    if field == "section" and text.lower() in SECTIONS:
        return f"Write {text.lower()}"
    if (field == "pos" and re.fullmatch("[1-9]", text)) or (field == "rtnprd" and re.fullmatch("[1-9][0-9]{4}", text)):
        return f"Did a spreadsheet drop the leading zero of 0{text}? Format the column as text"
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?[eE]\+?[0-9]+", text):
        return "A spreadsheet seems to have rewritten it as a number: format the column as text"
    if field in DATES and re.fullmatch("[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{1,4}", text):
        return "Write DD-MM-YYYY or YYYY-MM-DD; what else it may mean is not guessed"
    return ""
