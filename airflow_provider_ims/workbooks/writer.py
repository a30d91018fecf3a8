"""
Writes a workbook row by row, whatever its size.

Every cell has a type: text is never taken for a number, a formula or a link, whoever wrote it, and an amount is a
number only if a spreadsheet, which keeps 15 digits, shows all of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ims.workbooks.columns import Column, Kind

if TYPE_CHECKING:
    from xlsxwriter.format import Format  # type: ignore[import-untyped]
    from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

MOST_ROWS: Final = 1_048_575
"""Rows of a sheet below its heading."""

_LONGEST_CELL: Final = 32_767
_DIGITS: Final = 15
_WIDEST: Final = 60
_NARROWEST: Final = 9
_LINE_HEIGHT: Final = 15
_MOST_LINES: Final = 12
_BUTTON: Final = 3
"""Room that the filter's button takes of a heading."""

_GREEN: Final = {"bg_color": "#C6EFCE", "font_color": "#006100"}
_RED: Final = {"bg_color": "#FFC7CE", "font_color": "#9C0006"}
_AMBER: Final = {"bg_color": "#FFEB9C", "font_color": "#7F6000"}
_GREY: Final = {"bg_color": "#E4E4E4", "font_color": "#404040"}
_COLOURS: Final = {
    **dict.fromkeys(("reset", "processed", "verified", "matched", "keep"), _GREEN),
    **dict.fromkeys(("refused", "failed", "not_reset"), _RED),
    **dict.fromkeys(("unknown", "partial", "incomplete", "changed_by_supplier", "review"), _AMBER),
    **dict.fromkeys(("within_tolerance", "mismatch", "probable", "ambiguous"), _AMBER),
    **dict.fromkeys(("not sent", "not_sent", "gone", "only_in_ims", "only_in_books"), _GREY),
}

_GSTN_DATE = re.compile(r"([0-9]{2})-([0-9]{2})-([0-9]{4})")
_FIRST_DATE = date(1900, 3, 1)
"""Before it spreadsheets disagree on what day it is."""
_LOOKS_LIKE_A_FORMULA = re.compile(r"['=+\-@\t\r\n]")


class Workbook:
    """
    A workbook that is being written; as a context manager it is whole after its end, and not there after a failure.

    Rows go to the disk as they come: what stays in memory does not grow with them.

    :param path: a local file; its folder also takes what is needed on the way, about the size of the rows
    :raises OSError: when the disk does not take it
    """

    def __init__(self, path: Path) -> None:
        import xlsxwriter  # type: ignore[import-untyped]

        self._path = path
        # With none of XlsxWriter's guesses: what a cell is, is decided here.
        self._book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
        self._book.use_zip64()
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}
        self._sheets: list[Sheet] = []

    def __enter__(self) -> Workbook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from xlsxwriter.exceptions import XlsxWriterException  # type: ignore[import-untyped]

        if error is not None:
            self._book.fileclosed = 1  # else it writes itself when Python forgets it
            return
        for sheet in self._sheets:
            sheet.finish()
        try:
            self._book.close()
        except XlsxWriterException as failure:
            cause = failure.args[0] if failure.args else failure
            raise cause if isinstance(cause, OSError) else OSError(str(failure)) from failure

    def sheet(self, name: str, columns: Sequence[Column]) -> Sheet:
        """
        Begin a sheet; several may be written side by side.

        :param name: what its tab shows, at most 25 characters
        :param columns: its columns
        """
        sheet = Sheet(self, name, columns)
        self._sheets.append(sheet)
        return sheet

    def add(self, name: str) -> Worksheet:
        """Add a tab."""
        return self._book.add_worksheet(name)

    def format(self, **properties: Any) -> Format:
        """Return the format with these properties, made once."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format({"valign": "top", **properties})
        return self._formats[key]


class Sheet:
    """
    Rows under a heading that stays in sight and can be filtered; further tabs follow where one is full.

    :param book: the workbook
    :param name: what its tab shows
    :param columns: its columns
    """

    def __init__(self, book: Workbook, name: str, columns: Sequence[Column]) -> None:
        self._book = book
        self._name = name
        self._columns = list(columns)
        self._widths = [_least_width(column.heading) for column in self._columns]
        self._sentences = [place for place, column in enumerate(self._columns) if column.kind is Kind.WORDS]
        self._tabs: list[tuple[Worksheet, int]] = []
        self._text = book.format(num_format="@")
        # An apostrophe that is not shown: whoever edits the cell does not make a formula of it.
        self._quoted = book.format(num_format="@", quote_prefix=True)
        self._words = book.format(num_format="@", text_wrap=True)
        self._amount = book.format(num_format="#,##0.00")
        self._count = book.format(num_format="#,##0")
        self._number = book.format(num_format="General")
        self._date = book.format(num_format="dd-mm-yyyy", align="left")
        self._begin()

    def _begin(self) -> None:
        number = len(self._tabs) + 1
        self._tab = self._book.add(self._name if number == 1 else f"{self._name} ({number})")
        self._rows = 0
        self._tab.set_row(0, 32)
        heading = self._book.format(
            bold=True, text_wrap=True, bg_color="#1F3864", font_color="#FFFFFF", border=1, border_color="#FFFFFF"
        )
        for place, column in enumerate(self._columns):
            self._tab.write_string(0, place, column.heading, heading)
        self._tabs.append((self._tab, 0))

    def write(self, cells: Iterable[object]) -> None:
        """
        Write a row.

        :param cells: as many as there are columns, ``None`` and an empty text for an empty one
        """
        if self._rows == MOST_ROWS:
            self._begin()
        self._rows += 1
        self._tabs[-1] = (self._tab, self._rows)
        cells = list(cells)
        if (lines := max((_lines(cells[place]) for place in self._sentences), default=1)) > 1:
            # Not every spreadsheet finds the height by itself; it has to be said before the row's cells are written.
            self._tab.set_row(self._rows, _LINE_HEIGHT * lines)
        for place, (column, cell) in enumerate(zip(self._columns, cells, strict=True)):
            if cell is None or cell == "":
                continue
            shown = self._write(place, column.kind, cell)
            if shown > self._widths[place]:
                self._widths[place] = min(shown, _WIDEST)

    def _write(self, place: int, kind: Kind, cell: object) -> int:
        """Write a cell; return how wide it is."""
        if kind is Kind.DATE or (kind is Kind.ANY and isinstance(cell, date)):
            if day := _date(cell):
                self._tab.write_datetime(self._rows, place, day, self._date)
                return 12
        elif kind in {Kind.AMOUNT, Kind.COUNT} or (
            kind is Kind.ANY and isinstance(cell, (int, float, Decimal)) and not isinstance(cell, bool)
        ):
            number = _number(cell)
            if number is not None:
                shape = {Kind.AMOUNT: self._amount, Kind.COUNT: self._count}.get(kind, self._number)
                # XlsxWriter writes a Decimal digit by digit.
                self._tab.write_number(self._rows, place, number, shape)
                return len(f"{number:,.2f}") + 2
        if isinstance(cell, bool):
            cell = "yes" if cell else "no"
        text = str(cell).encode("utf-8", "backslashreplace").decode()[:_LONGEST_CELL]
        if text.startswith("<r>"):  # XlsxWriter takes <r>...</r> for XML of its own, and writes it as it is
            text = f" {text}"
        self._tab.write_string(self._rows, place, text, self._format_of(kind, text))
        return len(text) + 2

    def _format_of(self, kind: Kind, text: str) -> Format:
        if kind is Kind.OUTCOME and text in _COLOURS:
            return self._book.format(num_format="@", bold=True, **_COLOURS[text])
        if kind is Kind.WORDS:
            return self._words
        return self._quoted if _LOOKS_LIKE_A_FORMULA.match(text) else self._text

    def finish(self) -> None:
        """Set what is known only now: widths, and what the filter spans."""
        for tab, rows in self._tabs:
            for place, width in enumerate(self._widths):
                tab.set_column(place, place, width)
            tab.freeze_panes(1, 0)
            tab.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})  # it is text on purpose
            if self._columns:
                tab.autofilter(0, 0, rows, len(self._columns) - 1)


def _lines(cell: object) -> int:
    """Return how many lines a cell of sentences takes in the widest column."""
    text = "" if cell is None else str(cell)
    return min(_MOST_LINES, sum(max(1, math.ceil(len(line) / (_WIDEST - 6))) for line in text.split("\n")))


def _least_width(heading: str) -> int:
    """Return a width in which a heading stands on two lines."""
    longest = max(map(len, heading.split()), default=0)
    return max(_NARROWEST, longest + _BUTTON, math.ceil(len(heading) / 2) + _BUTTON + 1)


def _date(cell: object) -> date | None:
    if isinstance(cell, datetime):
        cell = cell.replace(tzinfo=None)
    elif not isinstance(cell, date):
        if not (found := _GSTN_DATE.fullmatch(str(cell))):
            return None
        try:
            cell = date(int(found[3]), int(found[2]), int(found[1]))
        except ValueError:
            return None
    day = cell.date() if isinstance(cell, datetime) else cell
    return cell if day >= _FIRST_DATE else None


def _number(cell: object) -> Decimal | None:
    """Return a number of which a spreadsheet keeps every digit, or ``None``."""
    try:
        number = Decimal(str(cell))
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite():
        return None
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    return number if len(digits) <= _DIGITS and abs(number.adjusted()) < 100 else None
