from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ims.simulator.errors import ServiceError
from airflow_provider_ims.simulator.gst import Gst

LOGIN = {"handle": "sandbox@example.com", "handleType": "email", "password": "simulator-password"}


def refusal(call: Any, *args: Any) -> tuple[int, str]:
    with pytest.raises(ServiceError) as caught:
        call(*args)
    return caught.value.status, caught.value.code


def test_login_answers_in_milliseconds_and_names_the_organisations(gst: Gst):
    gst.options.second_org_id = "other-org"
    before = gst.clock.now()
    reply = gst.login(LOGIN)
    assert reply["expiry"] / 1000 - before == pytest.approx(20 * 60, abs=5)
    organisations = [entry["organisation"]["id"] for entry in reply["associatedOrgs"]]
    assert organisations == [gst.options.org_id, "other-org"]
    assert gst.authorise("other-org", reply["token"]) == "other-org"


def test_a_longer_duration_is_cut_to_360_minutes(gst: Gst):
    before = gst.clock.now()
    reply = gst.login(LOGIN | {"tokenDurationInMins": 1000})
    assert reply["expiry"] / 1000 - before == pytest.approx(360 * 60, abs=5)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"password": "wrong"}, "err-invalid-credentials"),
        ({"handle": "nobody@example.com"}, "err-invalid-credentials"),
        ({"handleType": "mail"}, "err-issue-with-parameter"),
        ({"tokenDurationInMins": "20"}, "err-issue-with-parameter"),
    ],
)
def test_a_bad_login_is_a_400(gst: Gst, change: dict[str, Any], code: str):
    assert refusal(gst.login, LOGIN | change) == (400, code)


def test_the_eleventh_login_is_refused_until_a_slot_is_free(gst: Gst):
    tokens = [gst.login(LOGIN)["token"] for _ in range(10)]
    with pytest.raises(ServiceError) as caught:
        gst.login(LOGIN)
    assert caught.value.status == 401
    assert caught.value.body() == {"message": "err-active-tokens-limit-exceeded", "args": {}}
    gst.logout(tokens[0])
    gst.login(LOGIN)
    assert gst.counters()["most_live_tokens"] == 10
    gst.advance(20 * 60)
    gst.login(LOGIN)
    assert gst.counters()["live_tokens"] == 1


def test_refresh_replaces_the_token_without_taking_a_slot(gst: Gst):
    old = gst.login(LOGIN)["token"]
    new = gst.refresh(old)["token"]
    assert refusal(gst.authorise, gst.options.org_id, old) == (403, "err-invalid-token")
    assert gst.authorise(gst.options.org_id, new) == gst.options.org_id
    assert gst.counters()["live_tokens"] == 1


def test_a_token_past_its_soft_expiry_can_be_neither_used_nor_refreshed(gst: Gst):
    token = gst.login(LOGIN)["token"]
    gst.advance(20 * 60)
    assert refusal(gst.authorise, gst.options.org_id, token) == (403, "err-expired-token")
    assert refusal(gst.refresh, token) == (403, "err-expired-token")


def test_refreshing_ends_at_six_times_the_duration(gst: Gst):
    start = gst.clock.now()
    reply = gst.login(LOGIN)
    for _ in range(7):
        gst.advance(15 * 60)
        reply = gst.refresh(reply["token"])
    assert reply["expiry"] / 1000 - start < 120 * 60 + 5
    gst.advance(15 * 60)
    assert refusal(gst.refresh, reply["token"])[0] == 403


def test_a_call_needs_its_organisation(gst: Gst):
    token = gst.login(LOGIN)["token"]
    assert refusal(gst.authorise, "other-org", token) == (403, "err-invalid-org")
    assert refusal(gst.authorise, None, token) == (403, "err-invalid-org")
    assert refusal(gst.authorise, gst.options.org_id, f"Bearer {token}") == (403, "err-invalid-token")
