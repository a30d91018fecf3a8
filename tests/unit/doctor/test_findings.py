"""What a transcript says of a fact: nothing is confirmed that was not seen, nothing contradicted by an outage."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_ims.doctor.findings import Finding, Verdict, findings
from airflow_provider_ims.doctor.transcript import Transcript
from airflow_provider_ims.protocol.wire import Reply, Request

EAS = "https://example.com"
DOWNLOAD, STATUS, RESULT = "/enriched/gstn/v1.0/ims-invoices?section=CNA", "/status/t-1", "/result/t-1"
ACCEPTED = {"status": "1", "data": {"task-id": "t-1"}}
PAGES = {"status": "1", "data": {"pages": 1}}

Call = tuple[str, str, int, Any]
"""(step, address, HTTP status, body)"""


def found(calls: Iterable[Call], headers: dict[str, str] | None = None, **head: Any) -> dict[str, Finding]:
    transcript = Transcript({"gstin_header": "X-FLYNN-N-GSTIN", "token_minutes": 20, **head})
    for at, (step, address, status, body) in enumerate(calls):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        method = "POST" if address == "/authtokens" else "GET"
        reply = Reply(status, headers or {"content-type": "application/json"}, content) if status else None
        transcript.add(step, Request("call", method, EAS + address, {}), reply, at=at * 30.0, seconds=0.1)
    return {each.fact.id: each for each in findings(transcript)}


def refused(code: str, **args: Any) -> dict[str, Any]:
    return {"status": "0", "data": None, "error": {"message": code, "args": args}}


def word(status: str) -> dict[str, Any]:
    return {"status": "1", "data": {"status": status}}


EVERY_CALL = (
    ("login and ping", "/authtokens"),
    ("login and ping", "/authenticate"),
    ("unknown task", "/status/unknown"),
    ("download", DOWNLOAD),
    ("result too early", RESULT),
    ("download", STATUS),
    ("download", RESULT),
    ("download", RESULT + "/page/0"),
    ("download", RESULT + "/page/1"),
    ("reset", RESULT),
)


NOT_OF_THE_SERVICE = [b"<html>", b"", {"message": "Forbidden"}]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, body) for status in (403, 429, 500, 502, 503, 504) for body in NOT_OF_THE_SERVICE),
        *((500, refused(code)) for code in ("err-internal", "Sorry, we are down")),
    ],
)
def test_an_outage_at_every_call_contradicts_and_confirms_nothing(status: int, body: Any):
    seen = found((step, address, status, body) for step, address in EVERY_CALL)
    assert {name for name, each in seen.items() if each.verdict is Verdict.CONTRADICTED} == set()
    assert {name for name, each in seen.items() if each.verdict is Verdict.CONFIRMED} <= {"envelope"}


def test_a_page_in_the_place_of_every_reply_contradicts_and_confirms_nothing():
    calls = [(step, address, 200, b"<html>") for step, address in EVERY_CALL]
    assert {each.verdict for each in found(calls, {"content-type": "text/html"}).values()} == {Verdict.NOT_SEEN}


def test_no_reply_at_all_contradicts_and_confirms_nothing():
    seen = found((step, address, 0, None) for step, address in EVERY_CALL)
    assert {each.verdict for each in seen.values()} == {Verdict.NOT_SEEN}


def test_a_download_that_was_only_accepted_says_nothing_of_header_session_and_section():
    seen = found([("download", DOWNLOAD, 200, ACCEPTED), ("download", STATUS, 200, word("processing"))])
    assert {seen[name].verdict for name in ("gstin-header", "session-owner", "download-sections")} == {Verdict.NOT_SEEN}


def test_a_session_that_is_missing_within_the_task_is_told_as_missing():
    no_session = refused("err-gstn-returned", **{"gstn-err": {"code": "AUTH4033"}})
    seen = found([("download", DOWNLOAD, 200, ACCEPTED), ("download", RESULT, 200, no_session)])
    assert seen["session-owner"][1:] == (
        Verdict.NOT_SEEN,
        "there is no live session (AUTH4033): open one, and run this again",
    )
    assert seen["gstin-header"].verdict is Verdict.NOT_SEEN


def test_what_the_connection_sets_otherwise_confirms_nothing():
    calls = [("download", DOWNLOAD, 200, ACCEPTED), ("download", RESULT, 200, PAGES)]
    assert found(calls)["gstin-header"].verdict is Verdict.CONFIRMED
    assert found(calls)["session-owner"].verdict is Verdict.CONFIRMED
    assert found(calls, gstin_header="X-GSTIN")["gstin-header"].verdict is Verdict.NOT_SEEN
    assert found(calls, further_headers=["X-Session"])["session-owner"].verdict is Verdict.NOT_SEEN


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([(200, word("processing"))], Verdict.NOT_SEEN),
        ([(500, b""), (200, word("processing"))], Verdict.NOT_SEEN),
        ([(404, refused("err-resource-not-found"))] * 2, Verdict.NOT_SEEN),
        ([(404, refused("err-resource-not-found"))] * 5, Verdict.CONTRADICTED),
        ([(404, refused("err-resource-not-found")), (200, word("processing"))], Verdict.CONFIRMED),
        ([*[(404, refused("err-resource-not-found"))] * 5, (200, word("processing"))], Verdict.CONTRADICTED),
    ],
)
def test_whether_a_task_is_there_late(answers: list[tuple[int, Any]], verdict: Verdict):
    seen = found([("download", DOWNLOAD, 200, ACCEPTED), *(("download", STATUS, *answer) for answer in answers)])
    assert seen["task-visible"].verdict is verdict


@pytest.mark.parametrize(
    ("answer", "then", "verdict"),
    [
        ((400, refused("err-too-soon")), "processing", Verdict.CONFIRMED),
        ((200, PAGES), "completed", Verdict.NOT_SEEN),
        ((200, refused("RET11416")), "completed", Verdict.NOT_SEEN),
        ((200, PAGES), "processing", Verdict.CONTRADICTED),
        ((409, refused("err-too-soon")), "processing", Verdict.CONTRADICTED),
        ((500, refused("err-too-soon")), "processing", Verdict.NOT_SEEN),
    ],
)
def test_a_result_is_too_early_only_while_the_task_runs(answer: tuple[int, Any], then: str, verdict: Verdict):
    calls = [("result too early", RESULT, *answer), ("download", STATUS, 200, word(then))]
    assert found(calls)["result-too-early"].verdict is verdict


@pytest.mark.parametrize(
    ("expiry", "saw"),
    [
        (1767226800000, "asked for 20 minutes, 20 granted"),
        ("1767226800000", "asked for 20 minutes, 20 granted"),
        (1767226800, "the expiry is no time in milliseconds"),
        ("soon", ""),
        (True, ""),
    ],
)
def test_the_minutes_of_a_token_go_by_the_clock_of_the_service(expiry: Any, saw: str):
    login = ("login and ping", "/authtokens", 200, {"data": {"token": "t", "expiry": expiry}})
    assert found([login], {"date": "Thu, 01 Jan 2026 00:00:00 GMT"})["token-minutes"].saw == saw


def test_what_a_page_says_of_itself_is_no_section():
    page = {"status": "1", "data": {"cna": [{}], "gstin": "x", "chksum": "y"}}
    assert found([("download", RESULT + "/page/0", 200, page)])["page-sections"][1:] == (Verdict.CONFIRMED, "cna")


def test_a_page_without_a_document_is_named():
    page = {"status": "1", "data": {"b2bcna": []}}
    assert found([("download", RESULT + "/page/0", 200, page)])["no-documents"].verdict is Verdict.CONTRADICTED


def test_a_sentence_in_the_place_of_a_code_is_named():
    seen = found([("download", DOWNLOAD, 400, refused("The section is wrong."))])
    assert seen["error-codes"].saw == "not in the table: a text instead of a code"


def test_counts_of_a_reset_that_failed_contradict_nothing():
    failed = {"status": "1", "data": {"status_cd": "ER", "proc_cnt": "0", "err_cnt": "0"}}
    assert found([("reset", RESULT, 200, failed)], documents_sent=8)["reset-counts"].verdict is Verdict.NOT_SEEN
