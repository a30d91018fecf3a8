"""Finds the rows that give one document more than once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from airflow_provider_ims.planning.checks.checker import document_key
from airflow_provider_ims.planning.checks.fingerprints import Fingerprints
from airflow_provider_ims.planning.spills import Line, Spill, Spills
from airflow_provider_ims.planning.workspace import Place

_SHOWN = 5
_MOST_HASHES = 50_000


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


class Duplicates:
    """
    Watches documents go by, and looks closer at the end, if it must.

    Two rows give one document if GSTIN, section, supplier, number, date and period are the same.

    :param folder: a directory that is removed with all that is in it when the plan is done
    :param database: where it is noted which documents are dropped
    """

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self._database = database
        self._seen = Fingerprints(folder)

    def __enter__(self) -> Duplicates:
        self._seen.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._seen.__exit__(kind, error, traceback)

    def watch(self, spill: int, keys: Iterable[str]) -> None:
        """
        Take note of documents.

        :param spill: index of the spill that they are in
        :param keys: their keys
        """
        self._seen.add(zip(repeat(spill), keys))

    def drop(self, spills: Spills) -> Iterator[Duplicate]:
        """
        Mark as dropped what must not be sent: all rows after the first of alike ones, every one of differing ones.

        :param spills: all the documents
        """
        suspected = self._seen.repeated(_MOST_HASHES)
        if suspected == set():
            return
        database = self._database
        database.execute("BEGIN")
        for spill in spills:
            lines = ((line, document_key(spill.section, _read(line))) for line in spill.lines())
            database.executemany(
                "INSERT INTO document VALUES (?, ?, ?)",
                (
                    (spill.index, key, line.offset)
                    for line, key in lines
                    if suspected is None or hash((spill.index, key)) in suspected
                ),
            )
        database.execute("CREATE INDEX document_key ON document (spill, key, offset)")
        for spill in spills:
            keys = database.execute(
                "SELECT key FROM document WHERE spill = ? GROUP BY key HAVING COUNT(*) > 1", (spill.index,)
            )
            for (key,) in keys:
                yield from self._drop_of(spill, key)
        database.execute("COMMIT")

    def _drop_of(self, spill: Spill, key: str) -> Iterator[Duplicate]:
        def lines() -> Iterator[Line]:
            # Read again each time: in a broken input millions of rows may give one document.
            found = self._database.execute(
                "SELECT offset FROM document WHERE spill = ? AND key = ? ORDER BY offset", (spill.index, key)
            )
            return spill.lines_at(offset for (offset,) in found)

        first = next(lines())
        expected = _read(first)
        differing: dict[str, None] = {}
        places: list[Place] = []
        for line in lines():
            if len(places) <= _SHOWN:
                places.append(line.place)
            differing.update((name, None) for name, value in _read(line).items() if value != expected[name])
        for line in lines():
            if differing or line != first:
                self._database.execute("INSERT INTO dropped VALUES (?, ?)", (spill.index, line.offset))
                others = [other for other in places if other != line.place][:_SHOWN] if differing else [first.place]
                yield Duplicate(line.place, spill.rtin, spill.section, _read(line), others, list(differing))


def _read(line: Line) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(line.text, parse_float=Decimal)
    return document
