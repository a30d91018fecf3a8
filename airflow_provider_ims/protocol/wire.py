"""What goes over the wire, and the steps of an exchange."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

ENCODINGS = "gzip, deflate"
"""What a reply may be compressed with: what can be uncompressed up to a bound."""

SMALL_REPLY = 1024 * 1024
"""Bytes of a reply that says little: a token, an id, a status."""

LARGE_REPLY = 64 * 1024 * 1024
"""Bytes of a reply with documents; no reply over this is kept."""


class Request(NamedTuple):
    """
    One HTTP request, complete; its step is answered with a :class:`Reply`.

    :param call: what it does, in words for a log line; never holds a secret
    :param method: HTTP method
    :param url: where to; holds no secret
    :param headers: all headers; hold the token
    :param body: JSON as sent, or nothing
    :param repeatable: whether it may be sent again when its reply is lost
    :param if_lost: what a person does when the reply to a request that is not repeatable is lost
    :param secrets: the secrets in headers and body, as :func:`~airflow_provider_ims.protocol.text.spellings` gives
        them; a reply that quotes them is not shown as it is
    :param max_reply: bytes of a reply, uncompressed, beyond which it is not read
    """

    call: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    repeatable: bool = True
    if_lost: str = ""
    secrets: tuple[str, ...] = ()
    max_reply: int = SMALL_REPLY

    def __repr__(self) -> str:
        return f"Request({self.call!r}, {self.method} {self.url})"


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One HTTP reply.

    :param status: HTTP status
    :param headers: headers; looked up in any letter case by :meth:`header`
    :param body: the body, uncompressed
    :param secrets: those of the request
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def header(self, name: str) -> str | None:
        """Return a header, whatever its letter case, or ``None``."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)


class Mask(NamedTuple):
    """
    A secret was born: hide it from the logs before anything else happens.

    :param secret: the secret
    """

    secret: str

    def __repr__(self) -> str:
        return "Mask(***)"


class Load(NamedTuple):
    """
    Look into the session store; answered with the text that is kept there, or ``None``.

    :param key: what it is kept under
    :param required: whether a store that cannot be reached ends the exchange; if not, the answer is ``None`` then
    """

    key: str
    required: bool = True


class Save(NamedTuple):
    """
    Keep something in the session store; answered with whether it is kept.

    :param key: what it is kept under
    :param value: the text, holding secrets; ``None`` forgets the key
    :param required: whether a store that cannot be reached ends the exchange; if not, the answer is ``False`` then
    """

    key: str
    value: str | None
    required: bool = True

    def __repr__(self) -> str:
        return f"Save(key={self.key!r}, value=***)"


class Pause(NamedTuple):
    """
    Wait.

    :param seconds: how long
    :param why: what is waited for, in words for a log line
    """

    seconds: float
    why: str = ""


class Exclusive(NamedTuple):
    """
    Hold another exchange while nobody else on this host holds one of the same key; answered with its result.

    :param key: what nobody else may work on meanwhile
    :param exchange: what to do then
    """

    key: str
    exchange: Generator[Any, Any, Any]


Step = Request | Mask | Load | Save | Pause | Exclusive

_T = TypeVar("_T")

Exchange = Generator[Step, Any, _T]
"""A conversation: yields steps, is sent the answer to each, and returns what it found."""


def fits_header(value: str) -> bool:
    """Say whether HTTP can carry a text as a header's value: plain ASCII in one line, with no space around it."""
    return value.isascii() and value.isprintable() and value == value.strip()


def json_headers(extra: Mapping[str, str], *, with_body: bool) -> dict[str, str]:
    """Return the headers of a call that speaks JSON."""
    headers = {"accept": "application/json", **extra}
    if with_body:
        headers["Content-Type"] = "application/json"
    return headers
