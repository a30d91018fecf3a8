"""Calls told apart: which of them is disturbed, and for whom it is counted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import InjectedFault, NextTask
from airflow_provider_ims.simulator.server import SimulatorServer

LOGIN = {"handle": "sandbox@example.com", "handleType": "email", "password": "simulator-password"}
OTHER = "33MAYAS0100J1Z1"
RESET = "/enriched/gstn/v1.0/ims-invoice-status-reset"
DOWNLOAD = "/enriched/gstn/v1.0/ims-invoices?section=B2B"
TASKS = "/enriched/tasks/v1.0"


@pytest.fixture
def gst(sim: SimulatorServer, rtin: str) -> Gst:
    for gstin in (rtin, OTHER):
        sim.gst.open_session(gstin)
    sim.gst.options.task_seconds = 0
    return sim.gst


@pytest.fixture
def call(client: requests.Session, gst: Gst) -> Callable[..., requests.Response]:
    token = gst.login(LOGIN)["token"]
    common = {"X-FLYNN-N-ORG-ID": gst.options.org_id, "X-FLYNN-N-USER-TOKEN": token, "X-FLYNN-N-GSTN-GSP-CODE": "vay"}

    def send(method: str, path: str, gstin: str | None = None, **kwargs: Any) -> requests.Response:
        carried = {} if gstin is None else {gst.options.gstin_header: gstin}
        return client.request(method, path, headers=common | carried, **kwargs)

    return send


def downloaded(call: Callable[..., requests.Response], gstin: str) -> str:
    return str(call("GET", DOWNLOAD, gstin).json()["data"]["task-id"])


def test_download_and_page_calls_can_be_disturbed(gst: Gst, rtin: str, call: Callable[..., requests.Response]):
    gst.add_documents([{"rtin": rtin, "section": "b2b", "stin": "x", "number": "A", "rtnprd": "012023", "status": "A"}])
    gst.add_fault(InjectedFault(call="download", kind="http", status=429))
    gst.add_fault(InjectedFault(call="page", kind="http", status=503))
    assert call("GET", DOWNLOAD, rtin).status_code == 429
    result = f"{TASKS}/result/{downloaded(call, rtin)}"
    assert call("GET", result).status_code == 200
    assert call("GET", f"{result}/page/0").status_code == 503
    assert call("GET", f"{result}/page/0").status_code == 200


def test_the_task_service_has_a_download_that_is_another(gst: Gst, call: Callable[..., requests.Response]):
    gst.add_fault(InjectedFault(call="download", kind="http", status=429))
    assert call("GET", f"{TASKS}/download/x").status_code == 404
    assert gst.counters()["download_calls"] == 0


def test_a_fault_may_be_that_of_one_gstin(
    gst: Gst, rtin: str, call: Callable[..., requests.Response], payload: Callable[..., Any]
):
    mine, theirs = (f"{TASKS}/status/{downloaded(call, gstin)}" for gstin in (rtin, OTHER))
    gst.add_fault(InjectedFault(call="any", kind="http", gstin=rtin, times=6))
    for path in ("/ping", theirs, theirs.replace("status", "result")):
        assert call("GET", path).status_code == 200
    assert call("GET", DOWNLOAD, OTHER).status_code == 200
    assert call("PUT", RESET, OTHER, json=payload() | {"rtin": OTHER}).status_code == 200
    assert call("GET", theirs, rtin).status_code == 200, "the task's GSTIN counts, not that of the header"
    for path in (mine, mine.replace("status", "result"), mine.replace("status", "result") + "/page/0"):
        assert call("GET", path).status_code == 503
    gst.options.gstin_header = "X-Renamed"
    assert call("GET", DOWNLOAD, rtin).status_code == 503
    assert call("PUT", RESET, rtin, json=payload()).status_code == 503
    assert call("GET", "/ping", rtin).status_code == 503
    assert call("GET", mine).status_code == 200


def test_counters_of_one_gstin(
    gst: Gst, rtin: str, client: requests.Session, call: Callable[..., requests.Response], payload: Callable[..., Any]
):
    task_id = downloaded(call, rtin)
    downloaded(call, OTHER)
    gst.add_fault(InjectedFault(call="download", kind="http"))
    call("GET", DOWNLOAD, rtin)
    call("PUT", RESET, rtin, json=payload())
    call("PUT", RESET, rtin, json=[])
    for path in ("status", "status", "result"):
        call("GET", f"{TASKS}/{path}/{task_id}")
    call("GET", f"{TASKS}/result/{task_id}/page/0")
    call("GET", f"{TASKS}/status/unknown")
    expected = {
        "resets": 1,
        "reset_calls": 2,
        "downloads": 1,
        "download_calls": 2,
        "status_calls": 2,
        "result_calls": 1,
        "page_calls": 1,
    }
    assert gst.counters(rtin) == expected
    assert client.get("/admin/counters", params={"gstin": rtin}).json() == expected
    others = gst.counters(OTHER)
    assert others == dict.fromkeys(expected, 0) | {"downloads": 1, "download_calls": 1}
    everything = client.get("/admin/counters").json()
    assert everything == gst.counters()
    assert {name: everything[name] for name in expected} == {
        name: expected[name] + others[name] + (name == "status_calls") for name in expected
    }
    assert gst.counters("nobody") == dict.fromkeys(expected, 0)
    gst.reset()
    assert gst.counters(rtin) == dict.fromkeys(expected, 0)


def test_slow_after_holds_the_reply_of_a_call_that_was_done():
    with SimulatorServer() as sim, ThreadPoolExecutor() as clients:
        login = partial(requests.post, f"{sim.auth_url}/authtokens", json=LOGIN, timeout=30)
        sim.gst.add_fault(InjectedFault(call="login", kind="slow_after", seconds=0.3))
        reply = login()
        assert "token" in reply.json()["data"]
        assert reply.elapsed.total_seconds() >= 0.3
        sim.gst.add_fault(InjectedFault(call="login", kind="slow_after", seconds=60))
        held = clients.submit(login)
        while sim.gst.counters()["logins"] < 2:
            assert not held.done()
        assert not held.done()
        sim.stop()
        with pytest.raises(requests.ConnectionError):
            held.result(10)


def test_every_reply_bears_the_simulators_mark(gst: Gst, client: requests.Session):
    gst.add_fault(InjectedFault(call="ping", kind="http", status=502))
    for path, status in (("/ping", 502), ("/ping", 200), ("/nowhere", 404), ("/admin/counters", 200)):
        reply = client.get(path)
        assert (reply.status_code, reply.headers["X-Simulator"]) == (status, "airflow-provider-ims")


@pytest.mark.parametrize(("kind", "encoding"), [("large", None), ("gzip_bomb", "gzip")])
def test_a_reply_that_is_too_large_is_good_json(gst: Gst, client: requests.Session, kind: str, encoding: str | None):
    gst.add_fault(InjectedFault(call="ping", kind=kind, megabytes=3))
    reply = client.get("/ping")
    assert reply.headers.get("Content-Encoding") == encoding
    assert reply.json()["data"]["filler"] == "0" * 3 * 1024 * 1024
    if encoding:
        assert int(reply.headers["Content-Length"]) < 10_000


def test_a_reply_can_come_byte_by_byte(gst: Gst, client: requests.Session):
    gst.add_fault(InjectedFault(call="ping", kind="drip", seconds=0))
    assert client.get("/ping").json() == {"data": {"message": "pong"}}


def test_a_refusal_can_quote_the_request():
    with SimulatorServer() as sim:
        sim.gst.add_fault(InjectedFault(call="login", kind="quote", code="ODD"))
        reply = requests.post(f"{sim.auth_url}/authtokens", json=LOGIN, headers={"X-Key": "k"}, timeout=10)
    error = reply.json()["error"]["args"]["gstn-err"]
    assert error["code"] == "ODD"
    assert "x-key: k" in error["message"]
    assert LOGIN["password"] in error["message"]


def test_texts_can_be_odd(gst: Gst, rtin: str, call: Callable[..., requests.Response]):
    task = downloaded(call, rtin)
    gst.add_fault(InjectedFault(call="status", kind="odd_text"))
    gst.add_fault(InjectedFault(call="status", kind="odd_text", code="AUTH4033"))
    status = call("GET", f"{TASKS}/status/{task}").json()["data"]["status"]
    assert status.startswith("completed\x00")
    refused = call("GET", f"{TASKS}/status/{task}").json()["error"]["args"]["gstn-err"]
    assert refused["code"] == "AUTH4033"
    assert "\ud800" in refused["message"]


def test_a_proxy_sends_the_client_elsewhere(gst: Gst, call: Callable[..., requests.Response]):
    gst.add_fault(InjectedFault(call="ping", kind="http", status=302))
    reply = call("GET", "/ping", allow_redirects=False)
    assert (reply.status_code, reply.headers["Location"]) == (302, "http://proxy.invalid/login")


def test_a_task_can_take_its_time_to_be_found(gst: Gst, rtin: str, call: Callable[..., requests.Response]):
    gst.options.visible_after_seconds = 30
    task = downloaded(call, rtin)
    assert call("GET", f"{TASKS}/status/{task}").status_code == 404
    gst.advance(31)
    assert call("GET", f"{TASKS}/status/{task}").status_code == 200


def test_a_task_can_have_any_id(gst: Gst, rtin: str, call: Callable[..., requests.Response]):
    gst.add_next_task(NextTask(kind="download", reference_id="odd\x00 id"))
    assert downloaded(call, rtin) == "odd\x00 id"
    assert call("GET", f"{TASKS}/status/odd%00%20id").json()["data"]["status"] == "completed"
