"""Replies that no service should give: what they do to one call, and that they do no more."""

from __future__ import annotations

import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnError,
    GstnInvalidConnection,
    GstnLoginError,
    GstnServiceUnavailable,
    GstnUnreadableReply,
)
from airflow_provider_ims.hooks import _simulated
from airflow_provider_ims.hooks.gstn import GstnAsyncHook, GstnHook
from airflow_provider_ims.sessions.store import MemorySessionStore

pytestmark = pytest.mark.usefixtures("no_jitter")

KINDS = ["large", "gzip_bomb"]


@pytest.fixture
def hasty(simulator, monkeypatch) -> str:
    """A connection that gives each call a second."""
    connection = simulator.server.connection
    connection["extra"]["timeout"] = 1
    monkeypatch.setenv("AIRFLOW_CONN_HASTY", json.dumps(connection))
    return "hasty"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["status", "result"])
def test_a_reply_that_is_too_large_is_not_kept(simulator, read, submitted, call, kind):
    simulator.finish_tasks()
    simulator.fault(call, kind, megabytes=200)
    tracemalloc.start()
    try:
        with pytest.raises(GstnServiceUnavailable, match="larger than [0-9,]+ bytes"):
            read(f"get_task_{call}", submitted, read_attempts=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The simulator, in this process too, holds a megabyte at a time; a reply takes up to twice its bound.
    assert peak < 160e6
    assert read(f"get_task_{call}", submitted).reference_id if call == "status" else True


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_to_a_reset_that_is_too_large_is_a_lost_one(simulator, hook, payload, kind):
    simulator.gst.open_session(payload.rtin)
    simulator.fault("reset", kind, megabytes=2)
    with pytest.raises(GstnAmbiguousSubmission, match="larger than"):
        hook.submit_reset(payload)
    assert simulator["reset_calls"] == 1


def test_a_page_of_a_download_that_is_too_large_is_asked_for_again(simulator, hook, payload):
    simulator.gst.open_session(payload.rtin)
    held = {"rtin": payload.rtin, "section": "b2b", "stin": "24MAYAS0100J1JD", "rtnprd": "012023", "status": "A"}
    simulator.gst.add_documents([{**held, "number": "A"}])
    reference_id = hook.submit_download(payload.rtin, "b2b")
    simulator.finish_tasks()
    simulator.fault("page", "gzip_bomb", megabytes=100)
    assert len(list(hook.get_task_pages(reference_id))) == 1
    assert simulator["page_calls"] == 2


@pytest.mark.parametrize("call", ["login", "status"])
def test_a_reply_that_comes_byte_by_byte_ends_at_the_deadline(simulator, read, submitted, hasty, call):
    simulator.fault(call, "drip", seconds=0.4)
    kwargs = {"gstn_conn_id": hasty, "read_attempts": 1, "store": MemorySessionStore()}
    with pytest.raises(GstnServiceUnavailable, match="(?i)timeout"):
        read("get_task_status", submitted, **kwargs)
    patient = {**kwargs, "gstn_conn_id": "gstn_default"}
    assert read("get_task_status", submitted, **patient).state == "running"  # nobody holds the lock of the login


def test_a_reply_to_a_reset_that_comes_byte_by_byte_is_a_lost_one(simulator, payload, hasty):
    simulator.gst.open_session(payload.rtin)
    simulator.fault("reset", "drip", seconds=0.4)
    with GstnHook(hasty) as hook, pytest.raises(GstnAmbiguousSubmission, match="Timeout"):
        hook.submit_reset(payload)
    assert simulator["resets"] == 1


DRIPS = {
    "headers": b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000,
    "a body that ends with its connection": b"HTTP/1.0 200\r\n\r\n" + b" " * 1000,
}


@pytest.fixture(params=DRIPS)
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server whose reply never ends, one byte now and then."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer(connection: socket.socket) -> None:
            with connection:
                connection.recv(65536)
                for byte in DRIPS[request.param]:
                    try:
                        connection.send(bytes([byte]))
                    except OSError:
                        return
                    if over.wait(0.03):
                        return

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()


def test_a_reply_whose_end_is_that_of_its_connection_ends_at_the_deadline(simulator, read, dripping, monkeypatch):
    connection = simulator.server.connection
    connection["host"] = dripping
    connection["extra"]["timeout"] = 1
    monkeypatch.setenv("AIRFLOW_CONN_DRIP", json.dumps(connection))
    with pytest.raises(GstnServiceUnavailable, match="(?i)timeout"):
        read("get_task_status", "r-1", gstn_conn_id="drip", read_attempts=1)


def test_a_call_leaves_no_timer_behind(simulator, hook, submitted):
    hook.get_task_status(submitted)
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


async def test_a_large_reply_is_read_beside_the_event_loop(simulator, hook, payload, monkeypatch):
    simulator.gst.open_session(payload.rtin)
    simulator.next_task(status_cd="ER", err_msg="x" * 100_000)
    reference_id = hook.submit_reset(payload)
    simulator.finish_tasks()
    readers = []
    from airflow_provider_ims.protocol import tasks

    read_result = tasks.read_result

    def noting(*args: Any) -> Any:
        readers.append(threading.get_ident())
        return read_result(*args)

    monkeypatch.setattr(tasks, "read_result", noting)
    async with GstnAsyncHook() as awaited:
        assert (await awaited.get_task_result(reference_id)).outcome == "failed"
        assert (await awaited.get_task_status(reference_id)).state == "completed"
    assert threading.get_ident() not in readers
    assert readers


@pytest.mark.parametrize("status", [200, 302, 401, 403, 404])
@pytest.mark.parametrize("call", ["status", "result"])
def test_a_page_of_a_proxy_passes(simulator, read, submitted, call, status):
    simulator.finish_tasks()
    simulator.fault(call, "http", status=status, times=2)
    read(f"get_task_{call}", submitted)
    assert simulator[f"{call}_calls"] == 3


@pytest.mark.parametrize("status", [302, 401, 403, 404])
def test_a_page_of_a_proxy_at_the_login_is_no_wrong_password(simulator, read, submitted, status):
    simulator.fault("login", "http", status=status, times=9)
    with pytest.raises(GstnUnreadableReply, match="proxy") as caught:
        read("get_task_status", submitted, store=MemorySessionStore(), read_attempts=1)
    assert not isinstance(caught.value, GstnLoginError)


@pytest.mark.parametrize("status", [200, 302, 401, 403, 404, 500, 502, 503])
def test_a_page_of_a_proxy_instead_of_the_reply_to_a_reset_leaves_its_fate_open(simulator, hook, payload, status):
    simulator.gst.open_session(payload.rtin)
    simulator.fault("reset", "http", status=status)
    with pytest.raises(GstnAmbiguousSubmission):
        hook.submit_reset(payload)
    assert simulator["reset_calls"] == 1


SECRET_CALLS: dict[str, Callable[[GstnHook, str], Any]] = {
    "otp": lambda hook, rtin: hook.request_otp(rtin, "somebody"),
    "verify": lambda hook, rtin: hook.verify_otp(rtin, hook.request_otp(rtin, "somebody"), "424242"),
    "gstn_refresh": lambda hook, rtin: hook.refresh_session(rtin),
    "gstn_logout": lambda hook, rtin: hook.logout(rtin),
    "login": lambda hook, rtin: hook.get_task_status("r-1"),
    "status": lambda hook, rtin: hook.get_task_status("r-1"),
    "download": lambda hook, rtin: hook.submit_download(rtin, "b2b"),
}


@pytest.mark.parametrize("call", SECRET_CALLS)
@pytest.mark.parametrize("code", [None, "IMSSAV0010"])
def test_a_service_that_quotes_the_request_gives_no_secret_away(simulator, payload, call, code):
    store = MemorySessionStore()
    with GstnHook(store=store, read_attempts=1) as hook:
        if call in {"gstn_refresh", "gstn_logout"}:
            hook.verify_otp(payload.rtin, hook.request_otp(payload.rtin, "somebody"), "424242")
        simulator.fault(call, "quote", code=code)
        with pytest.raises(GstnError) as caught:
            SECRET_CALLS[call](hook, payload.rtin)
        told = f"{caught.value} {vars(caught.value)}"
        kept = [json.loads(text) for text in store.kept.values()]
    secrets = ["simulator-password", "424242"]
    secrets += [record[name] for record in kept for name in ("token", "session_id") if name in record]
    assert len(secrets) > 2 or call == "login"
    for secret in secrets:
        assert secret not in told
    assert "***" in told


def test_odd_text_of_a_result_is_data(simulator, read, hook, payload):
    simulator.gst.open_session(payload.rtin)
    held = {"rtin": payload.rtin, "stin": "24MAYAS0100J1JD", "rtnprd": "012023", "status": "R"}
    simulator.gst.add_documents([{**held, "section": "b2bcn", "number": "dn2"}])
    reference_id = hook.submit_reset(payload)
    simulator.finish_tasks()
    simulator.fault("result", "odd_text")
    result = read("get_task_result", reference_id)
    assert json.dumps(result.raw, ensure_ascii=False).encode()
    assert [row.number.isprintable() for row in result.refused] == [True]
    # A number that had to be changed is not the one that was sent: nothing is claimed of either.
    account = result.account(payload)
    assert account.sections()["b2bcn"]["refused"] == 0


def test_odd_text_of_an_error_is_one_printable_line(simulator, read, submitted):
    simulator.fault("status", "odd_text", code="AUTH4033")
    with pytest.raises(GstnError) as caught:
        read("get_task_status", submitted)
    assert str(caught.value).replace("\n", " ").isprintable()
    assert "refused\ufffd\ufffd[31m" in str(caught.value)


ODD_ID = "odd\x00\x1b[31m \u202eid"


def test_an_odd_reference_id_leads_to_its_task(simulator, hook, payload, read):
    simulator.gst.open_session(payload.rtin)
    simulator.next_task(reference_id=ODD_ID)
    reference_id = hook.submit_reset(payload)
    assert reference_id.isprintable()
    assert read("get_task_status", reference_id).state == "running"
    simulator.finish_tasks()
    assert read("get_task_result", reference_id).outcome == "processed"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_that_cannot_be_read_names_the_field(simulator, read, tmp_path, monkeypatch, content):
    bundle = tmp_path / "ca.pem"
    if content:
        bundle.write_text(content)
    connection = simulator.server.connection
    connection["extra"]["verify_ssl"] = str(bundle)
    monkeypatch.setenv("AIRFLOW_CONN_BUNDLE", json.dumps(connection))
    with pytest.raises(GstnInvalidConnection, match="verify_ssl"):
        read("get_task_status", "r-1", gstn_conn_id="bundle")


def test_a_hook_says_once_that_it_speaks_to_the_simulator(simulator, read, submitted, caplog, monkeypatch):
    monkeypatch.setattr(_simulated, "_told", set())
    for _ in range(2):
        read("get_task_status", submitted)
    told = [record.getMessage() for record in caplog.records if "IMS simulator" in record.getMessage()]
    assert len(told) == 1
    assert simulator.url in told[0]


async def test_a_hook_knows_the_simulator_by_its_mark(simulator, hook, submitted, monkeypatch):
    assert hook.is_simulator
    async with GstnAsyncHook() as awaited:
        assert not awaited.is_simulator
        await awaited.get_task_status(submitted)
        assert awaited.is_simulator
    monkeypatch.setattr(_simulated, "MARK", "X-Another")
    with GstnHook() as other:
        other.get_task_status(submitted)
        assert not other.is_simulator
