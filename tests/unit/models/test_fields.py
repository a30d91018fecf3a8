"""The rule of each field of a reset request at its bounds, as GSTN's schema has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.builders import (
    FIELDS,
    SECTIONS,
    STIN,
    document,
    faults_of,
    payload,
    places_of,
    request,
)

NUMBERS = ("inum", "oinum", "nt_num", "ont_num")
DATES = ("idt", "oidt", "nt_dt", "ont_dt")
TAXES = ("txval", "iamt", "camt", "samt", "cess")
STATES = [f"{state:02}" for state in range(1, 39)]

GOOD_GSTINS = [
    *(STIN, "24MAYAS0100J1JD"),
    *(f"27AAPFU0939F{entity}ZV" for entity in "19AZaz"),
    *(f"27AAPFU0939F1{kind}V" for kind in "Zz19AJaj"),
    *(f"27AAPFU0939F1Z{check}" for check in "09AZaz"),
]
BAD_GSTINS = [
    *("", STIN[:14], STIN + "C", f" {STIN}"[:15], f"{STIN[:14]}\n", f"{STIN}\n", f"{STIN[:14]} "),
    *("A4AAQCA8719H1ZC", "24A1QCA8719H1ZC", "24AAQCAX719H1ZC", "24AAQCA871911ZC", "24AAQCA8719H0ZC"),
    *(f"24AAQCA8719H1{kind}C" for kind in "0KYkXx-"),
    *("24AAQCA8719H1Z-", "\u09684AAQCA8719H1ZC", "24\u00c4AQCA8719H1ZC"),
    *(240000000000000, None, [STIN], STIN.encode()),
]
BAD_AMOUNTS = [
    *(-1, -0.01, 0.001, 1000.555, Decimal("0.125")),
    *("1000", "", None, True, False, [], {}, 1j),
    *(float("nan"), float("inf"), float("-inf")),
    *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1E+99")),
]

# What a field accepts: fields, values.
ACCEPTED: list[tuple[tuple[str, ...], list[Any]]] = [
    (("stin",), GOOD_GSTINS),
    (("rtnprd",), ["012023", "122023", "011900", "121999", "012000", "122099"]),
    (("srcform",), ["R1", "R1A", "IFF"]),
    (NUMBERS, ["1", "a", "Z", "0001", "0A", "-1", "/1", "00-/7", "INV/2023-24/0001", "1234567890123456", "A-", "1/"]),
    (DATES, ["01-07-2017", "31-12-2023", "30-04-2023", "28-02-2023", "29-02-2024", "29-02-2000"]),
    (("inv_typ",), ["R", "DE", "SEWP", "SEWOP", "CBW"]),
    (("pos",), [*STATES, "96", "97"]),
    (("val",), [0, 1, 0.01, 1000.1, 1000.55, Decimal("9999999999999.99"), 9999999999999.99, 9999999999999]),
    (TAXES, [0, 1, 0.01, 1000.1, 1000.55, Decimal("99999999999.99"), 99999999999.99, 99999999999]),
    (("prev_status",), ["A", "R", "P"]),
]

# What a field refuses: fields, values.
REFUSED: list[tuple[tuple[str, ...], list[Any]]] = [
    (("stin",), BAD_GSTINS),
    (("rtnprd",), ["", "002023", "132023", "011899", "012100", "12023", "0120233", "202301"]),
    (("rtnprd",), ["01-2023", "01 2023", " 12023", "012023\n", "\u096612023", 12023, 122023, None]),
    (("srcform",), ["", "r1", "iff", "GSTR1A", "GSTR1", "R5", "R1 ", 1, None]),
    (NUMBERS, ["", "0", "000", "0-/", "-", "/", "12345678901234567", "A B", " A", "A#1", "A_1", "A.1"]),
    (NUMBERS, ["\u00c91", "\u0967\u0968", "A\n", 7, 1.5, None, ["A"], True]),
    (DATES, ["29-02-2023", "29-02-1900", "29-02-2100", "30-02-2024", "31-04-2023", "31-06-2023", "00-01-2023"]),
    (DATES, ["32-01-2023", "01-00-2023", "01-13-2023", "12-31-2023", "2023-01-23", "23/01/2023", "1-1-2023"]),
    (DATES, ["23-01-23", "23012023", "", "23-01-2023 ", " 3-01-2023", "23-01-2023\n", "\u09683-01-2023", "+3-01-2023"]),
    (DATES, [23012023, None]),
    (("inv_typ",), ["", "r", "B2B", "SEZWP", "SEZWOP", "Regular", 1, None]),
    (
        ("pos",),
        ["", "00", "39", "40", "95", "98", "99", "1", "7", "007", " 7", "7 ", "07\n", "\u09667", "AP", 7, 24, None],
    ),
    (("val",), [*BAD_AMOUNTS, Decimal("10000000000000.00"), 10_000_000_000_000, 1e13]),
    (TAXES, [*BAD_AMOUNTS, Decimal("100000000000.00"), 100_000_000_000, 1e11, 9999999999999.99]),
    (("prev_status",), ["", "a", "X", "AR", "Accepted", " A", 1, True, None]),
]


def _rows(table: list[tuple[tuple[str, ...], list[Any]]]) -> list[Any]:
    return [
        pytest.param(fields, value, id=f"{fields[0]}={value!r}".replace("\n", " "))
        for fields, values in table
        for value in values
    ]


def _everywhere(fields: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each section with each of the fields that it has."""
    return ((section, field) for section in SECTIONS for field in fields if field in FIELDS[section])


@pytest.mark.parametrize(("fields", "value"), _rows(ACCEPTED))
def test_a_field_accepts(fields: tuple[str, ...], value: Any):
    for section, field in _everywhere(fields):
        sent = json.loads(payload(**{section: [document(section, **{field: value})]}).body(), parse_float=Decimal)
        written = Decimal(repr(value)) if isinstance(value, float) else value
        assert sent["invdata"][section][0][field] == written


@pytest.mark.parametrize(("fields", "value"), _rows(REFUSED))
def test_a_field_refuses(fields: tuple[str, ...], value: Any):
    for section, field in _everywhere(fields):
        faults = faults_of(request(**{section: [document(section, **{field: value})]}))
        assert [fault.place for fault in faults] == [f"invdata.{section}[0].{field}"]
        assert faults[0].value is value
        assert faults[0].rule


def test_the_tables_speak_of_every_field():
    every = {field for fields in FIELDS.values() for field in fields}
    for table in (ACCEPTED, REFUSED):
        assert {field for fields, _ in table for field in fields} == every


def test_the_recipients_gstin_follows_the_rule_of_the_suppliers():
    for rtin in GOOD_GSTINS:
        assert places_of(request(rtin, b2b=[document()])) == []
    for rtin in BAD_GSTINS:
        assert places_of(request(rtin, b2b=[document()])) == ["rtin"]


@pytest.mark.parametrize("reqtyp", ["SAVE", "reset", "", None, 1, " RESET"])
def test_the_request_type_is_reset_and_nothing_else(reqtyp: Any):
    assert places_of(request(reqtyp=reqtyp, b2b=[document()])) == ["reqtyp"]
