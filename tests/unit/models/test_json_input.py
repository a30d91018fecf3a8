"""A reset request as JSON text or bytes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from airflow_provider_ims.models import ResetPayload
from tests.unit.builders import (
    RTIN,
    document,
    faults_of,
    places_of,
    request,
)


def test_a_byte_order_mark_is_no_fault(sample: dict):
    raw = b"\xef\xbb\xbf" + json.dumps(sample).encode()
    assert ResetPayload.parse(raw).body() == ResetPayload.parse(sample).body()


@pytest.mark.parametrize(
    ("raw", "place", "rule"),
    [
        (b'{"rtin": "\xff"}', "byte 10", "UTF-8"),
        ("{}".encode("utf-16"), "byte 0", "UTF-8"),
        ("", "line 1 column 1", "valid JSON"),
        ("  \n ", "line 2 column 2", "valid JSON"),
        ("{", "line 1 column 2", "valid JSON"),
        ('{\n  "rtin": "x"\n  "reqtyp": "y"}', "line 3 column 3", "valid JSON"),
        ("{'rtin': 'x'}", "line 1 column 2", "valid JSON"),
        ('{"rtin": "x"} {}', "line 1 column 15", "valid JSON"),
        ('{"rtin": "a\nb"}', "line 1 column 12", "valid JSON"),
        ('{"rtin": NaN}', "(top)", "valid JSON"),
        ('{"rtin": Infinity}', "(top)", "valid JSON"),
        ('{"rtin": -Infinity}', "(top)", "valid JSON"),
        ("[" * 100_000, "(top)", "valid JSON"),
        ('{"a":' * 100_000, "(top)", "valid JSON"),
        ('{"rtin": ' + "1" * 5000 + "}", "(top)", "valid JSON"),
        ("[]", "(top)", "an object"),
        ("null", "(top)", "an object"),
        ('"RESET"', "(top)", "an object"),
        ("12", "(top)", "an object"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_not_a_json_object_is_refused_with_its_place(raw: str | bytes, place: str, rule: str):
    [fault] = faults_of(raw)
    assert fault.place == place
    assert rule in fault.rule


@pytest.mark.parametrize("source", [None, [], 5, [("rtin", RTIN)], object()])
def test_what_is_neither_an_object_nor_text_is_refused(source: Any):
    assert places_of(source) == ["(top)"]


@pytest.mark.parametrize("key", ["rtin", "b2b", "val"])
def test_a_key_that_stands_twice_in_one_object_is_refused(key: str):
    text = json.dumps(request(b2b=[document()]))
    twice = re.sub(f'("{key}": )', r"\g<1>null, \g<1>", text, count=1)
    [fault] = faults_of(twice)
    assert fault.place == key
    assert "twice" in fault.rule


def test_numbers_in_json_text_are_read_exactly():
    text = json.dumps(request(b2b=[document(val=0)])).replace('"val": 0', '"val": 9999999999999.99')
    assert b'"val":9999999999999.99,' in ResetPayload.parse(text).body()


@pytest.mark.parametrize(("written", "sent"), [("1e3", "1000"), ("1.5E2", "150"), ("1000.50", "1000.50"), ("-0", "0")])
def test_an_amount_in_json_text_is_sent_without_exponent_or_sign(written: str, sent: str):
    text = json.dumps(request(b2b=[document(val=0)])).replace('"val": 0', f'"val": {written}')
    assert f'"val":{sent},'.encode() in ResetPayload.parse(text).body()


def test_a_lone_surrogate_in_text_is_a_fault_like_any_other():
    assert places_of(json.dumps(request(b2b=[document(inum="\ud800")]))) == ["invdata.b2b[0].inum"]
