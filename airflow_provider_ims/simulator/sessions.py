"""GSTN sessions: opened with an OTP, six hours long, refreshed as long as the taxpayer's consent lasts.

No error sample for this route is published. The GSTN codes here are those seen with other service providers.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .clock import Clock
from .errors import ServiceError, bad_parameter, gstn_error
from .options import Options

# Letters of either case, as GSTN's schema of the reset request allows.
GSTIN = re.compile(r"[0-9]{2}[A-Za-z]{5}[0-9]{4}[A-Za-z][1-9A-Za-z][1-9A-JZa-jz][0-9A-Za-z]")


@dataclass
class _OtpRequest:
    id: str
    otp: str
    expires: float


@dataclass
class Session:
    """A live GSTN session; ``consent_until`` bounds how often it can be refreshed."""

    id: str
    expires: float
    consent_until: float


class Sessions:
    """Sessions per organisation and GSTIN, one each."""

    def __init__(self, options: Options, clock: Clock, on_otp: Callable[[str, str], None]) -> None:
        self._options = options
        self._clock = clock
        self._on_otp = on_otp
        self._requests: dict[tuple[str, str], _OtpRequest] = {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self.last_otps: dict[str, str] = {}

    def request_otp(self, org: str, body: dict[str, Any]) -> dict[str, str]:
        """Send an OTP; a former one for the same GSTIN is void."""
        gstin, username = check_gstin(body.get("gstin"), "gstin"), body.get("username")
        if not isinstance(username, str) or not username:
            raise bad_parameter("username")
        if gstin in self._options.api_access_off:
            raise gstn_error("AUTH4037", "API access is off, or its duration is over")
        otp = self._options.otp or f"{secrets.randbelow(1_000_000):06}"
        request = _OtpRequest(str(uuid.uuid4()), otp, self._clock.now() + self._options.otp_seconds)
        self._requests[org, gstin] = request
        self.last_otps[gstin] = otp
        self._on_otp(gstin, otp)
        return {"otp-request-id": request.id}

    def verify_otp(self, org: str, body: dict[str, Any]) -> dict[str, str]:
        """Open a session with an OTP, which can be used once."""
        otp = body.get("otp")
        if not isinstance(otp, str):
            raise bad_parameter("otp")
        for (owner, gstin), request in self._requests.items():
            if owner == org and request.id == body.get("otp-request-id") and request.expires > self._clock.now():
                if otp != request.otp:
                    raise gstn_error("AUTH4034", "Invalid OTP")
                del self._requests[owner, gstin]
                return {"gst-session-id": self.open(org, gstin).id}
        raise gstn_error("AUTH4033", "Invalid Session")

    def refresh(self, org: str, body: dict[str, Any]) -> dict[str, str]:
        """Lengthen a session that has not ended yet; its id changes."""
        gstin = self._find(org, body)
        old = self._sessions[org, gstin]
        now = self._clock.now()
        if old.expires <= now:
            raise gstn_error("AUTH158", "Session expired")
        if old.consent_until <= now or gstin in self._options.api_access_off:
            raise gstn_error("AUTH4037", "API access is off, or its duration is over")
        expires = min(now + self._options.session_seconds, old.consent_until)
        return {"gst-session-id": self._keep(org, gstin, Session(str(uuid.uuid4()), expires, old.consent_until)).id}

    def logout(self, org: str, body: dict[str, Any]) -> str:
        """End a session and return its GSTIN."""
        gstin = self._find(org, body)
        del self._sessions[org, gstin]
        return gstin

    def open(self, org: str, gstin: str) -> Session:
        """Open a session; it takes the place of a former one."""
        now = self._clock.now()
        consent_until = now + self._options.consent_days * 86400
        return self._keep(org, gstin, Session(str(uuid.uuid4()), now + self._options.session_seconds, consent_until))

    def is_live(self, org: str, gstin: str) -> bool:
        """Return whether GSTN would take a call for this GSTIN."""
        session = self._sessions.get((org, gstin))
        return session is not None and session.expires > self._clock.now()

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what can be shown of the sessions: no ids."""
        return {
            gstin: {"live": self.is_live(org, gstin), "expires": session.expires, "org_id": org}
            for (org, gstin), session in self._sessions.items()
        }

    def _find(self, org: str, body: dict[str, Any]) -> str:
        for (owner, gstin), session in self._sessions.items():
            if owner == org and session.id == body.get("gst-session-id"):
                return gstin
        raise gstn_error("AUTH4033", "Invalid Session")

    def _keep(self, org: str, gstin: str, session: Session) -> Session:
        self._sessions[org, gstin] = session
        return session


def check_gstin(gstin: object, parameter: str) -> str:
    """Return the GSTIN; refuse what does not look like one."""
    if not isinstance(gstin, str) or not GSTIN.fullmatch(gstin):
        raise ServiceError(400, "err-invalid-gstin-format", "ClientRequest", **{"parameter-name": parameter})
    return gstin
