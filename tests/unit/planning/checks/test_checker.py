"""The quick way and the model give the same answer, to the byte."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models import InvalidPayload, ResetPayload
from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.models.payload import request_json
from airflow_provider_ims.planning.checks.checker import Checker, Valid
from airflow_provider_ims.planning.checks.coercion import converted
from tests.unit.builders import SECTIONS
from tests.unit.models.strategies import FIELD_STRATEGIES, documents, gstins
from tests.unit.planning.builders import row

thoroughly = settings(deadline=None, max_examples=100)
CHECKER = Checker()
FIELDS = sorted(FIELD_STRATEGIES)

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.text(max_size=20),
    st.text('0123456789-/.,ARPNINFV \n"\\', max_size=17),
    st.sampled_from(["2025-01-23", "01/02/2025", "31-02-2025", "1.0E5", "R1\n", "", "0", "-", "\udc80", "0" * 5000]),
    st.sampled_from([1e22, -0.0, 0.1 + 0.2, 0.125, 10**5000, 99999999999.99, 1e11, Decimal("1E+3"), Decimal("-0.00")]),
    st.lists(st.integers(), max_size=1),
)
valid_rows = st.sampled_from(SECTIONS).flatmap(
    lambda section: st.builds(
        lambda rtin, fields: {"rtin": rtin, "section": section, **fields}, gstins, documents(section)
    )
)


@st.composite
def broken_rows(draw: st.DrawFn) -> dict[str, Any]:
    """Rows with a few fields that are anything, missing or too many."""
    broken = dict(draw(valid_rows))
    for _ in range(draw(st.integers(0, 3))):
        field = draw(st.sampled_from([*FIELDS, "rtin", "section", "hash"]))
        if draw(st.booleans()):
            broken[field] = draw(st.one_of(odd_values, FIELD_STRATEGIES.get(field, odd_values)))
        else:
            broken.pop(field, None)
    return broken


def request_of(row: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in row.items() if name not in {"rtin", "section"}}
    section = row.get("section")
    named = section if isinstance(section, str) else "no section"  # a number of 5,000 digits has no text
    return {"rtin": row.get("rtin"), "reqtyp": "RESET", "invdata": {named: [fields]}}


def sent(found: Valid) -> bytes:
    return request_json(found.rtin, [(found.section, [found.text])])


@thoroughly
@given(valid_rows)
def test_a_valid_row_is_sent_as_the_model_sends_it(row: dict[str, Any]):
    found = CHECKER.check(row)
    assert isinstance(found, Valid)
    assert sent(found) == ResetPayload.parse(request_of(row)).body()


@thoroughly
@given(valid_rows)
def test_a_valid_row_of_a_json_file_takes_the_quick_way(row: dict[str, Any]):
    text = json.dumps(row, default=float)
    read = json.loads(text, parse_float=Decimal)
    found = CHECKER.check_fast(read)
    # The one amount that it leaves to the model is one that a float writes with an exponent or a tail.
    if found is None:
        assert any(
            isinstance(value, Decimal) and ("E" in str(value) or value.as_tuple().exponent < -2)
            for value in read.values()
        )
    else:
        assert sent(found) == ResetPayload.parse(json.dumps(request_of(row), default=float)).body()


@thoroughly
@given(broken_rows(), st.booleans())
@example(row(inum="1" * 17), False)
@example(row(idt="29-02-2024"), False)
@example(row(idt="29-02-2023"), False)
@example(row(idt="00-00-0000"), False)
@example(row(prev_status="N"), False)
@example(row(prev_status="N"), True)
@example(row(val=True), False)
@example(row(val="1180"), False)
@example(row(inum=1), False)
@example(row(val=9999999999999.99), False)
@example(row(txval=100000000000), False)
@example(row(stin="24AAQCA8719H1ZC\n"), False)
@example(row(section="b2b", rtin="27AAPFU0939F1ZV\n"), False)
@example(row(stin=10**5000), False)
def test_the_quick_way_agrees_with_the_model(row: dict[str, Any], allow: bool):
    checker = Checker(allow_no_action=allow)
    quick = checker.check_fast(row)
    try:
        exact = ResetPayload.parse(request_of(row), allow_no_action=allow)
    except InvalidPayload:
        assert quick is None
    else:
        if quick is not None:
            assert sent(quick) == exact.body()


@thoroughly
@given(broken_rows())
def test_a_row_is_valid_if_the_model_takes_it_after_what_is_beyond_doubt_was_converted(row: dict[str, Any]):
    cells = converted(row, text_amounts=False)
    try:
        expected = ResetPayload.parse(request_of(cells.row)).body()
    except InvalidPayload:
        expected = None
    found = CHECKER.check(row)
    if isinstance(found, Valid):
        assert not cells.faults
        assert sent(found) == expected
    else:
        assert found, "a row that is not valid has a fault"
        assert expected is None or cells.faults


@thoroughly
@given(valid_rows)
def test_a_row_of_a_csv_file_says_the_same_as_text(row: dict[str, Any]):
    texts = {
        name: f"{Decimal(repr(value)):f}" if isinstance(value, float) else str(value) for name, value in row.items()
    }
    found = Checker(text_amounts=True).check(texts)
    assert isinstance(found, Valid)
    exact = {name: Decimal(texts[name]) if not isinstance(value, str) else value for name, value in row.items()}
    assert sent(found) == ResetPayload.parse(request_of(exact)).body()


@thoroughly
@given(valid_rows, valid_rows)
def test_keys_are_alike_where_the_payload_takes_documents_for_one(one: dict[str, Any], other: dict[str, Any]):
    other = {**other, **{name: one[name] for name in ("stin", "rtnprd", "inum") if name in one}}
    found = [CHECKER.check(each) for each in (one, other) if CHECKER.check(each)]
    valid = [each for each in found if isinstance(each, Valid)]
    keys = [next(ResetPayload.parse(sent(each)).documents())[0] for each in valid]
    if len(valid) == 2 and valid[0].section == valid[1].section:
        assert (valid[0].key == valid[1].key) == (keys[0] == keys[1])


def test_letter_case_does_not_tell_documents_apart():
    lower, upper = CHECKER.check(row(inum="inv-1")), CHECKER.check(row(inum="INV-1"))
    assert isinstance(lower, Valid)
    assert isinstance(upper, Valid)
    assert lower.key == upper.key
    assert DocumentKey.of("b2b", "x", "inv-1", "d", "1") == DocumentKey.of("b2b", "x", "INV-1", "d", "1")


def test_a_row_of_nulls_for_other_sections_is_sent_without_them():
    found = CHECKER.check(row("ecom", oinum=None, inv_typ=None, nt_num=float("nan"), oidt=""))
    assert isinstance(found, Valid)
    assert found.text == CHECKER.check(row("ecom")).text  # type: ignore[union-attr]


def test_dates_are_converted_and_counted():
    checker = Checker()
    for value in ("2025-01-23", date(2025, 1, 23), datetime(2025, 1, 23), "2025-01-23 00:00:00"):  # noqa: DTZ001
        found = checker.check(row(idt=value))
        assert isinstance(found, Valid)
        assert '"idt":"23-01-2025"' in found.text
    assert checker.conversions.total() == 4
    assert len(checker.conversions) == 3


def test_what_is_rejected_is_not_counted_as_converted():
    checker = Checker()
    assert not isinstance(checker.check(row(idt="2025-01-23", pos="99")), Valid)
    assert not checker.conversions


@pytest.mark.parametrize("place", ["rtin", "stin"])
def test_strict_rejects_a_wrong_check_digit(place: str):
    wrong = row(**{place: "24AAQCA8719H1ZD"})
    assert isinstance(Checker().check(wrong), Valid)
    [fault] = Checker(strict_gstin=True).check(wrong)
    assert (fault.place, "check digit is C" in fault.rule) == (place, True)  # type: ignore[union-attr]
    assert isinstance(Checker(strict_gstin=True).check(row()), Valid)


def test_all_faults_of_a_row_are_told():
    faults = CHECKER.check(row(rtin="x", pos="7", idt="23/01/2025", val="1,000", extra=1))
    assert {fault.place for fault in faults} == {"rtin", "pos", "idt", "val", "extra"}  # type: ignore[union-attr]
