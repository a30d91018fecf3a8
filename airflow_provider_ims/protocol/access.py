"""Keeps one theodore token alive through any number of calls."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, MutableMapping
from typing import NamedTuple, TypeVar

from airflow_provider_ims.models.codes import Kind
from airflow_provider_ims.protocol import theodore
from airflow_provider_ims.protocol.errors import ServiceError, read_data
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.text import spellings
from airflow_provider_ims.protocol.wire import (
    Alone,
    Exchange,
    Load,
    Mask,
    Pause,
    Reply,
    Request,
    Save,
    fits_header,
    json_headers,
)

REFRESH_AHEAD = 120.0
"""Seconds before a token's end at which it is refreshed."""

RENEWALS = 3
"""How often a call looks for another token when the service refuses the one it has."""

LOGIN_ATTEMPTS = 6
"""Logins in all while theodore says that the user has too many sessions; the pauses between grow to 32 s."""

SHORTEST_KEY = 8
"""Characters from which on the value of a further header is taken for a secret."""

_T = TypeVar("_T")


class Access(NamedTuple):
    """
    What every call of the Enriched API carries.

    :param token: theodore token
    :param org_id: organisation to act for
    """

    token: str
    org_id: str

    def __repr__(self) -> str:
        return f"Access(token=***, org_id={self.org_id!r})"


def headers(settings: Settings, access: Access, *, gstin: str | None = None, with_body: bool = False) -> dict[str, str]:
    """
    Build the headers of a call of the Enriched API.

    :param gstin: the taxpayer, on calls that reach GSTN
    :param with_body: whether the call has a JSON body
    """
    common = {"X-FLYNN-N-ORG-ID": access.org_id, "X-FLYNN-N-USER-TOKEN": access.token}
    if gstin is not None:
        common["X-FLYNN-N-GSTN-GSP-CODE"] = settings.gsp_code
        common[settings.gstin_header] = gstin
    if settings.extra_headers:
        ours = {name.lower() for name in common}
        extra = {name: value for name, value in settings.extra_headers.items() if name.lower() not in ours}
        common = {**extra, **common}
    return json_headers(common, with_body=with_body)


def secrets_of(settings: Settings, access: Access) -> tuple[str, ...]:
    """Return the secrets that :func:`headers` puts into a call, in each spelling."""
    # A header of the user's may hold a key, or a word that stands in every text.
    extra = [value for value in settings.extra_headers.values() if len(value) >= SHORTEST_KEY]
    return spellings(access.token, *extra)


def ping(settings: Settings, access: Access) -> Request:
    """Build the authenticated ping. The method is inferred: the documentation prints none."""
    return Request(
        call="authenticated ping",
        method="GET",
        url=f"{settings.eas_url}/authenticate",
        headers=headers(settings, access),
        secrets=secrets_of(settings, access),
    )


def read_ping(reply: Reply) -> None:
    """Read the reply to a ping; whatever is not an error will do."""
    read_data(reply, "authenticated ping")


class KeptToken(NamedTuple):
    """
    A theodore token, with what it takes to keep it alive.

    :param token: the token
    :param good_until: end of its life on this machine's clock, seconds since the epoch
    :param born: when the login was; refreshing is refused 6 times the token's duration after it
    """

    token: theodore.Token
    good_until: float
    born: float

    def as_text(self) -> str:
        """Write it for the session store."""
        return json.dumps(
            {
                "token": self.token.value,
                "good_until": self.good_until,
                "born": self.born,
                "organisations": [list(organisation) for organisation in self.token.organisations],
            }
        )

    @classmethod
    def of_text(cls, text: str | None) -> KeptToken | None:
        """Read what :meth:`as_text` wrote; ``None`` if there is nothing, or nothing that can be read."""
        try:
            kept = json.loads(text or "")
            organisations = tuple(theodore.Organisation(str(id_), str(name)) for id_, name in kept["organisations"])
            good_until = float(kept["good_until"])
            token = theodore.Token(str(kept["token"]), good_until, organisations)
            return cls(token, good_until, float(kept["born"])) if fits_header(token.value) else None
        except (ValueError, TypeError, KeyError):
            return None


class TokenKeeper:
    """
    Keeps one theodore token for all who share a session store, since theodore allows a user 10 sessions.

    Takes the token that another worker has put into the store, refreshes it shortly before its end, logs in anew
    when it is refused and nobody has a better one. Only one of a host renews at a time; the others then find
    the new token in the store.

    :param settings: the connection
    :param known: tokens that this process knows already, by key; shared by the keepers of a process
    :param clock: seconds since the epoch
    :param login_attempts: logins in all while theodore says that the user has too many sessions
    """

    def __init__(
        self,
        settings: Settings,
        known: MutableMapping[str, KeptToken],
        clock: Callable[[], float] = time.time,
        *,
        login_attempts: int = LOGIN_ATTEMPTS,
    ) -> None:
        self._settings = settings
        self._known = known
        self._clock = clock
        self._login_attempts = login_attempts
        self._new_token: str | None = None
        self._last: tuple[KeptToken, Access] | None = None
        self.key = f"gstn_token__{digest(settings.auth_url, settings.handle)}"

    def call(self, build: Callable[[Access], Request], read: Callable[[Reply], _T]) -> Exchange[_T]:
        """
        Make one call of the Enriched API.

        A token that is refused is replaced and the call repeated: the service refuses a token before it does any
        work (inferred). The store's token can be a dead one, too, so there are a few tries; but when a login has
        just replaced the token and the new one is refused, its age is not the reason.

        :param build: builds the request
        :param read: reads the reply
        """
        self._new_token = refused = None
        for _ in range(RENEWALS + 1):
            access = yield from self.access(refused)
            try:
                return read((yield build(access)))
            except ServiceError as error:
                if error.kind is not Kind.TOKEN_EXPIRED:
                    raise
                rejection = ServiceError(
                    Kind.LOGIN,
                    error.call,
                    code=error.code,
                    message="a new token was refused, too",
                    advice="Check org_id and the user's rights.",
                    http_status=error.http_status,
                )
            if refused is not None and access.token == self._new_token:
                break
            refused = access.token
        raise rejection

    def access(self, refused: str | None = None) -> Exchange[Access]:
        """
        Return a token that is good for now, and the organisation to act for.

        :param refused: a token that the service does not accept any more
        """
        kept = self._known.get(self.key)
        if kept is None or kept.token.value == refused or self._is_ending(kept):
            kept = yield Alone(self.key, self._renew(refused))
            self._known[self.key] = kept
        if self._last is None or self._last[0] is not kept:
            access = Access(kept.token.value, theodore.choose_organisation(self._settings, kept.token))
            self._last = kept, access
        return self._last[1]

    def log_out(self) -> Exchange[None]:
        """End the token that this process knows, if there is one."""
        kept = self._known.pop(self.key, None)
        if kept is not None:
            yield Save(self.key, None)
            theodore.read_logout((yield theodore.logout(self._settings, kept.token)))

    def _renew(self, refused: str | None) -> Exchange[KeptToken]:
        yield Mask(self._settings.password)
        kept = yield from self._stored(refused)
        if kept is None:
            return (yield from self._log_in(refused))
        if not self._is_ending(kept):
            return kept
        try:
            renewed = theodore.read_refresh((yield theodore.refresh(self._settings, kept.token)))
        except ServiceError as error:
            if error.kind in {Kind.OUTAGE, Kind.UNREACHABLE, Kind.THROTTLED}:
                return kept  # it still works; the next call tries again
            # Refused: ended by a logout, or refreshed by another host, which then has put the new one in the store.
            other = yield from self._stored(kept.token.value)
            return other or (yield from self._log_in(kept.token.value))
        return (yield from self._keep(renewed, kept))

    def _log_in(self, refused: str | None) -> Exchange[KeptToken]:
        for attempt in range(1, self._login_attempts + 1):
            try:
                kept = yield from self._keep(theodore.read_login((yield theodore.login(self._settings))))
            except ServiceError as error:
                if error.kind is not Kind.TOKEN_LIMIT or attempt == self._login_attempts:
                    raise
            else:
                self._new_token = kept.token.value
                return kept
            # Another host has just logged in, and is about to put its token into the store.
            yield Pause(random.uniform(0.5, 2.0**attempt))  # noqa: S311 - jitter, not a secret
            stored = yield from self._stored(refused)
            if stored is not None:
                return stored
        raise AssertionError("the last attempt returns or raises")

    def _stored(self, refused: str | None) -> Exchange[KeptToken | None]:
        """Return the store's token, unless it is the refused one or past its end."""
        kept = KeptToken.of_text((yield Load(self.key)))
        if kept is None or kept.token.value == refused or self._clock() >= min(kept.good_until, self._hard_end(kept)):
            return None
        yield Mask(kept.token.value)
        return kept

    def _keep(self, token: theodore.Token, old: KeptToken | None = None) -> Exchange[KeptToken]:
        yield Mask(token.value)
        now = self._clock()
        if not token.organisations and old is not None:
            token = theodore.Token(token.value, token.expires_at, old.token.organisations)
        good_until = token.expires_at
        if good_until <= now + REFRESH_AHEAD:
            # This machine's clock is ahead of theodore's, or the token is very short: without this, every
            # call would begin with a refresh. A token that ends early is refused, and then renewed.
            good_until = now + max(self._settings.token_minutes * 60.0, 2 * REFRESH_AHEAD)
        kept = KeptToken(token, good_until, old.born if old else now)
        yield Save(self.key, kept.as_text())
        return kept

    def _is_ending(self, kept: KeptToken) -> bool:
        return self._clock() >= kept.good_until - REFRESH_AHEAD

    def _hard_end(self, kept: KeptToken) -> float:
        return kept.born + 6 * self._settings.token_minutes * 60.0


def digest(*parts: str) -> str:
    """Return a short name for something that is the same wherever these parts are."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
