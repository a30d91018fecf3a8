"""Each rule by which a document and a row of the books are the same, and what is not the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims.matching import MatchRules
from airflow_provider_ims.matching.passes import PASSES
from tests.unit.matching.builders import OTHER, SAME_PAN, booking, document, matched

AMENDED = {"section": "b2ba", "original_number": "OLD/7", "original_date": "2026-08-01"}

EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "number_date_amounts": (document("INV/1"), booking("INV/1")),
    "number_date_tolerance": (document("INV/1"), booking("INV/1", txval="1000.90", iamt="179.50")),
    "number_date": (document("INV/1"), booking("INV/1", txval="1001.01")),
    "normalised_date_amounts": (document("INV/26-27/001"), booking("inv-1")),
    "normalised_date_tolerance": (document("INV/001"), booking("INV 1", iamt="180.40")),
    "number_amounts": (document("INV/1"), booking("INV/1", date="2026-10-31")),
    "number_tolerance": (document("INV/1"), booking("INV/1", date="2026-10-31", txval="1000.90", iamt="179.50")),
    "normalised_amounts": (document("INV/2026/0891"), booking("INV-2026-891", date="2026-12-01")),
    "normalised_tolerance": (document("INV/001"), booking("INV 1", date="2026-12-01", iamt="180.40")),
    "nearly_date_amounts": (document("INV/1234"), booking("INV/1284")),
    "number_only": (document("INV/1"), booking("INV/1", date="2026-10-31", txval="1001.01")),
    "normalised_only": (document("INV/001"), booking("INV 1", txval="900", date="2026-10-14")),
    "original_amounts": (document("NEW/9", **AMENDED), booking("OLD/7", date="2026-08-01")),
    "original_tolerance": (document("NEW/9", **AMENDED), booking("OLD/7", txval="1000.5")),
    "original_only": (document("NEW/9", **AMENDED), booking("OLD/7", txval="700")),
    "original_normalised_amounts": (document("NEW/9", **AMENDED), booking("old-007")),
    "original_normalised_tolerance": (document("NEW/9", **AMENDED), booking("old-007", txval="1000.5")),
    "original_normalised_only": (document("NEW/9", **AMENDED), booking("old-007", date="2026-08-01", txval="700")),
    "pan_number": (document("INV/1"), booking("INV/1", stin=SAME_PAN)),
    "pan_normalised": (document("INV/1"), booking("inv-01", stin=SAME_PAN)),
}


def test_every_pass_has_an_example():
    assert list(EXAMPLES) == [one.name for one in PASSES]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_each_pass(name: str, tmp_path: Path):
    one, other = EXAMPLES[name]
    [row] = matched(tmp_path, [one], [other]).rows
    expected = next(one for one in PASSES if one.name == name)
    assert (row["rule"], row["match"]) == (name, expected.match)
    assert (row["number"], row["book_number"], row["candidates"]) == (one["number"], other["number"], 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(document("INV/1"), booking("INV/9"), id="amounts and date alone never decide"),
        pytest.param(document("INV/1"), booking("INV/1", kind="debit note"), id="another kind"),
        pytest.param(document("CN/1", section="b2bcn"), booking("CN/1"), id="a credit note is no invoice"),
        pytest.param(document("INV/1"), booking("INV/1", stin=OTHER), id="another PAN"),
        pytest.param(document("INV/1"), booking("INV/1", date="2026-01-20"), id="last financial year"),
        pytest.param(document("INV/1"), booking("INV/1", stin=SAME_PAN, txval="1500"), id="another GSTIN and amount"),
        pytest.param(document("INV/1234"), booking("INV/1284", txval="1500"), id="a number that is nearly the same"),
        pytest.param(document("INV/1234"), booking("INV/1284", date="2026-10-20"), id="the month after"),
        pytest.param(document("7"), booking("8"), id="numbers too short to be nearly the same"),
        pytest.param(document("INV/1", section="impg"), booking("INV/1"), id="a section that books do not have"),
    ],
)
def test_not_the_same(one: dict[str, Any], other: dict[str, Any], tmp_path: Path):
    found = matched(tmp_path, [one], [other])
    assert found.words == [(None, other["number"], "only_in_books"), (one["number"], None, "only_in_ims")]


def test_the_raw_number_goes_before_the_normalised_one(tmp_path: Path):
    documents = [document("A/1003"), document("A1003")]
    found = matched(tmp_path, documents, [booking("A1003"), booking("a/1003")])
    assert found.words == [("A/1003", "a/1003", "matched"), ("A1003", "A1003", "matched")]


def test_an_amendment_is_matched_by_its_own_number_first(tmp_path: Path):
    found = matched(tmp_path, [document("NEW/9", **AMENDED)], [booking("OLD/7"), booking("NEW/9")])
    assert found.words == [(None, "OLD/7", "only_in_books"), ("NEW/9", "NEW/9", "matched")]


def test_the_better_of_two_candidates_is_taken_and_the_other_one_is_left(tmp_path: Path):
    books = [booking("INV/1", txval="1000.40", id="far"), booking("INV/1", txval="1000.10", id="near")]
    found = matched(tmp_path, [document("INV/1")], books)
    assert found.of("INV/1")["book_id"] == "near"
    assert found.summary["matches"] == {"within_tolerance": 1, "only_in_books": 1}


def test_one_number_in_two_years(tmp_path: Path):
    documents = [document("1", date="2026-04-02"), document("1", date="2025-04-03", rtnprd="042025")]
    found = matched(tmp_path, documents, [booking("1", date="2026-04-05"), booking("1", date="2025-04-05")])
    assert {(row["date"].year, row["book_date"].year) for row in found.rows} == {(2025, 2025), (2026, 2026)}


def test_a_double_booking_is_ambiguous_and_names_both_rows(tmp_path: Path):
    found = matched(tmp_path, [document("INV/1")], [booking("INV/1"), booking("INV/1")])
    assert [row["match"] for row in found.rows] == ["ambiguous"] * 3
    row = found.of("INV/1")
    assert (row["candidates"], row["decision"], row["book_number"]) == (2, "review", None)
    assert "books.csv line 2, books.csv line 3" in row["reason"]
    assert {row["candidates"] for row in found.rows if row["book_number"]} == {1}


def test_a_row_whose_number_and_date_point_at_two_documents_is_ambiguous(tmp_path: Path):
    documents = [document("INV/1234", date="2026-10-01"), document("INV/1235", date="2026-10-02")]
    found = matched(tmp_path, documents, [booking("INV/1234", date="2026-10-02")])
    assert found.summary["matches"] == {"ambiguous": 3}


def test_a_late_booking_of_a_monthly_bill_is_matched_if_every_other_bill_has_its_own(tmp_path: Path):
    documents = [document("INV/1234", date="2026-10-01"), document("INV/1235", date="2026-10-02")]
    books = [booking("INV/1234", date="2026-10-02"), booking("INV/1235", date="2026-10-02")]
    assert matched(tmp_path, documents, books).summary["matches"] == {"matched": 2}


def test_a_wrong_digit_that_makes_a_leading_zero(tmp_path: Path):
    assert matched(tmp_path, [document("INV/0105")], [booking("INV/0005")]).of("INV/0105")["match"] == "probable"


def test_two_documents_that_fit_one_row_are_ambiguous(tmp_path: Path):
    documents = [document("A/1003"), document("A 1003")]
    found = matched(tmp_path, documents, [booking("A-1003")])
    assert found.summary["matches"] == {"ambiguous": 3}


def test_the_tolerance_is_an_argument_for_each_amount(tmp_path: Path):
    documents, books = [document("INV/1")], [booking("INV/1", txval="1000.50", iamt="180.50")]
    for rules, word in [
        (MatchRules(), "within_tolerance"),
        (MatchRules(tolerance="0.49"), "mismatch"),
        (MatchRules(tolerance={"iamt": "0.49"}), "mismatch"),
        (MatchRules(tolerance=0, tolerance_percent="0.3"), "within_tolerance"),
        (MatchRules(tolerance=0, tolerance_percent="0.2"), "mismatch"),
        (MatchRules(tolerance={"total": "0.99"}), "mismatch"),
        (MatchRules(tolerance={"total": "1"}), "within_tolerance"),
    ]:
        assert matched(tmp_path, documents, books, rules=rules).of("INV/1")["match"] == word, rules


def test_every_amount_rounded_to_a_rupee_is_within_tolerance(tmp_path: Path):
    one = document("INV/1", txval="1000.50", iamt="0", camt="90.49", samt="90.49", val="1181.48")
    other = booking("INV/1", txval="1001", iamt="0", camt="90", samt="90", val="1181")
    assert matched(tmp_path, [one], [other]).of("INV/1")["match"] == "within_tolerance"


def test_the_value_counts_if_the_books_have_it(tmp_path: Path):
    found = matched(tmp_path, [document("INV/1")], [booking("INV/1", val="1500")])
    assert found.of("INV/1")["match"] == "mismatch"
    assert "value 1180.00 in IMS, 1500.00 in the books" in found.of("INV/1")["reason"]


def test_a_reason_gives_both_values_of_each_field_that_differs_and_no_other(tmp_path: Path):
    found = matched(tmp_path, [document("INV/1")], [booking("INV/1", date="2026-10-05", txval="900", iamt="162")])
    assert found.of("INV/1")["reason"] == (
        "same number; date 04-10-2026 in IMS, 05-10-2026 in the books; taxable value 1000.00 in IMS, 900.00 in the"
        " books; IGST 180.00 in IMS, 162.00 in the books"
    )
