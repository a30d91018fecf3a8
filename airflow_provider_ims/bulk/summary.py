"""One workbook over all GSTINs of a bulk run: what a tax person opens first."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_ims.bulk.details import DetailColumns, details_of, shown_column
from airflow_provider_ims.bulk.outcomes import COUNTED, explained
from airflow_provider_ims.exceptions import MOST_REFUSED
from airflow_provider_ims.models.plan import GstinPlan
from airflow_provider_ims.results.report import DocumentRow
from airflow_provider_ims.spreadsheets import read_sheet
from airflow_provider_ims.tables.documents import AMOUNTS
from airflow_provider_ims.workbooks.columns import Column, Kind, columns_of
from airflow_provider_ims.workbooks.writer import Workbook

_PER_GSTIN = ("rtin", "outcome", "documents", *COUNTED, "requests", "requests_ended")
_WITHOUT_WORD = "The task of this GSTIN ended without saying what became of its documents."
_MEANS = {
    "reset": "At no action again. Left so, they are deemed accepted when GSTR-2B is drawn.",
    "refused": "GSTN refused them; the sheet Refused says why and what to do about each.",
    "unknown": "Nobody knows; the sheet Unknown says what to do. Until then take them for not reset.",
    "not sent": "GSTN never got them; the sheet Not sent says why.",
}
_SHEETS = {"refused": "Refused", "unknown": "Unknown", "not sent": "Not sent"}


class GstinResult(NamedTuple):
    """
    What became of one GSTIN.

    :param plan: what was planned
    :param told: what its task returned; ``None`` if it said nothing
    :param table: its ``result.csv`` on the local disk, if there is one
    """

    plan: GstinPlan
    told: Mapping[str, Any] | None
    table: Path | None


class RunTotals:
    """
    What became of the documents of a run.

    :ivar documents: what became of them -> their number
    :ivar refused: the first of those that GSTN refused
    """

    def __init__(self) -> None:
        self.documents: Counter[str] = Counter()
        self.refused: list[DocumentRow] = []
        self._amounts: dict[tuple[str, str], Decimal] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a document."""
        said = str(row["outcome"])
        self.documents[said] += 1
        if said == "refused" and len(self.refused) < MOST_REFUSED:
            self.refused.append(DocumentRow.of_cells(row))
        for name in AMOUNTS:
            try:
                amount = Decimal(str(row.get(name) or 0))
            except InvalidOperation:
                continue
            self._amounts[said, name] = self._amounts.get((said, name), Decimal()) + amount

    def rows(self) -> Iterator[list[Any]]:
        """Yield the rows of the first sheet."""
        for said, meaning in _MEANS.items():
            amounts = [self._amounts.get((said, name), Decimal()) for name in AMOUNTS]
            yield [said, self.documents[said], *amounts, meaning]
        sums = [sum((self._amounts.get((said, name), Decimal()) for said in _MEANS), Decimal()) for name in AMOUNTS]
        yield ["all", self.documents.total(), *sums, ""]


def read_run(results: Sequence[GstinResult], path: Path | None) -> RunTotals:
    """
    Add up a run, and write ``summary.xlsx``.

    :param results: what became of each GSTIN
    :param path: a local file to write; ``None``: only add up
    :raises OSError: when the disk does not take it
    """
    totals = RunTotals()
    if path is None:
        for result in results:
            for row in _rows(result):
                totals.add(row)
        return totals
    with Workbook(path) as book:
        first = book.sheet("Totals", [*columns_of(["outcome", "documents", *AMOUNTS]), Column("Meaning", Kind.WORDS)])
        gstins = book.sheet("Per GSTIN", [*columns_of(_PER_GSTIN), Column("Every document is in")])
        names = ["rtin", *_names(results)]
        sheets = {said: book.sheet(name, [shown_column(column) for column in names]) for said, name in _SHEETS.items()}
        for result in results:
            counts: Counter[str] = Counter()
            for row in _rows(result):
                counts[str(row["outcome"])] += 1
                totals.add(row)
                if row["outcome"] in sheets:
                    sheets[str(row["outcome"])].write([row.get(name) for name in names])
            gstins.write(_of_gstin(result, counts))
        for cells in totals.rows():
            first.write(cells)
    return totals


def _of_gstin(result: GstinResult, counts: Counter[str]) -> list[Any]:
    told = result.told or {"outcome": "unknown"}
    known = {"rtin": result.plan.rtin, "documents": result.plan.documents, "requests": len(result.plan.chunks)}
    counted = {name: counts[name.replace("_", " ")] for name in COUNTED}
    cells = {**told, **known, **counted}
    return [*(cells.get(name) for name in _PER_GSTIN), told.get("xlsx_path") or told.get("csv_path")]


def _names(results: Sequence[GstinResult]) -> list[str]:
    names = dict.fromkeys(DocumentRow._fields)
    names.update(dict.fromkeys(DetailColumns([], []).names))
    for result in results:
        if result.table:
            with result.table.open(encoding="utf-8", newline="") as file:
                names.update(dict.fromkeys(next(read_sheet(file), [])))
    return list(names)


def _rows(result: GstinResult) -> Iterator[dict[str, Any]]:
    if result.table is None:
        yield from _of_plan(result)
        return
    csv.field_size_limit(2**31 - 1)
    with result.table.open(encoding="utf-8", newline="") as file:
        rows = read_sheet(file)
        header = next(rows, [])
        for row in rows:
            yield {**dict(zip(header, row, strict=False)), "rtin": result.plan.rtin}


def _of_plan(result: GstinResult) -> Iterator[dict[str, Any]]:
    """Yield the documents of a GSTIN whose task wrote no file."""
    said = "not sent" if result.told and result.told.get("outcome") == "dry_run" else "unknown"
    why = "This was a dry run: nothing was sent." if said == "not sent" else _WITHOUT_WORD
    columns = DetailColumns([], [])
    for chunk in result.plan.chunks:
        found = details_of(chunk)
        for key, details in found.items():
            row = explained(DocumentRow(*key, said, message=why))
            yield {
                **row._asdict(),
                **dict(zip(columns.names, columns.cells(details), strict=True)),
                "rtin": result.plan.rtin,
            }
        for _ in range(chunk.documents - len(found)):
            nameless = explained(
                DocumentRow("", "", "", "", "", said, message=f"{why} Its request is gone: {chunk.path}")
            )
            yield {**nameless._asdict(), "rtin": result.plan.rtin}
