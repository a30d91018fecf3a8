"""The valid documents of a plan, in a table: of each its place, its JSON, and what is carried with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_ims.planning.checks.checker import Valid
from airflow_provider_ims.planning.checks.coercion import DATES_WRITTEN, ISO_DATES_WRITTEN
from airflow_provider_ims.planning.checks.in_sql import FROM_DATE, SECTION_NAMES, checked_sql
from airflow_provider_ims.planning.sources.rows import Table
from airflow_provider_ims.tables.appender import Appender
from airflow_provider_ims.tables.database import rows_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_DOCUMENT: Final = {
    "place": "UBIGINT",
    "rtin": "VARCHAR",
    "section": "UTINYINT",
    "key": "VARCHAR",
    "text": "VARCHAR",
    "carried": "VARCHAR",
    "converted": "UTINYINT",
}
_TWICE: Final = {"rtin": "VARCHAR", "section": "UTINYINT", "key": "VARCHAR", "sent": "UBIGINT", "told": "VARCHAR"}
_LEFT_OUT: Final = {"place": "UBIGINT"}
_INDEX: Final = {section: index for index, section in enumerate(SECTION_NAMES)}
_STORED: Final = "SELECT place, rtin, section, text"

_ROW_BITS: Final = 44
MOST_SOURCES: Final = 1 << (63 - _ROW_BITS)
_SHOWN = 5


class Place(NamedTuple):
    """
    Where a row stands.

    :param source: index of the source
    :param row: number of the row in it
    """

    source: int
    row: int

    def as_number(self) -> int:
        """Return it as one number; those of all rows rise as the rows do."""
        return self.source << _ROW_BITS | self.row


def place_of(number: int) -> Place:
    """Return the place that this number was made of."""
    return Place(number >> _ROW_BITS, number & ((1 << _ROW_BITS) - 1))


class Stored(NamedTuple):
    """
    A document of the table.

    :param place: where its row stands
    :param rtin: GSTIN of the recipient
    :param section: section of the request
    :param text: its JSON
    """

    place: Place
    rtin: str
    section: str
    text: str

    @classmethod
    def of(cls, cells: Sequence[Any]) -> Stored:
        """Return what stands in the first four columns of an answer."""
        place, rtin, section, text = cells[:4]
        return cls(place_of(place), rtin, SECTION_NAMES[section], text)

    def row(self) -> dict[str, Any]:
        """Return the row that it was made of."""
        return {"rtin": self.rtin, "section": self.section, **_read(self.text)}


class OtherSpelling(NamedTuple):
    """
    A row whose GSTIN an earlier one writes otherwise.

    :param document: the row's
    :param spelling: how the first row writes it
    :param first: where that one stands
    """

    document: Stored
    spelling: str
    first: Place


class Duplicate(NamedTuple):
    """
    A row that is not sent because another one gives the same document.

    :param document: the row's
    :param others: first places of the same document: only the first, which is sent, if all rows are alike
    :param differing: fields in which the rows differ; empty if all rows are alike
    """

    document: Stored
    others: list[Place]
    differing: list[str]


Kept = tuple[str, int, str, int, str]
"""
A document that is to be sent: GSTIN of the recipient; index of the section in :data:`SECTION_NAMES`; its JSON; where
its row stands, as a number; what is carried with it, as JSON. No named tuple, as there are millions.
"""


class Documents:
    """
    Takes documents, leaves out those that others speak against, and gives the rest as they are sent.

    While an iterator from here is being read, nothing else runs in the database.

    :param database: empty
    :param folder: a directory that the database may read, removed with all that is in it when the plan is done
    """

    def __init__(self, database: DuckDBPyConnection, folder: Path) -> None:
        self._database = database
        self._documents = Appender(database, "document", _DOCUMENT, folder)
        self._twice = Appender(database, "twice", _TWICE, folder)
        self._left_out = Appender(database, "left_out", _LEFT_OUT, folder)

    def add(self, document: Valid, place: int, carried: str = "") -> None:
        """
        Take a document; :meth:`load` has to follow.

        :param place: where its row stands, as a number
        :param carried: what is carried with it, as JSON in ASCII
        """
        rtin, section, text, key = document
        self._documents.add(f"{place}\t{rtin}\t{_INDEX[section]}\t{key}\t{text}\t{carried}\t0")

    def load(self) -> None:
        """Put what was taken with :meth:`add` into the table."""
        self._documents.load()

    def take(self, source: int, table: Table, *, text_amounts: bool, allow_no_action: bool) -> int | None:
        """
        Have the database itself read a source, and take those of its documents that fit; the others are misfits.

        :param source: index of the source
        :param text_amounts: amounts stand as text, as in a CSV file
        :param allow_no_action: ``prev_status`` may be ``N``
        :return: the number of rows that were read; ``None`` if the model has to look at every row
        """
        base = Place(source, 0).as_number()
        rows = f"(SELECT * REPLACE (place + {base}::UBIGINT AS place) FROM {table.documents})"
        checked = checked_sql(rows, table.columns, text_amounts=text_amounts, allow_no_action=allow_no_action)
        if checked is None:
            return None
        [(count,)] = self._database.execute(f"INSERT INTO document {checked}").fetchall()
        return int(count)

    def misfits(self, source: int, table: Table) -> Iterator[tuple[int, Sequence[Any]]]:
        """Yield the number and the cells of each row that :meth:`take` left to the model, in their order."""
        base = Place(source, 0).as_number()
        places = f"SELECT place - {base}::UBIGINT FROM document WHERE text IS NULL"
        if not list(self._asked(f"{places} LIMIT 1")):
            return  # and the source need not be read again
        rows = f"SELECT place, {', '.join(table.cells)} FROM {table.rows} WHERE place IN ({places}) ORDER BY place"
        for place, *row in self._asked(rows):
            yield place, row
        self._database.execute("DELETE FROM document WHERE text IS NULL")

    def conversions(self, source: int) -> dict[str, int]:
        """Return what was written otherwise in the documents that :meth:`take` took from a source, with counts."""
        base, end = (Place(index, 0).as_number() for index in (source, source + 1))
        [(texts, dates)] = self._asked(
            f"SELECT coalesce(sum(converted % {FROM_DATE}), 0), coalesce(sum(converted // {FROM_DATE}), 0)"
            f" FROM document WHERE place BETWEEN {base} AND {end} AND text IS NOT NULL"
        )
        return {name: int(count) for name, count in ((ISO_DATES_WRITTEN, texts), (DATES_WRITTEN, dates)) if count}

    def too_large(self, room: Mapping[str, int]) -> Iterator[Stored]:
        """
        Leave out the documents that are larger than a request.

        :param room: section -> how many bytes a document may have
        """
        most = " ".join(f"WHEN {_INDEX[section]} THEN {size}" for section, size in room.items())
        found = f"{_STORED} FROM document WHERE strlen(text) > CASE section {most} END"
        yield from map(Stored.of, self._leaving_out(found))

    def spelled_otherwise(self) -> Iterator[OtherSpelling]:
        """Leave out the documents whose GSTIN an earlier row writes otherwise."""
        rtins = [rtin for (rtin,) in self._asked("SELECT DISTINCT rtin FROM document")]
        if len({rtin.upper() for rtin in rtins}) == len(rtins):
            return
        first = (
            "SELECT upper(rtin) AS folded, arg_min(rtin, place) AS spelling, min(place) AS first FROM document"
            " GROUP BY folded"
        )
        found = f"{_STORED}, spelling, first FROM document JOIN ({first}) ON upper(rtin) = folded"
        for cells in self._leaving_out(f"{found} WHERE rtin <> spelling"):
            yield OtherSpelling(Stored.of(cells), cells[4], place_of(cells[5]))

    def duplicates(self) -> Iterator[Duplicate]:
        """
        Leave out all rows after the first of alike ones, and every one of differing ones.

        Two rows give one document if GSTIN, section, supplier, number, date and period are the same.
        """
        which = "rtin, section, key"
        # Numbers take less room than texts; two documents may share one, so it only says where to look closer.
        several = f"SELECT hash({which}) AS number FROM document GROUP BY number HAVING count(*) > 1"
        rows = f"SELECT {which}, place, text FROM document WHERE hash({which}) IN ({several})"
        for (rtin, section, key), group in groupby(self._asked(f"{rows} ORDER BY ALL"), key=lambda row: row[:3]):
            self._look_at(f"{rtin}\t{section}\t{key}", ((place, text) for *_, place, text in group))
        self._twice.load()
        found = f"{_STORED}, told FROM document JOIN twice USING ({which}) WHERE place IS DISTINCT FROM sent"
        for cells in self._leaving_out(found):
            document = Stored.of(cells)
            places, differing = json.loads(cells[4])
            others = [other for place in places if (other := place_of(place)) != document.place]
            yield Duplicate(document, others[: _SHOWN if differing else 1], differing)

    def _look_at(self, which: str, rows: Iterable[tuple[int, str]]) -> None:
        """Take note of documents that are the same; there may be millions, and none is kept in memory."""
        rows = iter(rows)
        first, text = next(rows)
        expected = _read(text)
        differing: dict[str, None] = {}
        places = [first]
        for place, other in rows:
            if len(places) <= _SHOWN:
                places.append(place)
            if other != text:
                differing.update((name, None) for name, value in _read(other).items() if value != expected[name])
        if len(places) > 1:
            sent = "" if differing else first
            self._twice.add(f"{which}\t{sent}\t{json.dumps([places, list(differing)])}")

    def kept(self, *, carried: bool) -> Iterator[Kept]:
        """
        Return what is to be sent, by GSTIN and section, then as in the input.

        :param carried: also what is carried with it
        """
        beside = "coalesce(carried, '')" if carried else "''"
        return self._asked(f"SELECT rtin, section, text, place, {beside} FROM document ORDER BY rtin, section, place")

    def _leaving_out(self, question: str) -> Iterator[Sequence[Any]]:
        """Ask for documents, the place first, in the order of the input; once they are told, they are left out."""
        for cells in self._asked(f"{question} ORDER BY place"):
            self._left_out.add(str(cells[0]))
            yield cells
        self._left_out.load()
        self._database.execute("DELETE FROM document WHERE place IN (SELECT place FROM left_out)")

    def _asked(self, question: str) -> Iterator[Any]:
        return rows_of(self._database.execute(question))


def _read(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return document
