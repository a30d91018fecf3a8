"""Keeps one theodore token alive through any number of calls."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import NamedTuple, TypeVar

from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.protocol import theodore
from airflow_provider_ims.protocol.claim import Claim
from airflow_provider_ims.protocol.errors import ServiceError, read_data
from airflow_provider_ims.protocol.kept_token import KeptToken, digest, seal
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.text import spellings
from airflow_provider_ims.protocol.wire import (
    Exchange,
    Exclusive,
    Load,
    Mask,
    Pause,
    Reply,
    Request,
    Save,
    json_headers,
)

REFRESH_AHEAD = 120.0
"""Seconds before a token's end at which it is refreshed."""

NOT_THE_API = (
    "That is not the Enriched API. Check the host of the connection: leave it empty where environment is set."
    " theodore's URL belongs into auth_url."
)

RENEWALS = 3
"""How often a call looks for another token when the service refuses the one it has."""

LOGIN_ATTEMPTS = 6
"""Logins in all while theodore says that the user has too many sessions; the pauses between grow to 32 s."""

SHORTEST_KEY = 8
"""Characters from which on the value of a further header is taken for a secret."""

LONGEST_WAIT = 60.0
"""Seconds that are waited for another worker's token; then this one logs in: a login too many is better than none."""

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


Build = Callable[[Settings, Access], Request]
"""Builds the request of a call, once there is a token for it."""


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
    """Build the authenticated ping. The method is inferred (ping-method)."""
    return Request(
        call="authenticated ping",
        method="GET",
        url=f"{settings.eas_url}/authenticate",
        headers=headers(settings, access),
        secrets=secrets_of(settings, access),
    )


def read_ping(reply: Reply) -> None:
    """
    Read the reply to a ping; whatever is not an error will do.

    :raises ServiceError: of kind ``REQUEST`` when the host does not know the address
    """
    try:
        read_data(reply, "authenticated ping")
    except ServiceError as error:
        if error.http_status in {404, 405} and error.code:
            raise error.with_advice(NOT_THE_API, Kind.REQUEST) from None
        raise


class FailedRenewal(NamedTuple):
    """
    The last token that was not to be had.

    :param number: of the failure, from 1
    :param settings: with which it was asked for
    """

    number: int
    settings: Settings
    error: ServiceError


class TokenKeeper:
    """
    Keeps one theodore token for all who share a session store, since theodore allows a user 10 sessions.

    Takes the token that another worker has put into the store, refreshes it shortly before its end, logs in anew
    when it is refused and nobody has a better one. Only one of a host renews at a time; the others then find
    the new token in the store, or are told that there was none to be had: thousands of waits do not ask a login server
    that is down, or refuses the password, one after the other. Among hosts there is only the store: who is about to
    renew says so in it (see :mod:`.claim`), and who logged in all the same and finds another's token there takes that
    one and logs out its own.

    :param settings: the connection
    :param known: tokens that this process knows already, by key; shared by the keepers of a process
    :param failed: renewals that failed, by key; shared likewise
    :param clock: seconds since the epoch
    :param login_attempts: logins in all while theodore says that the user has too many sessions
    :param is_shared: whether other processes see what the session store keeps
    """

    def __init__(
        self,
        settings: Settings,
        known: MutableMapping[str, KeptToken],
        clock: Callable[[], float] = time.time,
        *,
        failed: MutableMapping[str, FailedRenewal] | None = None,
        login_attempts: int = LOGIN_ATTEMPTS,
        is_shared: bool = True,
    ) -> None:
        self._settings = settings
        self._known = known
        self._clock = clock
        self._failed = {} if failed is None else failed
        self._login_attempts = login_attempts
        self._is_shared = is_shared
        self._new_token: str | None = None
        self._last: tuple[KeptToken, Access] | None = None
        # A token belongs to the password, too, which is no part of the name: its seal is kept with the token.
        owner = digest(settings.auth_url, settings.eas_url, settings.handle)
        self.key = f"gstn_token__{owner}"
        self._claim = Claim(f"gstn_token_claim__{owner}", clock)

    def call(self, build: Callable[[Access], Request], read: Callable[[Reply], _T]) -> Exchange[_T]:
        """
        Make one call of the Enriched API.

        A token that is refused is replaced and the call repeated: the service refuses a token before it does any
        work (inferred: dead-token). The store's token can be a dead one, too, so there are a few tries; but when a
        login has just replaced the token and the new one is refused, its age is not the reason.

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
        if kept is None or kept.token.value == refused or self._is_ending(kept) or not self._may_use(kept):
            kept = yield Exclusive(self.key, self._renew(refused, self._failures))
            self._known[self.key] = kept
        if self._last is None or self._last[0] is not kept:
            access = Access(kept.token.value, theodore.choose_organisation(self._settings, kept.token))
            self._last = kept, access
        return self._last[1]

    def log_out(self) -> Exchange[None]:
        """
        End the token that this process knows, if nobody else can use it.

        Others can if the store is shared and holds it, or what it was refreshed to.
        """
        kept = self._known.get(self.key)
        if kept is None:
            return
        if self._is_shared:
            if not kept.is_own:
                return
            stored = KeptToken.of_text((yield Load(self.key)))
            if stored is not None and stored.born == kept.born:
                return
        else:
            yield Save(self.key, None)
        del self._known[self.key]
        theodore.read_logout((yield theodore.logout(self._settings, kept.token)))

    @property
    def _failures(self) -> int:
        last = self._failed.get(self.key)
        return last.number if last else 0

    def _note(self, error: ServiceError) -> None:
        self._failed[self.key] = FailedRenewal(self._failures + 1, self._settings, error)

    def _renew(self, refused: str | None, failures: int) -> Exchange[KeptToken]:
        """
        Return another token.

        :param failures: how many there were before this one had to wait for others
        """
        yield Mask(self._settings.password)
        waited = 0.0
        while True:
            kept = yield from self._stored(refused)
            if kept is not None and not self._is_ending(kept):
                return kept
            if self._failures > failures and self._failed[self.key].settings == self._settings:
                if kept is not None:
                    return kept
                error = self._failed[self.key].error
                raise error.with_advice(error.advice)
            if not self._is_shared or waited >= LONGEST_WAIT:
                break
            if (yield from self._claim.win()):
                # Another one's may have come while we made sure that the claim is ours.
                kept = yield from self._stored(refused)
                break
            if kept is not None:
                return kept  # it still works, and another worker is about to refresh it
            pause = random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
            yield Pause(pause, "another worker is about to log in to theodore, and its token will do")
            waited += pause
        if kept is not None and not self._is_ending(kept):
            yield from self._end_claim()
            return kept
        try:
            kept = yield from self._refresh_or_log_in(kept, refused)
        except ServiceError as error:
            self._note(error)
            yield from self._end_claim()
            raise
        yield from self._end_claim()
        return kept

    def _end_claim(self) -> Exchange[None]:
        if self._is_shared:
            yield from self._claim.end()

    def _refresh_or_log_in(self, kept: KeptToken | None, refused: str | None) -> Exchange[KeptToken]:
        if kept is None:
            return (yield from self._log_in(refused))
        try:
            renewed = theodore.read_refresh((yield theodore.refresh(self._settings, kept.token)))
        except ServiceError as error:
            if error.kind in {Kind.OUTAGE, Kind.UNREACHABLE, Kind.THROTTLED}:
                self._note(error)
                return kept  # it still works; the next call tries again
            # Refused: ended by a logout, or refreshed by another host, which then has put the new one in the store.
            other = yield from self._stored(kept.token.value)
            return other or (yield from self._log_in(kept.token.value))
        yield Mask(renewed.value)
        return (yield from self._keep(renewed, kept))

    def _log_in(self, refused: str | None) -> Exchange[KeptToken]:
        attempt = 0
        while True:
            attempt += 1
            try:
                token = theodore.read_login((yield theodore.login(self._settings)))
            except ServiceError as error:
                if error.kind is not Kind.TOKEN_LIMIT or attempt == self._login_attempts:
                    raise
            else:
                return (yield from self._keep_or_yield(token, refused))
            # Another host has just logged in, and is about to put its token into the store.
            seconds = random.uniform(0.5, 2.0**attempt)  # noqa: S311 - jitter, not a secret
            yield Pause(seconds, "the theodore user has as many sessions as it may have; waiting for one, or a token")
            stored = yield from self._stored(refused)
            if stored is not None:
                return stored

    def _keep_or_yield(self, token: theodore.Token, refused: str | None) -> Exchange[KeptToken]:
        """Keep the token of a login, unless another worker's has come to stand in the store meanwhile."""
        yield Mask(token.value)
        # Only this process knows the token yet: a store that cannot be read must not lose it.
        winner = (yield from self._stored(refused, required=False)) if self._is_shared else None
        if winner is None:
            self._new_token = token.value
            return (yield from self._keep(token))
        with suppress(ServiceError):  # then it ends by itself
            theodore.read_logout((yield theodore.logout(self._settings, token)))
        return winner

    def _stored(self, refused: str | None, *, required: bool = True) -> Exchange[KeptToken | None]:
        """Return the store's token, unless it is the refused one, past its end, or another password's."""
        kept = KeptToken.of_text((yield Load(self.key, required)))
        if kept is None or kept.token.value == refused or self._clock() >= min(kept.good_until, kept.hard_end):
            return None
        if not self._may_use(kept):
            return None
        yield Mask(kept.token.value)
        return kept

    def _keep(self, token: theodore.Token, old: KeptToken | None = None) -> Exchange[KeptToken]:
        now = self._clock()
        if not token.organisations and old is not None:
            token = theodore.Token(token.value, token.expires_at, old.token.organisations)
        good_until = token.expires_at
        if good_until <= now + REFRESH_AHEAD:
            # This machine's clock is ahead of theodore's, or the token is very short: without this, every
            # call would begin with a refresh. A token that ends early is refused, and then renewed.
            good_until = now + max(self._settings.token_minutes * 60.0, 2 * REFRESH_AHEAD)
        born, minutes = (old.born, old.minutes) if old else (now, self._settings.token_minutes)
        kept = KeptToken(token, good_until, born, minutes, seal(self._settings.password), is_own=True)
        # A store that cannot be written does not stop the call: to log in once more later would help nobody.
        yield Save(self.key, kept.as_text(), required=False)
        return kept

    def _may_use(self, kept: KeptToken) -> bool:
        return (self._last is not None and self._last[0] is kept) or kept.is_for(self._settings.password)

    def _is_ending(self, kept: KeptToken) -> bool:
        return self._clock() >= kept.good_until - REFRESH_AHEAD
