from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.ims import schema_fault
from airflow_provider_ims.simulator.options import Document
from airflow_provider_ims.simulator.records import download_record

Build = Callable[..., dict[str, Any]]
SECTIONS = ("b2b", "b2ba", "b2bdn", "b2bdna", "b2bcn", "b2bcna", "ecom", "ecoma")
STIN = "24MAYAS0100J1JD"
ADDED = {"srcfilstatus", "ispendactblocked", "hash"}


@pytest.fixture
def document(rtin: str) -> Callable[..., Document]:
    def build(section: str = "b2b", number: str = "INV-1", **changes: Any) -> Document:
        fields = {"rtin": rtin, "section": section, "stin": STIN, "number": number, "rtnprd": "012023", "status": "A"}
        return Document.model_validate(fields | changes)

    return build


def as_sent(record: dict[str, Any]) -> Any:
    """The record of a reset that a client builds from that of a download."""
    kept = {name: value for name, value in record.items() if name not in ADDED | {"action"}}
    return json.loads(json.dumps(kept | {"prev_status": record["action"]}), parse_float=Decimal)


@pytest.mark.parametrize("section", SECTIONS)
def test_what_is_made_up_makes_a_good_reset(document: Callable[..., Document], payload: Build, section: str):
    records = [download_record(document(section, f"INV-{number}"), "A") for number in range(20)]
    assert all(set(record) > ADDED for record in records)
    assert schema_fault(payload(**{section: [as_sent(record) for record in records]})) is None


def test_what_is_made_up_is_always_the_same_and_differs_between_documents(document: Callable[..., Document]):
    first, again, other = (download_record(document(number=number), "A") for number in ("X", "X", "Y"))
    assert first == again
    assert (first["txval"], first["hash"]) != (other["txval"], other["hash"])
    assert re.fullmatch("[0-9a-f]{64}", first["hash"])
    assert (first["srcfilstatus"], first["ispendactblocked"]) == ("Filed", "N")


def test_the_hash_follows_the_contents_and_not_the_action(document: Callable[..., Document]):
    plain = download_record(document(), "A")
    assert download_record(document(status="N"), "N") == plain | {"action": "N"}
    assert download_record(document(record={"val": 1}), "A")["hash"] != plain["hash"]


def test_a_given_record_is_shown_and_completed(document: Callable[..., Document]):
    given = {"val": Decimal("1180.50"), "srcfilstatus": "Not Filed", "remarks": "seen"}
    plain = download_record(document(), "A")
    shown = download_record(document(record=given), "A")
    assert shown == plain | given | {"hash": shown["hash"]}


def test_a_given_record_changes_neither_identity_nor_action(document: Callable[..., Document]):
    wrong = {"stin": "x", "inum": "x", "rtnprd": "x", "action": "R", "prev_status": "R"}
    assert download_record(document(record=wrong), "P") == download_record(document(), "P")


@pytest.mark.parametrize("section", SECTIONS)
def test_the_record_of_the_first_reset_is_remembered(
    gst: Gst, run: Callable[..., Any], rtin: str, record: Build, payload: Build, section: str
):
    sent = record(section, val=Decimal("9999999999999.99"), srcform="IFF", pos="97", prev_status="R")
    assert run(payload(**{section: [sent]}))["status_cd"] == "P"
    changed = sent | {"val": 5, "prev_status": "N"}
    assert run(payload(**{section: [changed]}))["status_cd"] == "P"
    name = {"b2bdn": "DN", "b2bdna": "DNA", "b2bcn": "CN", "b2bcna": "CNA"}.get(section, section.upper())
    gst.options.task_seconds = 0
    task_id = gst.submit_download(gst.options.org_id, rtin, name, None)
    [shown] = gst.task_page(gst.options.org_id, task_id, "0")[section]
    assert as_sent(shown) == sent | {"prev_status": "N"}
    assert set(shown) == set(sent) - {"prev_status"} | ADDED | {"action"}
    assert isinstance(shown["val"], float), "which is written as a number"


def test_a_document_that_was_added_keeps_its_own_record(
    gst: Gst, run: Callable[..., Any], rtin: str, document: Callable[..., Document], record: Build, payload: Build
):
    gst.add_documents([document(record={"val": 7})])
    assert run(payload(b2b=[record(val=5)]))["status_cd"] == "P"
    gst.options.task_seconds = 0
    task_id = gst.submit_download(gst.options.org_id, rtin, "B2B", "N")
    assert gst.task_page(gst.options.org_id, task_id, "0")["b2b"][0]["val"] == 7
