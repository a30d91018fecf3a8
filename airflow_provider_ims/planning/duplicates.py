"""Finds the rows that give one document more than once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from airflow_provider_ims.planning.ledger import Place
from airflow_provider_ims.planning.spills import Spills

_SHOWN = 5


class Duplicate(NamedTuple):
    """
    A row that is not sent because another one gives the same document.

    :param place: where the row stands
    :param rtin: GSTIN of the recipient
    :param section: section of the request
    :param document: the row's fields
    :param others: first places of the same document: only the first, which is sent, if all rows are alike
    :param differing: fields in which the rows differ; empty if all rows are alike
    """

    place: Place
    rtin: str
    section: str
    document: dict[str, Any]
    others: list[Place]
    differing: list[str]


def drop_duplicates(ledger: sqlite3.Connection, spills: Spills) -> Iterator[Duplicate]:
    """
    Mark as dropped what must not be sent: all rows after the first of alike ones, every one of differing ones.

    Rows are the same document if section, supplier, number and period are the same.
    """
    groups = "SELECT spill, key FROM document GROUP BY spill, key HAVING COUNT(*) > 1"
    if not ledger.execute(f"{groups} LIMIT 1").fetchone():
        return
    ledger.execute("CREATE INDEX document_key ON document (spill, key, source, row)")
    ledger.execute("BEGIN")
    for spill, key in ledger.execute(groups):
        yield from _of_one_document(ledger, spills, spill, key)
    ledger.execute("COMMIT")


def _of_one_document(ledger: sqlite3.Connection, spills: Spills, index: int, key: str) -> Iterator[Duplicate]:
    rtin, section, spill = spills.of(index)

    def rows() -> Iterator[tuple[Place, int, dict[str, Any]]]:
        # Read again each time: in a broken input millions of rows may give one document.
        found = ledger.execute(
            "SELECT source, row, offset FROM document WHERE spill = ? AND key = ? ORDER BY source, row", (index, key)
        )
        with spill.path.open("rb") as lines:
            for source, row, offset in found:
                lines.seek(offset)
                yield Place(source, row), offset, json.loads(lines.readline(), parse_float=Decimal)

    first_place, _, first = next(rows())
    differing: dict[str, None] = {}
    places: list[Place] = []
    for place, _, document in rows():
        places += [place] if len(places) <= _SHOWN else []
        differing.update((name, None) for name, value in document.items() if value != first[name])
    for place, offset, document in rows():
        if differing or place != first_place:
            ledger.execute("INSERT INTO dropped VALUES (?, ?)", (index, offset))
            others = [other for other in places if other != place][:_SHOWN] if differing else [first_place]
            yield Duplicate(place, rtin, section, document, others, list(differing))
