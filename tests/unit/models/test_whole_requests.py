"""Any valid request is sent as it was given; any single breach is told once, at its place."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models import ResetPayload
from tests.unit.builders import FIELDS, NUMBER_FIELD, SECTIONS, places_of
from tests.unit.models.strategies import FIELD_STRATEGIES, requests

thoroughly = settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

BAD_NUMBERS = ["", "000", "A B", "X" * 17, None, 1]
BAD_DATES = ["", "29-02-2023", "2023-01-23", None, 1]
BAD_TAXES = ["1", True, None, -1, 0.125, Decimal("100000000000"), float("nan")]
BAD_VALUES: dict[str, list[Any]] = {
    "stin": ["", "24AAQCA8719H1Z", "24AAQCA8719H1ZC1", "24AAQCA8719H0ZC", None, 24],
    "rtnprd": ["", "132023", "012100", "2023-01", None, 12023],
    "srcform": ["", "R5", "r1", None, 1],
    "pos": ["", "00", "39", "7", None, 7],
    "prev_status": ["", "a", "X", None, 1],
    "inv_typ": ["", "r", "B2B", None, 1],
    **dict.fromkeys(("inum", "oinum", "nt_num", "ont_num"), BAD_NUMBERS),
    **dict.fromkeys(("idt", "oidt", "nt_dt", "ont_dt"), BAD_DATES),
    "val": ["1", True, None, -1, 0.125, Decimal("10000000000000"), float("nan")],
    **dict.fromkeys(("txval", "iamt", "camt", "samt", "cess"), BAD_TAXES),
}


def written(value: Any) -> Any:
    """The value as a reader of exact JSON sees it."""
    if isinstance(value, dict):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [written(item) for item in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


@thoroughly
@given(requests)
def test_a_valid_request_is_accepted_and_sent_as_it_was_given(request: dict[str, Any]):
    checked = ResetPayload.parse(request)
    body = checked.body()
    assert json.loads(body, parse_float=Decimal) == written(request)
    assert ResetPayload.parse(body).body() == body
    assert checked.count() == sum(len(entries) for entries in request["invdata"].values())


@thoroughly
@given(requests, st.data())
def test_one_bad_field_is_exactly_one_fault_at_its_place(request: dict[str, Any], data: st.DataObject):
    section = data.draw(st.sampled_from(SECTIONS))
    index = data.draw(st.integers(0, len(request["invdata"][section]) - 1))
    field = data.draw(st.sampled_from(FIELDS[section]))
    entry = request["invdata"][section][index]
    if data.draw(st.booleans()):
        entry[field] = data.draw(st.sampled_from(BAD_VALUES[field]))
    else:
        del entry[field]
    assert places_of(request) == [f"invdata.{section}[{index}].{field}"]


@thoroughly
@given(requests, st.data())
def test_one_key_too_many_is_exactly_one_fault_at_its_place(request: dict[str, Any], data: st.DataObject):
    section = data.draw(st.sampled_from(SECTIONS))
    known = {"": ["rtin", "reqtyp", "invdata"], "invdata": SECTIONS, f"invdata.{section}[0]": FIELDS[section]}
    where = data.draw(st.sampled_from(list(known)))
    keys = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8) | st.sampled_from([*FIELD_STRATEGIES, "hash"])
    key = data.draw(keys.filter(lambda key: key not in known[where]))
    target = {"": request, "invdata": request["invdata"]}.get(where, request["invdata"][section][0])
    target[key] = data.draw(st.sampled_from([None, "x", 1, {}]))
    assert places_of(request) == [f"{where}.{key}".lstrip(".")]


@thoroughly
@given(requests, st.data())
def test_one_document_sent_twice_is_exactly_one_fault_at_its_place(request: dict[str, Any], data: st.DataObject):
    section = data.draw(st.sampled_from(SECTIONS))
    entries = request["invdata"][section]
    again = copy.deepcopy(entries[0])
    number = NUMBER_FIELD[section]
    again[number] = data.draw(st.sampled_from([again[number].upper(), again[number].lower(), again[number]]))
    entries.append(again)
    assert places_of(request) == [f"invdata.{section}[{len(entries) - 1}]"]
