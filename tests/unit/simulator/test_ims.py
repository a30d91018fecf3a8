from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.ims import schema_fault

Build = Callable[..., dict[str, Any]]
Run = Callable[[dict[str, Any]], dict[str, Any]]
SECTIONS = ("b2b", "b2ba", "b2bdn", "b2bdna", "b2bcn", "b2bcna", "ecom", "ecoma")
STIN = "24MAYAS0100J1JD"


def statuses(gst: Gst) -> dict[str, str]:
    return {document["number"]: document["status"] for document in gst.state()["documents"]}


def test_a_good_record_of_each_section_passes(record: Build, payload: Build):
    assert schema_fault(payload(**{section: [record(section)] for section in SECTIONS})) is None


@pytest.mark.parametrize(
    "change",
    [
        {"extra": "x"},
        {"cess": None},
        {"stin": "24MAYAS0100J1JD\n"},
        {"inum": "A" * 17},
        {"inum": "0/-"},
        {"inum": 17},
        {"inum": "\u0967\u0968"},
        {"idt": "30-02-2023"},
        {"idt": "2023-02-01"},
        {"rtnprd": "132023"},
        {"srcform": "GSTR1A"},
        {"pos": "39"},
        {"pos": 24},
        {"inv_typ": "B2B"},
        {"prev_status": "a"},
        {"val": "10.00"},
        {"val": True},
        {"val": -1},
        {"val": Decimal("0.30000000000000004")},
        {"val": Decimal("10000000000000")},
        {"txval": Decimal("100000000000")},
    ],
)
def test_the_schema_refuses(record: Build, payload: Build, change: dict[str, Any]):
    assert (schema_fault(payload(b2b=[record(**change)])) or "").startswith("invdata.b2b[0]")


def test_the_schema_refuses_wrong_envelopes(record: Build, payload: Build):
    good = payload(b2b=[record()])
    assert schema_fault(good | {"action": "RESETIMS"})
    assert schema_fault(good | {"reqtyp": "SAVE"}) == "reqtyp"
    assert schema_fault(payload()) == "invdata"
    assert schema_fault(payload(b2c=[record()])) == "invdata"
    assert schema_fault(payload(ecom=[record("ecom", inv_typ="R")]))
    assert schema_fault([good])


def test_a_clean_reset(gst: Gst, run: Run, record: Build, payload: Build):
    result = run(payload(b2b=[record(number="A"), record(number="B", prev_status="R")]))
    assert result == {"status_cd": "P", "transTypCd": "SAV", "proc_cnt": "2", "err_cd": "", "err_msg": ""}
    assert statuses(gst) == {"A": "N", "B": "N"}


def test_a_partial_reset_reports_notes_under_gstn_keys(gst: Gst, run: Run, record: Build, payload: Build):
    held = {"rtin": payload()["rtin"], "stin": STIN, "rtnprd": "012023", "status": "P"}
    sections = {"b2b": "A", "b2bdn": "D", "b2bcna": "C"}
    gst.add_documents({**held, "section": section, "number": number} for section, number in sections.items())
    result = run(
        payload(
            b2b=[record(number="A"), record(number="NEW")],
            b2bdn=[record("b2bdn", "D")],
            b2bcna=[record("b2bcna", "C"), record("b2bcna", "C", prev_status="P")],
        )
    )
    assert (result["status_cd"], result["proc_cnt"], result["err_cnt"]) == ("PE", "2", "3")
    assert {key: rows[0]["inv"] for key, rows in result["error_report"].items()} == {
        "b2b": [{"rtnprd": "012023", "inum": "A"}],
        "dn": [{"rtnprd": "012023", "inum": "D"}],
        "cna": [{"rtnprd": "012023", "inum": "C"}],
    }
    assert result["error_report"]["dn"][0]["error_cd"] == "IMSSAV0010"
    assert statuses(gst) == {"A": "P", "NEW": "N", "D": "P", "C": "N"}


def test_report_keys_can_be_those_of_the_request(gst: Gst, run: Run, record: Build, payload: Build):
    gst.options.report_keys = "request"
    gst.options.strict_documents = True
    result = run(payload(b2bcn=[record("b2bcn")]))
    assert list(result["error_report"]) == ["b2bcn"]
    assert (result["status_cd"], result["proc_cnt"]) == ("PE", "0")


def test_a_second_reset_of_the_same_document_is_refused(run: Run, record: Build, payload: Build):
    body = payload(b2b=[record()])
    assert run(body)["status_cd"] == "P"
    assert run(body)["status_cd"] == "PE"


def test_a_schema_fault_fails_the_whole_request_in_its_result(gst: Gst, run: Run, record: Build, payload: Build):
    result = run(payload(b2b=[record(number="A"), record(number="B", pos="99")]))
    assert (result["status_cd"], result["err_cd"]) == ("ER", "IMSSAV005")
    assert "invdata.b2b[1].pos" in result["err_msg"]
    assert statuses(gst) == {}


def test_the_sample_of_the_api_page_passes(payload: Build, record: Build):
    text = json.dumps(payload(b2b=[record(val=1000.1)]))
    assert schema_fault(json.loads(text, parse_float=Decimal)) is None


def test_documents_that_differ_in_their_date_alone_are_two(gst: Gst, run: Run, record: Build, payload: Build):
    held = {"rtin": payload()["rtin"], "section": "b2b", "stin": STIN, "number": "A", "rtnprd": "012023"}
    gst.add_documents([held | {"date": "23-01-2023", "status": "A"}, held | {"date": "05-01-2023", "status": "R"}])
    both = [record(number="A"), record(number="A", idt="05-01-2023")]
    result = run(payload(b2b=both))
    assert (result["proc_cnt"], result["err_cnt"]) == ("1", "1")
    assert result["error_report"]["b2b"][0]["inv"] == [{"rtnprd": "012023", "inum": "A"}]  # which names no date
    dates = {document["date"]: document["status"] for document in gst.state()["documents"]}
    assert dates == {"23-01-2023": "N", "05-01-2023": "R"}


def test_a_document_without_a_date_takes_that_of_the_reset(gst: Gst, run: Run, record: Build, payload: Build):
    held = {"rtin": payload()["rtin"], "section": "b2b", "stin": STIN, "number": "A", "rtnprd": "012023"}
    gst.add_documents([held | {"status": "R"}])
    assert run(payload(b2b=[record(number="A")]))["status_cd"] == "PE"
    [document] = gst.state()["documents"]
    assert (document["date"], document["status"]) == ("23-01-2023", "R")
    gst.add_documents([held | {"status": "P"}])
    assert [document["status"] for document in gst.state()["documents"]] == ["P"]
