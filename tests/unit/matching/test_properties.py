"""What holds for any documents and any books, however alike they are."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_ims.matching.passes import PASSES
from airflow_provider_ims.matching.snapshots import KIND_OF_SECTION
from tests.unit.matching.builders import OTHER, booking, document, matched

Rows = list[dict[str, Any]]

SUPPLIERS = [f"29AAACB{1000 + place}C1Z5" for place in range(6)]
"""Each example is of several suppliers at once: what happens with one is no matter of another one."""

NUMBERS = ["A/1003", "A1003", "a-1003", "INV/26-27/041", "INV/041", "inv-41", "INV/1041", "INV/1047", "7", "8", "0041"]
DATES = ["2026-10-04", "2026-10-05", "2026-11-20", "2026-03-31"]
AMOUNTS = [("1000.00", "180.00"), ("1000.60", "180.00"), ("1000.00", "180.40"), ("1500.00", "270.00")]
SECTIONS = ["b2b", "b2b", "b2b", "b2ba", "b2bcn", "b2bdn"]

some = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # each run takes a second: a failure is told as it was found
    database=None,
)


@st.composite
def documents(draw: st.DrawFn, supplier: str) -> dict[str, Any]:
    txval, iamt = draw(st.sampled_from(AMOUNTS))
    section = draw(st.sampled_from(SECTIONS))
    amended = {"original_number": draw(st.sampled_from(NUMBERS)), "original_date": "2026-08-01"}
    return document(
        draw(st.sampled_from(NUMBERS)),
        stin=draw(st.sampled_from([supplier, supplier, supplier.replace("29", "24", 1)])),
        section=section,
        date=draw(st.sampled_from(DATES)),
        txval=txval,
        iamt=iamt,
        val=str(Decimal(txval) + Decimal(iamt)),
        action=draw(st.sampled_from("RRRPAN")),
        filed=draw(st.sampled_from([True, True, True, False, None])),
        **(amended if section == "b2ba" else {}),
    )


@st.composite
def bookings(draw: st.DrawFn, supplier: str) -> dict[str, Any]:
    txval, iamt = draw(st.sampled_from(AMOUNTS))
    return booking(
        draw(st.sampled_from(NUMBERS)),
        stin=draw(st.sampled_from([supplier, supplier, supplier.replace("29", "24", 1)])),
        kind=draw(st.sampled_from(["invoice", "invoice", "invoice", "credit note", "debit note"])),
        date=draw(st.sampled_from(DATES)),
        txval=txval,
        iamt=iamt,
    )


@st.composite
def both(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """Documents, each with its number in ``hash``, and books, each with its number in ``id``."""
    held, booked = [], []
    for supplier in SUPPLIERS:
        held += draw(st.lists(documents(supplier), max_size=5))
        booked += draw(st.lists(bookings(supplier), max_size=5))
    held.append(document("ANCHOR", stin=OTHER))  # a snapshot without documents is another matter
    held = [{**one, "hash": f"d{place}"} for place, one in enumerate(held)]
    return held, [{**one, "id": f"b{place}"} for place, one in enumerate(booked)]


def found(held: Rows, booked: Rows, **more: Any) -> Rows:
    with tempfile.TemporaryDirectory() as name:
        empty = {} if booked else {"allow_empty_books": True}
        return matched(Path(name), held, booked, **empty, **more).rows


def pairs(rows: Rows) -> Iterator[dict[str, Any]]:
    return (row for row in rows if row["hash"] and row["book_id"])


def normal(number: str) -> str:
    """Normalise as the documentation says it, by other means than the matching."""
    number = re.sub(r"26-27", " ", number.upper())
    runs = [run.lstrip("0") or "0" if run.isdigit() else run for run in re.findall(r"[0-9]+|[A-Z]+", number)]
    return "".join(runs)


def nearly(one: str, other: str) -> bool:
    """Say whether one letter is wrong, missing, too much, or swapped with its neighbour."""
    if abs(len(one) - len(other)) > 1:
        return False
    begin = 0
    while begin < min(len(one), len(other)) and one[begin] == other[begin]:
        begin += 1
    a, b = one[begin:], other[begin:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def sums(row: dict[str, Any], prefix: str = "") -> list[Decimal]:
    return [row[f"{prefix}{name}"] for name in ("txval", "iamt", "camt", "samt", "cess")]


@some
@given(both())
def test_each_document_and_each_row_of_the_books_is_there_once(given_rows: tuple[Rows, Rows]):
    held, booked = given_rows
    rows = found(held, booked)
    assert sorted(row["hash"] for row in rows if row["hash"]) == sorted(one["hash"] for one in held)
    assert sorted(row["book_id"] for row in rows if row["book_id"]) == sorted(one["id"] for one in booked)
    for row in rows:
        paired = bool(row["hash"] and row["book_id"])
        assert paired == (row["match"] in {"matched", "within_tolerance", "mismatch", "probable"}), row
        assert row["reason"]


@some
@given(both())
def test_what_is_paired_is_the_same_by_its_number_and_never_by_amounts_alone(given_rows: tuple[Rows, Rows]):
    rules = {one.name: one for one in PASSES}
    for row in pairs(found(*given_rows)):
        rule = rules[row["rule"]]
        assert rule.match == row["match"]
        assert (KIND_OF_SECTION[row["section"]], row["rtin"]) == (row["book_kind"], row["book_rtin"])
        assert (row["stin"] == row["book_stin"]) == (rule.supplier == "gstin")
        assert row["stin"][2:12] == row["book_stin"][2:12]
        own, other, original = row["number"], row["book_number"], row["original_number"]
        held = {
            "number": own == other,
            "normalised": normal(own) == normal(other),
            "original_number": original == other,
            "original_normalised": original is not None and normal(original) == normal(other),
            "nearly": nearly(normal(own), normal(other)) or nearly(own.upper(), other.upper()),
        }
        assert held[rule.number], row
        gaps = [abs(a - b) for a, b in zip(sums(row), sums(row, "book_"), strict=True)]
        if row["match"] == "matched":
            assert not any(gaps), row
        if row["match"] in {"within_tolerance", "probable"}:
            assert max(gaps) <= 1, row


@some
@given(both())
def test_what_is_reset_is_beyond_doubt(given_rows: tuple[Rows, Rows]):
    held, booked = given_rows
    rows = found(held, booked)

    def identity(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["section"], row["stin"], row["number"].upper(), str(row["date"])

    seen = Counter(map(identity, held))
    for row in rows:
        if row["decision"] == "reset":
            assert row["match"] in {"matched", "within_tolerance"}
            assert (row["action"] in {"R", "P"}, row["filed"]) == (True, True)
            assert seen[identity(row)] == 1, "GSTN shows it twice"
        elif row["hash"] and seen[identity(row)] > 1:
            assert row["decision"] == ("keep" if row["filed"] is False else "review")


@some
@given(both(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(given_rows: tuple[Rows, Rows], chance: Any):
    def told(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
        names = ("hash", "book_id", "match", "rule", "candidates", "decision")
        return sorted(tuple(str(row[name]) for name in names) for row in rows)

    held, booked = given_rows
    first = told(found(held, booked))
    chance.shuffle(held)
    chance.shuffle(booked)
    assert told(found(held, booked)) == first


@some
@given(both(), st.data())
def test_a_look_alike_never_makes_a_wrong_pair_of_a_right_one(given_rows: tuple[Rows, Rows], data: st.DataObject):
    held, booked = given_rows
    before = {row["hash"]: row for row in pairs(found(held, booked)) if row["match"] == "matched"}
    added = [data.draw(bookings(supplier)) for supplier in SUPPLIERS]
    booked = [*booked, *({**one, "id": f"x{place}"} for place, one in enumerate(added))]
    for row in pairs(found(held, booked)):
        if row["hash"] not in before or row["book_id"].startswith("b"):
            continue
        # The new row has taken the place: then it is at least as much the same, by its number and its amounts.
        assert row["match"] in {"matched", "within_tolerance"}, row
        was = before[row["hash"]]
        assert PASSES.index(rule_of(row)) <= PASSES.index(rule_of(was)), (was, row)


def rule_of(row: dict[str, Any]) -> Any:
    return next(one for one in PASSES if one.name == row["rule"])


@pytest.mark.parametrize("left_out", range(4))
def test_the_number_as_written_goes_before_its_spelling_and_that_before_a_wrong_digit(left_out: int, tmp_path: Path):
    numbers = ["INV/26-27/1041", "inv-1041", "INV/26-27/1047", "PO/9"]
    books = [booking(number) for number in reversed(numbers[left_out:])]
    words = ["matched", "matched", "probable", "only_in_ims"]
    row = matched(tmp_path, [document("INV/26-27/1041")], books).of("INV/26-27/1041")
    assert (row["match"], row["book_number"]) == (
        words[left_out],
        numbers[left_out] if left_out < 3 else None,
    )


def test_a_document_that_gstn_shows_twice_is_for_review_whatever_a_function_says(tmp_path: Path):
    from airflow_provider_ims.matching import Decisions

    held = [document("INV/1", action="R", hash="1"), document("INV/1", action="A", hash="2"), document("INV/2")]
    result = matched(
        tmp_path, held, [booking("INV/1"), booking("INV/2")], decisions=Decisions(function=lambda row: "reset")
    )
    assert [row["decision"] for row in result.rows if row["number"] == "INV/1"] == ["review", "review"]
    assert result.of("INV/2")["decision"] == "reset"
    assert all("shows this document more than once" in row["reason"] for row in result.rows if row["number"] == "INV/1")
    assert "2 documents more than once" in result.summary["warnings"][0]


@pytest.mark.parametrize("action", [None, "X"])
@pytest.mark.parametrize("number", ["INV/1", "INV/9"])
def test_a_document_whose_action_nobody_knows_is_left_to_a_person(action: str | None, number: str, tmp_path: Path):
    row = matched(tmp_path, [document(number, action=action)], [booking("INV/1")]).of(number)
    assert row["decision"] == "review"
    assert "no action of it that is known here" in row["reason"]
