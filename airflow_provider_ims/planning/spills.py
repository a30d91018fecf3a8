"""The valid documents of each GSTIN and section, written aside until it is known which of them to send."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.planning.checker import Valid
from airflow_provider_ims.planning.ledger import Place

_HELD = 16_384

# Before each document stands the place of its row, in fixed width.
_PLACE = "%04x%010x"
_SOURCE_END = 4
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


class Spill:
    """
    The documents of one GSTIN and section, one a line, in the order of the input.

    :param index: what the ledger calls it
    :param rtin: GSTIN of the recipient
    :param section: section of the request
    :param path: its file
    """

    def __init__(self, index: int, rtin: str, section: str, path: Path) -> None:
        self.index = index
        self.rtin = rtin
        self.section = section
        self._path = path
        self._held: list[str] = []

    def hold(self, text: str, source: int, row: int) -> None:
        """Keep a document in memory until :meth:`write`."""
        self._held.append(f"{_PLACE % (source, row)}{text}\n")

    def write(self) -> None:
        """Write what is held to disk."""
        if self._held:
            with self._path.open("ab") as file:
                file.write("".join(self._held).encode("ascii"))
            self._held.clear()

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

    def texts(self, without: Iterator[int]) -> Iterator[str]:
        """
        Yield the JSON of the documents.

        :param without: offsets of those that are left out, rising
        """
        left_out = next(without, -1)
        offset = 0
        with self._path.open(encoding="ascii", newline="\n") as lines:
            for line in lines:
                if offset == left_out:
                    left_out = next(without, -1)
                else:
                    yield line[_PLACE_END:-1]
                offset += len(line)


def _line(offset: int, line: str) -> Line:
    place = Place(int(line[:_SOURCE_END], 16), int(line[_SOURCE_END:_PLACE_END], 16))
    return Line(offset, place, line[_PLACE_END:-1])


class Spills:
    """
    All spills of a plan; few documents are in memory at any time, and few files open, however many GSTINs.

    :param folder: a directory that is removed with all that is in it when the plan is done
    :param ledger: where it is noted which documents are dropped
    """

    def __init__(self, folder: Path, ledger: sqlite3.Connection) -> None:
        self._folder = folder
        self._ledger = ledger
        self._spills: dict[tuple[str, str], Spill] = {}
        self._held = 0

    def add(self, document: Valid, source: int, row: int) -> int:
        """
        Take a document.

        :param source: index of the source that it comes from
        :param row: number of its row there
        :return: index of the spill that it is in
        """
        named = (document.rtin, document.section)
        spill = self._spills.get(named)
        if spill is None:
            index = len(self._spills)
            spill = self._spills[named] = Spill(index, *named, self._folder / f"{index}.spill")
        spill.hold(document.text, source, row)
        self._held += 1
        if self._held >= _HELD:
            self.write()
        return spill.index

    def write(self) -> None:
        """Write all that is held to disk."""
        for spill in self._spills.values():
            spill.write()
        self._held = 0

    def __iter__(self) -> Iterator[Spill]:
        return iter(self._spills.values())

    def rtins(self) -> list[str]:
        """Return the GSTINs, sorted."""
        return sorted({rtin for rtin, _ in self._spills})

    def documents(self, rtin: str) -> Iterator[tuple[str, str]]:
        """
        Yield (section, JSON) of each document that is to be sent for a GSTIN.

        :return: an iterator in the order in which they are sent: by section, then as in the input
        """
        for section in SECTIONS:
            spill = self._spills.get((rtin, section))
            if spill:
                dropped = self._ledger.execute(
                    "SELECT offset FROM dropped WHERE spill = ? ORDER BY offset", (spill.index,)
                )
                yield from zip(repeat(section), spill.texts(without=(offset for (offset,) in dropped)))
