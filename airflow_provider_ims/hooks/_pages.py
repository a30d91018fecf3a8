"""The pages of a task's result as JSON, for a program that reads it faster than Python."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from airflow_provider_ims.protocol.errors import unreadable
from airflow_provider_ims.protocol.tasks import read_page
from airflow_provider_ims.protocol.text import is_as_read, read_json, read_json_text
from airflow_provider_ims.protocol.wire import Reply

_LARGE = 1000
"""Bytes of a value from which on it is no part of a page's frame."""


class TaskPage(NamedTuple):
    """
    One page of a result.

    :param data: each key in it -> JSON of its value, in one line: as it came, or cleaned as every text of the service
    :param frame: the reply without them: JSON in which some values are null
    """

    data: Mapping[str, msgspec.Raw]
    frame: bytes


class _Page(msgspec.Struct):
    data: dict[str, msgspec.Raw]
    error: Any = None
    status: Any = None


_PAGE = msgspec.json.Decoder(_Page)
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


def read_page_as_json(reply: Reply, reference_id: str, number: int) -> TaskPage:
    """
    Read one page of a result without looking into its records, unless a text of theirs has to be cleaned.

    :raises ServiceError: as :func:`~airflow_provider_ims.protocol.tasks.read_page`
    """
    try:
        page = _PAGE.decode(reply.body)
    except (msgspec.MsgspecError, RecursionError):
        page = None
    if page is None or page.error or str(page.status) == "0" or not 200 <= reply.status < 300:
        # No page, or one that this way does not understand.
        data = read_page(reply, reference_id, number)
        return TaskPage({key: msgspec.Raw(json.dumps(value).encode()) for key, value in data.items()}, b"{}")
    frame = _frame(reply.body, page.data.values())
    if is_as_read(reply.body, reply.secrets):
        return TaskPage(page.data, frame)
    try:
        names = read_json(json.dumps(dict.fromkeys(page.data)).encode(), reply.secrets)
        values = (_cleaned(value, reply.secrets) for value in page.data.values())
        return TaskPage(dict(zip(names, values, strict=True)), frame)
    except (ValueError, RecursionError):
        raise unreadable(f"page {number} of task {reference_id}", "the page is not JSON", reply) from None


def _frame(body: bytes, values: Iterable[msgspec.Raw]) -> bytes:
    """Return JSON in which null stands for the large ones of some values."""
    for value in values:
        text = bytes(value)
        if len(text) < _LARGE:
            continue
        start = body.find(text[:_LARGE])
        if body.startswith(text, start):
            body = body[:start] + b"null" + body[start + len(text) :]
    return body


def _cleaned(value: msgspec.Raw, secrets: tuple[str, ...]) -> msgspec.Raw:
    """Return JSON with clean texts; of a list, only those items are read that need it."""
    text = bytes(value)
    if not text.startswith(b"["):
        return msgspec.Raw(read_json_text(text, secrets))
    items = [read_json_text(bytes(item), secrets) for item in _ITEMS.decode(value)]
    return msgspec.Raw(b"[" + b",".join(items) + b"]")
