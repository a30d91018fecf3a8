"""Replies that no service should give: too large, quoting what is secret, in characters that nobody can print."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse

ODD = "\x00\x1b[31m\ud800\u202e\n\x85\u200b"
"""NUL, a colour, half a surrogate pair, right to left, a new line, another one, and a space without width."""

_MEGABYTE = b"0" * (1024 * 1024)
_BEFORE = b'{"status": "1", "data": {"status": "completed", "task-id": "bomb", "filler": "'
_AFTER = b'"}, "error": null}'


def oversized(megabytes: int, *, compressed: bool) -> Response:
    """Return a reply that is good JSON, only large."""
    if not compressed:
        return StreamingResponse(_pieces(megabytes), 200, media_type="application/json")
    # After a full flush a piece of a deflate stream depends on nothing before, so one is enough for all.
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    head = deflate.compress(_BEFORE) + deflate.flush(zlib.Z_FULL_FLUSH)
    piece = deflate.compress(_MEGABYTE) + deflate.flush(zlib.Z_FULL_FLUSH)
    tail = deflate.compress(_AFTER) + deflate.flush()
    check = size = 0
    for plain in _pieces(megabytes):
        check, size = zlib.crc32(plain, check), size + len(plain)
    trailer = check.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")
    body = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + head + piece * megabytes + tail + trailer
    return Response(body, 200, {"Content-Encoding": "gzip"}, "application/json")


def _pieces(megabytes: int) -> Iterator[bytes]:
    yield _BEFORE
    for _ in range(megabytes):
        yield _MEGABYTE
    yield _AFTER


def quoting(code: str | None, headers: Headers, body: bytes) -> Response:
    """Return a refusal that quotes the request."""
    request = "; ".join(f"{name}: {value}" for name, value in headers.items()) + "; " + body.decode("utf-8", "replace")
    args = {"parameter-name": request, "gstn-err": {"code": code or f"ODD {request}", "message": request}}
    return _error({"message": "err-gstn-returned", "type": "Gstn", "args": args})


def odd_error(code: str) -> Response:
    """Return a refusal with this code, in odd characters."""
    args = {"parameter-name": ODD, "gstn-err": {"code": code, "message": f"refused{ODD}FAILED"}}
    return _error({"message": "err-gstn-returned", "type": "Gstn", "args": args})


def with_odd_text(status: int, body: bytes) -> Response:
    """Return a reply with odd characters after each text of its data and its error."""
    envelope = json.loads(body)
    changed = {key: _odd(value) if key in ("data", "error") else value for key, value in envelope.items()}
    return _json(status, changed)


def _odd(value: Any) -> Any:
    if isinstance(value, str):
        return value + ODD
    if isinstance(value, list):
        return [_odd(each) for each in value]
    if isinstance(value, dict):
        return {key: _odd(each) for key, each in value.items()}
    return value


def _error(error: dict[str, Any]) -> Response:
    return _json(400, {"status": "0", "data": None, "error": error})


def _json(status: int, value: Any) -> Response:
    return Response(json.dumps(value), status, media_type="application/json")
