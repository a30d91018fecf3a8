"""
The taxpayer's session with GSTN: one-time password, session, refresh, logout.

Source: Vayana's pages on GSTN authentication, v3.0 (one route, the header ``action`` tells the calls apart).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from airflow_provider_ims.protocol.access import Access, headers
from airflow_provider_ims.protocol.errors import read_data, unreadable
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.wire import Reply, Request


def request_otp(settings: Settings, access: Access, gstin: str, username: str) -> Request:
    """Build the request for a one-time password; GSTN sends it to the taxpayer's mobile and mail."""
    return _authenticate(settings, access, gstin, "OTPREQUEST", {"gstin": gstin, "username": username})


def verify_otp(settings: Settings, access: Access, gstin: str, otp_request_id: str, otp: str) -> Request:
    """Build the exchange of a one-time password for a session of 6 hours."""
    return _authenticate(settings, access, gstin, "AUTHTOKEN", {"otp-request-id": otp_request_id, "otp": otp})


def refresh(settings: Settings, access: Access, gstin: str, session_id: str) -> Request:
    """Build the extension of a session, as long as the taxpayer's consent on the portal lasts."""
    return _authenticate(settings, access, gstin, "REFRESHTOKEN", {"gst-session-id": session_id})


def logout(settings: Settings, access: Access, gstin: str, session_id: str) -> Request:
    """Build the end of a session. Tasks that are still running fail by it."""
    return _authenticate(settings, access, gstin, "LOGOUT", {"gst-session-id": session_id})


def read_otp_request(reply: Reply, gstin: str) -> str:
    """Read the id that goes with the one-time password."""
    return _id(reply, "otp-request-id", f"OTP request for GSTIN {gstin}")


def read_session(reply: Reply, gstin: str) -> str:
    """Read a session's id, after a verified password or a refresh; a refresh can return another id."""
    return _id(reply, "gst-session-id", f"GSTN session of GSTIN {gstin}")


def read_logout(reply: Reply, gstin: str) -> None:
    """Read the reply to a logout: 200 is the signal, no body is documented."""
    if not 200 <= reply.status < 300 or reply.body.strip():
        read_data(reply, f"GSTN logout of GSTIN {gstin}")


def _authenticate(settings: Settings, access: Access, gstin: str, action: str, body: Mapping[str, str]) -> Request:
    return Request(
        call=f"GSTN {action} for GSTIN {gstin}",
        method="POST",
        url=f"{settings.eas_url}/basic/gstn/v3.0/taxpayerapi/{settings.gstn_api_version}/authenticate",
        headers={**headers(settings, access, gstin=gstin, with_body=True), "action": action},
        body=json.dumps(body).encode(),
        repeatable=False,
    )


def _id(reply: Reply, name: str, call: str) -> str:
    data = read_data(reply, call)
    found = data.get(name) if isinstance(data, Mapping) else None
    if not isinstance(found, str) or not found:
        raise unreadable(call, f"the reply holds no {name}", reply)
    return found
