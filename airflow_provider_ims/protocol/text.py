"""
What the service writes is data: the one place through which every string of a reply passes.

Whatever comes from outside ends in logs, exceptions, Airflow's database, files and terminals. A NUL or half of a
surrogate pair, which JSON may hold, stops PostgreSQL and every UTF-8 encoder; ESC, line breaks and bidirectional
controls make a log line say what it does not say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from airflow_provider_ims.models.printable import MAX_TEXT, REPLACEMENT, clean

STRUCK_OUT = "***"

LONG_SECRET = 16
"""Characters from which on a secret cannot be in a text by chance, as six digits can."""

_HOLD_SECRETS = frozenset({"token", "gst-session-id"})
"""Keys whose value is a secret that we ask for; a refreshed one may be the one that was sent."""

_PLAIN = bytes(code for code in range(0x20, 0x7F) if code != ord("\\"))
"""Characters that stand as themselves in JSON and can be shown."""

_DECODER = json.JSONDecoder(parse_constant=str)  # NaN and Infinity are no JSON, and nothing that stores JSON takes them
_LENIENT = json.JSONDecoder(parse_constant=str, strict=False)


def read_json(body: bytes, secrets: Iterable[str] = ()) -> Any:
    """
    Parse a reply, so that its strings can be shown, stored and sent on.

    :param body: UTF-8; bytes that are not show as :data:`REPLACEMENT`
    :param secrets: what the request held, as :func:`spellings` gives it; long ones are struck out wherever they are
        quoted, short ones (a one-time password) only by :func:`strike`, since a number may hold them by chance
    :raises ValueError: when it is not JSON
    :raises RecursionError: when it is nested too deep
    """
    text = body.decode("utf-8-sig", "replace")
    unmistakable = [secret for secret in secrets if len(secret) >= LONG_SECRET]
    try:
        value = _DECODER.decode(text)
    except ValueError:
        # A service that writes a line break into a string as it is still says something.
        return _cleaned(_LENIENT.decode(text), unmistakable)
    if _is_plain(text) and not any(secret in text for secret in unmistakable):
        return value
    return _cleaned(value, unmistakable)


def is_as_read(body: bytes, secrets: Iterable[str] = ()) -> bool:
    """
    Say whether :func:`read_json` changes nothing in a body, and any other reader of JSON reads the same in one line.

    :param body: JSON, in which nothing stands outside of strings but what JSON allows
    :param secrets: as there
    """
    # What _is_plain looks for, and line ends; a megabyte of bytes is gone through much faster than one of text.
    if not body.isascii() or body.translate(None, _PLAIN):
        return False
    step = MAX_TEXT // 2
    if any(body.find(b'"', start, start + step) < 0 for start in range(0, len(body) - step, step)):
        return False
    return not any(secret.encode() in body for secret in secrets)


def read_json_text(text: bytes, secrets: Iterable[str] = ()) -> bytes:
    """
    Return a JSON text as :func:`read_json` reads it, in one line.

    :param text: JSON
    :param secrets: as there
    :raises ValueError: when it is not JSON
    :raises RecursionError: when it is nested too deep
    """
    return text if is_as_read(text, secrets) else json.dumps(read_json(text, secrets)).encode()


def original_text(body: bytes, *path: str) -> Any:
    """
    Return one string of a reply as it was sent, for a use that depends on each of its characters.

    :param path: the keys that lead to it
    :return: the string, or ``None``
    """
    value: Any = _LENIENT.decode(body.decode("utf-8-sig", "replace"))
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def strike(text: str, secrets: Iterable[str]) -> str:
    """
    Strike out the secrets that a text quotes.

    :param secrets: as :func:`spellings` gives them
    """
    for secret in secrets:
        text = text.replace(secret, STRUCK_OUT)
    return text


def spellings(*secrets: str) -> tuple[str, ...]:
    """Return secrets in every form in which a service can quote them: as they are, in JSON and in a URL."""
    found = {
        spelling
        for secret in secrets
        if secret
        for spelling in (
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(secret, safe="", errors="replace"),
        )
    }
    # The longest first: of a secret that holds another one nothing is left over.
    return tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))


def _is_plain(text: str) -> bool:
    """
    Say whether no string of a JSON text can need a change. Nearly all replies are so, and cost no more than this.

    Without a backslash every character stands as itself, and what JSON lets stand of ASCII is printable but DEL. A
    string over :data:`MAX_TEXT` covers half as many characters from a multiple of that half, without a quote.
    """
    if not text.isascii() or "\\" in text or "\x7f" in text:
        return False
    step = MAX_TEXT // 2
    return all(text.find('"', start, start + step) >= 0 for start in range(0, len(text) - step, step))


def _cleaned(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        return clean(strike(value, secrets) if secrets else value)
    if isinstance(value, list):
        return [_cleaned(each, secrets) for each in value]
    if isinstance(value, dict):
        cleaned: dict[str, Any] = {}
        for key, each in value.items():
            name = clean(strike(key, secrets))
            while name in cleaned:  # two keys that look the same now are still two
                name += REPLACEMENT
            cleaned[name] = _cleaned(each, [] if key in _HOLD_SECRETS else secrets)
        return cleaned
    return value
