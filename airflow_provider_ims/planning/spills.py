"""The valid documents of each GSTIN and section, written aside until it is known which of them to send."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.planning.checks.checker import Valid
from airflow_provider_ims.planning.workspace import Place

_HELD = 16_384

# Before each document stands the place of its row, in fixed width; after it, and a tab, what is carried with it.
_LINE = "%04x%010x%s\n"
_TAB = "\t"
_SOURCE_END = 4
MOST_SOURCES = 16**_SOURCE_END
_PLACE_END = 14


class Line(NamedTuple):
    """
    One document of a spill.

    :param offset: where it begins, which names it within its spill
    :param place: where its row stands
    :param text: its JSON
    """

    offset: int
    place: Place
    text: str


class Kept(NamedTuple):
    """
    A document that is to be sent.

    :param section: section of the request
    :param text: its JSON
    :param place: where its row stands, see :func:`place_of`
    :param carried: what is carried with it, as JSON
    """

    section: str
    text: str
    place: str
    carried: str


def place_of(text: str) -> Place:
    """Return where a row stands, from what stands before it in a spill."""
    return Place(int(text[:_SOURCE_END], 16), int(text[_SOURCE_END:_PLACE_END], 16))


class Spill:
    """
    The documents of one GSTIN and section, one a line, in the order of the input.

    :param index: what the database calls it
    :param rtin: GSTIN of the recipient
    :param section: section of the request
    :param path: its file
    :ivar held: the lines that are not yet on disk
    :ivar keys: the keys of their documents
    """

    def __init__(self, index: int, rtin: str, section: str, path: Path) -> None:
        self.index = index
        self.rtin = rtin
        self.section = section
        self._path = path
        self.held: list[str] = []
        self.keys: list[str] = []

    def write(self) -> None:
        """Write what is held in memory to disk."""
        with self._path.open("ab") as file:
            file.write("".join(self.held).encode("ascii"))
        self.held.clear()
        self.keys.clear()

    def lines(self) -> Iterator[Line]:
        """Yield every document."""
        offset = 0
        with self._path.open(encoding="ascii", newline="\n") as lines:
            for line in lines:
                yield _line(offset, line)
                offset += len(line)

    def lines_at(self, offsets: Iterator[int]) -> Iterator[Line]:
        """Yield the documents that begin at these offsets."""
        with self._path.open("rb") as file:
            for offset in offsets:
                file.seek(offset)
                yield _line(offset, file.readline().decode("ascii"))

    def kept(self, without: Iterator[int]) -> Iterator[str]:
        """
        Yield the documents' lines: place, JSON, and what is carried.

        :param without: offsets of those that are left out, rising
        """
        left_out = next(without, -1)
        offset = 0
        with self._path.open(encoding="ascii", newline="\n") as lines:
            if left_out < 0:
                yield from lines
                return
            for line in lines:
                if offset == left_out:
                    left_out = next(without, -1)
                else:
                    yield line
                offset += len(line)


def _line(offset: int, line: str) -> Line:
    return Line(offset, place_of(line), line[_PLACE_END:-1].partition(_TAB)[0])


class Spills:
    """
    All spills of a plan; few documents are in memory at any time, and few files open, however many GSTINs.

    :param folder: a directory that is removed with all that is in it when the plan is done
    :param database: where it is noted which documents are dropped
    :param watch: is told the index of a spill and the keys of all documents that come into it
    """

    def __init__(self, folder: Path, database: sqlite3.Connection, watch: Callable[[int, Iterable[str]], None]) -> None:
        self._folder = folder
        self._database = database
        self._watch = watch
        self._spills: dict[tuple[str, str], Spill] = {}
        self._held = 0

    def add(self, document: Valid, source: int, row: int, carried: str = "") -> None:
        """
        Take a document.

        :param source: index of the source that it comes from
        :param row: number of its row there
        :param carried: what is carried with it, as JSON in ASCII
        """
        rtin, section, text, key = document
        named = (rtin, section)
        spill = self._spills.get(named)
        if spill is None:
            index = len(self._spills)
            spill = self._spills[named] = Spill(index, *named, self._folder / f"{index}.spill")
        spill.held.append(_LINE % (source, row, f"{text}{_TAB}{carried}" if carried else text))
        spill.keys.append(key)
        self._held += 1
        if self._held >= _HELD:
            self.write()

    def write(self) -> None:
        """Write all that is held to disk."""
        for spill in self._spills.values():
            if spill.held:
                self._watch(spill.index, spill.keys)
                spill.write()
        self._held = 0

    def __iter__(self) -> Iterator[Spill]:
        return iter(self._spills.values())

    def rtins(self) -> list[str]:
        """Return the GSTINs, sorted."""
        return sorted({rtin for rtin, _ in self._spills})

    def documents(self, rtin: str) -> Iterator[Kept]:
        """
        Yield each document that is to be sent for a GSTIN.

        :return: an iterator in the order in which they are sent: by section, then as in the input
        """
        for section in SECTIONS:
            spill = self._spills.get((rtin, section))
            if spill:
                dropped = self._database.execute(
                    "SELECT offset FROM dropped WHERE spill = ? ORDER BY offset", (spill.index,)
                )
                for line in spill.kept(without=(offset for (offset,) in dropped)):
                    text, _, carried = line[_PLACE_END:-1].partition(_TAB)
                    yield Kept(section, text, line[:_PLACE_END], carried)
