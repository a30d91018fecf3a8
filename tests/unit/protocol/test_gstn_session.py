"""The taxpayer's session with GSTN: one route, four actions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.protocol import gstn_session
from airflow_provider_ims.protocol.access import TokenKeeper
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.gstn_session import GstnSessions
from airflow_provider_ims.protocol.wire import Reply, Request
from tests.unit.builders import (
    ACCESS,
    PASSWORD,
    RTIN,
    TOKEN,
    gstn_error,
    long,
    reply,
    settings,
    short,
    short_error,
    token_data,
)
from tests.unit.protocol.conversation import Answer, Clock, Conversation

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


S1, S2, S3 = "session-id-1", "session-id-2", "session-id-3"
ENDED = reply(gstn_error("AUTH4033"), 502)
HOUR = 3600.0


class Keeper(Conversation):
    """The sessions of one worker, and the store that all workers share."""

    def __init__(self, store: dict[str, str] | None = None, clock: Clock | None = None) -> None:
        super().__init__(PASSWORD, S1, S2, S3)
        connection = settings(org_id="org-1")
        self.clock = clock or Clock()
        tokens = TokenKeeper(connection, {}, self.clock, is_shared=False)
        self.sessions = GstnSessions(connection, tokens, self.clock)
        self.hold(tokens.access(), reply(short(token_data(TOKEN, int((self.clock.now + 86_400) * 1000)))))
        self.requests.clear()
        self.store = {} if store is None else store

    def opens(self, session_id: str) -> None:
        self.hold(self.sessions.verify_otp(RTIN, "otp-1", "012345"), is_called(session_id))

    def refresh(self, *answers: Answer, min_age: float = 0.0) -> gstn_session.GstnSession:
        return self.hold(self.sessions.refresh(RTIN, min_age), *answers)

    @property
    def known(self) -> str | None:
        found = self.hold(self.sessions.find(RTIN))
        return found.session_id if found else None


def is_called(session_id: str) -> Reply:
    return reply(long({"gst-session-id": session_id}))


@pytest.fixture
def one() -> Keeper:
    """A worker that knows a session that is an hour old."""
    keeper = Keeper()
    keeper.opens(S1)
    keeper.clock.now += HOUR
    keeper.requests.clear()
    return keeper


class TestExtensions:
    def test_what_gstn_calls_it_from_then_on_is_kept(self, one: Keeper):
        session = one.refresh(is_called(S2))
        assert (one.known, session.ends_at) == (S2, one.clock.now + 6 * HOUR)
        assert json.loads(one.requests[0].body or b"") == {"gst-session-id": S1}

    def test_a_session_that_is_young_enough_is_left_alone(self, one: Keeper):
        assert one.refresh(min_age=2 * HOUR).session_id == S1
        assert one.refresh(is_called(S2), min_age=HOUR).session_id == S2

    def test_a_session_that_has_ended_is_forgotten(self, one: Keeper):
        with pytest.raises(ServiceError) as caught:
            one.refresh(ENDED)
        assert caught.value.kind is Kind.GSTN_SESSION
        assert one.known is None

    @pytest.mark.parametrize("when", ["before the refusal", "while it waits for it"])
    def test_the_newer_id_of_another_host_is_never_forgotten(self, one: Keeper, when: str):
        another = Keeper(one.store, one.clock)
        another.masked.append(S1)

        def another_extends_it() -> None:
            another.refresh(is_called(S2))

        def refused() -> Reply:
            if when == "before the refusal":
                another_extends_it()
            else:
                one.on_pause = another_extends_it
            return ENDED

        assert one.refresh(refused).session_id == S2
        assert one.known == S2

    def test_a_session_that_a_person_opened_meanwhile_is_not_overwritten(self, one: Keeper):
        another = Keeper(one.store, one.clock)

        def while_it_is_extended() -> Reply:
            another.opens(S3)
            return is_called(S2)

        assert one.refresh(while_it_is_extended).session_id == S3
        assert one.known == S3

    @pytest.mark.parametrize("lost", [Kind.OUTAGE, Kind.LOST_REPLY, Kind.UNREADABLE, reply(b"", 502), reply(b"<html>")])
    def test_after_a_lost_reply_the_known_id_is_tried_again(self, one: Keeper, lost: Any):
        with pytest.raises(ServiceError):
            one.refresh(lost)
        assert one.known == S1
        assert one.refresh(is_called(S2)).session_id == S2

    @pytest.mark.parametrize("lost", [Kind.OUTAGE, Kind.LOST_REPLY])
    def test_an_id_that_died_by_a_lost_reply_costs_no_password_while_the_session_lives(
        self, one: Keeper, lost: Kind, caplog: pytest.LogCaptureFixture
    ):
        asked_at = one.clock.now
        with pytest.raises(ServiceError):
            one.refresh(lost)
        for _ in range(3):
            one.clock.now += 1.5 * HOUR
            assert one.refresh(ENDED).ends_at == asked_at + 6 * HOUR
        assert "cannot be extended" in caplog.text
        one.clock.now = asked_at + 6 * HOUR
        with pytest.raises(ServiceError):
            one.refresh(ENDED)
        assert one.known is None

    def test_a_worker_that_dies_while_it_waits_for_the_reply_is_the_same(self, one: Keeper):
        asked_at = one.clock.now

        def dies() -> Reply:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            one.refresh(dies)
        assert one.refresh(ENDED).ends_at == asked_at + 6 * HOUR

    def test_what_was_never_sent_is_no_extension(self, one: Keeper):
        with pytest.raises(ServiceError):
            one.refresh(Kind.UNREACHABLE)
        with pytest.raises(ServiceError):
            one.refresh(ENDED)
        assert one.known is None

    def test_an_extension_asked_for_after_the_end_is_none(self, one: Keeper):
        one.clock.now += 6 * HOUR
        with pytest.raises(ServiceError):
            one.refresh(Kind.OUTAGE)
        with pytest.raises(ServiceError):
            one.refresh(ENDED)
        assert one.known is None

    def test_what_only_a_person_can_mend_is_told_also_after_a_lost_reply(self, one: Keeper):
        with pytest.raises(ServiceError):
            one.refresh(Kind.OUTAGE)
        with pytest.raises(ServiceError, match="AUTH4037"):
            one.refresh(reply(gstn_error("AUTH4037"), 502))

    def test_it_is_done_by_one_of_a_host_at_a_time(self, one: Keeper):
        held: list[str] = []

        def look() -> Reply:
            held.extend(one.exclusive)
            return is_called(S2)

        one.refresh(look)
        assert held == [one.sessions._session_key(RTIN)]


def test_a_password_that_was_taken_opens_the_session_even_if_its_id_cannot_be_kept(caplog: pytest.LogCaptureFixture):
    keeper = Keeper()
    keeper.is_read_only = True
    keeper.opens(S1)
    assert "could not be kept" in caplog.text
    assert S1 not in caplog.text


def test_a_logout_forgets_the_session_that_it_ended_and_no_other(one: Keeper):
    another = Keeper(one.store, one.clock)

    def while_it_is_logged_out() -> Reply:
        another.opens(S3)
        return reply()

    one.hold(one.sessions.logout(RTIN), while_it_is_logged_out)
    assert one.known == S3
    one.masked.append(S3)
    one.hold(one.sessions.logout(RTIN), reply())
    assert one.known is None
