"""A theodore token as the session store keeps it, and whose it is."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from functools import cache, lru_cache
from typing import NamedTuple

from airflow_provider_ims.protocol.theodore import Organisation, Token
from airflow_provider_ims.protocol.wire import fits_header

_ROUNDS = 50_000
"""Of PBKDF2: some 15 ms, once a process and connection; what reads the seal can read the token beside it."""


class KeptToken(NamedTuple):
    """
    A theodore token, with what it takes to keep it alive.

    :param token: the token
    :param good_until: end of its life on this machine's clock, seconds since the epoch
    :param born: when the login was; refreshing is refused 6 times the token's duration after it
    :param minutes: its duration, as the login asked for it; connections of one user may differ in that
    :param seal: of the password that it was given for; see :func:`seal`
    :param is_own: whether this process got it from theodore, and not from the store
    """

    token: Token
    good_until: float
    born: float
    minutes: float
    seal: str = ""
    is_own: bool = False

    @property
    def hard_end(self) -> float:
        """When refreshing is refused, seconds since the epoch."""
        return self.born + 6 * self.minutes * 60.0

    def is_for(self, password: str) -> bool:
        """Say whether it was given for this password: a wrong one must not use what the right one opened."""
        salt, _, _ = self.seal.partition("$")
        return hmac.compare_digest(self.seal, _sealed(password, salt))

    def as_text(self) -> str:
        """Write it for the session store."""
        return json.dumps(
            {
                "token": self.token.value,
                "good_until": self.good_until,
                "born": self.born,
                "minutes": self.minutes,
                "seal": self.seal,
                "organisations": [list(organisation) for organisation in self.token.organisations],
            }
        )

    @classmethod
    def of_text(cls, text: str | None) -> KeptToken | None:
        """Read what :meth:`as_text` wrote; ``None`` if there is nothing, or nothing that can be read."""
        try:
            kept = json.loads(text or "")
            organisations = tuple(Organisation(str(id_), str(name)) for id_, name in kept["organisations"])
            good_until = float(kept["good_until"])
            token = Token(str(kept["token"]), good_until, organisations)
            seal = str(kept["seal"])
            born, minutes = float(kept["born"]), float(kept["minutes"])
            kept_token = cls(token, good_until, born, minutes, seal if seal.isascii() else "")
            return kept_token if fits_header(token.value) else None
        except (ValueError, TypeError, KeyError):
            return None


def seal(password: str) -> str:
    """
    Return what tells later whether a password is this one, and does not tell the password.

    :param password: the password
    :return: salt and digest (PBKDF2)
    """
    return _sealed(password, _salt())


def digest(*parts: str) -> str:
    """Return a short name for something that is the same wherever these parts are; none of them is a secret."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@cache
def _salt() -> str:
    return secrets.token_hex(16)


@lru_cache(maxsize=64)
def _sealed(password: str, salt: str) -> str:
    return f"{salt}${hashlib.pbkdf2_hmac('sha256', password.encode(), salt.encode(), _ROUNDS).hex()}"
