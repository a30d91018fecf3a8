"""The theodore token and the GSTN session."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnBusy,
    GstnInvalidRequest,
    GstnOtpRefused,
    GstnServiceUnavailable,
    GstnSessionExpired,
)
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.sessions.store import MemorySessionStore

GSTIN = "27AAPFU0939F1ZV"


def test_an_otp_opens_a_session_that_can_be_extended_and_ended(simulator, hook):
    request_id = hook.request_otp(GSTIN, "portal.user")
    hook.verify_otp(GSTIN, request_id, "424242")
    hook.refresh_session(GSTIN)
    hook.refresh_session(GSTIN)  # with the id that the first refresh returned, the old one being dead
    hook.logout(GSTIN)
    assert (simulator["otp_verifications"], simulator["gstn_refreshes"], simulator["gstn_logouts"]) == (1, 2, 1)
    assert simulator["logins"] == 1


def test_a_wrong_otp_says_what_to_type(simulator, hook):
    request_id = hook.request_otp(GSTIN, "portal.user")
    with pytest.raises(GstnOtpRefused, match=r"(?s)AUTH4034.*newest") as caught:
        hook.verify_otp(GSTIN, request_id, "131313")
    assert GSTIN in str(caught.value)
    assert "131313" not in str(caught.value)


def test_a_session_that_ended_cannot_be_extended(simulator, hook):
    hook.verify_otp(GSTIN, hook.request_otp(GSTIN, "portal.user"), "424242")
    simulator.gst.advance(6 * 3600 + 1)
    with pytest.raises(GstnSessionExpired, match=GSTIN):
        hook.refresh_session(GSTIN)


def test_a_logout_does_not_make_a_running_task_fail(simulator, hook, payload):
    hook.verify_otp(payload.rtin, hook.request_otp(payload.rtin, "portal.user"), "424242")
    reference_id = hook.submit_reset(payload)
    with pytest.raises(GstnBusy, match=reference_id):
        hook.logout(payload.rtin)
    assert simulator["gstn_logouts"] == 0
    simulator.finish_tasks()
    hook.logout(payload.rtin)
    assert simulator["gstn_logouts"] == 1
    assert hook.find_session(payload.rtin) is None


def test_a_logout_can_be_forced(simulator, hook, payload):
    hook.verify_otp(payload.rtin, hook.request_otp(payload.rtin, "portal.user"), "424242")
    hook.submit_reset(payload)
    hook.logout(payload.rtin, force=True)
    assert simulator["gstn_logouts"] == 1


def test_a_young_session_is_left_alone(simulator, hook):
    hook.verify_otp(GSTIN, hook.request_otp(GSTIN, "portal.user"), "424242")
    ends_at = hook.refresh_session(GSTIN, min_age=timedelta(hours=3))
    assert simulator["gstn_refreshes"] == 0
    assert timedelta(hours=5) < ends_at - datetime.now(UTC) <= timedelta(hours=6)


def test_a_store_that_fails_after_the_reset_does_not_lose_its_reference_id(simulator, payload):
    class FailingStore(MemorySessionStore):
        def set(self, key, value):
            if key.startswith("gstn_tasks"):
                raise ConnectionError("no store")
            super().set(key, value)

    simulator.gst.open_session(payload.rtin)
    with GstnHook(store=FailingStore()) as hook:
        reference_id = hook.submit_reset(payload)
        assert hook.get_task_status(reference_id).reference_id == reference_id


@pytest.mark.parametrize("call", ["refresh_session", "logout"])
def test_a_session_that_was_never_opened_is_told_before_any_call(simulator, hook, call):
    with pytest.raises(GstnSessionExpired, match=GSTIN):
        getattr(hook, call)(GSTIN)
    assert simulator["logins"] == 0


def test_api_access_that_is_off_says_where_to_switch_it_on(simulator, hook):
    simulator.gst.change_options({"api_access_off": {GSTIN}})
    with pytest.raises(GstnSessionExpired, match="Manage API Access"):
        hook.verify_otp(GSTIN, hook.request_otp(GSTIN, "portal.user"), "424242")


@pytest.mark.parametrize(
    ("call", "arguments", "names"),
    [
        ("request_otp", ("27aapfu0939f1zv", "portal.user"), "27aapfu0939f1zv"),
        ("request_otp", (GSTIN, ""), "user name"),
        ("verify_otp", (GSTIN, "", "424242"), "OTP request"),
        ("verify_otp", (GSTIN, "some-id", ""), "one-time password"),
    ],
)
def test_a_call_without_what_it_needs_sends_nothing(simulator, hook, call, arguments, names):
    with pytest.raises(GstnInvalidRequest, match=names):
        getattr(hook, call)(*arguments)
    assert simulator["logins"] == 0


def test_a_wrong_api_version_names_the_setting(simulator, monkeypatch):
    connection = simulator.server.connection
    connection["extra"]["gstn_api_version"] = "v9.9"
    monkeypatch.setenv("AIRFLOW_CONN_V9", json.dumps(connection))
    with GstnHook("v9") as hook, pytest.raises(GstnInvalidRequest, match=r"(?s)v9\.9.*gstn_api_version"):
        hook.request_otp(GSTIN, "portal.user")


def test_the_token_is_refreshed_shortly_before_its_end(simulator, hook, monkeypatch):
    monkeypatch.setattr(hook._tokens, "_clock", simulator.gst.clock.now)
    for minutes, refreshes in ((0, 0), (17, 0), (2, 1), (15, 1), (4, 2)):
        simulator.gst.advance(minutes * 60)
        hook.request_otp(GSTIN, "portal.user")
        assert (simulator["logins"], simulator["refreshes"]) == (1, refreshes)


def test_past_its_hard_end_a_token_is_replaced_by_a_login(simulator, hook, monkeypatch):
    monkeypatch.setattr(hook._tokens, "_clock", simulator.gst.clock.now)
    hook.request_otp(GSTIN, "portal.user")
    simulator.gst.advance(6 * 20 * 60 + 1)
    hook.request_otp(GSTIN, "portal.user")
    assert (simulator["logins"], simulator["refreshes"]) == (2, 0)


def test_test_connection_leaves_nothing_behind(simulator):
    assert GstnHook().test_connection() == (
        True,
        f"Logged in as sandbox@example.com; {simulator.url} answers.",
    )
    assert (simulator["otp_requests"], simulator["live_tokens"], simulator["pings"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password": "nonsense"}, "login and password"),
        ({"host": "http://127.0.0.1:9"}, "127.0.0.1:9"),
        ({"login": None}, "login"),
    ],
)
def test_test_connection_says_in_words_what_is_wrong(simulator, monkeypatch, change, says):
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps({**simulator.server.connection, **change}))
    works, text = GstnHook("broken").test_connection()
    assert not works
    assert says in text
    assert "nonsense" not in text


def test_a_logout_of_a_session_that_gstn_does_not_know_any_more_forgets_it(simulator, hook):
    hook.verify_otp(GSTIN, hook.request_otp(GSTIN, "portal.user"), "424242")
    simulator.gst.open_session(GSTIN)  # somebody else opened another one
    with pytest.raises(GstnSessionExpired):
        hook.logout(GSTIN)
    assert hook.find_session(GSTIN) is None


def test_a_lost_reply_to_an_otp_request_says_what_to_do_and_is_not_sent_again(simulator, hook):
    simulator.fault("otp", "drop_after")
    with pytest.raises(GstnAmbiguousSubmission, match="request another one"):
        hook.request_otp(GSTIN, "portal.user")
    assert simulator["otp_requests"] == 1


def test_a_lost_reply_to_a_refresh_may_be_tried_again(simulator, hook):
    hook.verify_otp(GSTIN, hook.request_otp(GSTIN, "portal.user"), "424242")
    simulator.fault("gstn_refresh", "drop_before")
    with pytest.raises(GstnServiceUnavailable):
        hook.refresh_session(GSTIN)
    hook.refresh_session(GSTIN)
