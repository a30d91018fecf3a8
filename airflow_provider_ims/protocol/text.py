"""
What the service writes is data: the one place through which every string of a reply passes.

Whatever comes from outside ends in logs, exceptions, Airflow's database, files and terminals. A NUL or half of a
surrogate pair, which JSON may hold, stops PostgreSQL and every UTF-8 encoder; ESC, line breaks and bidirectional
controls make a log line say what it does not say.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from airflow_provider_ims.models.printable import MAX_TEXT, REPLACEMENT, clean, printable

STRUCK_OUT = "***"

LONG_SECRET = 16
"""Characters from which on a secret cannot be in a text by chance, as six digits can."""

_SHORTEST_BASE64 = 6
"""Characters; fewer of them can be in a text by chance."""

_PLAIN = bytes(code for code in range(0x20, 0x7F) if code != ord("\\"))
"""Characters that stand as themselves in JSON and can be shown."""

_LOWER = bytes(range(256)).lower()

_DECODER = json.JSONDecoder(parse_constant=str)  # NaN and Infinity are no JSON, and nothing that stores JSON takes them
_LENIENT = json.JSONDecoder(parse_constant=str, strict=False)


def read_json(body: bytes, secrets: Iterable[str] = ()) -> Any:
    """
    Parse a reply, so that its strings can be shown, stored and sent on.

    :param body: UTF-8; bytes that are not show as :data:`REPLACEMENT`
    :param secrets: what the request held, as :func:`spellings` gives it; long ones are struck out wherever they are
        quoted, short ones (a one-time password) only by :func:`strike`, since a number may hold them by chance. What
        is asked for, and may be the same, has :func:`original_text`
    :raises ValueError: when it is not JSON
    :raises RecursionError: when it is nested too deep
    """
    text = body.decode("utf-8-sig", "replace")
    unmistakable = _unmistakable(secrets)
    try:
        value = _DECODER.decode(text)
    except ValueError:
        # A service that writes a line break into a string as it is still says something.
        return _Cleaner(unmistakable).clean(_LENIENT.decode(text))
    if _is_plain(text) and not _quoted(text, unmistakable):
        return value
    return _Cleaner(unmistakable).clean(value)


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
    folded = body.translate(_LOWER, b" ")
    return not any(_folded(secret).encode() in folded for secret in secrets)


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


def strike(text: str, secrets: Sequence[str]) -> str:
    """
    Strike out the secrets that a text quotes, in any letter case and with any space within.

    :param secrets: as :func:`spellings` gives them
    """
    text = printable(text)
    for secret in secrets:
        text = text.replace(secret, STRUCK_OUT)
    for secret in _quoted(text, secrets):
        text = _anyhow(secret).sub(STRUCK_OUT, text)
    return text


def quotes(text: str, secrets: Iterable[str]) -> bool:
    """
    Say whether a text holds a long secret, in any letter case and with any space within.

    :param secrets: as :func:`spellings` gives them
    """
    return bool(_quoted(printable(text), _unmistakable(secrets)))


@lru_cache(maxsize=64)
def spellings(*secrets: str) -> tuple[str, ...]:
    """Return secrets in every form in which a service can quote them: as they are, in JSON, a URL, HTML and base64."""
    found = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    # The longest first: of a secret that holds another one nothing is left over.
    return tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))


def _spellings(secret: str) -> Iterator[str]:
    data = secret.encode(errors="replace")
    yield from (secret, repr(secret)[1:-1], html.escape(secret), html.escape(secret, quote=False))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (quote(data, safe=kept) for kept in ("", "/", "!'()*"))
    yield quote_plus(data)
    yield "".join(f"%{byte:02x}" for byte in data)
    yield "".join(f"\\u{ord(character):04x}" for character in secret)
    # What stands before it in what is encoded decides how; the characters that it shares with others are left out.
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        end = (before + len(data)) * 8 // 6
        if end - shared >= _SHORTEST_BASE64:
            yield from (encode(bytes(before) + data)[shared:end].decode() for encode in (b64encode, urlsafe_b64encode))


def _unmistakable(secrets: Iterable[str]) -> list[str]:
    return [secret for secret in secrets if len(_folded(secret)) >= LONG_SECRET]


def _quoted(text: str, secrets: Iterable[str]) -> list[str]:
    """Return the secrets that a printable text holds."""
    folded = _fold(text)
    return [secret for secret in secrets if _folded(secret) in folded]


def _fold(text: str) -> str:
    """Return a printable text without what may stand between the characters of a secret."""
    return text.replace(" ", "").replace(REPLACEMENT, "").lower()


@lru_cache(maxsize=512)
def _folded(secret: str) -> str:
    return _fold(printable(secret)) or secret


@lru_cache(maxsize=512)
def _anyhow(secret: str) -> re.Pattern[str]:
    return re.compile(f"[ {REPLACEMENT}]*".join(map(re.escape, _folded(secret))), re.IGNORECASE)


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


class _Cleaner:
    """
    Makes what was read fit to be shown.

    :param secrets: what is struck out
    """

    def __init__(self, secrets: list[str]) -> None:
        self._secrets = secrets
        # Nearly all strings are shorter, and cost no more than to see that.
        self._shortest = min((len(each) for secret in secrets for each in (secret, _folded(secret))), default=0)

    def clean(self, value: Any) -> Any:
        """Return a value of JSON with clean strings."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.clean(each) for each in value]
        if isinstance(value, dict):
            cleaned: dict[str, Any] = {}
            for key, each in value.items():
                name = self._text(key)
                while name in cleaned:  # two keys that look the same now are still two
                    name += REPLACEMENT
                cleaned[name] = self.clean(each)
            return cleaned
        return value

    def _text(self, text: str) -> str:
        return clean(strike(text, self._secrets) if self._secrets and len(text) >= self._shortest else text)
