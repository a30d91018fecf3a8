"""The examples of docs/matching.md, and what a person who approves is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims.matching.approval import approval_text
from airflow_provider_ims.matching.passes import PASSES
from tests.unit.matching.builders import SAME_PAN, STIN, booking, document, matched

TABLE = (Path(__file__).parents[3] / "docs" / "matching.md").read_text().split("<!-- examples -->")[1]
EXAMPLES = [
    [cell.strip(" `") for cell in line.strip("|").split("|")]
    for line in TABLE.splitlines()
    if line.startswith("| `") and line.count("|") == 8
]


def test_every_pass_has_its_example_in_the_order_in_which_they_are_tried():
    assert [example[0] for example in EXAMPLES] == [one.name for one in PASSES]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_an_example_is_what_the_page_says(example: list[str], tmp_path: Path):
    rule, shown, booked, date, taxable, supplier, match = example
    number, _, original = shown.partition(" for ")
    amended: dict[str, Any] = {"section": "b2ba", "original_number": original, "original_date": "2026-09-20"}
    found = matched(
        tmp_path,
        [document(number, **(amended if original else {}))],
        [booking(booked, date=date, txval=taxable, stin=STIN if supplier == "same" else SAME_PAN)],
    )
    row = found.of(number)
    assert (row["rule"], row["match"]) == (rule, match)


def test_a_person_is_told_what_is_reset_and_what_it_means(tmp_path: Path):
    documents = [
        document(f"INV/{n}", trade_name="A | <b>*B*</b>", iamt=f"{n}80.00", txval=f"{n}000.00") for n in (1, 2)
    ]
    books = [booking(f"INV/{n}", iamt=f"{n}80.00", txval=f"{n}000.00") for n in (1, 2)]
    summary = matched(tmp_path, documents, books).summary
    summary["warnings"] = [f"{count} rows of the books were *skipped*" for count in range(12)]
    text = approval_text(summary, at=datetime(2026, 11, 19, 6, tzinfo=UTC))
    assert "- 9 rows of the books were \\*skipped\\*\n- and 2 more" in text.body
    assert text.subject == "IMS: put 2 documents with ₹460.00 of tax back to no action (1 GSTIN)"
    assert "deemed **accepted**" in text.body
    assert "2 of them are rejected now" in text.body
    assert "GSTR-3B of October 2026 is due tomorrow" in text.body
    assert "| reset | matched | rejected | 2 | ₹460.00 |" in text.body
    assert "A \\| \\<b\\>\\*B\\*\\</b\\>" in text.body
    assert text.body.index("INV/2") < text.body.index("INV/1")  # the largest first
