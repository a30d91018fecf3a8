"""Keeps one theodore token alive through any number of calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from airflow_provider_ims.models.codes import Kind
from airflow_provider_ims.protocol import theodore
from airflow_provider_ims.protocol.errors import ServiceError, read_data
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.wire import Exchange, Mask, Reply, Request, json_headers

REFRESH_AHEAD = 120.0
"""Seconds before a token's end at which it is refreshed."""

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
    return json_headers({**settings.extra_headers, **common}, with_body=with_body)


def ping(settings: Settings, access: Access) -> Request:
    """Build the authenticated ping. The method is inferred: the documentation prints none."""
    return Request("authenticated ping", "GET", f"{settings.eas_url}/authenticate", headers(settings, access))


def read_ping(reply: Reply) -> None:
    """Read the reply to a ping; whatever is not an error will do."""
    read_data(reply, "authenticated ping")


class TokenKeeper:
    """
    Logs in when there is no token, refreshes it shortly before its end, logs in anew when it is refused.

    One keeper serves one conversation after the other, not several at once.

    :param settings: the connection
    :param clock: seconds since the epoch
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._token: theodore.Token | None = None
        self._good_until = 0.0

    def call(self, build: Callable[[Access], Request], read: Callable[[Reply], _T]) -> Exchange[_T]:
        """
        Make one call of the Enriched API.

        A token that is refused is renewed once and the call repeated once: the service refuses a token before
        it does any work (inferred).

        :param build: builds the request
        :param read: reads the reply
        """
        access = yield from self.access()
        try:
            return read((yield build(access)))
        except ServiceError as error:
            if error.kind is not Kind.TOKEN_EXPIRED:
                raise
        self._token = None
        access = yield from self.access()
        try:
            return read((yield build(access)))
        except ServiceError as error:
            if error.kind is Kind.TOKEN_EXPIRED:
                error.kind = Kind.LOGIN
            raise

    def access(self) -> Exchange[Access]:
        """Return a token that is good for now, and the organisation to act for."""
        if self._token is None:
            yield from self._log_in()
        elif self._clock() >= self._good_until - REFRESH_AHEAD:
            yield from self._refresh(self._token)
        token = self._token
        if token is None:
            raise RuntimeError("a login returned without a token")
        return Access(token.value, theodore.choose_organisation(self._settings, token))

    def log_out(self) -> Exchange[None]:
        """End the token, if there is one."""
        token, self._token = self._token, None
        if token is not None:
            theodore.read_logout((yield theodore.logout(self._settings, token)))

    def _log_in(self) -> Exchange[None]:
        yield Mask(self._settings.password)
        yield from self._keep(theodore.read_login((yield theodore.login(self._settings))))

    def _refresh(self, token: theodore.Token) -> Exchange[None]:
        try:
            renewed = theodore.read_refresh((yield theodore.refresh(self._settings, token)))
        except ServiceError as error:
            if error.kind in {Kind.OUTAGE, Kind.UNREACHABLE, Kind.LOST_REPLY, Kind.THROTTLED}:
                if self._clock() < self._good_until:
                    return  # the old token still works; the next call tries again
                raise
            # Refused: past its hard end (6 times its duration), or ended by a logout elsewhere.
            yield from self._log_in()
        else:
            yield from self._keep(renewed)

    def _keep(self, token: theodore.Token) -> Exchange[None]:
        yield Mask(token.value)
        if not token.organisations and self._token is not None:
            token = theodore.Token(token.value, token.expires_at, self._token.organisations)
        self._token = token
        now = self._clock()
        self._good_until = token.expires_at
        if token.expires_at <= now + REFRESH_AHEAD:
            # This machine's clock is ahead of theodore's, or the token is very short: without this, every
            # call would begin with a refresh. A token that ends early is refused, and then renewed.
            self._good_until = now + max(self._settings.token_minutes * 60.0, 2 * REFRESH_AHEAD)
