from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.server import SimulatorServer

RESET = "/enriched/gstn/v1.0/ims-invoice-status-reset"
DOWNLOAD = "/enriched/gstn/v1.0/ims-invoices"
AUTHENTICATE = "/basic/gstn/v3.0/taxpayerapi/v0.2/authenticate"
NO_ERROR = {"error": None, "info": None, "additionalInfo": None, "alert": None}
LOGIN = {"handle": "sandbox@example.com", "handleType": "email", "password": "simulator-password"}


@pytest.fixture
def gst(sim: SimulatorServer) -> Gst:
    return sim.gst


@pytest.fixture
def headers(client: requests.Session, gst: Gst, rtin: str) -> dict[str, str]:
    token = client.post("/theodore/apis/v1/authtokens", json=LOGIN).json()["data"]["token"]
    return {
        "X-FLYNN-N-ORG-ID": gst.options.org_id,
        "X-FLYNN-N-USER-TOKEN": token,
        "X-FLYNN-N-GSTN-GSP-CODE": "vay",
        "X-FLYNN-N-GSTIN": rtin,
    }


@pytest.fixture
def body(record: Callable[..., Any], payload: Callable[..., Any]) -> dict[str, Any]:
    built: dict[str, Any] = payload(b2b=[record()])
    return built


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


def test_the_whole_way(client: requests.Session, gst: Gst, rtin: str, headers: dict[str, str], body: dict[str, Any]):
    otp_request = {"gstin": rtin, "username": "taxpayer"}
    reply = client.post(AUTHENTICATE, json=otp_request, headers=headers | {"action": "OTPREQUEST"}).json()
    otp = client.get(f"/admin/otp/{rtin}").json()["otp"]
    verify = reply["data"] | {"otp": otp}
    reply = client.post(AUTHENTICATE, json=verify, headers=headers | {"action": "AUTHTOKEN"}).json()
    assert reply == {"status": "1", "data": {"gst-session-id": reply["data"]["gst-session-id"]}, **NO_ERROR}

    reply = client.put(RESET, json=body, headers=headers).json()
    task_id = reply["data"]["task-id"]
    assert reply == {"status": "1", "data": {"task-id": task_id}, **NO_ERROR}
    reading = without(without(headers, "X-FLYNN-N-GSTIN"), "X-FLYNN-N-GSTN-GSP-CODE")
    assert client.get(f"/enriched/tasks/v1.0/result/{task_id}", headers=reading).status_code == 400
    client.post("/admin/clock", json={"advance_seconds": 3})
    status = client.get(f"/enriched/tasks/v1.0/status/{task_id}", headers=reading).json()
    assert status["data"]["status"] == "completed"
    result = client.get(f"/enriched/tasks/v1.0/result/{task_id}", headers=reading).json()
    assert (result["status"], result["data"]["status_cd"]) == ("1", "P")

    bearer = {"Authorization": f"Bearer {headers['X-FLYNN-N-USER-TOKEN']}"}
    fresh = client.put("/theodore/apis/v1/authtokens", headers=bearer).json()["data"]["token"]
    assert client.post("/theodore/apis/v1/logout", headers=bearer).status_code == 403
    assert client.post("/theodore/apis/v1/logout", headers={"Authorization": f"Bearer {fresh}"}).content == b""
    counters = client.get("/admin/counters").json()
    assert (counters["resets"], counters["result_calls"], counters["status_calls"]) == (1, 2, 1)
    assert (counters["logins"], counters["refreshes"], counters["logouts"]) == (1, 1, 1)


def test_both_error_envelopes(client: requests.Session, headers: dict[str, str]):
    error = {"message": "err-invalid-org", "type": "Authorization", "args": {}}
    reply = client.get("/authenticate", headers=without(headers, "X-FLYNN-N-ORG-ID"))
    assert (reply.status_code, reply.json()) == (403, {"error": error})
    reply = client.get("/enriched/tasks/v1.0/status/x", headers=without(headers, "X-FLYNN-N-ORG-ID"))
    assert (reply.status_code, reply.json()) == (403, {"status": "0", "data": None, **NO_ERROR, "error": error})


def test_signs_of_life(client: requests.Session, headers: dict[str, str]):
    assert client.get("/ping").status_code == 200
    assert client.get("/theodore/apis/health").status_code == 200
    assert client.get("/authenticate").status_code == 403
    assert client.get("/authenticate", headers=headers).json() == {"data": {"message": "pong"}}


def test_faults_of_the_reset_call(client: requests.Session, gst: Gst, headers: dict[str, str], body: dict[str, Any]):
    def put(headers: dict[str, str] = headers, **content: Any) -> tuple[int, str]:
        reply = client.put(RESET, headers=headers, **(content or {"json": body}))
        assert reply.json()["status"] == "0"
        return reply.status_code, reply.json()["error"]["message"]

    as_json = headers | {"Content-Type": "application/json"}
    assert put(without(headers, "X-FLYNN-N-USER-TOKEN")) == (403, "err-invalid-token")
    assert put(without(headers, "X-FLYNN-N-GSTN-GSP-CODE")) == (400, "err-invalid-request-params")
    assert put(without(headers, "X-FLYNN-N-GSTIN")) == (400, "err-invalid-gstin-format")
    assert put(headers | {"X-FLYNN-N-GSTIN": "24MAYAS0100J1JD"}) == (400, "err-invalid-gstin")
    assert put(data=json.dumps(body)) == (400, "err-content-type-not-set-correctly")
    assert put(headers | {"Accept": "text/html"}) == (400, "err-content-type-not-set-correctly")
    assert put(as_json, data=b"{") == (400, "err-invalid-request-params")
    assert put(as_json, data=b'{"rtin": NaN}') == (400, "err-invalid-request-params")
    assert put() == (502, "err-gstn-returned")
    gst.options.max_body_bytes = 100
    assert put() == (413, "err-request-too-large")
    assert client.get("/admin/counters").json()["resets"] == 0


def test_amounts_are_seen_as_they_were_written(
    client: requests.Session, gst: Gst, rtin: str, headers: dict[str, str], body: dict[str, Any]
):
    gst.open_session(rtin)
    gst.options.task_seconds = 0
    for written, status in (("1000.10", "P"), ("0.30000000000000004", "ER")):
        text = json.dumps(body).replace('"val": 10', f'"val": {written}')
        reply = client.put(RESET, data=text, headers=headers | {"Content-Type": "application/json"})
        task_id = reply.json()["data"]["task-id"]
        result = client.get(f"/enriched/tasks/v1.0/result/{task_id}", headers=headers).json()
        assert result["data"]["status_cd"] == status


def test_an_error_result_comes_with_http_200(
    client: requests.Session, gst: Gst, rtin: str, headers: dict[str, str], body: dict[str, Any]
):
    gst.open_session(rtin)
    plan = {"error": {"message": "err-gstn-returned", "type": "Gstn", "args": {}}, "task_seconds": 0}
    assert client.post("/admin/next-task", json=plan).status_code == 204
    task_id = client.put(RESET, json=body, headers=headers).json()["data"]["task-id"]
    reply = client.get(f"/enriched/tasks/v1.0/result/{task_id}", headers=headers)
    assert reply.status_code == 200
    assert (reply.json()["status"], reply.json()["error"]) == ("0", plan["error"])


def test_a_download(client: requests.Session, gst: Gst, rtin: str, headers: dict[str, str], body: dict[str, Any]):
    gst.open_session(rtin)
    gst.options.task_seconds = 0
    text = json.dumps(body).replace('"val": 10', '"val": 1000.10')
    client.put(RESET, data=text, headers=headers | {"Content-Type": "application/json"})
    reply = client.get(DOWNLOAD, params={"section": "B2B", "status": "N"}, headers=headers).json()
    task_id = reply["data"]["task-id"]
    assert reply == {"status": "1", "data": {"task-id": task_id}, **NO_ERROR}

    reading = without(without(headers, "X-FLYNN-N-GSTIN"), "X-FLYNN-N-GSTN-GSP-CODE")
    route = f"/enriched/tasks/v1.0/result/{task_id}"
    assert client.get(route, headers=reading).json() == {"status": "1", "data": {"pages": 1}, **NO_ERROR}
    page = client.get(f"{route}/page/0", headers=reading).json()
    [record] = page["data"]["b2b"]
    assert page == {"status": "1", "data": {"b2b": [record]}, **NO_ERROR}
    assert (record["inum"], record["val"], record["action"]) == ("INV-1", 1000.1, "N")
    for number in ("1", "-1", "first"):
        reply = client.get(f"{route}/page/{number}", headers=reading)
        assert (reply.status_code, reply.json()["error"]["message"]) == (404, "err-resource-not-found")
    counters = client.get("/admin/counters").json()
    assert (counters["downloads"], counters["download_calls"], counters["page_calls"]) == (1, 1, 4)
    assert (counters["resets"], counters["result_calls"]) == (1, 1)


def test_an_empty_download_may_be_an_error_with_http_200(
    client: requests.Session, gst: Gst, rtin: str, headers: dict[str, str]
):
    gst.open_session(rtin)
    client.post("/admin/options", json={"task_seconds": 0, "empty_download": "error"})
    task_id = client.get(DOWNLOAD, params={"section": "CN"}, headers=headers).json()["data"]["task-id"]
    reply = client.get(f"/enriched/tasks/v1.0/result/{task_id}", headers=headers)
    assert (reply.status_code, reply.json()["status"], reply.json()["data"]) == (200, "0", None)
    assert reply.json()["error"]["args"]["gstn-err"]["code"] == "RET11416"


def test_faults_of_the_download_call(client: requests.Session, gst: Gst, headers: dict[str, str]):
    def get(headers: dict[str, str] = headers, **wanted: str) -> tuple[int, str]:
        reply = client.get(DOWNLOAD, headers=headers, params=wanted or {"section": "B2B"})
        assert reply.json()["status"] == "0"
        return reply.status_code, reply.json()["error"]["message"]

    assert get(without(headers, "X-FLYNN-N-ORG-ID")) == (403, "err-invalid-org")
    assert get(without(headers, "X-FLYNN-N-USER-TOKEN")) == (403, "err-invalid-token")
    assert get(without(headers, "X-FLYNN-N-GSTN-GSP-CODE")) == (400, "err-invalid-request-params")
    assert get(without(headers, "X-FLYNN-N-GSTIN")) == (400, "err-invalid-gstin-format")
    assert get(headers | {"Accept": "application/zip"}) == (400, "err-content-type-not-set-correctly")
    assert get(status="A") == (400, "err-invalid-request-params")
    assert get(section="B2C") == (400, "err-invalid-request-params")
    assert get() == (502, "err-gstn-returned")
    counters = gst.counters()
    assert (counters["downloads"], counters["download_calls"]) == (0, 8)


def test_the_gstin_header_can_be_renamed(
    client: requests.Session, gst: Gst, rtin: str, headers: dict[str, str], body: dict[str, Any]
):
    gst.open_session(rtin)
    gst.options.gstin_header = "X-FLYNN-N-GSTN-GSTIN"
    assert client.put(RESET, json=body, headers=headers).status_code == 400
    renamed = without(headers, "X-FLYNN-N-GSTIN") | {"X-FLYNN-N-GSTN-GSTIN": rtin}
    assert client.put(RESET, json=body, headers=renamed).status_code == 200


def test_unknown_routes(client: requests.Session):
    reply = client.get("/enriched/gstn/v2.0/ims-invoice-status-reset")
    assert (reply.status_code, reply.json()["error"]["message"]) == (404, "err-resource-not-found")
    assert client.get(RESET).status_code == 405
