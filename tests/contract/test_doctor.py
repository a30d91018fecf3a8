"""The doctor against the simulator in its shapes, and against one that deviates from what is inferred."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims.cli.main import main
from airflow_provider_ims.doctor.examination import Examination
from airflow_provider_ims.doctor.findings import Finding, Verdict, findings
from airflow_provider_ims.doctor.transcript import Transcript
from airflow_provider_ims.hooks import _base
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.simulator import server as server_module
from airflow_provider_ims.simulator.options import Document, Options
from airflow_provider_ims.simulator.server import SimulatorServer
from tests.contract.conftest import SharedStore, Simulator
from tests.recorded.reading import found_in

RTIN = "20MAYAS0100J1ZX"
NOT_SEEN_EVER = {"login-refusal", "dead-token", "session-lost-extension", "body-limit", "hash", "due-dates"}

Deviation = Callable[[str, str, int, Any], tuple[int, Any] | None]
"""(method, path, status, body) -> what is answered instead."""


class Deviating:
    """Answers otherwise than the simulator, where a deviation says so."""

    def __init__(self, app: Any, deviations: list[Deviation]) -> None:
        self.app = app
        self.deviations = deviations

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        sent: list[Any] = []

        async def keep(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, keep)
        start, body = sent[0], b"".join(each.get("body", b"") for each in sent[1:])
        for deviation in self.deviations:
            content = json.loads(body) if body else None
            if found := deviation(scope["method"], scope["path"], start["status"], content):
                start["status"], body = found[0], json.dumps(found[1]).encode()
        start["headers"] = [each for each in start["headers"] if each[0].lower() != b"content-length"]
        await send(start)
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def deviations() -> list[Deviation]:
    return []


@pytest.fixture(scope="module")
def _deviating(deviations: list[Deviation]) -> Iterator[SimulatorServer]:
    create_app = server_module.create_app
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "create_app", lambda *given: Deviating(create_app(*given), deviations))
        with SimulatorServer(Options(otp="424242", task_seconds=30)) as server:
            yield server


@pytest.fixture
def service(
    _deviating: SimulatorServer, deviations: list[Deviation], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Simulator]:
    _deviating.gst.reset()
    deviations.clear()
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", _deviating.connection_json)
    _deviating.gst.open_session(RTIN)
    _deviating.gst.add_documents(
        Document(rtin=RTIN, section="b2bcna", stin="24MAYAS0100J1JD", number=f"CN{n}", rtnprd="012023", status="A")
        for n in range(3)
    )
    yield Simulator(_deviating)
    deviations.clear()


def examined(service: Simulator, **options: Any) -> dict[str, Finding]:
    examination = Examination("gstn_default", RTIN, sleep=service.gst.advance, now=service.gst.clock.now, **options)
    found = findings(examination.run())
    assert service["live_tokens"] == 0
    return {each.fact.id: each for each in found}


def verdicts(found: dict[str, Finding], verdict: Verdict) -> set[str]:
    return {name for name, each in found.items() if each.verdict is verdict}


@pytest.mark.parametrize(
    ("options", "saw"),
    [
        ({}, {"status-shape": "data.status", "pages": "the first of 1 is page 0", "page-sections": "b2bcna"}),
        ({}, {"envelope": "with status: download, page, result, status; without status: login, ping"}),
        ({"status_shape": "nested"}, {"status-shape": "data.task.status"}),
        ({"first_page": 1}, {"pages": "the first of 1 is page 1"}),
        ({"download_keys": "gstn"}, {"page-sections": "cna"}),
        ({"visible_after_seconds": 3}, {"task-visible": "not found at first, there after 6 s"}),
    ],
)
def test_each_shape_of_the_simulator_is_confirmed_as_it_is(service: Simulator, options: Any, saw: dict[str, str]):
    for name, value in options.items():
        setattr(service.gst.options, name, value)
    found = examined(service)
    assert verdicts(found, Verdict.CONTRADICTED) == set()
    assert {name: found[name].saw for name in saw} == saw
    unseen = NOT_SEEN_EVER | {"no-documents", "gstn-refusal", "reset-words", "reset-counts", "report-keys"}
    if "visible_after_seconds" not in options:
        unseen.add("task-visible")
    by_the_way = {"error-codes", "result-too-early"}  # a page that is not there has a code; a task that is not, none
    assert verdicts(found, Verdict.NOT_SEEN) - by_the_way == unseen


def test_for_how_many_organisations_the_user_may_act_is_told_without_their_names(service: Simulator):
    told = []
    for more, second in enumerate((None, "0b6f3c5e-8a52-4f0e-9a63-6d1c1f0a7b11")):
        service.gst.options.second_org_id = second
        examination = Examination("gstn_default", RTIN, sleep=service.gst.advance, now=service.gst.clock.now)
        examination.run()
        told.append(next(each.told for each in examination.steps if each.name == "login and ping"))
        assert told[more].endswith(("may act for 1 organisation", "may act for 2 organisations")[more])
    assert not any("Example Organisation" in each or service.gst.options.org_id in each for each in told)


@pytest.mark.parametrize("body", [[], {"data": {}, "status": "2"}, {"status": "0", "data": None, "error": None}])
def test_an_answer_in_no_known_envelope_is_named(service: Simulator, deviations: list[Deviation], body: Any):
    deviations.append(instead("/status/", lambda status, before: (status, body)))
    found = examined(service)["envelope"]
    assert found.verdict is Verdict.CONTRADICTED
    assert found.saw.startswith("status: HTTP 404 with ")


@pytest.mark.parametrize(("empty", "saw"), [("pages", "0 pages"), ("error", "HTTP 200, RET11416")])
def test_no_documents(service: Simulator, empty: Any, saw: str):
    service.gst.options.empty_download = empty
    found = examined(service, section="ecoma")
    assert found["no-documents"].saw == saw
    assert verdicts(found, Verdict.CONTRADICTED) == set()


def test_without_a_session_it_says_what_to_do(service: Simulator):
    service.gst.reset()
    found = examined(service)
    assert found["session-owner"].verdict is Verdict.NOT_SEEN
    assert "open one" in found["session-owner"].saw
    assert found["gstn-refusal"].verdict is Verdict.CONFIRMED


def test_a_reset_is_examined_when_one_is_given(service: Simulator, payload: ResetPayload):
    found = examined(service, payload=payload)
    assert service["resets"] == 1
    assert (found["reset-words"].saw, found["reset-counts"].saw) == ("P", "proc_cnt 8, err_cnt 0, 8 sent")


def instead(pattern: str, change: Callable[[int, Any], tuple[int, Any]]) -> Deviation:
    compiled = re.compile(pattern)

    def of(method: str, path: str, status: int, body: Any) -> tuple[int, Any] | None:
        return change(status, body) if compiled.search(f"{method} {path}") else None

    return of


def error(code: str, **args: Any) -> dict[str, Any]:
    return {"status": "0", "data": None, "error": {"message": code, "type": "X", "args": args}}


def with_data(**changes: Any) -> Callable[[int, Any], tuple[int, Any]]:
    return lambda status, body: (status, {**body, "data": {**body["data"], **changes}} if body.get("data") else body)


def on_pages(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[int, Any], tuple[int, Any]]:
    return lambda status, body: (status, {**body, "data": change(body["data"])} if body.get("data") else body)


REFUSED = {"gstn-err": {"code": "AUTH158", "message": "x"}}
DEVIATIONS = {
    "envelope": [instead("ims-invoices", lambda s, b: (s, {"status": "1", "result": b["data"]}))],
    "ping-method": [instead("GET /authenticate", lambda *_: (405, error("err-method-not-allowed")))],
    "token-minutes": [instead("POST .*authtokens", with_data(expiry=4_000_000_000_000))],
    "gstin-header": [
        instead("ims-invoices", lambda *_: (400, error("err-invalid-request-params", **{"parameter-name": "X-GSTIN"})))
    ],
    "download-sections": [
        instead("ims-invoices", lambda *_: (400, error("err-invalid-request-params", **{"parameter-name": "section"})))
    ],
    "status-shape": [instead("/status/", with_data(status=None, state="processing"))],
    "status-words": [instead("/status/", with_data(status="ripening"))],
    "task-visible": [instead("/status/", lambda *_: (404, error("err-resource-not-found")))],
    "unknown-task": [instead("/status/", lambda s, b: (400, error("err-no-such")) if s == 404 else (s, b))],
    "result-too-early": [
        instead("/result/", lambda s, b: (200, {"status": "1", "data": {"status_cd": "IP"}}) if s == 400 else (s, b))
    ],
    "pages": [instead("/page/", lambda *_: (404, error("err-resource-not-found")))],
    "page-sections": [instead("/page/", on_pages(lambda data: {"imports": data["b2bcna"]}))],
    "record-fields": [
        instead("/page/", on_pages(lambda data: {"b2bcna": [{"stin": each["stin"]} for each in data["b2bcna"]]}))
    ],
    "no-documents": [instead("/page/", on_pages(lambda data: {"b2bcna": []}))],
    "error-codes": [instead("ims-invoices", lambda *_: (400, error("err-brand-new")))],
    "gstn-refusal": [instead("ims-invoices", lambda *_: (400, error("err-gstn-returned", **REFUSED)))],
    "reset-words": [instead("/result/", lambda s, b: (s, changed_result(b, status_cd="REC")))],
    "reset-counts": [instead("/result/", lambda s, b: (s, changed_result(b, proc_cnt="3")))],
    "report-keys": [
        instead("/result/", lambda s, b: (s, changed_result(b, error_report={"credit": [{"error_cd": "IMSSAV0010"}]})))
    ],
}


def changed_result(body: Any, **changes: Any) -> Any:
    data = body.get("data") or {}
    return {**body, "data": {**data, **changes}} if "status_cd" in data else body


@pytest.mark.parametrize("fact", DEVIATIONS)
def test_each_deviation_is_named(service: Simulator, deviations: list[Deviation], payload: ResetPayload, fact: str):
    deviations.extend(DEVIATIONS[fact])
    found = examined(service, payload=payload, wait=150)
    assert fact in verdicts(found, Verdict.CONTRADICTED)
    assert found[fact].saw


def test_every_fact_that_can_be_seen_is_deviated_from():
    from airflow_provider_ims.protocol.facts import FACT_IDS

    # Of these only the confirmation can be seen.
    assert FACT_IDS - set(DEVIATIONS) == NOT_SEEN_EVER | {"session-owner"}


def test_the_transcript_holds_nothing_secret_or_personal_and_says_the_same_again(service: Simulator, payload: Any):
    examination = Examination(
        "gstn_default", RTIN, sleep=service.gst.advance, now=service.gst.clock.now, payload=payload
    )
    lines = list(examination.run().lines())
    text = "\n".join(lines)
    options = service.gst.options
    for secret in (options.password, options.login, options.org_id, RTIN, "24MAYAS0100J1JD", "CN1", "pong", "Bearer"):
        assert secret not in text, secret
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)
    assert [each[1:] for each in findings(Transcript.of_lines(lines))] == [
        each[1:] for each in findings(examination.transcript)
    ]


def test_the_command_writes_it_once_and_reads_it_again(
    service: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    service.gst.options.task_seconds = 0
    words = ["doctor", "gstn_default", "--gstin", RTIN, "--transcript", str(tmp_path / "t.jsonl"), "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["simulator"] is True
    assert {each["step"] for each in found["steps"]} >= {"login and ping", "download", "unknown task"}
    assert main(words) == 2
    assert "not written over" in json.loads(capsys.readouterr().out)["error"]
    assert main(["doctor", "--replay", str(tmp_path / "t.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == found["findings"]


def test_nothing_is_reset_without_a_second_word(service: Simulator, tmp_path: Path, sample: Any, capsys: Any):
    (tmp_path / "r.json").write_text(json.dumps(sample))
    assert main(["doctor", "gstn_default", "--gstin", RTIN, "--reset", str(tmp_path / "r.json"), "--json"]) == 2
    assert "--yes" in json.loads(capsys.readouterr().out)["error"]
    other = ["doctor", "gstn_default", "--gstin", "27AAPFU0939F1ZV", "--reset", str(tmp_path / "r.json"), "--yes"]
    assert main([*other, "--json"]) == 2
    assert service["resets"] == service["logins"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--gstin", RTIN.lower()], "--gstin 20mayas0100j1zx is not a GSTIN"),
        (["--gstin", f"{RTIN},27AAPFU0939F1ZV"], "is not a GSTIN"),
        (["--gstin", RTIN, "--transcript", "/nowhere/t.jsonl"], "--transcript /nowhere/t.jsonl cannot be written"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_asked(service: Simulator, capsys: Any, words: Any, told: str):
    assert main(["doctor", "gstn_default", *words, "--json"]) == 2
    assert told in json.loads(capsys.readouterr().out)["error"]
    assert service["logins"] == 0


def test_a_wrong_check_digit_is_told(service: Simulator, capsys: Any):
    assert main(["doctor", "gstn_default", "--gstin", "27AAPFU0939F1ZX"]) == 1
    assert "check digit of --gstin 27AAPFU0939F1ZX is wrong" in capsys.readouterr().err


def test_a_connection_that_is_not_there_leaves_no_transcript(service: Simulator, tmp_path: Path, capsys: Any):
    words = ["doctor", "nowhere", "--gstin", RTIN, "--transcript", str(tmp_path / "t.jsonl"), "--json"]
    assert main(words) == 2
    assert list(tmp_path.iterdir()) == []


def test_two_taxpayers_are_not_taken_for_the_last_one(service: Simulator, capsys: Any):
    with pytest.raises(SystemExit):
        main(["doctor", "gstn_default", "--gstin", RTIN, "--gstin", "27AAPFU0939F1ZV"])
    assert "--gstin is given twice" in capsys.readouterr().err
    assert service["logins"] == 0


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "soon"])
def test_a_wait_has_an_end(seconds: str, capsys: Any):
    with pytest.raises(SystemExit):
        main(["doctor", "gstn_default", "--gstin", RTIN, "--wait", seconds])


def test_one_that_is_stopped_leaves_what_was_seen_up_to_there(
    service: Simulator, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
):
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Examination, "_fetch", stop)
    path = tmp_path / "t.jsonl"
    assert main(["doctor", "gstn_default", "--gstin", RTIN, "--transcript", str(path), "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["error"] == "Stopped."
    assert [each["step"] for each in found["steps"]][-1] == "result too early"
    transcript = Transcript.of_lines(path.read_text().splitlines())
    assert transcript.answers[-1].kind == "logout"
    assert service["live_tokens"] == 0


def test_the_transcript_is_there_after_each_step_and_a_full_disk_ends_nothing(
    service: Simulator, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
):
    path, seen = tmp_path / "t.jsonl", []

    def download(*_: Any) -> None:
        seen.append(len(path.read_text().splitlines()))
        path.unlink()
        path.mkdir()

    monkeypatch.setattr(Examination, "_download", download)
    assert main(["doctor", "gstn_default", "--gstin", RTIN, "--transcript", str(path)]) == 0
    assert seen == [6]  # the head, two of health, login, ping, unknown task
    assert "could not be written as a whole (Is a directory)" in capsys.readouterr().err


def test_a_token_that_cannot_be_logged_out_is_told_and_json_stays_json(service: Simulator, capsys: Any):
    service.gst.options.task_seconds = 0
    service.fault("logout", "http", status=500)
    assert main(["doctor", "gstn_default", "--gstin", RTIN, "--json"]) == 1
    steps = {each["step"]: each["ok"] for each in json.loads(capsys.readouterr().out)["steps"]}
    assert [name for name, ok in steps.items() if not ok] == ["logout"]


def test_a_step_that_failed_has_a_short_first_line(service: Simulator, capsys: Any):
    service.gst.reset()
    assert main(["doctor", "gstn_default", "--gstin", RTIN]) == 1
    lines = capsys.readouterr().out.splitlines()
    [failed] = [line for line in lines if line.startswith("FAILED")]
    assert len(failed) < 120


def test_an_outage_while_it_waits_does_not_end_the_wait(service: Simulator):
    service.fault("status", "http", status=503, times=3)  # the first is that of the unknown task
    found = examined(service)
    assert found["pages"].verdict is Verdict.CONFIRMED
    assert verdicts(found, Verdict.CONTRADICTED) == set()


def test_an_outage_that_stays_ends_it(service: Simulator):
    service.fault("status", "http", status=503, times=50)
    examination = Examination("gstn_default", RTIN, sleep=service.gst.advance, now=service.gst.clock.now)
    transcript = examination.run()
    assert [each.name for each in examination.steps if not each.went_well] == ["download"]
    assert sum(each.kind == "status" for each in transcript.answers) == 4


def test_a_theodore_without_a_path_is_asked_for_its_health_at_its_own_host(service: Simulator, monkeypatch: Any):
    connection = service.server.connection
    connection["extra"]["auth_url"] = service.url
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", json.dumps(connection))
    examination = Examination("gstn_default", RTIN)
    examination.run()
    assert [each.told for each in examination.steps[:2]] == ["/health: HTTP 404", "/ping: HTTP 200"]


def test_a_theodore_that_is_not_there_is_told_as_such_and_the_other_host_is_asked(service: Simulator, monkeypatch: Any):
    connection = service.server.connection
    connection["extra"]["auth_url"] = "http://127.0.0.1:9/theodore/apis/v1"
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", json.dumps(connection))
    examination = Examination("gstn_default", RTIN)
    examination.run()
    assert [each.went_well for each in examination.steps] == [False, True, False]
    assert "Check auth_url" in examination.steps[0].told


def test_a_session_that_cannot_be_looked_up_is_not_told_as_missing(service: Simulator, monkeypatch: Any):
    def told() -> str:
        examination = Examination("gstn_default", RTIN, sleep=service.gst.advance, now=service.gst.clock.now)
        examination.run()
        return next(each.told for each in examination.steps if each.name == "session")

    assert told().startswith("not looked up")
    monkeypatch.setattr(_base, "session_store", SharedStore)
    assert told().startswith("none that this Airflow opened")


def test_the_reference_id_of_a_reset_is_told_as_soon_as_it_is_sent(service: Simulator, payload: ResetPayload):
    service.next_task(kind="reset", reference_id="the-reset")
    steps: list[str] = []
    Examination(
        *("gstn_default", RTIN),
        payload=payload,
        say=lambda step: steps.append(step.told),
        sleep=service.gst.advance,
        now=service.gst.clock.now,
    ).run()
    assert "sent 8 documents as task the-reset" in steps


def test_a_transcript_of_a_deviating_service_reads_again_as_what_it_was(
    service: Simulator, deviations: list[Deviation], tmp_path: Path
):
    deviations.extend(DEVIATIONS["status-words"])
    examination = Examination("gstn_default", RTIN, sleep=service.gst.advance, now=service.gst.clock.now, wait=60)
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(examination.run().lines()))
    read = found_in(path)
    assert "download: status: unknown" in read["replies"]
    assert read["findings"]["status-words"] == "contradicted: unknown: ripening"


def test_a_wrong_password_ends_it_after_the_login(service: Simulator, monkeypatch: Any, capsys: Any):
    wrong = {**service.server.connection, "password": "not-the-password"}
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", json.dumps(wrong))
    assert main(["doctor", "gstn_default", "--gstin", RTIN, "--json"]) == 1
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [each["ok"] for each in steps] == [True, True, False]
    assert "not-the-password" not in json.dumps(steps)
