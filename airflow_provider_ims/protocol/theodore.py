"""theodore, Vayana's login server. Source: Vayana's onboarding page and its published OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_provider_ims.models.error_codes import CHECK_LOGIN, Kind
from airflow_provider_ims.models.printable import clean
from airflow_provider_ims.protocol.errors import ServiceError, read_data, unreadable
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.text import original_text, spellings, strike
from airflow_provider_ims.protocol.wire import Reply, Request, fits_header, json_headers

_LOGIN = "theodore login"
_REFRESH = "theodore token refresh"
_LOGOUT = "theodore logout"

NOT_THEODORE = (
    "That is not theodore, or a proxy is in the way. Check auth_url of the connection: leave it empty where environment"
    " is set; theodore's URLs end with /theodore/apis/v1. If it is right, see the way to it from this worker."
)


class Organisation(NamedTuple):
    """An organisation that the user may act for."""

    id: str
    name: str


@dataclass(frozen=True)
class Token:
    """
    A theodore token.

    :param value: the token itself, a secret
    :param expires_at: end of its life, seconds since the epoch
    :param organisations: whom the user may act for
    """

    value: str = field(repr=False)
    expires_at: float
    organisations: tuple[Organisation, ...] = ()


def login(settings: Settings) -> Request:
    """Build the login."""
    body = {
        "handle": settings.handle,
        "handleType": "email" if "@" in settings.handle else "mobile",
        "password": settings.password,
        "tokenDurationInMins": settings.token_minutes,
    }
    return Request(
        call=_LOGIN,
        method="POST",
        url=f"{settings.auth_url}/authtokens",
        headers=json_headers({}, with_body=True),
        body=json.dumps(body).encode(),
        secrets=spellings(settings.password),
    )


def refresh(settings: Settings, token: Token) -> Request:
    """Build the exchange of a live token for a new one; it has no body."""
    return Request(
        call=_REFRESH,
        method="PUT",
        url=f"{settings.auth_url}/authtokens",
        headers=json_headers({"Authorization": f"Bearer {token.value}"}, with_body=False),
        secrets=spellings(token.value),
    )


def logout(settings: Settings, token: Token) -> Request:
    """Build the end of a token, which frees one of the user's 10 sessions; it has no body."""
    return Request(
        call=_LOGOUT,
        method="POST",
        url=f"{settings.auth_url}/logout",
        headers=json_headers({"Authorization": f"Bearer {token.value}"}, with_body=False),
        secrets=spellings(token.value),
    )


def read_login(reply: Reply) -> Token:
    """
    Read the reply to a login.

    :raises ServiceError: of kind ``LOGIN`` when user or password is wrong, ``TOKEN_LIMIT`` when the user has
        10 sessions already
    """
    try:
        return _token(read_data(reply, _LOGIN), _LOGIN, reply)
    except ServiceError as error:
        if error.kind is Kind.UNREADABLE:
            raise error.with_advice(NOT_THEODORE) from None
        if error.http_status in {404, 405} and error.code:
            raise error.with_advice(NOT_THEODORE, Kind.REQUEST) from None
        # theodore's code for a wrong password was not seen; any code in a 4xx of a login is about the user
        # (inferred: login-refusal).
        is_4xx = error.http_status is not None and 400 <= error.http_status < 500
        if error.kind in {Kind.REQUEST, Kind.TOKEN_EXPIRED} and is_4xx and error.code:
            raise error.with_advice(CHECK_LOGIN, Kind.LOGIN) from None
        raise


def read_refresh(reply: Reply) -> Token:
    """Read the reply to a refresh; it has the shape of a login's."""
    return _token(read_data(reply, _REFRESH), _REFRESH, reply)


def read_logout(reply: Reply) -> None:
    """Read the reply to a logout: 200 is the signal, no body is documented."""
    if not 200 <= reply.status < 300:
        read_data(reply, _LOGOUT)


def choose_organisation(settings: Settings, token: Token) -> str:
    """
    Return the organisation to act for.

    :raises ServiceError: naming the choices, when ``org_id`` is missing or not one of them
    """
    if settings.org_id is None and len(token.organisations) == 1 and fits_header(token.organisations[0].id):
        return token.organisations[0].id
    # An empty list says nothing (a service that leaves it out): then the connection's word counts.
    if settings.org_id and (not token.organisations or settings.org_id in {o.id for o in token.organisations}):
        return settings.org_id
    named = ", ".join(f"{org.id} ({org.name})" for org in token.organisations)
    choices = clean(strike(named, spellings(settings.password)))
    if settings.org_id is None:
        advice = f"Set org_id in the connection's extra; the user may act for: {choices or 'nobody'}."
    else:
        advice = f"org_id {settings.org_id} is not the user's; it may act for: {choices}."
    raise ServiceError(Kind.LOGIN, _LOGIN, place="org_id", advice=advice)


def _token(data: Any, call: str, reply: Reply) -> Token:
    token = clean(original_text(reply.body, "data", "token") or "")
    if not isinstance(data, Mapping) or not token:
        raise unreadable(call, "the reply holds no token", reply)
    if not fits_header(token):
        raise unreadable(call, "the reply holds a token that no HTTP header can carry", reply)
    expiry = data.get("expiry")
    if isinstance(expiry, str) and expiry.isascii() and expiry.isdigit() and len(expiry) < 18:
        expiry = int(expiry)
    if not isinstance(expiry, (int, float)) or isinstance(expiry, bool) or not 0 < expiry < 1e15:
        raise unreadable(call, "the reply holds no expiry", reply)
    return Token(token, expiry / 1000, tuple(_organisations(data.get("associatedOrgs"), reply)))


def _organisations(associated: object, reply: Reply) -> list[Organisation]:
    found = []
    for item in associated if isinstance(associated, list) else []:
        organisation = item.get("organisation") if isinstance(item, Mapping) else None
        if isinstance(organisation, Mapping) and organisation.get("id"):
            name = strike(str(organisation.get("name") or ""), reply.secrets)
            found.append(Organisation(str(organisation["id"]), name))
    return found
