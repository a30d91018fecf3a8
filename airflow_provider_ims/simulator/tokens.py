"""The users and tokens of theodore, Vayana's login server."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from .clock import Clock
from .errors import ServiceError
from .options import Options

_DEFAULT_MINUTES = 20
_LONGEST_MINUTES = 360
_HARD_EXPIRY_FACTOR = 6
_USER_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, "https://example.com/ims-simulator"))


@dataclass
class Token:
    """One session of a user: it can be used until ``expires`` and refreshed up to ``ends``."""

    value: str
    minutes: int
    expires: float
    ends: float


class Tokens:
    """Hands out, refreshes and checks user tokens."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self.most_live = 0

    def login(self, body: Any) -> dict[str, Any]:
        """Check the password and open a session."""
        if not isinstance(body, dict):
            raise _bad_login("body")
        if body.get("handleType") not in ("email", "mobile"):
            raise _bad_login("handleType")
        minutes = body.get("tokenDurationInMins", _DEFAULT_MINUTES)
        if type(minutes) is not int or minutes < 1:
            raise _bad_login("tokenDurationInMins")
        if (body.get("handle"), body.get("password")) != (self._options.login, self._options.password):
            # Status and shape are the documented ones of a failed login, the code is our invention.
            raise ServiceError(400, "err-invalid-credentials", "Authorization")
        if len(self.live()) >= self._options.max_tokens:
            raise ServiceError(401, "err-active-tokens-limit-exceeded")
        minutes = min(minutes, _LONGEST_MINUTES)
        reply = self._open(minutes, self._clock.now() + _HARD_EXPIRY_FACTOR * minutes * 60)
        self.most_live = max(self.most_live, len(self.live()))
        return reply

    def refresh(self, value: str | None) -> dict[str, Any]:
        """Replace a live token.

        Undocumented, so strict: the old token dies, and one past its soft expiry is refused although its
        session has not ended.
        """
        old = self.check(value)
        del self._tokens[old.value]
        return self._open(old.minutes, old.ends)

    def logout(self, value: str | None) -> None:
        """End a session."""
        del self._tokens[self.check(value).value]

    def check(self, value: str | None) -> Token:
        """Return the live token, or refuse."""
        token = self._tokens.get(value or "")
        if token is None:
            raise ServiceError(403, "err-invalid-token", "Authorization")
        if token.expires <= self._clock.now():
            raise ServiceError(403, "err-expired-token", "Authorization")
        return token

    def expire(self, value: str | None) -> None:
        """Let a token expire now, if there is such a token."""
        token = self._tokens.get(value or "")
        if token is not None:
            token.expires = self._clock.now()

    def live(self) -> list[Token]:
        """Return the tokens that count against the limit."""
        return [token for token in self._tokens.values() if token.expires > self._clock.now()]

    def _open(self, minutes: int, ends: float) -> dict[str, Any]:
        expires = min(self._clock.now() + minutes * 60, ends)
        token = Token(secrets.token_urlsafe(48), minutes, expires, ends)
        self._tokens[token.value] = token
        orgs = [org for org in (self._options.org_id, self._options.second_org_id) if org]
        return {
            "token": token.value,
            "userId": _USER_ID,
            "expiry": int(expires * 1000),
            "email": self._options.login,
            "mobile": None,
            "givenName": "Sandbox",
            "lastName": "User",
            "verificationStatus": "Both",
            "associatedOrgs": [_org(number, org) for number, org in enumerate(orgs)],
        }


def _org(number: int, org_id: str) -> dict[str, Any]:
    return {
        "organisation": {
            "id": org_id,
            "name": f"Example Organisation {number + 1}",
            "taxIdentifier": f"AAAPE{1000 + number}A",
            "taxIdentifierType": "PAN",
            "services": [],
        },
        "userAccessInfo": {"primary": number == 0, "admin": True},
    }


def _bad_login(parameter: str) -> ServiceError:
    return ServiceError(400, "err-issue-with-parameter", "ClientError", **{"parameter-name": parameter})
