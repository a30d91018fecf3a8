"""Which action GSTN holds for each document, read from the pages of a download."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ims.models.download import actions_of
from airflow_provider_ims.models.payload import DocumentKey
from tests.unit.builders import SECTIONS, STIN, document, payload


def record(number: Any = "INV-1", action: Any = "N", field: str = "inum", **changes: Any) -> dict[str, Any]:
    """A document as a download has it."""
    return {"stin": STIN, field: number, "rtnprd": "012023", "action": action, "srcfilstatus": "Filed", **changes}


def key(section: str = "b2b", number: str = "INV-1") -> DocumentKey:
    return DocumentKey(section, STIN, number, "012023")


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("field", ["inum", "nt_num"])
def test_a_document_of_any_section_is_found_by_the_key_of_the_request(section, field):
    request = payload(**{section: [document(section)]})
    [(sent, held)] = request.documents()
    assert actions_of([{section: [record(held.number, "A", field)]}]) == {sent: "A"}


@pytest.mark.parametrize(
    ("theirs", "ours"), [("dn", "b2bdn"), ("dna", "b2bdna"), ("cn", "b2bcn"), ("cna", "b2bcna"), ("B2B", "b2b")]
)
def test_a_section_may_go_by_gstns_other_name(theirs, ours):
    assert actions_of([{theirs: [record()]}]) == {key(ours): "N"}


def test_the_number_of_a_note_may_stand_under_either_name():
    page = {"b2bcn": [record("CN-1", "A", "nt_num"), record("CN-2", "R", "inum"), record("CN-3", "P", inum="")]}
    page["b2bcn"][2]["nt_num"] = "CN-3"
    assert actions_of([page]) == {key("b2bcn", "CN-1"): "A", key("b2bcn", "CN-2"): "R", key("b2bcn", "CN-3"): "P"}


def test_letter_case_and_blanks_at_the_ends_do_not_tell_documents_apart():
    assert actions_of([{"b2b": [record(" inv-1 ", stin=STIN.lower())]}]) == {key(): "N"}


def test_documents_are_gathered_from_all_pages():
    pages = [{"b2b": [record("1", "N"), record("2", "A")]}, {}, {"b2b": [record("3", "R")], "ecom": [record("1", "P")]}]
    assert actions_of(iter(pages)) == {
        key(number="1"): "N",
        key(number="2"): "A",
        key(number="3"): "R",
        key("ecom", "1"): "P",
    }


@pytest.mark.parametrize("action", [None, ""])
def test_a_document_without_an_action_is_listed_but_not_at_no_action(action):
    assert actions_of([{"b2b": [record(action=action)]}]) == {key(): ""}


def test_a_word_that_nobody_knows_is_kept_as_it_is():
    assert actions_of([{"b2b": [record(action="X")]}]) == {key(): "X"}


RUBBISH: list[dict[str, Any]] = [
    {"b2b": None},
    {"b2b": "INV-1"},
    {"b2b": record()},
    {"b2b": [None, "INV-1", 5, [record()]]},
    {"b2b": [{}]},
    {"b2b": [record(number=5)]},
    {"b2b": [record(number=None)]},
    {"b2b": [record(number="")]},
    {"b2b": [record(stin=None)]},
    {"b2b": [record(stin=["24"])]},
    {"b2b": [record(rtnprd=12023)]},
    {"num_pages": 3, "status": "1"},
]


@pytest.mark.parametrize("page", RUBBISH)
def test_what_is_no_document_is_passed_over_and_costs_no_other(page):
    assert actions_of([page]) == {}
    assert actions_of([page, {"b2b": [record("INV-7", "A")]}]) == {key(number="INV-7"): "A"}
    assert actions_of([{**page, "ecom": [record()]}]) == {key("ecom"): "N"}
