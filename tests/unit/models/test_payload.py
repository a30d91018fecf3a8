"""A reset request as a whole: what is sent, and what is refused with which place."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.models.document_key import DocumentKey
from tests.unit.builders import (
    COMMON,
    FIELDS,
    NUMBER_FIELD,
    OTHER_STIN,
    SECTIONS,
    STIN,
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


@pytest.mark.parametrize(
    "change", [{"stin": OTHER_STIN}, {"inum": "INV-2"}, {"rtnprd": "022023"}, {"inum": "INV-01"}, {"idt": "05-04-2023"}]
)
def test_documents_that_differ_in_supplier_number_date_or_period_are_two(change: dict[str, str]):
    assert faults_of(request(b2b=[document(), document(**change)])) == []


@pytest.mark.parametrize("section", SECTIONS)
def test_a_number_that_was_given_again_in_the_new_financial_year_is_another_document(section: str):
    date = "nt_dt" if "nt_dt" in FIELDS[section] else "idt"
    twins = [document(section, rtnprd="042025", **{date: day}) for day in ("20-03-2025", "05-04-2025")]
    whole = payload(**{section: twins})
    first, second = (key for key, _ in whole.documents())
    assert (first.date, second.date) == ("20-03-2025", "05-04-2025")
    assert json.loads(whole.only([second]).body())["invdata"] == {section: twins[1:]}


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


class TestSomeOfTheDocuments:
    def test_keep_their_order_and_their_sections(self):
        whole = payload(ecom=[document("ecom")], b2b=numbered("b2b", "3", "1", "2"), b2bcn=[document("b2bcn")])
        keys = {key for key, _ in whole.documents() if key.number in {"2", "3"} or key.section == "ecom"}
        assert json.loads(whole.only(keys).body())["invdata"] == {
            "b2b": numbered("b2b", "3", "2"),
            "ecom": [document("ecom")],
        }

    def test_are_a_request_of_the_same_gstin_that_is_valid_by_itself(self):
        whole = payload(b2b=numbered("b2b", "1", "2"))
        some = whole.only([key for key, _ in whole.documents() if key.number == "1"])
        assert some.rtin == whole.rtin
        assert ResetPayload.parse(some).body() == payload(b2b=numbered("b2b", "1")).body()

    def test_are_all_of_them_if_all_are_named(self):
        whole = ResetPayload.parse(request_of_all_sections())
        assert whole.only({key for key, _ in whole.documents()}).body() == whole.body()

    def test_leave_the_whole_as_it_was(self):
        whole = payload(b2b=numbered("b2b", "1", "2"))
        whole.only([DocumentKey("b2b", STIN, "1", "23-01-2023", "012023")])
        assert whole.counts() == {"b2b": 2}

    def test_are_none_of_those_that_only_have_the_same_number(self):
        others = [{"stin": OTHER_STIN}, {"rtnprd": "022023"}, {"idt": "05-01-2023"}]
        twins = [document(inum="1"), *(document(inum="1", **other) for other in others)]
        whole = payload(b2b=twins, ecom=numbered("ecom", "1"))
        some = whole.only([DocumentKey("b2b", STIN, "1", "23-01-2023", "012023")])
        assert json.loads(some.body())["invdata"] == {"b2b": twins[:1]}

    def test_pass_over_what_the_request_does_not_hold(self):
        whole = payload(b2b=numbered("b2b", "1", "2"))
        stranger = DocumentKey("b2b", STIN, "9", "23-01-2023", "012023")
        assert whole.only([stranger, DocumentKey("b2b", STIN, "1", "23-01-2023", "012023")]).counts() == {"b2b": 1}


def test_periods_are_told_once_each_in_the_order_of_time():
    several = payload(
        b2b=[
            document(inum=str(index), rtnprd=period) for index, period in enumerate(["032024", "122023", "032024"], 1)
        ],
        b2bcn=[document("b2bcn", rtnprd="012024")],
    )
    assert several.periods() == ["122023", "012024", "032024"]


class TestTheFingerprint:
    @settings(max_examples=40, deadline=None)
    @given(order=st.permutations(range(4)), sections=st.permutations(SECTIONS))
    def test_is_the_same_in_any_order(self, order: list[int], sections: list[str]):
        documents = {section: numbered(section, "1", "2", "3", "4") for section in SECTIONS}
        shuffled = {section: [documents[section][place] for place in order] for section in sections}
        assert payload(**shuffled).fingerprint() == payload(**documents).fingerprint()

    @pytest.mark.parametrize("val", [1180.0, Decimal("1180.00"), Decimal("1.18E3")])
    def test_is_the_same_however_an_amount_is_written(self, val: Any):
        assert payload(b2b=[document(val=val)]).fingerprint() == payload(b2b=[document(val=1180)]).fingerprint()

    @pytest.mark.parametrize("section", SECTIONS)
    def test_differs_by_every_field(self, section: str):
        others = {
            **{"stin": OTHER_STIN, "rtnprd": "022023", "srcform": "R1A", "pos": "25", "prev_status": "R"},
            **{"val": 1180.01, "txval": 1000.01, "iamt": 180.01, "camt": 0.01, "samt": 0.01, "cess": 0.01},
            **{"inum": "INV-9", "oinum": "INV-9", "nt_num": "NOTE-9", "ont_num": "NOTE-9", "inv_typ": "DE"},
            **dict.fromkeys(["idt", "oidt", "nt_dt", "ont_dt"], "24-01-2023"),
        }
        changed = [document(section, **{field: others[field]}) for field in FIELDS[section]]
        prints = {payload(**{section: [each]}).fingerprint() for each in [document(section), *changed]}
        assert len(prints) == 1 + len(FIELDS[section])

    def test_differs_by_section_gstin_and_number_of_documents(self):
        prints = {
            payload(b2bdn=[document("b2bdn")]).fingerprint(),
            payload(b2bcn=[document("b2bcn")]).fingerprint(),
            payload(b2bcn=[document("b2bcn")], b2bdn=[document("b2bdn")]).fingerprint(),
            payload(b2bcn=numbered("b2bcn", "NOTE-1", "NOTE-2")).fingerprint(),
            ResetPayload.parse(request(OTHER_STIN, b2bcn=[document("b2bcn")])).fingerprint(),
        }
        assert len(prints) == 5

    def test_of_a_part_is_not_that_of_the_whole(self):
        whole = payload(b2b=numbered("b2b", "1", "2"))
        part = whole.only([key for key, _ in whole.documents()][:1])
        assert part.fingerprint() != whole.fingerprint()
        assert part.fingerprint() == payload(b2b=numbered("b2b", "1")).fingerprint()
