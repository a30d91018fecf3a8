from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_ims.simulator.__main__ import add_documents
from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.server import SimulatorServer


@pytest.fixture
def gst(sim: SimulatorServer) -> Gst:
    return sim.gst


@pytest.mark.parametrize(
    ("route", "body", "place"),
    [
        ("options", {"task_second": 1}, "task_second: Extra"),
        ("options", {"task_seconds": "soon"}, "task_seconds: "),
        ("options", {"otp": "12345\n"}, "otp: "),
        ("faults", {"call": "login", "kind": "explode"}, "body.kind: "),
        ("faults", {"call": "login", "kind": "http", "wait": 1}, "body.wait: Extra"),
        ("next-task", {"seconds": 1}, "body.seconds: Extra"),
        ("next-task", {"kind": "download", "ip_results": 1}, "those of a reset"),
        ("options", {"first_page": 2}, "first_page: "),
        ("options", {"page_documents": 0}, "page_documents: "),
        ("documents", [{"rtin": "x"}], "body.0.section: Field required"),
        ("clock", {"advance_seconds": -1}, "body.advance_seconds: "),
        ("sessions", {}, "body.gstin: Field required"),
    ],
)
def test_a_wrong_body_is_refused_and_named(client: requests.Session, gst: Gst, route: str, body: Any, place: str):
    before = gst.options.model_copy()
    reply = client.post(f"/admin/{route}", json=body)
    assert reply.status_code == 422
    assert place in reply.json()["error"]["message"]
    assert gst.options == before


def test_options_change_while_it_runs(client: requests.Session, gst: Gst):
    options = gst.options
    reply = client.post("/admin/options", json={"task_seconds": 9, "api_access_off": ["20MAYAS0100J1ZX"]})
    assert reply.json()["task_seconds"] == 9
    assert "simulator-password" not in reply.text
    assert (options.task_seconds, options.api_access_off) == (9, {"20MAYAS0100J1ZX"})


def test_documents_and_sessions_show_in_the_state(client: requests.Session, rtin: str):
    document = {"rtin": rtin, "section": "b2b", "stin": "24MAYAS0100J1JD", "number": "A", "rtnprd": "012023"}
    client.post("/admin/documents", json=[document | {"status": "A"}])
    client.post("/admin/documents", json=[document | {"status": "R", "record": {"val": 5}}])
    client.post("/admin/sessions", json={"gstin": rtin})
    state = client.get("/admin/state").json()
    assert state["documents"] == [document | {"status": "R"}]
    assert state["sessions"][rtin]["live"]


def test_a_supplier_edits_and_withdraws_and_the_counts_show_it(client: requests.Session, rtin: str):
    name = {"rtin": rtin, "section": "b2b", "stin": "24MAYAS0100J1JD", "number": "A"}
    held = [name | {"rtnprd": "012023", "status": "R"}, name | {"number": "B", "rtnprd": "012023", "status": "A"}]
    client.post("/admin/documents", json=held)
    assert client.get("/admin/documents/counts").json()[rtin]["b2b"] == {"A": 1, "R": 1, "P": 0, "N": 0}
    assert client.post("/admin/documents/edit", json=name | {"record": {"val": 5}}).json() == {"documents": 1}
    assert client.post("/admin/documents/withdraw", json=name).json() == {"documents": 1}
    assert client.post("/admin/documents/withdraw", json=name).json() == {"documents": 0}
    assert client.get("/admin/documents/counts").json()[rtin]["b2b"] == {"A": 1, "R": 0, "P": 0, "N": 0}


@pytest.mark.parametrize("route", ["edit", "withdraw"])
def test_an_edit_of_nothing_is_refused_and_named(client: requests.Session, route: str):
    reply = client.post(f"/admin/documents/{route}", json={"rtin": "x"})
    assert reply.status_code == 422
    assert "section: Field required" in reply.json()["error"]["message"]


def test_documents_come_from_a_list_and_from_lines(tmp_path: Path, rtin: str):
    held = [
        {"rtin": rtin, "section": "b2b", "stin": "24MAYAS0100J1JD", "number": number, "rtnprd": "012023", "status": "R"}
        for number in "AB"
    ]
    files = {"held.json": json.dumps(held), "held.jsonl": "\n\n".join(map(json.dumps, held)) + "\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        gst = Gst()
        add_documents(gst, tmp_path / name)
        assert [document["number"] for document in gst.state()["documents"]] == ["A", "B"]


def test_reset_forgets_everything(client: requests.Session, gst: Gst, rtin: str):
    client.post("/admin/options", json={"otp": "111111"})
    client.post("/admin/sessions", json={"gstin": rtin})
    client.post("/admin/faults", json={"call": "ping", "kind": "http"})
    client.post("/admin/clock", json={"advance_seconds": 1e6})
    client.post("/admin/reset")
    assert gst.options.otp is None
    assert client.get("/ping").status_code == 200
    state = client.get("/admin/state").json()
    assert (state["documents"], state["sessions"], state["tasks"]) == ([], {}, [])
    assert client.get(f"/admin/otp/{rtin}").status_code == 404
