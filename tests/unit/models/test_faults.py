"""What a user is told about a request that is not valid."""

from __future__ import annotations

import pytest

from airflow_provider_ims.models import InvalidPayload, ResetPayload
from tests.unit.builders import (
    document,
    places_of,
    request,
)


def test_all_faults_are_told_at_once_with_their_places():
    broken = request(
        rtin="27AAPFU0939F1Z",
        reqtyp="SAVE",
        b2b=[
            document(),
            document(inum="2", val="1000"),
            document(inum="3", pos="7", hash="00"),
            document(inum="4", idt="29-02-2023", rtnprd="132023"),
        ],
        b2bcn=[document("b2bcn", nt_num=""), "NOTE-2"],
        ecom=[document("ecom", inv_typ="R")],
        impg=[],
    )
    broken["extra"] = 1
    del broken["invdata"]["b2b"][0]["cess"]
    places = places_of(broken)
    assert sorted(places) == [
        "extra",
        "invdata.b2b[0].cess",
        "invdata.b2b[1].val",
        "invdata.b2b[2].hash",
        "invdata.b2b[2].pos",
        "invdata.b2b[3].idt",
        "invdata.b2b[3].rtnprd",
        "invdata.b2bcn[0].nt_num",
        "invdata.b2bcn[1]",
        "invdata.ecom[0].inv_typ",
        "invdata.impg",
        "reqtyp",
        "rtin",
    ]


def test_faults_of_a_document_and_between_documents_come_together():
    broken = request(b2b=[document(), document(), document(inum="3", pos="7"), document(inum="4", prev_status="N")])
    assert set(places_of(broken)) == {"invdata.b2b[1]", "invdata.b2b[2].pos", "invdata.b2b[3].prev_status"}


def test_the_message_counts_the_faults_and_names_each_with_its_value_and_rule():
    with pytest.raises(InvalidPayload) as caught:
        ResetPayload.parse(request(b2b=[document(idt="2023-01-23", pos=7)]))
    text = str(caught.value)
    assert "2 faults; nothing was sent" in text
    assert "invdata.b2b[0].idt: '2023-01-23' - a real date as DD-MM-YYYY" in text
    assert "invdata.b2b[0].pos: 7 - " in text
    assert isinstance(caught.value, ValueError)


def test_a_single_fault_is_counted_as_one():
    with pytest.raises(InvalidPayload, match="has 1 fault;"):
        ResetPayload.parse(request(b2b=[document(pos="7")]))


def test_a_message_of_many_faults_stays_readable_and_none_is_lost():
    with pytest.raises(InvalidPayload) as caught:
        ResetPayload.parse(request(b2b=[document(inum=str(n + 1), pos="7") for n in range(60)]))
    lines = str(caught.value).splitlines()
    assert len(caught.value.faults) == 60
    assert len(lines) == 52
    assert lines[-1].strip() == "... and 10 more"


def test_a_message_of_exactly_fifty_faults_is_whole():
    with pytest.raises(InvalidPayload) as caught:
        ResetPayload.parse(request(b2b=[document(inum=str(n + 1), pos="7") for n in range(50)]))
    assert len(str(caught.value).splitlines()) == 51
    assert "more" not in str(caught.value)


def test_a_long_value_is_cut_in_the_message_and_whole_in_the_fault():
    number = "X" * 5000
    with pytest.raises(InvalidPayload) as caught:
        ResetPayload.parse(request(b2b=[document(inum=number)]))
    assert "X" * 56 + "..." in str(caught.value)
    assert "X" * 57 not in str(caught.value)
    assert caught.value.faults[0].value == number
