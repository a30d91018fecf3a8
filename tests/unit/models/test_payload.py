"""A reset request as a whole: what is sent, and what is refused with which place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_ims.models import ResetPayload
from tests.unit.builders import (
    COMMON,
    FIELDS,
    NUMBER_FIELD,
    OTHER_STIN,
    SECTIONS,
    document,
    faults_of,
    numbered,
    payload,
    places_of,
    request,
    request_of_all_sections,
)


def test_the_sample_of_the_documentation_is_sent_as_it_stands(sample: dict):
    body = ResetPayload.parse(sample).body()
    assert json.loads(body) == sample


def test_the_body_is_compact_utf8_json(sample: dict):
    body = ResetPayload.parse(sample).body()
    assert body == json.dumps(json.loads(body), separators=(",", ":")).encode("utf-8")


def test_a_request_reads_the_same_from_a_dict_text_bytes_or_a_checked_request(sample: dict):
    text = json.dumps(sample)
    checked = ResetPayload.parse(sample)
    for source in (text, text.encode(), bytearray(text.encode()), json.dumps(sample, indent=4), checked):
        assert ResetPayload.parse(source).body() == checked.body()


def test_the_body_does_not_depend_on_the_order_of_the_keys(sample: dict):
    def backwards(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: backwards(value[key]) for key in reversed(value)}
        return [backwards(item) for item in value] if isinstance(value, list) else value

    assert ResetPayload.parse(backwards(sample)).body() == ResetPayload.parse(sample).body()


def test_documents_stay_in_the_order_that_was_given():
    ordered = payload(b2b=numbered("b2b", "9", "1", "5"))
    assert [entry["inum"] for entry in json.loads(ordered.body())["invdata"]["b2b"]] == ["9", "1", "5"]
    assert [key.number for key, _ in ordered.documents()] == ["9", "1", "5"]


def test_a_request_counts_its_documents_by_section(sample: dict):
    assert ResetPayload.parse(sample).counts() == dict.fromkeys(SECTIONS, 1)
    assert ResetPayload.parse(sample).count() == 8
    assert payload(b2b=numbered("b2b", "1", "2"), ecom=[document("ecom")]).counts() == {"b2b": 2, "ecom": 1}


def test_parsing_leaves_the_input_as_it_was(sample: dict):
    before = json.dumps(sample)
    ResetPayload.parse(sample)
    assert json.dumps(sample) == before


@pytest.mark.parametrize("section", SECTIONS)
def test_the_same_document_twice_is_refused(section: str):
    [fault] = faults_of(request(**{section: [document(section), document(section, val=1)]}))
    assert fault.place == f"invdata.{section}[1]"
    assert f"invdata.{section}[0]" in fault.rule  # names the other one
    assert "INV-1" in str(fault.value) or "NOTE-1" in str(fault.value)


def test_the_same_document_three_times_is_told_twice():
    assert places_of(request(b2b=[document(), document(inum="2"), document(), document()])) == [
        "invdata.b2b[2]",
        "invdata.b2b[3]",
    ]


def test_letter_case_does_not_tell_documents_apart():
    assert places_of(request(b2b=numbered("b2b", "inv-1", "INV-1"))) == ["invdata.b2b[1]"]
    entries = [document(stin="24AAQCA8719H1ZC"), document(stin="24AAQCA8719H1zc")]
    assert places_of(request(b2b=entries)) == ["invdata.b2b[1]"]


@pytest.mark.parametrize("change", [{"stin": OTHER_STIN}, {"inum": "INV-2"}, {"rtnprd": "022023"}, {"inum": "INV-01"}])
def test_documents_that_differ_in_supplier_number_or_period_are_two(change: dict[str, str]):
    assert faults_of(request(b2b=[document(), document(**change)])) == []


def test_the_same_number_in_two_sections_is_no_duplicate():
    assert faults_of(request(b2b=[document("b2b")], b2ba=[document("b2ba")], ecom=[document("ecom")])) == []
    assert faults_of(request(b2bdn=[document("b2bdn")], b2bcn=[document("b2bcn")])) == []


@pytest.mark.parametrize("section", ["b2ba", "b2bdna", "b2bcna", "ecoma"])
def test_the_number_of_the_original_does_not_tell_amendments_apart(section: str):
    original = "oinum" if "oinum" in FIELDS[section] else "ont_num"
    entries = [document(section), document(section, **{original: "ANOTHER"})]
    assert places_of(request(**{section: entries})) == [f"invdata.{section}[1]"]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_document_without_an_action_is_refused_unless_it_is_allowed(section: str):
    source = request(**{section: [document(section, prev_status="N")]})
    [fault] = faults_of(source)
    assert fault.place == f"invdata.{section}[0].prev_status"
    assert "allow_no_action" in fault.rule
    assert faults_of(source, allow_no_action=True) == []
    assert b'"prev_status":"N"' in ResetPayload.parse(source, allow_no_action=True).body()


@pytest.mark.parametrize("sections", [{}, {"b2b": []}, {section: [] for section in SECTIONS}])
def test_a_request_without_documents_is_refused(sections: dict[str, list]):
    [fault] = faults_of(request(**sections))
    assert fault.place == "invdata"
    assert "at least one document" in fault.rule


def test_empty_sections_are_left_out_of_the_body():
    checked = payload(b2b=[], ecom=[document("ecom")], b2bcn=[])
    assert list(json.loads(checked.body())["invdata"]) == ["ecom"]
    assert checked.counts() == {"ecom": 1}


def test_gstins_with_a_wrong_check_digit_are_told_once_each_and_sent(sample: dict):
    doubts = ResetPayload.parse(sample).doubtful_gstins()
    assert [(doubt.place, doubt.value) for doubt in doubts] == [
        ("rtin", "20MAYAS0100J1ZX"),
        ("invdata.b2b[0].stin", "24MAYAS0100J1JD"),
    ]
    assert "check digit is E" in str(doubts[0])
    assert "check digit is 2" in str(doubts[1])


def test_gstins_with_the_right_check_digit_raise_no_doubt():
    assert ResetPayload.parse(request_of_all_sections()).doubtful_gstins() == []


def test_strict_refuses_a_wrong_check_digit(sample: dict):
    assert places_of(sample, strict_gstin=True) == ["rtin", "invdata.b2b[0].stin"]
    assert faults_of(request_of_all_sections(), strict_gstin=True) == []


def test_strict_applies_to_a_request_that_was_checked_before(sample: dict):
    assert places_of(ResetPayload.parse(sample), strict_gstin=True) == ["rtin", "invdata.b2b[0].stin"]


def test_a_body_is_about_as_large_as_the_contract_says():
    one = len(payload(b2b=[document()]).body())
    two = len(payload(b2b=numbered("b2b", "INV-1", "INV-2")).body())
    assert 180 <= two - one <= 240


def test_the_builders_fit_the_tables():
    assert all(set(COMMON) < set(document(section)) for section in SECTIONS)
    assert set(NUMBER_FIELD.values()) == {"inum", "nt_num"}
