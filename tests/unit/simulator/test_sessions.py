from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ims.simulator.errors import ServiceError
from airflow_provider_ims.simulator.gst import Gst

HOUR = 3600


def call(gst: Gst, action: str, body: dict[str, Any], version: str = "v0.2") -> dict[str, str]:
    return gst.authenticate(gst.options.org_id, version, action, body)


def refusal(gst: Gst, action: str, body: dict[str, Any], version: str = "v0.2") -> str:
    """Return GSTN's code, or Vayana's when it did not come from GSTN."""
    with pytest.raises(ServiceError) as caught:
        call(gst, action, body, version)
    if caught.value.code == "err-gstn-returned":
        assert caught.value.status == 502
        return str(caught.value.details["gstn-err"]["code"])
    return caught.value.code


def request_otp(gst: Gst, rtin: str) -> str:
    return call(gst, "OTPREQUEST", {"gstin": rtin, "username": "taxpayer"})["otp-request-id"]


def open_session(gst: Gst, rtin: str) -> dict[str, str]:
    otp_id = request_otp(gst, rtin)
    return call(gst, "AUTHTOKEN", {"otp-request-id": otp_id, "otp": gst.last_otp(rtin)})


def is_live(gst: Gst, rtin: str) -> bool:
    return bool(gst.state()["sessions"].get(rtin, {}).get("live"))


def test_an_otp_opens_a_session_once(gst: Gst, rtin: str, otps: list[tuple[str, str]]):
    otp_id = request_otp(gst, rtin)
    assert otps == [(rtin, gst.last_otp(rtin))]
    body = {"otp-request-id": otp_id, "otp": otps[0][1]}
    assert set(call(gst, "AUTHTOKEN", body)) == {"gst-session-id"}
    assert is_live(gst, rtin)
    assert refusal(gst, "AUTHTOKEN", body) == "AUTH4033"


def test_wrong_late_and_superseded_otps(gst: Gst, rtin: str):
    gst.options.otp = "123456"
    first = request_otp(gst, rtin)
    assert refusal(gst, "AUTHTOKEN", {"otp-request-id": first, "otp": "654321"}) == "AUTH4034"
    assert refusal(gst, "AUTHTOKEN", {"otp-request-id": first, "otp": 123456}) == "err-invalid-request-params"
    second = request_otp(gst, rtin)
    assert refusal(gst, "AUTHTOKEN", {"otp-request-id": first, "otp": "123456"}) == "AUTH4033"
    gst.advance(600)
    assert refusal(gst, "AUTHTOKEN", {"otp-request-id": second, "otp": "123456"}) == "AUTH4033"


def test_faults_of_the_otp_request(gst: Gst, rtin: str):
    assert refusal(gst, "OTPREQUEST", {"gstin": "123", "username": "u"}) == "err-invalid-gstin-format"
    assert refusal(gst, "OTPREQUEST", {"gstin": f"{rtin}\n", "username": "u"}) == "err-invalid-gstin-format"
    assert refusal(gst, "OTPREQUEST", {"gstin": rtin}) == "err-invalid-request-params"
    body = {"gstin": rtin, "username": "u"}
    assert refusal(gst, "OTPREQUEST", body, version="v9.9") == "err-invalid-gst-returns-api-version"
    assert refusal(gst, "NONSENSE", body) == "err-invalid-request-params"
    gst.options.api_access_off = {rtin}
    assert refusal(gst, "OTPREQUEST", body) == "AUTH4037"


def test_refresh_gives_a_new_id_and_six_more_hours(gst: Gst, rtin: str):
    first = open_session(gst, rtin)
    gst.advance(5 * HOUR)
    second = call(gst, "REFRESHTOKEN", first)
    assert second != first
    assert refusal(gst, "REFRESHTOKEN", first) == "AUTH4033"
    gst.advance(5 * HOUR)
    assert is_live(gst, rtin)
    gst.advance(HOUR)
    assert not is_live(gst, rtin)
    assert refusal(gst, "REFRESHTOKEN", second) == "AUTH158"


def test_refresh_ends_with_the_consent(gst: Gst, rtin: str):
    gst.options.consent_days = 0.5
    session = open_session(gst, rtin)
    for _ in range(2):
        gst.advance(5 * HOUR)
        session = call(gst, "REFRESHTOKEN", session)
    gst.advance(2 * HOUR)
    assert not is_live(gst, rtin)
    assert refusal(gst, "REFRESHTOKEN", session) == "AUTH158"


def test_without_consent_a_session_lasts_six_hours_and_is_not_refreshed(gst: Gst, rtin: str):
    gst.options.consent_days = 0
    session = open_session(gst, rtin)
    gst.advance(5 * HOUR)
    assert is_live(gst, rtin)
    assert refusal(gst, "REFRESHTOKEN", session) == "AUTH4037"


def test_a_new_session_replaces_the_old_one(gst: Gst, rtin: str):
    first, second = open_session(gst, rtin), open_session(gst, rtin)
    assert refusal(gst, "LOGOUT", first) == "AUTH4033"
    call(gst, "LOGOUT", second)
    assert not is_live(gst, rtin)


def test_state_shows_no_secret(gst: Gst, rtin: str):
    session = open_session(gst, rtin)
    shown = repr(gst.state())
    assert session["gst-session-id"] not in shown
    assert f"'{gst.last_otp(rtin)}'" not in shown
