"""The valid documents of each GSTIN and section, written aside until it is known which of them to send."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import accumulate, repeat
from pathlib import Path

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.planning.checker import Valid
from airflow_provider_ims.planning.ledger import Place

_HELD = 8192


class Spill:
    """
    The documents of one GSTIN and section, one a line, in the order of the input.

    :param index: what the ledger calls it
    :param path: its file
    """

    def __init__(self, index: int, path: Path) -> None:
        self.index = index
        self.path = path
        self.size = 0
        self._texts: list[str] = []
        self._notes: list[tuple[str, Place]] = []

    def hold(self, document: Valid, place: Place) -> None:
        """Keep a document in memory until :meth:`write`."""
        self._texts.append(document.text)
        self._notes.append((document.key, place))

    def write(self, ledger: sqlite3.Connection) -> None:
        """Write what is held to disk."""
        if not self._texts:
            return
        offsets = accumulate((len(text) + 1 for text in self._texts), initial=self.size)
        ledger.executemany(
            "INSERT INTO document VALUES (?, ?, ?, ?, ?)",
            (
                (self.index, key, place.source, place.row, offset)
                for (key, place), offset in zip(self._notes, offsets, strict=False)
            ),
        )
        data = ("\n".join(self._texts) + "\n").encode("ascii")
        with self.path.open("ab") as file:
            file.write(data)
        self.size += len(data)
        self._texts.clear()
        self._notes.clear()


class Spills:
    """
    All spills of a plan; few documents are in memory at any time, and few files open, however many GSTINs.

    :param folder: a directory that is removed with all that is in it when the plan is done
    :param ledger: where the documents' keys and places are noted
    """

    def __init__(self, folder: Path, ledger: sqlite3.Connection) -> None:
        self._folder = folder
        self._ledger = ledger
        self._spills: dict[tuple[str, str], Spill] = {}
        self._names: list[tuple[str, str]] = []
        self._held = 0

    def add(self, document: Valid, place: Place) -> None:
        """Take a document."""
        spill = self._spills.get(document[:2])
        if spill is None:
            index = len(self._spills)
            spill = self._spills[document[:2]] = Spill(index, self._folder / f"{index}.spill")
            self._names.append(document[:2])
        spill.hold(document, place)
        self._held += 1
        if self._held >= _HELD:
            self.write()

    def write(self) -> None:
        """Write all that is held to disk."""
        self._ledger.execute("BEGIN")
        for spill in self._spills.values():
            spill.write(self._ledger)
        self._ledger.execute("COMMIT")
        self._held = 0

    def rtins(self) -> list[str]:
        """Return the GSTINs, sorted."""
        return sorted({rtin for rtin, _ in self._spills})

    def of(self, index: int) -> tuple[str, str, Spill]:
        """Return (rtin, section, spill) of what the ledger calls ``index``."""
        rtin, section = self._names[index]
        return rtin, section, self._spills[rtin, section]

    def documents(self, rtin: str) -> Iterator[tuple[str, str]]:
        """
        Yield (section, JSON) of each document that is to be sent for a GSTIN.

        :return: an iterator in the order in which they are sent: by section, then as in the input
        """
        for section in SECTIONS:
            spill = self._spills.get((rtin, section))
            if spill:
                yield from zip(repeat(section), self._kept(spill))

    def _kept(self, spill: Spill) -> Iterator[str]:
        dropped = self._ledger.execute("SELECT offset FROM dropped WHERE spill = ? ORDER BY offset", (spill.index,))
        next_dropped = next(dropped, (-1,))[0]
        offset = 0
        with spill.path.open(encoding="ascii", newline="\n") as lines:
            for line in lines:
                if offset == next_dropped:
                    next_dropped = next(dropped, (-1,))[0]
                else:
                    yield line[:-1]
                offset += len(line)
