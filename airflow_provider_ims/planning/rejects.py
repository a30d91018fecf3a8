"""The rows that are not sent, and why: one line for each fault, under the place of its row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.models.faults import Fault
from airflow_provider_ims.planning.documents import Place, place_of
from airflow_provider_ims.spreadsheets import SheetWriter
from airflow_provider_ims.tables.appender import Appender
from airflow_provider_ims.tables.database import rows_of
from airflow_provider_ims.workbooks.columns import columns_of
from airflow_provider_ims.workbooks.writer import Workbook

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from airflow_provider_ims.planning.sources.columns import Columns

HEADER = ("place", "rtin", "section", "number", "date", "field", "column", "value", "reason")
_REJECT: Final = {"place": "UBIGINT", "number": "UBIGINT", "told": "VARCHAR"}
_LONGEST = 200
_LONGEST_IN_A_TEXT = 60


class Rejects:
    """
    The rejected rows of a plan.

    :param database: where they are kept
    :param folder: a directory that the database may read
    :param name_of: names a place for a person
    """

    def __init__(self, database: DuckDBPyConnection, folder: Path, name_of: Callable[[Place], str]) -> None:
        self._database = database
        self._rejects = Appender(database, "reject", _REJECT, folder)
        self._name_of = name_of
        self._faults = 0
        self.rows = 0

    def add(
        self, place: Place, row: Mapping[str, Any], faults: Iterable[Fault], columns: Columns | None = None
    ) -> None:
        """
        Reject a row; :meth:`load` has to follow.

        :param place: where it stands
        :param row: its fields, as far as they could be read
        :param faults: what is wrong with it; a fault's place is the field
        :param columns: knows the user's names of the fields
        """
        model = SECTIONS.get(str(row.get("section")))
        number = row.get(model.number_field) if model else _first(row, "inum", "nt_num", "number")
        date = row.get(model.date_field) if model else _first(row, "idt", "nt_dt", "date")
        document = [_shown(value) for value in (row.get("rtin"), row.get("section"), number, date)]
        for fault in faults:
            told = [*document, fault.place, _column(columns, fault.place), _shown(fault.value), fault.rule]
            self._rejects.add(f"{place.as_number()}\t{self._faults}\t{json.dumps(told)}")
            self._faults += 1
        self.rows += 1

    def load(self) -> None:
        """Put what was taken into the database."""
        self._rejects.load()

    def first(self, count: int) -> list[Fault]:
        """Return the first faults, in the order of the input, with their places."""
        return [fault_of(line) for line, _ in zip(self._lines(), range(count), strict=False)]

    def told(self, count: int) -> list[str]:
        """Return the first faults in words, those of one row under its place and its document."""
        lines: list[str] = []
        before = None
        for line, _ in zip(self._lines(), range(count), strict=False):
            place, _, section, number, _, field, column, value, reason = line
            if place != before:
                before = place
                named = " ".join(part for part in (section[:20], number[:40]) if part)
                lines.append(f"{place}{f', {named}' if named else ''}:")
            name = f"{column} ({field})" if column else field
            shown = value if len(value) <= _LONGEST_IN_A_TEXT else value[: _LONGEST_IN_A_TEXT - 3] + "..."
            lines.append("  " + ": ".join(part for part in (name, f"{shown} - {reason}" if shown else reason) if part))
        return lines

    def write_workbook(self, path: Path) -> None:
        """Write all of them as a workbook."""
        with Workbook(path) as book:
            sheet = book.sheet("Rejected rows", columns_of(HEADER))
            for line in self._lines():
                sheet.write(line)

    def write(self, path: Path) -> None:
        """Write all of them as a CSV file."""
        with path.open("w", encoding="utf-8", newline="") as file:
            sheet = SheetWriter(file, HEADER)
            for line in self._lines():
                sheet.write(line)

    def _lines(self) -> Iterator[tuple[str, ...]]:
        for place, told in rows_of(self._database.execute("SELECT place, told FROM reject ORDER BY place, number")):
            yield self._name_of(place_of(place)), *json.loads(told)


def fault_of(line: Sequence[str]) -> Fault:
    """
    Return the fault that a line tells.

    :param line: with the columns of :data:`HEADER`
    """
    told = dict(zip(HEADER, line, strict=True))
    place = f"{told['place']}: {told['field']}" if told["field"] else told["place"]
    return Fault(place, told["value"] or None, told["reason"])


def _first(row: Mapping[str, Any], *names: str) -> Any:
    return next((row[name] for name in names if row.get(name)), None)


def _column(columns: Columns | None, field: str) -> str:
    return columns.column_of(field) if columns and field else ""


def _shown(value: object) -> str:
    if value is None:
        return ""
    try:
        text = str(value)
    except ValueError:  # Python writes no integers of thousands of digits
        return "a number of thousands of digits"
    text = text.encode("utf-8", "backslashreplace").decode()  # bytes that were no UTF-8, and lone surrogates
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
