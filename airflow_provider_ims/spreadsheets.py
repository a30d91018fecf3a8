"""
CSV files that people open in a spreadsheet.

A spreadsheet runs a cell that begins like a formula, whoever wrote it: a supplier may put ``=HYPERLINK(...)`` into the
number of an invoice, and GSTN into a message. Such a cell is written with an apostrophe before it, by which a
spreadsheet knows text, and read back without it. The list of characters is OWASP's (CSV Injection).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

_MARK = "'"
_RUNS = "[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
# Cells that begin with apostrophes before such a character get one more, so that each cell reads back as it was.
_TO_MARK = re.compile(f"{_MARK}*{_RUNS}")
_MARKED = re.compile(f"{_MARK}+{_RUNS}")


class SheetWriter:
    """
    Writes rows of cells.

    :param file: opened with ``newline=""``
    :param header: the names of the columns
    """

    def __init__(self, file: TextIO, header: Sequence[str]) -> None:
        self._writer = csv.writer(file)
        self._writer.writerow(header)

    def write(self, row: Iterable[Any]) -> None:
        """Write one row; ``None`` is an empty cell."""
        self._writer.writerow([_shown(cell) for cell in row])


def read_sheet(file: TextIO) -> Iterator[list[str]]:
    """
    Yield the rows of a file of :class:`SheetWriter` as they were given to it, the header first.

    :param file: opened with ``newline=""``
    """
    for row in csv.reader(file):
        yield [cell[1:] if _MARKED.match(cell) else cell for cell in row]


def _shown(cell: Any) -> str:
    text = "" if cell is None else str(cell)
    text = text.encode("utf-8", "backslashreplace").decode()  # lone surrogates cannot be written
    return _MARK + text if _TO_MARK.match(text) else text
