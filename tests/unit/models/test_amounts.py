"""Amounts are rupees and paise: what was given is what is sent, to the last paisa."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models import ResetPayload
from tests.unit.builders import document, payload, places_of, request
from tests.unit.models.strategies import TAX_MAX, VAL_MAX, amounts, paise

AMOUNT_FIELDS = ["val", "txval", "iamt", "camt", "samt", "cess"]
LIMITS = {"val": VAL_MAX, **dict.fromkeys(AMOUNT_FIELDS[1:], TAX_MAX)}

quickly = settings(deadline=None, max_examples=60)


def sent(body: bytes, field: str = "val") -> str:
    """The amount as it stands in the body."""
    found = re.search(rf'"{field}":([^,}}]*)', body.decode())
    assert found
    return found[1]


def sent_for(value: Any, field: str = "val") -> str:
    return sent(payload(b2b=[document(**{field: value})]).body(), field)


@quickly
@given(field=st.sampled_from(AMOUNT_FIELDS), data=st.data())
def test_an_amount_is_sent_as_the_very_number_that_was_given(field: str, data: st.DataObject):
    amount = data.draw(amounts(LIMITS[field]))
    body = payload(b2b=[document(**{field: amount})]).body()
    read = json.loads(body, parse_float=Decimal)["invdata"]["b2b"][0][field]
    assert Decimal(read) == (Decimal(repr(amount)) if isinstance(amount, float) else amount)


@quickly
@given(field=st.sampled_from(AMOUNT_FIELDS), data=st.data())
def test_an_amount_in_json_text_is_sent_as_the_very_number_that_was_written(field: str, data: st.DataObject):
    amount = data.draw(paise(LIMITS[field]))
    text = json.dumps(request(b2b=[document(**{field: 0.25})])).replace("0.25", f"{amount:f}")
    assert sent(ResetPayload.parse(text).body(), field) == f"{amount:f}"


@quickly
@given(st.lists(paise(TAX_MAX), min_size=2, max_size=3))  # beyond 10^12 floats are too coarse and refused
@example([Decimal("0.10"), Decimal("0.20")])
@example([Decimal("1.10"), Decimal("2.20"), Decimal("3.30")])
def test_a_sum_of_floats_is_sent_without_the_floats_tail(parts: list[Decimal]):
    total = 0.0
    for part in parts:
        total += float(part)
    assert Decimal(sent_for(total)) == sum(parts)


@pytest.mark.parametrize(
    ("given_amount", "as_sent"),
    [
        (0.1 + 0.2, "0.30"),
        (1.1 + 2.2, "3.30"),
        (19.99 * 3, "59.97"),
        (1000.1, "1000.1"),
        (Decimal("1000.10"), "1000.10"),
        (Decimal("10.500"), "10.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.2E+3"), "1200"),
        (Decimal("-0"), "0"),
        (1e3, "1000.0"),
        (1e12, "1000000000000.0"),
        (1e-2, "0.01"),
        (-0.0, "0.0"),
        (0, "0"),
        (1000, "1000"),
        (9999999999999, "9999999999999"),
    ],
)
def test_an_amount_is_written(given_amount: Any, as_sent: str):
    assert sent_for(given_amount) == as_sent


@quickly
@given(
    st.sampled_from(AMOUNT_FIELDS), st.integers(0, 10**14), st.integers(1, 9), st.sampled_from([Decimal, float, str])
)
@example("iamt", 12, 5, float)
@example("iamt", 10**13 - 2, 9, Decimal)
def test_a_real_third_decimal_is_refused_in_any_form(field: str, whole_paise: int, thousandths: int, form: type):
    # Beyond 10^11 a double holds no paise exactly, and the third decimal may be its tail.
    amount = Decimal(whole_paise % int(TAX_MAX * 100)).scaleb(-2) + Decimal(thousandths).scaleb(-3)
    source: Any = request(b2b=[document(**{field: 0.25})])
    if form is str:
        source = json.dumps(source).replace("0.25", f"{amount:f}")
    else:
        source["invdata"]["b2b"][0][field] = form(amount)
    assert places_of(source) == [f"invdata.b2b[0].{field}"]


@quickly
@given(st.integers(0, 9999999999999))
def test_a_whole_number_stays_a_whole_number(amount: int):
    assert sent_for(amount) == str(amount)


@quickly
@given(st.fixed_dictionaries({field: amounts(LIMITS[field]) for field in AMOUNT_FIELDS}))
def test_the_body_holds_plain_numbers_of_at_most_two_decimals(values: dict[str, Any]):
    body = payload(b2bcn=[document("b2bcn", **values)]).body()
    for field in AMOUNT_FIELDS:
        assert re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]{1,2})?", sent(body, field))


@quickly
@given(st.decimals(allow_nan=True, allow_infinity=True) | st.floats(allow_nan=True) | st.integers() | st.booleans())
@example(Decimal("sNaN"))
@example(Decimal("1E+999999"))
@example(Decimal("1E-999999"))
@example(10**4000)
@example(5e-324)
def test_whatever_number_is_given_is_either_sent_within_the_limits_or_refused(amount: Any):
    source = request(b2b=[document(cess=amount)])
    places = places_of(source)
    if places:
        assert places == ["invdata.b2b[0].cess"]
    else:
        number = Decimal(sent(ResetPayload.parse(source).body(), "cess"))
        assert 0 <= number <= TAX_MAX
        assert abs(number - Decimal(amount)) < Decimal("0.001")
