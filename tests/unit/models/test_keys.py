"""Which keys a reset request has and must have at each level."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.builders import (
    FIELDS,
    RTIN,
    SECTIONS,
    document,
    faults_of,
    places_of,
    request,
)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_a_section_is_required(section: str):
    for field in FIELDS[section]:
        entry = document(section)
        del entry[field]
        [fault] = faults_of(request(**{section: [entry]}))
        assert fault.place == f"invdata.{section}[0].{field}"
        assert fault.value is None
        assert "required" in fault.rule


@pytest.mark.parametrize("key", ["rtin", "reqtyp", "invdata"])
def test_every_key_of_the_request_is_required(key: str):
    incomplete = request(b2b=[document()])
    del incomplete[key]
    assert places_of(incomplete) == [key]


@pytest.mark.parametrize("section", ["ecom", "ecoma"])
@pytest.mark.parametrize("inv_typ", ["R", "", None])
def test_supplies_through_an_operator_have_no_invoice_type(section: str, inv_typ: Any):
    assert places_of(request(**{section: [document(section, inv_typ=inv_typ)]})) == [f"invdata.{section}[0].inv_typ"]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_refuses_fields_that_only_other_sections_have(section: str):
    every = {field for fields in FIELDS.values() for field in fields}
    for field in sorted(every - set(FIELDS[section])):
        foreign = document("b2ba").get(field) or document("b2bdna")[field]
        [fault] = faults_of(request(**{section: [document(section, **{field: foreign})]}))
        assert fault.place == f"invdata.{section}[0].{field}"
        assert "unknown field" in fault.rule


@pytest.mark.parametrize("key", ["action", "hash", "srcfilstatus", "ispendactblocked", "remarks", "Stin", "inum "])
def test_what_a_download_has_on_top_does_not_belong_into_a_reset(key: str):
    [fault] = faults_of(request(b2b=[document(), document(inum="2", **{key: "x"})]))
    assert fault.place == f"invdata.b2b[1].{key}"
    assert "b2b has" in fault.rule
    assert "inv_typ" in fault.rule  # tells which fields there are


@pytest.mark.parametrize("section", ["B2B", "dn", "cn", "impg", "isd", ""])
def test_an_unknown_section_is_refused(section: str):
    [fault] = faults_of(request(b2b=[document()], **{section: [document()]}))
    assert fault.place.rstrip(".") == f"invdata.{section}".rstrip(".")
    assert "b2bcna" in fault.rule  # tells which sections there are


def test_an_unknown_key_at_the_top_is_refused():
    [fault] = faults_of({**request(b2b=[document()]), "gstin": RTIN})
    assert fault.place == "gstin"


@pytest.mark.parametrize("entries", [{}, {"0": document()}, document(), "b2b", 1, True])
def test_a_section_is_a_list(entries: Any):
    [fault] = faults_of(request(b2b=entries, ecom=[document("ecom")]))
    assert fault.place == "invdata.b2b"
    assert fault.rule == "a list of documents"


@pytest.mark.parametrize("entry", [None, "INV-1", 1, [], [document()], True])
def test_a_document_is_an_object(entry: Any):
    [fault] = faults_of(request(b2b=[document(), entry]))
    assert fault.place == "invdata.b2b[1]"
    assert "object" in fault.rule


@pytest.mark.parametrize("invdata", [None, [], [document()], "b2b", 1])
def test_invdata_is_an_object(invdata: Any):
    assert places_of({"rtin": RTIN, "reqtyp": "RESET", "invdata": invdata}) == ["invdata"]
