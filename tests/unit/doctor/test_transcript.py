"""What a transcript keeps of a service that quotes what it must not, and how one is read again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_ims.doctor.transcript import Transcript
from airflow_provider_ims.protocol.wire import Reply, Request

PASSWORD, TOKEN, ORG = "s3cret-Password", "eyJhbGciOiJIUzI1NiJ9.body.seal", "5f1d7a52-0c1e-4c0b-9b55-3d1f6a7e2c90"
GSTIN, OTP, AMOUNT = "27AAPFU0939F1ZV", "424242", 118000.57
PLANTED = (
    *(PASSWORD, TOKEN, ORG, GSTIN, GSTIN.lower(), "AAPFU0939F", OTP, "118000", "4711815", "INV-2024-0815"),
    *("Rameshwar", "kumar", "331001234567"),
)
VALUES = [
    *(PASSWORD, f"x{TOKEN}y", ORG, GSTIN, GSTIN.lower(), f"{GSTIN}-331001234567", "AAPFU0939F", OTP, int(OTP), AMOUNT),
    *(4711815, "4711815", "INV-2024-0815", "Rameshwar", "Rameshwar Kumar", f"err-{ORG}", f"err-{PASSWORD.lower()}"),
]
# Of these fields something is kept. The word of a status may be any: there a name cannot be told from a word.
FIELDS = [
    *("message", "code", "err_cd", "error_cd", "type", "action", "srcform", "inv_typ", "srcfilstatus", "pos"),
    *("rtnprd", "parameter-name", "status-code", "pages", "total", "pending", "proc_cnt", "err_cnt", "expiry", "note"),
    *("ispendactblocked", "form_typ", "prev_status", "status_cd", "id", "task-id"),
]


def kept(answer: Any, headers: dict[str, str] | None = None, **asked_with: Any) -> Transcript:
    transcript = Transcript()
    transcript.hide(PASSWORD, ORG)
    asked = Request("ping", "GET", "https://example.com/authenticate", {"accept": "x"}, secrets=(TOKEN,))
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    transcript.add("ping", asked._replace(**asked_with), Reply(200, headers or {}, content), at=0.0, seconds=0.0)
    return transcript


def leaks(transcript: Transcript) -> list[str]:
    text = "\n".join(transcript.lines())
    return [each for each in PLANTED if each in text]


@pytest.mark.parametrize("field", FIELDS)
def test_no_field_shows_what_is_secret_or_personal(field: str):
    assert leaks(kept({"data": [{field: value} for value in VALUES[:5]]})) == []
    assert leaks(kept({"data": [{field: [value]} for value in VALUES[5:10]]})) == []
    assert leaks(kept({"error": {field: {field: VALUES[10:15]}}, field: VALUES[15:]})) == []


@pytest.mark.parametrize("value", VALUES)
def test_no_name_of_a_field_shows_it(value: object):
    assert leaks(kept({"data": {str(value): 1}, "error": {"args": {str(value): {}}}})) == []


def test_a_name_that_a_reply_or_the_request_held_as_a_value_is_not_shown_as_a_field():
    assert "kumar" not in "".join(kept({"data": {"givenName": "Kumar", "kumar": 1}}).lines())
    sent = json.dumps({"invdata": {"b2b": [{"inum": "kumar", "nt_num": "CN1"}]}}).encode()
    text = "".join(kept({"kumar": 1, "error": {"message": "CN1"}}, body=sent).lines())
    assert "kumar" not in text
    assert "CN1" not in text


@pytest.mark.parametrize("name", ["content-type", "content-encoding", "retry-after", "server", "x-simulator", "date"])
@pytest.mark.parametrize("value", [PASSWORD, TOKEN, GSTIN, f"text/html; {OTP}", f"nginx {GSTIN.lower()}", "424242"])
def test_no_header_shows_it(name: str, value: str):
    [answered] = kept({}, {name: value}).answers
    assert answered.headers == {name: "text"}


def test_no_address_shows_it():
    url = f"https://example.com/tenant/{PASSWORD}/enriched/tasks/v1.0/result/{GSTIN}/page/0?section={OTP}"
    [answered] = kept({}, url=url).answers
    assert (answered.path, answered.query) == ("/part/part/enriched/tasks/v1.0/result/id-1/page/0", {"section": "text"})


def test_words_codes_and_counts_stay():
    body = {
        "status": "0",
        "data": {"status": "ripening", "pages": 12, "proc_cnt": "8", "expiry": 1795887162666, "itcRedReq": "Y"},
        "error": {"message": "err-brand-new", "type": "Gstn", "args": {"gstn-err": {"code": "IMSSAV0099"}}},
    }
    [answered] = kept(body).answers
    assert answered.body == {**body, "data": {**body["data"], "itcRedReq": "text"}}


def test_an_id_that_looks_like_a_status_changes_no_status():
    [answered] = kept({"data": {"id": "1"}, "status": "1"}).answers
    assert answered.body == {"data": {"id": "id-1"}, "status": "1"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": ' + b'{"a": [' * 300 + b"1" + b"]}" * 300 + b"}",
        b'{"data": ' + b"[" * 100_000,
        json.dumps({"data": {f"f{number}": number for number in range(100_000)}}).encode(),
        json.dumps({"data": [[["x"] * 1000] * 1000]}).encode(),
    ],
)
def test_what_is_deep_or_wide_is_cut(body: bytes):
    [_, line] = kept(body).lines()
    assert len(line) < 10_000


def test_bytes_that_are_no_utf_8_are_read_as_the_package_reads_them():
    assert (
        kept(b'{"status": "1", "data": {"status": "completed", "x": "\xff"}}').answers[0].data["status"] == "completed"
    )


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["[]"],
        ['{"doctor": 1}', "[]"],
        ['{"doctor": 1}', '{"step": 1}'],
        ['{"doctor": 1}', "[" * 100_000],
    ],
)
def test_what_is_no_transcript_is_refused(lines: list[str]):
    with pytest.raises(ValueError, match=r"head|line"):
        Transcript.of_lines(lines)


def test_a_transcript_of_others_is_checked_and_cleaned():
    line = json.loads(list(kept({"data": {"status": "x"}}).lines())[1])
    with pytest.raises(ValueError, match="status is not"):
        Transcript.of_lines(['{"doctor": 1}', json.dumps({**line, "status": "x"})])
    odd = json.dumps({**line, "body": {"data": {"status": "a\x1b[31m"}}})
    assert Transcript.of_lines(['{"doctor": 1}', odd]).answers[0].data["status"].isprintable()
