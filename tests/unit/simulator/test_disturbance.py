"""Calls told apart: which of them is disturbed, and for whom it is counted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import Fault
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
    gst.add_fault(Fault(call="download", kind="http", status=429))
    gst.add_fault(Fault(call="page", kind="http", status=503))
    assert call("GET", DOWNLOAD, rtin).status_code == 429
    result = f"{TASKS}/result/{downloaded(call, rtin)}"
    assert call("GET", result).status_code == 200
    assert call("GET", f"{result}/page/0").status_code == 503
    assert call("GET", f"{result}/page/0").status_code == 200


def test_the_task_service_has_a_download_that_is_another(gst: Gst, call: Callable[..., requests.Response]):
    gst.add_fault(Fault(call="download", kind="http", status=429))
    assert call("GET", f"{TASKS}/download/x").status_code == 404
    assert gst.counters()["download_calls"] == 0


def test_a_fault_may_be_that_of_one_gstin(
    gst: Gst, rtin: str, call: Callable[..., requests.Response], payload: Callable[..., Any]
):
    mine, theirs = (f"{TASKS}/status/{downloaded(call, gstin)}" for gstin in (rtin, OTHER))
    gst.add_fault(Fault(call="any", kind="http", gstin=rtin, times=6))
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
    gst.add_fault(Fault(call="download", kind="http"))
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
        sim.gst.add_fault(Fault(call="login", kind="slow_after", seconds=0.3))
        reply = login()
        assert "token" in reply.json()["data"]
        assert reply.elapsed.total_seconds() >= 0.3
        sim.gst.add_fault(Fault(call="login", kind="slow_after", seconds=60))
        held = clients.submit(login)
        while sim.gst.counters()["logins"] < 2:
            assert not held.done()
        assert not held.done()
        sim.stop()
        with pytest.raises(requests.ConnectionError):
            held.result(10)
