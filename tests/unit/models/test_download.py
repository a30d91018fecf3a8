"""Which action GSTN holds for each document, read from the pages of a download."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.models.download import actions_of
from tests.unit.builders import SECTIONS, STIN, document, payload

DATE, OTHER_DATE = "23-01-2023", "05-01-2023"


def record(number: Any = "INV-1", action: Any = "N", field: str = "inum", **changes: Any) -> dict[str, Any]:
    """A document as a download has it."""
    date = {"nt_num": "nt_dt"}.get(field, "idt")
    fields = {"stin": STIN, field: number, date: DATE, "rtnprd": "012023", "action": action, "srcfilstatus": "Filed"}
    return {**fields, **changes}


def key(section: str = "b2b", number: str = "INV-1", date: str = DATE) -> DocumentKey:
    return DocumentKey(section, STIN, number, date, "012023")


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


def test_documents_that_differ_in_their_date_alone_are_two():
    page = {"b2b": [record(action="N"), record(action="A", idt=OTHER_DATE)]}
    assert actions_of([page]) == {key(): "N", key(date=OTHER_DATE): "A"}


@pytest.mark.parametrize(("first", "second"), [("N", "N"), ("N", "A"), ("A", "N")])
def test_a_document_that_is_listed_twice_never_counts_as_no_action(first, second):
    for pages in ([{"b2b": [record(action=first), record(action=second)]}], [{"b2b": [record(action=first)]}] * 2):
        assert actions_of([*pages, {"b2b": [record("2", "N")]}]) == {key(): "", key(number="2"): "N"}


def test_a_note_that_is_listed_under_both_names_of_its_section_is_listed_twice():
    note = record("CN-1", "N", "nt_num")
    assert actions_of([{"cn": [note], "b2bcn": [note]}]) == {key("b2bcn", "CN-1"): ""}


@pytest.mark.parametrize("date", [None, "", 20230123, "2023-01-23", "30-02-2023", "23/01/2023"])
def test_a_record_without_a_readable_date_may_be_about_any_document_of_its_number(date):
    page = {"b2b": [record(action="N"), record(idt=date, action="N"), record("2", "N"), record("1", idt=date)]}
    assert actions_of([page]) == {key(): "", key(number="2"): "N"}


def test_the_fields_of_the_invoice_that_a_note_is_about_do_not_name_the_note():
    note = record("CN-1", "N", "nt_num", inum="INV-7", idt=OTHER_DATE)
    assert actions_of([{"b2bcn": [note]}]) == {key("b2bcn", "CN-1"): "N"}
