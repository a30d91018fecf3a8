"""What goes over the wire, and the steps of an exchange."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar


@dataclass(frozen=True)
class Request:
    """
    One HTTP request, complete.

    :param call: what it does, in words for a log line; never holds a secret
    :param method: HTTP method
    :param url: where to; holds no secret
    :param headers: all headers; hold the token
    :param body: JSON as sent, or nothing
    :param repeatable: whether sending it twice does no more than sending it once
    """

    call: str
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    repeatable: bool = True


@dataclass(frozen=True)
class Reply:
    """
    One HTTP reply.

    :param status: HTTP status
    :param headers: headers; looked up in any letter case by :meth:`header`
    :param body: the body as received
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

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


Step = Request | Mask

_T = TypeVar("_T")

Exchange = Generator[Step, Any, _T]
"""A conversation with the service: yields steps, is sent the Reply to each Request, returns what it read."""


def json_headers(extra: Mapping[str, str], *, with_body: bool) -> dict[str, str]:
    """Return the headers of a call that speaks JSON."""
    headers = {"accept": "application/json", **extra}
    if with_body:
        headers["Content-Type"] = "application/json"
    return headers
