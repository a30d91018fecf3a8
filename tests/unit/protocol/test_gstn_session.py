"""The taxpayer's session with GSTN: one route, four actions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_ims.models.codes import Kind
from airflow_provider_ims.protocol import gstn_session
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.wire import Request
from tests.unit.builders import ACCESS, RTIN, TOKEN, gstn_error, long, reply, settings, short, short_error

CALLS = {
    "OTPREQUEST": (gstn_session.request_otp, ("acme.gst",), {"gstin": RTIN, "username": "acme.gst"}),
    "AUTHTOKEN": (gstn_session.verify_otp, ("otp-1", "012345"), {"otp-request-id": "otp-1", "otp": "012345"}),
    "REFRESHTOKEN": (gstn_session.refresh, ("session-1",), {"gst-session-id": "session-1"}),
    "LOGOUT": (gstn_session.logout, ("session-1",), {"gst-session-id": "session-1"}),
}


def build(action: str, **connection: Any) -> Request:
    call, arguments, _ = CALLS[action]
    return call(settings(**connection), ACCESS, RTIN, *arguments)


@pytest.mark.parametrize("action", CALLS)
def test_a_call_of_the_session(action: str):
    request = build(action)
    assert (request.method, request.url) == ("POST", "https://eas.test/basic/gstn/v3.0/taxpayerapi/v0.2/authenticate")
    assert request.headers == {
        "accept": "application/json",
        "Content-Type": "application/json",
        "X-FLYNN-N-ORG-ID": "org-1",
        "X-FLYNN-N-USER-TOKEN": TOKEN,
        "X-FLYNN-N-GSTN-GSP-CODE": "vay",
        "X-FLYNN-N-GSTIN": RTIN,
        "action": action,
    }
    assert json.loads(request.body or b"") == CALLS[action][2]


@pytest.mark.parametrize("action", CALLS)
def test_only_the_call_that_sends_a_message_to_a_phone_is_never_repeated_by_itself(action: str):
    request = build(action)
    assert request.repeatable == (action != "OTPREQUEST")
    assert bool(request.if_lost) == (action == "OTPREQUEST")


@pytest.mark.parametrize("action", CALLS)
def test_gstns_version_and_the_gstin_header_follow_the_connection(action: str):
    request = build(action, gstn_api_version="v1.0", gstin_header="X-TAXPAYER")
    assert "/taxpayerapi/v1.0/authenticate" in request.url
    assert request.headers["X-TAXPAYER"] == RTIN
    assert "X-FLYNN-N-GSTIN" not in request.headers


@pytest.mark.parametrize("action", CALLS)
def test_no_secret_shows_in_what_is_logged_of_a_call(action: str):
    request = build(action)
    for secret in (TOKEN, "012345", "session-1"):
        assert secret not in request.call + request.url + repr(request)
    assert RTIN in request.call


@pytest.mark.parametrize("envelope", [short, long])
def test_the_ids_are_read_from_either_envelope(envelope: Any):
    assert gstn_session.read_otp_request(reply(envelope({"otp-request-id": "otp-1"})), RTIN) == "otp-1"
    assert gstn_session.read_session(reply(envelope({"gst-session-id": "session-2"})), RTIN) == "session-2"


@pytest.mark.parametrize("data", [None, [], {}, "otp-1", {"otp-request-id": ""}, {"otp-request-id": 5}, {"id": "x"}])
def test_a_reply_without_its_id_is_unreadable(data: Any):
    for read in (gstn_session.read_otp_request, gstn_session.read_session):
        with pytest.raises(ServiceError, match=RTIN) as caught:
            read(reply(long(data)), RTIN)
        assert caught.value.kind is Kind.UNREADABLE


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AUTH4034", Kind.OTP),
        ("AUTH4033", Kind.GSTN_SESSION),
        ("AUTH4038", Kind.GSTN_SESSION),
        ("AUTH4037", Kind.GSTN_SESSION),
        ("AUTH403", Kind.GSTN_SESSION),
        ("AUTH4032", Kind.REQUEST),
    ],
)
def test_gstns_refusal_is_told_with_the_gstin_and_what_to_do(code: str, kind: Kind):
    for read in (gstn_session.read_otp_request, gstn_session.read_session, gstn_session.read_logout):
        with pytest.raises(ServiceError, match=RTIN) as caught:
            read(reply(gstn_error(code), 502), RTIN)
        assert caught.value.kind is kind
        assert caught.value.advice in str(caught.value)


@pytest.mark.parametrize("got", [reply(), reply(b"  "), reply(b"", 204), reply(long(None)), reply(short({}))])
def test_a_success_is_a_logout(got: Any):
    assert gstn_session.read_logout(got, RTIN) is None


@pytest.mark.parametrize("got", [reply(b"", 500), reply(long(None, "0")), reply(short_error("err-odd"), 200)])
def test_an_error_is_no_logout(got: Any):
    with pytest.raises(ServiceError):
        gstn_session.read_logout(got, RTIN)
