"""What needs real sockets: lost connections, the thread and the program."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shlex
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn  # noqa: TID253

from airflow_provider_ims.get_provider_info import get_provider_info
from airflow_provider_ims.simulator.options import InjectedFault
from airflow_provider_ims.simulator.server import SimulatorServer

LOGIN = {"handle": "sandbox@example.com", "handleType": "email", "password": "simulator-password"}


def get(sim: SimulatorServer, path: str = "/ping", **kwargs: Any) -> requests.Response:
    return requests.get(sim.url + path, timeout=10, **kwargs)


@pytest.mark.parametrize("kept", [False, True])
def test_drop_before_loses_the_call(sim: SimulatorServer, kept: bool):
    with requests.Session() as session:
        if kept:
            session.get(f"{sim.url}/ping", timeout=10)
        pings = sim.gst.counters()["pings"]
        sim.gst.add_fault(InjectedFault(call="ping", kind="drop_before"))
        with pytest.raises(requests.ConnectionError):
            session.get(f"{sim.url}/ping", timeout=10)
        assert sim.gst.counters()["pings"] == pings
        assert session.get(f"{sim.url}/ping", timeout=10).status_code == 200


def test_drop_after_handles_the_call_and_loses_the_reply(sim: SimulatorServer, rtin: str, record: Any, payload: Any):
    sim.gst.open_session(rtin)
    sim.gst.options.task_seconds = 0
    headers = {
        "X-FLYNN-N-ORG-ID": sim.gst.options.org_id,
        "X-FLYNN-N-USER-TOKEN": sim.gst.login(LOGIN)["token"],
        "X-FLYNN-N-GSTN-GSP-CODE": "vay",
        "X-FLYNN-N-GSTIN": rtin,
    }
    sim.gst.add_fault(InjectedFault(call="reset", kind="drop_after"))
    url = f"{sim.url}/enriched/gstn/v1.0/ims-invoice-status-reset"
    many = [record(number=f"INV-{number}") for number in range(1000)]
    with pytest.raises(requests.ConnectionError):
        requests.put(url, json=payload(b2b=many), headers=headers, timeout=10)
    counters = sim.gst.counters()
    assert (counters["resets"], counters["reset_calls"]) == (1, 1)
    assert {document["status"] for document in sim.gst.state()["documents"]} == {"N"}


def test_edge_replies(sim: SimulatorServer):
    sim.gst.add_fault(InjectedFault(call="any", kind="http", status=429, retry_after=2))
    sim.gst.add_fault(InjectedFault(call="ping", kind="http", times=2))
    sim.gst.add_fault(InjectedFault(call="ping", kind="garbage"))
    assert get(sim).headers["Retry-After"] == "2"
    edge = get(sim)
    assert (edge.status_code, edge.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert get(sim).status_code == 503
    garbage = get(sim)
    assert garbage.status_code == 200
    assert garbage.text.startswith("<html>")
    assert get(sim).json() == {"data": {"message": "pong"}}


def test_faults_can_be_cleared(sim: SimulatorServer):
    sim.gst.add_fault(InjectedFault(call="any", kind="http", times=100))
    requests.delete(f"{sim.url}/admin/faults", timeout=10)
    assert get(sim).status_code == 200


def test_expire_token(sim: SimulatorServer):
    token = sim.gst.login(LOGIN)["token"]
    headers = {"X-FLYNN-N-ORG-ID": sim.gst.options.org_id, "X-FLYNN-N-USER-TOKEN": token}
    sim.gst.add_fault(InjectedFault(call="ping", kind="expire_token"))
    assert get(sim, "/authenticate", headers=headers).json()["error"]["message"] == "err-expired-token"


def test_a_slow_call_times_out_and_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture):
    with SimulatorServer() as sim, requests.Session() as idle:
        idle.get(f"{sim.url}/ping", timeout=10)
        sim.gst.add_fault(InjectedFault(call="ping", kind="slow", seconds=60))
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{sim.url}/ping", timeout=(5, 0.05))
    with pytest.raises(requests.ConnectionError):
        get(sim)
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


@pytest.mark.parametrize("by_block", [True, False])
def test_an_outage_keeps_port_and_state(rtin: str, payload: Any, by_block: bool):
    server = SimulatorServer()
    server.stop()
    with server:
        port = server.port
        server.gst.open_session(rtin)
        token = server.gst.login(LOGIN)["token"]
        headers = {"X-FLYNN-N-ORG-ID": server.gst.options.org_id, "X-FLYNN-N-USER-TOKEN": token}
        task_id = server.gst.submit_reset(server.gst.options.org_id, rtin, payload())
        status = f"/enriched/tasks/v1.0/status/{task_id}"
        assert get(server, status, headers=headers).json()["data"]["status"] == "processing"
        if not by_block:
            server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    server.gst.advance(3)
    with server:
        assert server.port == port
        if not by_block:
            server.stop()
            server.start()
        assert get(server, status, headers=headers).json()["data"]["status"] == "completed"
        assert server.gst.counters()["status_calls"] == 2
        server.gst.add_fault(InjectedFault(call="ping", kind="drop_before"))
        with pytest.raises(requests.ConnectionError):
            get(server)
        assert get(server).status_code == 200


def test_a_running_server_is_not_started_again(sim: SimulatorServer):
    with pytest.raises(OSError, match="in use"):
        sim.start()
    assert get(sim).status_code == 200


def test_a_client_that_is_accepted_while_the_server_stops_is_not_left_hanging(monkeypatch: pytest.MonkeyPatch):
    client, accepted = socket.socketpair()
    shutdown = uvicorn.Server.shutdown

    async def accept_late(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        await shutdown(self, sockets)
        state = self.server_state
        protocol: Any = partial(self.config.http_protocol_class, config=self.config, server_state=state, app_state={})
        await asyncio.get_running_loop().connect_accepted_socket(protocol, accepted)

    monkeypatch.setattr(uvicorn.Server, "shutdown", accept_late)
    with client, accepted:
        with SimulatorServer():
            pass
        client.settimeout(5)
        assert client.recv(1) == b""


def test_two_stand_side_by_side(sim: SimulatorServer):
    with SimulatorServer() as other:
        assert other.port != sim.port
        other.gst.add_fault(InjectedFault(call="any", kind="http"))
        assert (get(sim).status_code, get(other).status_code) == (200, 503)


def added_by(line: str) -> dict[str, Any]:
    """What Airflow's own command line understands by a line that adds a connection."""
    from airflow.cli.cli_parser import get_parser

    program, *words = shlex.split(line)
    assert program == "airflow"
    given = get_parser().parse_args(words)
    assert (given.subcommand, given.conn_uri, given.conn_json) == ("add", None, None)
    names = ("conn_type", "host", "login", "password")
    fields = {name: getattr(given, name if name == "conn_type" else f"conn_{name}") for name in names}
    return {"conn_id": given.conn_id, **fields, "extra": json.loads(given.conn_extra)}


def test_the_program(tmp_path: Path, rtin: str):
    documents = [
        {"rtin": rtin, "section": "b2b", "stin": "24MAYAS0100J1JD", "number": "A", "rtnprd": "012023", "status": "A"}
    ]
    seed = tmp_path / "documents.json"
    seed.write_text(json.dumps(documents))
    command = [sys.executable, "-m", "airflow_provider_ims.simulator", "--port", "0", "--otp", "123456"]
    process = subprocess.Popen(  # noqa: S603
        [*command, "--documents", str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("IMS simulator listening on ").strip()
        found = re.fullmatch(r"AIRFLOW_CONN_GSTN_DEFAULT='(.*)'\n", process.stdout.readline())
        assert found
        connection = json.loads(found[1])
        assert (connection["conn_type"], connection["host"]) == ("gstn", url)
        assert added_by(process.stdout.readline()) == {"conn_id": "gstn_default", **connection}
        assert process.stdout.readline().startswith("Or in Airflow's form")
        info = get_provider_info()["connection-types"][0]
        own = {field["label"]: connection["extra"].get(name) for name, field in info["conn-fields"].items()}
        built_in = info["ui-field-behaviour"]["relabeling"].items()
        form = {
            "Connection ID": "gstn_default",
            "Connection Type": info["hook-name"],
            **{label: connection[name] for name, label in built_in},
            **{label: value for label, value in own.items() if value},
        }
        shown = (process.stdout.readline().rstrip("\n") for _ in form)
        assert {line[2:20].rstrip(): line[21:] for line in shown} == form
        assert requests.get(f"{url}/admin/state", timeout=10).json()["documents"] == documents

        login = LOGIN | {"handle": connection["login"], "password": connection["password"]}
        reply = requests.post(f"{connection['extra']['auth_url']}/authtokens", json=login, timeout=10)
        headers = {
            "X-FLYNN-N-ORG-ID": connection["extra"]["org_id"],
            "X-FLYNN-N-USER-TOKEN": reply.json()["data"]["token"],
            "X-FLYNN-N-GSTN-GSP-CODE": "vay",
            "action": "OTPREQUEST",
        }
        route = f"{url}/basic/gstn/v3.0/taxpayerapi/v0.2/authenticate"
        requests.post(route, json={"gstin": rtin, "username": "u"}, headers=headers, timeout=10)
        assert process.stdout.readline() == f"OTP for GSTIN {rtin}: 123456\n"
    finally:
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--otp", "12"], "otp: String should match"), (["--documents", "/no/such/file"], "No such file")],
)
def test_the_program_explains_wrong_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from airflow_provider_ims.simulator import __main__ as program

    monkeypatch.setattr(program.signal, "signal", lambda number, handler: None)
    with pytest.raises(SystemExit) as caught:
        program.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "warns"),
    [
        ("127.0.0.1", False),
        ("127.0.0.2", False),
        ("localhost", False),
        ("::1", False),
        ("0.0.0.0", True),  # noqa: S104
        ("sim", True),
    ],
)
def test_a_host_that_others_can_reach_is_warned_of(
    host: str, warns: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from airflow_provider_ims.simulator import __main__ as program

    monkeypatch.setattr(program.signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(program.SimulatorServer, "start", lambda server: None)
    monkeypatch.setattr(program.threading.Event, "wait", lambda event: None)
    assert program.main(["--host", host]) == 0
    assert ("can steer this simulator" in capsys.readouterr().err) == warns
