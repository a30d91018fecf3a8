"""Packs the documents of a GSTIN into requests, as full as they may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.models.faults import CountsDisagree
from airflow_provider_ims.models.payload import request_json

_RTIN_LENGTH = 15


class Chunk(NamedTuple):
    """
    One request.

    :param body: the request as it is sent
    :param documents: number of documents in it
    """

    body: bytes
    documents: int


def size_alone(section: str, text: str) -> int:
    """Return the size in bytes of a request with this document only."""
    return len(request_json("0" * _RTIN_LENGTH, [(section, [text])]))


def packed(
    rtin: str, documents: Iterable[tuple[str, str]], *, max_bytes: int, max_documents: int | None = None
) -> Iterator[Chunk]:
    """
    Fill request after request: the first document that does not fit begins the next one.

    :param rtin: GSTIN of the recipient
    :param documents: (section, JSON) of each, section by section; none larger than a request may be
    :param max_bytes: largest size of a request as sent
    :param max_documents: largest number of documents of a request; ``None``: as many as fit
    """
    empty = len(request_json(rtin, []))
    # A section's name and brackets; the comma after it and the one missing after its last document cancel out,
    # except at the end of the request.
    around = {section: len(f'"{section}":[]') for section in SECTIONS}
    sections: dict[str, list[str]] = {}
    size, count = empty - 1, 0
    for section, text in documents:
        added = len(text) + 1
        if section not in sections:
            added += around[section]
        if size + added > max_bytes or count == max_documents:
            full = _chunk(rtin, sections, size, count) if count else None
            sections, size, count = {}, empty - 1, 0
            if full:
                yield full
                full = None  # it is megabytes, and the next one is being filled
            added = len(text) + 1 + around[section]
        if section not in sections:
            sections[section] = []
        sections[section].append(text)
        size += added
        count += 1
    if count:
        yield _chunk(rtin, sections, size, count)


def _chunk(rtin: str, sections: dict[str, list[str]], size: int, count: int) -> Chunk:
    body = request_json(rtin, sections.items())
    if len(body) != size:
        raise CountsDisagree(f"A request for {rtin} has {len(body)} bytes and was counted as {size}. Please report it.")
    return Chunk(body, count)
