"""
The user's own columns of the documents of a request, in a file beside it: ``0001.carried.jsonl`` for ``0001.json``.

The request itself is what the service takes, to the byte, and has no room for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isnan
from typing import Any, NamedTuple

SUFFIX = ".carried.jsonl"
_DIGITS = 15


class Carried(NamedTuple):
    """
    What is carried with the documents of a request, in their order.

    :param columns: the names of the columns
    :param rows: for each document where its row stands, and column -> value
    """

    columns: list[str]
    rows: list[tuple[str, dict[str, Any]]]


def as_text(values: Mapping[str, Any]) -> str:
    """Return the values of a row as JSON in ASCII, without what is nothing (NaN)."""
    try:
        return _json(values)
    except ValueError:  # numbers that JSON has none of; pandas writes NaN for an empty cell
        there = {name: value for name, value in values.items() if not (isinstance(value, float) and isnan(value))}
        return _json({name: value if _is_json(value) else str(value) for name, value in there.items()})


def written(sha256: str, columns: Sequence[str], rows: Iterable[tuple[str, str]]) -> bytes:
    """
    Return the content of the file.

    :param sha256: of the request
    :param columns: the names of all columns of the plan that are carried
    :param rows: for each document, in their order: where its row stands, and its values as JSON
    """
    head = json.dumps({"sha256": sha256, "columns": list(columns)})
    lines = (f"[{json.dumps(place)},{values or '{}'}]" for place, values in rows)
    return ("\n".join([head, *lines]) + "\n").encode("ascii")


def read(content: bytes, sha256: str) -> Carried | None:
    """
    Read the content of such a file.

    :param sha256: of the request
    :return: ``None`` if it belongs to another request, or is none
    """
    try:
        head, *lines = content.decode("ascii").splitlines()
        told = json.loads(head)
        if told["sha256"] != sha256:
            return None
        rows = [json.loads(line, parse_float=Decimal) for line in lines]
        return Carried([str(name) for name in told["columns"]], [(str(place), dict(values)) for place, values in rows])
    except (ValueError, KeyError, TypeError):
        return None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, default=_plain, allow_nan=False, separators=(",", ":"))


def _is_json(value: object) -> bool:
    try:
        _json(value)
    except ValueError:
        return False
    return True


def _plain(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite() and len(value.as_tuple().digits) <= _DIGITS:
        return float(value)  # written with the same digits
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
