"""Each error that the service can answer with, and the kind of fault that it is."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.protocol.errors import ServiceError, no_reply, read_data, unreachable, unreadable
from airflow_provider_ims.protocol.text import spellings
from airflow_provider_ims.protocol.wire import Reply, Request
from tests.unit.builders import gstn_error, long, long_error, reply, short, short_error

# The contract's table of Vayana's codes: code, HTTP status, kind.
VAYANA = [
    ("err-expired-token", 403, Kind.TOKEN_EXPIRED),
    ("err-invalid-token", 403, Kind.TOKEN_EXPIRED),
    ("err-invalid-org", 403, Kind.LOGIN),
    ("err-active-tokens-limit-exceeded", 401, Kind.TOKEN_LIMIT),
    ("err-unable-to-decrypt-message-with-key", 500, Kind.REQUEST),
    ("err-aes-decryption-failed", 500, Kind.REQUEST),
    ("err-invalid-gstin-format", 400, Kind.REQUEST),
    ("err-invalid-request-params", 400, Kind.REQUEST),
    ("err-invalid-gst-returns-api-version", 400, Kind.REQUEST),
    ("err-invalid-gstn-version", 400, Kind.REQUEST),
    ("err-resource-not-found", 404, Kind.NOT_FOUND),
    ("err-content-type-not-set-correctly", 400, Kind.REQUEST),
    ("err-issue-with-parameter", 400, Kind.LOGIN),
]

# GSTN's codes that a client meets inside gstn-err.
GSTN = {
    **dict.fromkeys(
        ["AUTH103", "AUTH158", "AUTH4033", "AUTH4038", "AUTH403", "RET11402", "RET11407", "RET2B1010"],
        Kind.GSTN_SESSION,
    ),
    **dict.fromkeys(["RETOTPREQUEST", "EVCREQUEST", "AUTH4037", "OTP0011"], Kind.GSTN_SESSION),
    "AUTH4034": Kind.OTP,
    "IMSSAV0015": Kind.BUSY,
    **dict.fromkeys(["AUTH4032", "AUTH4035", "IMSSAV005", "GEN5001"], Kind.REQUEST),
    **dict.fromkeys(["RET11400", "RET11403", "RET11404", "RET11409"], Kind.REQUEST),
    **dict.fromkeys(["IMSSAV0010", "IMS2B007", "IMS2005"], Kind.REFUSED),
    **dict.fromkeys(["RET11416", "RET13508"], Kind.NO_DOCUMENTS),
    "RTN_24": Kind.NOT_READY,
    **dict.fromkeys(["TEC4002", "GEN4004", "GEN5008", "RET12501", "GSPERR300:GSPGSTDOWN"], Kind.OUTAGE),
    "NEVER-SEEN-BEFORE": Kind.REFUSED,
}


def error_of(got: Reply) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        read_data(got, "the call")
    return caught.value


def quoting(text: str) -> dict[str, Any]:
    """An error of GSTN that quotes a text wherever there is room for it."""
    body = gstn_error(text, f"You sent {text}!")
    body["error"]["args"]["parameter-name"] = f"{text} in X-FLYNN-N-USER-TOKEN"
    return body


@pytest.mark.parametrize("secret", ["123456", 'pass"word/é', "a-token-nobody-may-see", "x" * 400])
@pytest.mark.parametrize(
    "quoted", [str, json.dumps, lambda text: json.dumps({"otp": text}), lambda text: quote(text, "")]
)
def test_a_secret_of_the_request_is_struck_out_of_an_error_that_quotes_it(secret: str, quoted: Any):
    got = dataclasses.replace(reply(quoting(quoted(secret)), 400), secrets=spellings(secret))
    error = error_of(got)
    for told in (str(error), error.code, error.message, error.place):
        for spelling in spellings(secret):
            assert spelling not in told
        assert secret[:300] not in told
    assert "***" in error.code
    assert "You sent" in error.message


def test_a_code_that_we_know_stays_known_whatever_the_password_is():
    got = dataclasses.replace(reply(short_error("err-expired-token"), 403), secrets=spellings("err"))
    assert (error_of(got).kind, error_of(got).code) == (Kind.TOKEN_EXPIRED, "err-expired-token")


def test_an_error_is_one_line_of_printable_text():
    error = error_of(reply(gstn_error("ODD\x00\ud800", "\x1b[31m\u202eno\nWARNING\x85"), 502))
    assert str(error).isprintable()
    assert str(error).encode()
    assert error.code == "ODD\ufffd\ufffd"


@pytest.mark.parametrize("data", [{"task-id": "t-1"}, [], {}, None, "text", 0])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_data_of_either_envelope_is_read(data: Any, status: int):
    assert read_data(reply(short(data), status), "the call") == data
    assert read_data(reply(long(data), status), "the call") == data
    assert read_data(reply(long(data, 1), status), "the call") == data


def test_an_empty_error_is_none():
    assert read_data(reply({"data": 1, "error": {}}), "the call") == 1
    assert read_data(reply({"data": 1, "error": None}), "the call") == 1


@pytest.mark.parametrize(("code", "status", "kind"), VAYANA)
@pytest.mark.parametrize("envelope", [short_error, long_error])
def test_a_code_of_vayanas(code: str, status: int, kind: Kind, envelope: Any):
    error = error_of(reply(envelope(code), status))
    assert error.kind is kind
    assert error.code == code
    assert error.http_status == status
    assert error.advice
    for told in (code, str(status), "the call", kind.value):
        assert told in str(error)


@pytest.mark.parametrize(("code", "status", "kind"), [row for row in VAYANA if row[0] != "err-invalid-gstn-version"])
def test_a_code_that_we_know_counts_more_than_the_http_status(code: str, status: int, kind: Kind):
    for other in (200, 400, 403, 404, 429, 500, 502):
        assert error_of(reply(short_error(code), other)).kind is kind
        assert error_of(reply(long_error(code.upper()), other)).kind is kind


@pytest.mark.parametrize(("code", "kind"), GSTN.items())
def test_what_gstn_returned_is_looked_at_first_at_any_http_status(code: str, kind: Kind):
    for status in (200, 400, 401, 403, 404, 429, 500, 502, 503):
        for envelope in (gstn_error(code), long(None, "0") | gstn_error(code)):
            error = error_of(reply(envelope, status))
            assert (error.kind, error.code, error.message) == (kind, code, "in GSTN's own words")
            assert "in GSTN's own words" in str(error)


def test_gstns_code_may_bear_the_names_of_its_other_replies():
    body = short_error("err-gstn-returned", **{"gstn-err": {"error_cd": "IMSSAV0015", "error_msg": "busy"}})
    error = error_of(reply(body, 502))
    assert (error.kind, error.code, error.message) == (Kind.BUSY, "IMSSAV0015", "busy")


@pytest.mark.parametrize("args", [{}, {"gstn-err": None}, {"gstn-err": {}}, {"gstn-err": "down"}, {"status-code": "0"}])
@pytest.mark.parametrize("status", [200, 400, 502])
def test_a_refusal_of_gstn_without_a_code_is_no_outage(args: dict[str, Any], status: int):
    assert error_of(reply(short_error("err-gstn-returned", **args), status)).kind is Kind.REFUSED


@pytest.mark.parametrize("code", ["AUTH158", "AUTH4038", "RETOTPREQUEST"])
def test_a_dead_gstn_session_says_what_a_person_does(code: str):
    assert "one-time password" in error_of(reply(gstn_error(code), 502)).advice


@pytest.mark.parametrize("status", ["0", 0])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        *((error, Kind.UNREADABLE) for error in (None, {}, "", {"message": ""}, {"message": None, "args": {}})),
        *((error, Kind.REFUSED) for error in ({"message": "err-odd"}, "err-odd", ["err-odd"])),
    ],
)
def test_status_0_is_an_error_even_at_http_200(status: Any, error: Any, kind: Kind):
    body = {"status": status, "data": {"task-id": "t-1"}, "error": error}
    assert error_of(reply(body)).kind is kind


@pytest.mark.parametrize("error", [{"message": "err-odd"}, "err-odd", ["err-odd"]])
def test_an_error_is_an_error_whatever_the_status_says(error: Any):
    for body in ({"error": error}, {"data": 1, "error": error}, {"status": "1", "data": 1, "error": error}):
        assert "err-odd" in error_of(reply(body)).code


@pytest.mark.parametrize(
    "error",
    [
        {"message": "err-expired-token"},
        {"message": "err-expired-token", "type": None, "args": None},
        {"message": "err-expired-token", "args": []},
        {"message": "err-expired-token", "args": "x"},
        {"message": " err-expired-token "},
    ],
)
def test_type_and_args_may_be_missing(error: dict[str, Any]):
    assert error_of(reply({"error": error}, 403)).kind is Kind.TOKEN_EXPIRED


@pytest.mark.parametrize(
    ("name", "value"), [("parameter-name", "section"), ("version", "v9.9"), ("task-id", "t-1"), ("parameter-name", 7)]
)
def test_what_the_error_is_about_is_told(name: str, value: Any):
    error = error_of(reply(short_error("err-invalid-request-params", **{name: value}), 400))
    assert error.place == f"{name} {value}"
    assert error.place in str(error)


def test_an_error_tells_what_is_known_of_it_and_nothing_of_what_is_not():
    bare = ServiceError(Kind.OUTAGE, "the call", advice="Try later.")
    assert str(bare) == f"the call: {Kind.OUTAGE.value}. Try later."
    full = ServiceError(Kind.BUSY, "the call", code="C", message="M", advice="A.", place="task t-1", http_status=502)
    assert str(full) == f"the call (task t-1): {Kind.BUSY.value} [C, M, HTTP 502]. A."
    assert error_of(reply(short_error("err-new"), 400)).place == ""
    assert error_of(reply(short_error("err-new"), 400)).message == ""


def test_an_error_that_is_read_otherwise_keeps_all_that_the_service_said():
    body = gstn_error("GEN5008", "in its own words")
    body["error"]["args"]["task-id"] = "t-1"
    said = error_of(reply(body, 502, Retry_After="7"))
    lost, passing = said.as_lost_reply(), said.as_passing()
    assert (lost.kind, passing.kind) == (Kind.LOST_REPLY, Kind.UNREADABLE)
    for other in (lost, passing):
        assert (other.call, other.code, other.message) == ("the call", "GEN5008", "in its own words")
        assert (other.place, other.http_status, other.retry_after) == ("task-id t-1", 502, 7)
    assert "before sending it again" in lost.advice
    assert passing.advice == said.advice


@pytest.mark.parametrize("status", [300, 301])
def test_data_with_the_status_of_a_redirect_is_no_success(status: int):
    with pytest.raises(ServiceError):
        read_data(reply(short("data"), status), "the call")


def test_a_secret_of_the_request_is_struck_out_of_the_data_that_quotes_it():
    secret = "a-token-nobody-may-see"
    got = dataclasses.replace(reply(short({"echo": f"You sent {secret}"})), secrets=spellings(secret))
    assert secret not in str(read_data(got, "the call"))


def test_a_reply_that_is_not_of_the_contract_says_what_it_is_and_to_check_the_host():
    error = unreadable("the call", "no token in it")
    assert (error.kind, error.call, error.message) == (Kind.UNREADABLE, "the call", "no token in it")
    assert error.http_status is None
    assert "Check the host" in error.advice
    assert unreadable("the call", "no token in it", reply(b"", 204)).http_status == 204
    assert error_of(reply(b"<html>", 200)).http_status == 200


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (404, "does not know this address"),
        (408, "Try again later"),
        (422, "Correct the request"),
        (301, "sends us elsewhere"),
        (503, "Try again later"),
        (429, "less often"),
        (401, "password"),
    ],
)
def test_an_http_status_that_has_to_speak_says_what_to_do(status: int, advice: str):
    assert advice in error_of(reply(short_error("err-new"), status)).advice


def test_a_page_that_is_not_the_services_says_where_to_look():
    assert "proxy or gateway" in error_of(reply(b"<html>", 404)).advice
    assert "Try again later" in error_of(reply(b"<html>", 503)).advice


BY_STATUS = [
    (300, Kind.REQUEST),
    (400, Kind.REQUEST),
    (408, Kind.OUTAGE),
    (401, Kind.LOGIN),
    (403, Kind.LOGIN),
    (404, Kind.REQUEST),
    (405, Kind.REQUEST),
    (413, Kind.REQUEST),
    (422, Kind.REQUEST),
    (429, Kind.THROTTLED),
    (500, Kind.OUTAGE),
    (502, Kind.OUTAGE),
    (503, Kind.OUTAGE),
    (504, Kind.OUTAGE),
    (301, Kind.REQUEST),
    (302, Kind.REQUEST),
    (307, Kind.REQUEST),
]


@pytest.mark.parametrize(("status", "kind"), BY_STATUS)
def test_a_code_that_nobody_knows_leaves_the_http_status_to_speak(status: int, kind: Kind):
    for body in (short_error("err-new"), long_error("err-new")):
        assert error_of(reply(body, status)).kind is kind


@pytest.mark.parametrize(("status", "kind"), BY_STATUS)
def test_a_reply_without_a_code_is_a_gateways_and_says_nothing_of_login_request_or_task(status: int, kind: Kind):
    told_by_gateways = {408, 413, 429, 500, 502, 503, 504}
    for body in (long(None), long(None, "0"), {"error": {}}, {"message": "Forbidden"}, b"<html>", b""):
        error = error_of(reply(body, status))
        assert error.kind is (kind if status in told_by_gateways else Kind.UNREADABLE)
        assert error.http_status == status


def test_a_413_says_to_send_less():
    assert "fewer documents" in error_of(reply(b"", 413)).advice


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Welcome</html>",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"data"',
        b"1",
        b"{}",
        b'{"status":"1"}',
        b'{"result":1}',
        b'{"data":',
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("status", [200, 204])
def test_a_success_that_is_not_of_the_contract_is_unreadable(body: bytes, status: int):
    assert error_of(reply(body, status)).kind is Kind.UNREADABLE


@settings(deadline=None, max_examples=60)
@given(st.integers(200, 599), st.binary(max_size=40))
def test_no_reply_is_too_odd_to_be_named(status: int, body: bytes):
    assert error_of(reply(body, status)).kind in Kind


_KEYS = st.sampled_from(["status", "data", "error", "message", "type", "args", "gstn-err", "code"])
_PLAIN = st.characters(categories=["L", "N", "P"])
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(_PLAIN, max_size=5)
    | st.sampled_from(["0", "1", "err-expired-token"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([200, 400, 403, 502]), _JSON)
def test_no_json_is_too_odd_to_be_read_or_named(status: int, body: Any):
    data: Any = ServiceError
    with contextlib.suppress(ServiceError):
        data = read_data(reply(body, status), "the call")
    if data is not ServiceError:
        assert status == 200
        assert body["data"] == data
        assert not body.get("error")
        assert str(body.get("status")) != "0"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120),
        ({"retry-after": " 7 "}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 60),
        ({"Retry-After": "Sun, 06 Nov 1994 08:48:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0),
        ({"Retry-After": "86400"}, 3600),
        ({"Retry-After": "9" * 400}, 3600),
        ({"Retry-After": "Sun, 06 Nov 2094 08:50:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 3600),
        ({"Retry-After": "soon", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, None),
        ({"Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT", "Date": "today"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize(
    ("status", "body"), [(429, b""), (503, short_error("err-busy")), (502, gstn_error("IMSSAV0015"))]
)
def test_the_wait_that_the_service_asks_for_is_read(headers: dict, seconds: float | None, status: int, body: Any):
    assert error_of(reply(body, status, **headers)).retry_after == seconds


def test_a_text_of_the_service_is_kept_short():
    error = error_of(reply(gstn_error("X" * 5000, "y" * 5000), 502))
    assert len(str(error)) < 1000


def test_an_error_of_a_call_that_was_not_answered_names_the_host_and_says_whether_to_repeat():
    reset = Request("IMS reset", "PUT", "https://eas.test/x", {}, repeatable=False, if_lost="Look before sending it.")
    lost = no_reply(reset, "eas.test", "ReadTimeout")
    assert lost.kind is Kind.LOST_REPLY
    assert lost.advice == "Look before sending it."
    again = no_reply(Request("status of task t-1", "GET", "https://eas.test/x", {}), "eas.test", "ReadTimeout")
    assert again.kind is Kind.OUTAGE
    assert (lost.call, again.call) == ("IMS reset", "status of task t-1")
    assert "Try again later" in again.advice
    away = unreachable("IMS reset", "eas.test", "NewConnectionError")
    assert away.call == "IMS reset"
    assert "Check the host" in away.advice
    assert away.kind is Kind.UNREACHABLE
    assert "Check auth_url" in unreachable("theodore login", "auth.test", "NewConnectionError").advice
    for error in (lost, again, away):
        assert "eas.test" in str(error)
        assert error.http_status is None


@pytest.mark.parametrize("reason", ["SSLError", "ClientConnectorSSLError"])
def test_a_host_that_speaks_no_https_is_told_to_be_asked_with_http(reason: str):
    reset = Request("IMS reset", "PUT", "https://eas.test/x", {}, repeatable=False, if_lost="Look before sending it.")
    for request in (reset, Request("status of task t-1", "GET", "https://eas.test/x", {})):
        assert (
            "Does eas.test speak https? If not, write http:// before it" in no_reply(request, "eas.test", reason).advice
        )
    assert no_reply(reset, "eas.test", reason).advice.endswith("Look before sending it.")
    assert no_reply(reset, "eas.test", reason).kind is Kind.LOST_REPLY


def test_every_kind_says_in_words_what_it_is():
    assert len({kind.value for kind in Kind}) == len(Kind)
    for kind in Kind:
        assert kind.value in str(ServiceError(kind, "the call"))
