"""A rejected value says what happened to it and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_ims.models.faults import Fault
from airflow_provider_ims.planning.checks.checker import Checker, Valid
from tests.unit.planning.builders import row


def fault_of(*, text_amounts: bool = False, **changes: Any) -> Fault:
    faults = Checker(text_amounts=text_amounts).check(
        {name: str(value) if text_amounts else value for name, value in {**row(), **changes}.items()}
    )
    assert not isinstance(faults, Valid)
    [fault] = faults
    [field] = changes
    assert fault.place == field
    return fault


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("rtin", "27aapfu0939f1zv", "Write 27AAPFU0939F1ZV"),
        ("stin", " 24AAQCA8719H1ZC", "Write 24AAQCA8719H1ZC"),
        ("section", "B2B", "Write b2b"),
        ("section", "imports", "one of b2b"),
        ("section", None, "is required"),
        ("pos", "7", "leading zero of 07"),
        ("pos", 7, "This is a number"),
        ("rtnprd", "12025", "leading zero of 012025"),
        ("rtnprd", 112024, "This is a number"),
        ("inum", 123, "leading zeros"),
        ("inum", "1.0E5", "spreadsheet"),
        ("inum", "1E+05", "spreadsheet"),
        ("inum", "INV-1 ", "Remove the blanks"),
        ("idt", "01/02/2025", "DD-MM-YYYY or YYYY-MM-DD"),
        ("idt", "1-2-2025", "DD-MM-YYYY or YYYY-MM-DD"),
        ("idt", "31-02-2025", "a real date"),
        ("idt", "2025-02-31", "a real date"),
        ("idt", datetime(2025, 1, 23, 10, 30), "without a time of day"),  # noqa: DTZ001
        ("idt", datetime(2025, 1, 23, tzinfo=UTC), "time zone"),
        ("idt", 45680, "This is a number"),  # how spreadsheets keep dates
        ("val", "1180", "a JSON number, not text"),
        ("val", Decimal("1.005"), "at most 2 decimals"),
        ("val", float("nan"), "is required"),
        ("val", float("inf"), "from 0 to"),
        ("prev_status", "N", "allow_no_action"),
        ("inum", "caf\udce9", "0xe9"),
    ],
)
def test_advice(field: str, value: Any, said: str):
    assert said in str(fault_of(**{field: value}))


@pytest.mark.parametrize(
    "amount",
    ["1,00,000.00", "1.0E5", "1E+05", "₹100", "Rs 100", "100.", ".5", "00123", "1 000", "100.005", "(5)", "+5", "५"],
)
def test_an_amount_as_text_is_plain_digits(amount: str):
    assert "plain digits" in fault_of(text_amounts=True, val=amount).rule


def test_a_negative_amount_as_text_is_told_what_the_api_wants():
    assert "positive also for credit notes" in fault_of(text_amounts=True, val="-5.00").rule
