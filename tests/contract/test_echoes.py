"""A service that says back what it was sent, in every place and spelling: nothing of it is told, logged or kept."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import socketserver
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_ims.exceptions import GstnAmbiguousSubmission, GstnError
from airflow_provider_ims.hooks import _base
from airflow_provider_ims.hooks.gstn import GstnAsyncHook, GstnHook
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.protocol import access
from airflow_provider_ims.protocol.gstn_session import GstnSession
from airflow_provider_ims.protocol.kept_token import KeptToken, seal
from airflow_provider_ims.protocol.theodore import Organisation, Token
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.triggers import ims
from airflow_provider_ims.triggers.ims import ImsTaskTrigger

PASSWORD = "Not-a-Real-Passw0rd!"
TOKEN = "not-a-real-Token-0123456789abcdef"
OTP = "918273"
SESSION = "not-a-real-Session-id-000111"
KEY = "not-a-real-Key-value-42"
RTIN = "20MAYAS0100J1ZX"

SENT: dict[str, tuple[str, ...]] = {
    "login": (PASSWORD,),
    **dict.fromkeys(["refresh", "logout"], (TOKEN,)),
    **dict.fromkeys(["ping", "otp", "reset", "download", "status", "result", "page"], (TOKEN, KEY)),
    "verify": (OTP, TOKEN, KEY),
    **dict.fromkeys(["gstn_refresh", "gstn_logout"], (SESSION, TOKEN, KEY)),
}
"""Call -> the secrets that its request holds."""


def call_of(method: str, path: str, action: str) -> str:
    actions = {"OTPREQUEST": "otp", "AUTHTOKEN": "verify", "REFRESHTOKEN": "gstn_refresh", "LOGOUT": "gstn_logout"}
    if action in actions:
        return actions[action]
    if path.endswith("/authtokens"):
        return "login" if method == "POST" else "refresh"
    parts = {"/logout": "logout", "status-reset": "reset", "/page/": "page", "/status/": "status", "/result/": "result"}
    return next((call for part, call in {**parts, "ims-invoices": "download"}.items() if part in path), "ping")


def usual(call: str) -> dict[str, Any]:
    """The data that a call is answered with."""
    if call in {"login", "refresh"}:
        organisations = [{"organisation": {"id": "org-1", "name": "One"}}]
        return {"token": TOKEN, "expiry": int(time.time() * 1000) + 1_200_000, "associatedOrgs": organisations}
    return {
        "otp": {"otp-request-id": "o-1"},
        "verify": {"gst-session-id": SESSION},
        "gstn_refresh": {"gst-session-id": SESSION},
        "reset": {"task-id": "r-1"},
        "download": {"task-id": "d-1"},
        "status": {"status": "completed"},
        "result": {"status_cd": "P", "proc_cnt": "8", "pages": 1},
    }.get(call, {})


def http(status: int, body: object = b"", *lines: str, reason: str = "Said") -> bytes:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(sent)}", "Connection: close", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + sent


def error(code: Any, **args: Any) -> dict[str, Any]:
    return {"error": {"message": code, "args": args}}


IN_JSON: dict[str, Callable[[str, dict[str, Any]], Any]] = {
    "code": lambda said, _: error(said),
    "code in a list": lambda said, _: error([{"a": said}]),
    "error": lambda said, _: {"error": said, "status": "0"},
    "keys": lambda said, data: {said: said, "data": {**data, said: said}, "error": {said: said, "args": {said: said}}},
    "GSTN": lambda said, _: error("err-gstn-returned", **{"gstn-err": {"code": said, "message": said}}),
    "GSTN's keys": lambda said, _: error("x", **{"gstn-err": {"error_cd": {said: 1}, "error_msg": [said]}}),
    "known code": lambda said, _: error("x", **{"gstn-err": {"code": "IMSSAV0010", "message": f"You sent {said}"}}),
    "parameter": lambda said, _: error("err-invalid", **{"parameter-name": said}),
    "parameter in a token": lambda said, _: error("err-invalid", **{"parameter-name": {"token": said}}),
    "task": lambda said, _: error("err-resource-not-found", **{"task-id": said}),
    "more fields": lambda said, data: {"data": {"token": said, "gst-session-id": said, "x": {"token": said}, **data}},
    "organisations": lambda said, data: {
        "data": data | {"associatedOrgs": [{"organisation": {"id": each, "name": said}} for each in (said, {said: 1})]}
    },
    "report": lambda said, data: {
        "data": data | {"error_report": {said: [{"stin": said, "inv": [{"inum": said, "error_msg": {"token": said}}]}]}}
    },
    "list of another name": lambda said, data: {"data": {**data, said: [{"inum": said}]}},
    **{
        name: lambda said, data, name=name: {"data": {**data, name: said}}  # type: ignore[misc]
        for name in ("task-id", "id", "status", "status_cd", "err_cd", "err_msg", "proc_cnt", "pages", "expiry", "jobs")
    },
}

IN_HTTP: dict[str, Callable[[str, int, dict[str, Any]], bytes]] = {
    "page": lambda said, status, _: http(status, f"<html>{said}".encode(), f"Content-Type: text/{said}"),
    "headers": lambda said, status, _: http(status, b"", f"Server: {said}", f"{said}: 1", f"WWW-Authenticate: {said}"),
    "wait": lambda said, status, _: http(status, b"", f"Retry-After: {said}", f"Date: {said}"),
    "location": lambda said, status, _: http(status, b"", f"Location: http://{said}.test/?x={said}"),
    "address": lambda said, status, _: http(status, b"", f"Location: http://[{said}]/"),
    "port": lambda said, status, _: http(status, b"", f"Location: http://host:{said}/"),
    "bytes": lambda said, status, _: http(status, b"", f"Location: /\xff{said}"),
    "cookie": lambda said, status, data: http(
        status, {"data": data}, f"Set-Cookie: a b {said}=1", f"Set-Cookie: a={said}; expires={said}; domain={said}"
    ),
    "reason": lambda said, status, _: http(status, b"", reason=said),
    "encoding": lambda said, status, _: http(status, b"x", f"Content-Encoding: {said}"),
    "no header": lambda said, status, data: http(status, {"data": data}, f"no header {said}", f"a b {said}: {said}"),
    "chunk": lambda said, status, _: (
        f"HTTP/1.1 {status} Said\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{said}\r\nx\r\n".encode()
    ),
    "status line": lambda said, status, _: f"{said} {status} {said}\r\n\r\n".encode(),
    "status": lambda said, status, _: f"HTTP/1.1 {said} Said\r\n\r\n".encode(),
    "cut": lambda said, status, _: http(status, f'{{"error": "{said}'.encode()).replace(b"Length: ", b"Length: 9"),
}

SPELLED: dict[str, Callable[[str], str]] = {
    "URL": lambda secret: quote(secret, safe=""),
    "all of it": lambda secret: "".join(f"%{ord(each):02X}" for each in secret),
    "JavaScript": lambda secret: "".join(f"\\u{ord(each):04x}" for each in secret),
    "HTML": html.escape,
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "basic": lambda secret: base64.b64encode(f"user:{secret}".encode()).decode(),
    "bearer": lambda secret: base64.b64encode(f"Bearer {secret}\n".encode()).decode(),
    "capitals": str.upper,
    "small letters": str.lower,
    "in pieces": lambda secret: " ".join(secret[at : at + 5] for at in range(0, len(secret), 5)),
    "in lines": lambda secret: "\r\n".join(secret[at : at + 5] for at in range(0, len(secret), 5)),
    "in odd ones": lambda secret: f"\x1b[31m{secret[:4]}\x00\u200b{secret[4:]}\u202e",
    "JSON in JSON": lambda secret: json.dumps(json.dumps({"a": secret})),
}


class Echo(socketserver.ThreadingTCPServer):
    """Answers as the service does, but for one call."""

    daemon_threads = True
    answers: dict[str, bytes] = {}  # noqa: RUF012

    class RequestHandlerClass(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            method, path, _ = self.rfile.readline().decode().split()
            headers = {}
            while line := self.rfile.readline().decode().strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            self.rfile.read(int(headers.get("content-length", 0)))
            call = call_of(method, path.partition("?")[0], headers.get("action", ""))
            self.wfile.write(self.server.answers.get(call) or http(200, {"data": usual(call)}))  # type: ignore[attr-defined]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.RequestHandlerClass)


@pytest.fixture(scope="module")
def _echo() -> Iterator[Echo]:
    with Echo() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def echo(_echo: Echo, monkeypatch: pytest.MonkeyPatch) -> Echo:
    _echo.answers = {}
    url = f"http://localhost:{_echo.server_address[1]}"
    extra = {"auth_url": f"{url}/theodore", "timeout": 3, "extra_headers": {"X-Key": KEY}}
    connection = {"conn_type": "gstn", "host": url, "login": "a@b.test", "password": PASSWORD, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", json.dumps(connection))
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    _base._KNOWN_TOKENS.clear()
    return _echo


class Witness:
    """Keeps all that anybody is told."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._caplog, self._capfd = caplog, capfd
        self._told: list[str] = []
        caplog.set_level(logging.DEBUG)
        for name in ("urllib3", "aiohttp", "asyncio", "airflow_provider_ims"):
            caplog.set_level(logging.DEBUG, name)

    def hear(self, what: object) -> None:
        if isinstance(what, BaseException):
            self._told += ["".join(traceback.format_exception(what)), repr(what), repr(what.args), repr(vars(what))]
        else:
            self._told.append(f"{what!r} {what}")

    def everything(self) -> str:
        lines = [*self._told, *self._capfd.readouterr()]
        for record in self._caplog.records:
            trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
            lines += [record.getMessage(), trace]
        self._told.clear()
        self._caplog.clear()
        return "\n".join(lines)


@pytest.fixture
def witness(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Witness:
    return Witness(caplog, capfd)


def found(secret: str, text: str) -> list[str]:
    """Return how a text holds a secret."""
    dense = "".join(each for each in text if each.isprintable() and not each.isspace() and each != "\ufffd").lower()
    encoded = [base64.b64encode(bytes(before) + secret.encode()).decode()[4:-4] for before in range(3)]
    looked_for = [
        secret,
        quote(secret, safe=""),
        *encoded,
        *(SPELLED[name](secret) for name in ("all of it", "JavaScript")),
    ]
    return [each for each in looked_for if each and each.lower() in dense]


def keep_token(hook: GstnHook, seconds: float = 3000.0) -> None:
    now = time.time()
    token = Token(TOKEN, now + seconds, (Organisation("org-1", "One"),))
    hook.store.set(hook._tokens.key, KeptToken(token, now + seconds, now, seal(PASSWORD), is_own=True).as_text())


def keep_session(hook: GstnHook) -> None:
    session = GstnSession(SESSION, time.time(), time.time())
    hook.store.set(hook._gstn_sessions._session_key(RTIN), json.dumps(session._asdict()))


PAYLOAD = Path(__file__).parents[2] / "example_dags" / "ims_reset_sample.json"

DO: dict[str, Callable[[GstnHook], Any]] = {
    **dict.fromkeys(["login", "refresh", "status"], lambda hook: hook.get_task_status("r-1")),
    "logout": lambda hook: (hook.get_task_status("r-1"), hook.close()),
    "ping": lambda hook: hook._call(access.ping, access.read_ping),
    "otp": lambda hook: hook.request_otp(RTIN, "somebody"),
    "verify": lambda hook: hook.verify_otp(RTIN, "o-1", OTP),
    "gstn_refresh": lambda hook: hook.refresh_session(RTIN),
    "gstn_logout": lambda hook: hook.logout(RTIN, force=True),
    "reset": lambda hook: hook.submit_reset(ResetPayload.parse(PAYLOAD.read_text())),
    "download": lambda hook: hook.submit_download(RTIN, "b2b"),
    "result": lambda hook: hook.get_task_result("r-1"),
    "page": lambda hook: [
        *hook.get_task_pages("d-1"),
        *((key, bytes(value)) for page in hook.get_task_pages_as_json("d-1") for key, value in page.data.items()),
    ],
}
AWAITED = {**dict.fromkeys(["login", "refresh", "logout", "status"], "get_task_status"), "result": "get_task_result"}


def run(call: str, witness: Witness) -> None:
    """Make a call with each hook that has it; whatever goes wrong is an exception of ours."""
    with warnings.catch_warnings(record=True) as warned:
        hook = GstnHook(store=MemorySessionStore(), read_attempts=1)
        if call != "login":
            keep_token(hook, 60.0 if call == "refresh" else 3000.0)
        keep_session(hook)
        try:
            witness.hear(DO[call](hook))
        except GstnError as said:
            witness.hear(said)
        hook.close()
        if call in AWAITED:
            asyncio.run(run_awaited(call, witness))
    for each in warned:
        witness.hear(each.message)


async def run_awaited(call: str, witness: Witness) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: witness.hear(context))
    store = MemorySessionStore()
    if call != "login":
        keep_token(GstnHook(store=store), 60.0 if call == "refresh" else 3000.0)
    try:
        async with GstnAsyncHook(store=store, read_attempts=1) as hook:
            witness.hear(await getattr(hook, AWAITED[call])("r-1"))
    except GstnError as said:
        witness.hear(said)


@pytest.mark.parametrize("call", SENT)
def test_no_place_of_a_reply_tells_what_was_sent(echo, witness, call):
    for place, write in IN_JSON.items():
        for status in (200, 302, 400, 401, 403, 404, 429, 500, 502) if place == "code" else (200, 400):
            echo.answers = {call: http(status, write(" ".join(SENT[call]), usual(call)))}
            run(call, witness)
            told = witness.everything()
            assert not [each for secret in SENT[call] for each in found(secret, told)], (place, status)


@pytest.mark.parametrize("call", SENT)
def test_nothing_around_a_body_tells_what_was_sent(echo, witness, call):
    for place, write in IN_HTTP.items():
        echo.answers = {call: write(SENT[call][0], 302, usual(call))}
        run(call, witness)
        assert not found(SENT[call][0], witness.everything()), place


@pytest.mark.parametrize("call", ["login", "verify", "gstn_refresh", "result"])
def test_no_spelling_tells_what_was_sent(echo, witness, call):
    for spelling, spell in SPELLED.items():
        for place in ("GSTN", "parameter", "err_msg"):
            said = "".join(f"You sent {spell(secret)}!" for secret in SENT[call])
            echo.answers = {call: http(200, IN_JSON[place](said, usual(call)))}
            run(call, witness)
            told = witness.everything()
            assert not [each for secret in SENT[call] for each in found(secret, told)], (spelling, place)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["location", "address", "port", "bytes"])
def test_a_redirect_in_the_place_of_the_reply_to_a_reset_leaves_its_fate_open(echo, status, place):
    echo.answers = {"reset": IN_HTTP[place]("not-a-host", status, {})}
    with GstnHook(store=MemorySessionStore()) as hook, pytest.raises(GstnAmbiguousSubmission):
        hook.submit_reset(PAYLOAD.read_text())


@pytest.mark.parametrize("call", ["reset", "status", "result", "page"])
@pytest.mark.parametrize("place", ["task-id", "report", "more fields", "keys", "known code"])
def test_no_task_pushes_writes_or_shows_what_was_sent(echo, witness, tmp_path, monkeypatch, call, place):
    said = " ".join(SENT[call])
    echo.answers = {call: http(200, IN_JSON[place](said, usual(call)))}
    monkeypatch.setattr(ims, "SETTLING", 0.0)
    sleeps: Iterator[Any] = iter(range(50))
    monkeypatch.setattr("time.sleep", lambda seconds: next(sleeps))  # who waits longer fails
    pushed: dict[str, Any] = {}
    instance = SimpleNamespace(try_number=1, max_tries=0, xcom_push=pushed.__setitem__, task_id="t", dag_id="d")
    context: Any = {"ti": instance}
    named = {"audit_path": str(tmp_path / "audit")}
    for operator in (
        ImsResetOperator(task_id="reset", payload=json.loads(PAYLOAD.read_text()), deferrable=False, **named),
        ImsResultOperator(task_id="result", reference_id="r-1", output_path=str(tmp_path / "result"), **named),
        ImsDownloadOperator(task_id="download", gstin=RTIN, output_path=str(tmp_path / "all"), deferrable=False),
    ):
        try:
            witness.hear(operator.execute(context))
        except Exception as error_of_task:
            witness.hear(error_of_task)

    async def triggered() -> None:
        now = time.time()
        trigger = ImsTaskTrigger(
            reference_id="r-1", gstn_conn_id="gstn_default", poll_interval=1, start_time=now, end_time=now + 0.1
        )
        witness.hear([event.payload async for event in trigger.run()])
        witness.hear(trigger.serialize())

    asyncio.run(triggered())
    witness.hear(pushed)
    for path in tmp_path.rglob("*"):
        witness.hear(path)
        if path.is_file():
            witness.hear(path.read_bytes().decode("latin-1"))
    told = witness.everything()
    assert "r-1" in told
    assert not [each for secret in SENT[call] for each in found(secret, told)]
