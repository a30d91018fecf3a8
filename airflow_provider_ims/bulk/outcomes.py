"""What became of every document of a GSTIN, over all its requests: files next to the requests, and their counts."""

from __future__ import annotations

import io
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.assets import Sums
from airflow_provider_ims.bulk.details import DetailColumns, Details, carried_columns, details_of
from airflow_provider_ims.bulk.plan_entry import folder_of, load_request
from airflow_provider_ims.exceptions import MOST_REFUSED, GstnInvalidPayload, GstnInvalidRequest, of_storage_error
from airflow_provider_ims.hooks.gstn import RESET
from airflow_provider_ims.models.account import REFUSED, UNKNOWN
from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.models.plan import GstinPlan, PlannedRequest
from airflow_provider_ims.models.reconciliation import count_of, of_places
from airflow_provider_ims.results.report import DocumentRow, Report
from airflow_provider_ims.spreadsheets import SheetWriter, read_sheet
from airflow_provider_ims.storage import CannotWrite, StorageError, copy_whole, read_whole, write_whole
from airflow_provider_ims.workbooks.columns import columns_of
from airflow_provider_ims.workbooks.writer import Workbook

COUNTED = (RESET.done, REFUSED, UNKNOWN, "not_sent")


class ChunkOutcome(NamedTuple):
    """
    How far one request got.

    :param planned: the request
    :param state: ``ended``, ``not sent``, or ``unknown`` when it was sent, or may have been, and nothing more is known
    :param reference_id: the reset, if there is one
    :param ended_as: the number of documents ``reset``, ``refused`` and ``unknown``, once it ended
    :param failure: why it failed, if it did
    :param already_reset: which of its documents were found at "no action", until it has ended
    :param sent_at: when it was sent last, or its documents were looked at instead, seconds since the epoch; 0 if never
    """

    planned: PlannedRequest
    state: str
    reference_id: str = ""
    ended_as: Mapping[str, int] = {}
    failure: str = ""
    already_reset: str = ""
    sent_at: float = 0.0

    def counts(self) -> dict[str, int]:
        """Return the number of its documents by what became of them."""
        counts = dict.fromkeys(COUNTED, 0)
        if self.state == "ended":
            return counts | {name: self.ended_as.get(name, 0) for name in COUNTED[:3]}
        found = count_of(self.already_reset)
        return counts | {RESET.done: found, self.state.replace(" ", "_"): self.planned.documents - found}


class Outcomes:
    """
    Keeps and gathers the outcomes of the documents of one GSTIN.

    :param plan: its requests; the files are written next to them
    :param workbooks: write ``result.xlsx``, too
    :ivar sections: the number of documents by section and by what became of them, once they are gathered
    :ivar sums: the same over all sections, with their tax
    :ivar refused: the first of the documents that GSTN refused, once they are gathered
    """

    def __init__(self, plan: GstinPlan, *, workbooks: bool = False) -> None:
        self._plan = plan
        self._workbooks = workbooks
        self.sections: Counter[tuple[str, str]] = Counter()
        self.sums = Sums.empty()
        self.refused: list[DocumentRow] = []

    def keep(self, chunk: PlannedRequest, report: Report) -> None:
        """
        Write what became of each document of one request, as ``0001.result.csv`` next to ``0001.json``.

        :raises GstnInvalidRequest: when it cannot be written
        :raises GstnStorageUnavailable: when it cannot be written now
        """
        table = io.StringIO(newline="")
        sheet = SheetWriter(table, DocumentRow._fields)
        for row in report.rows():
            sheet.write(row)
        _written(_part(chunk), lambda path: write_whole(path, table.getvalue().encode()))

    def gather(self, done: Iterable[ChunkOutcome], stopped_by: str = "") -> dict[str, Any]:
        """
        Write ``result.csv``, ``result.xlsx`` and ``result.json`` with every document of the GSTIN.

        :param done: how far each request got
        :param stopped_by: why no more was sent, in one line
        :return: the counts and the paths, small enough for XCom
        :raises GstnInvalidRequest: when they cannot be written
        :raises GstnStorageUnavailable: when they cannot be written now
        """
        try:
            return self._gathered(list(done), stopped_by)
        except OSError as error:  # what the files' own places raise has become a GstnError by then
            here = CannotWrite(tempfile.gettempdir(), error)
            raise of_storage_error(here, "The result was not written.") from error

    def _gathered(self, done: list[ChunkOutcome], stopped_by: str) -> dict[str, Any]:
        summary = self._summary(done)
        folder = folder_of(self._plan)
        self.sections.clear()
        self.sums = Sums.empty()
        self.refused.clear()
        more = DetailColumns(carried_columns(self._plan.chunks), DocumentRow._fields)
        with tempfile.TemporaryDirectory(prefix="ims-result-") as name:
            table, full, book = (Path(name) / f"result.{form}" for form in ("csv", "json", "xlsx"))
            with (
                table.open("w", newline="", encoding="utf-8") as lines,
                full.open("w", encoding="utf-8", errors="backslashreplace") as text,
                Workbook(book) if self._workbooks else nullcontext() as workbook,
            ):
                sheet = SheetWriter(lines, [*DocumentRow._fields, *more.names])
                tab = (
                    workbook.sheet("Documents", [*columns_of(DocumentRow._fields), *more.columns]) if workbook else None
                )
                head = {**summary, "chunks": [_chunk_summary(each) for each in done]}
                text.write(json.dumps(head, ensure_ascii=False, indent=2).removesuffix("\n}") + ',\n  "documents": [')
                between = "\n"
                for row, found in self._rows(done, stopped_by):
                    self.sections[row.section, row.outcome] += 1
                    self.sums.add(row.outcome.replace(" ", "_"), found.taxes)
                    if row.outcome == "refused" and len(self.refused) < MOST_REFUSED:
                        self.refused.append(row)
                    cells = [*row, *more.cells(found)]
                    sheet.write(cells)
                    if tab:
                        tab.write(cells)
                    text.write(between + json.dumps(row._asdict(), ensure_ascii=False))
                    between = ",\n"
                text.write("\n  ]\n}\n")
            if self._workbooks:
                _written(folder / "result.xlsx", lambda path: copy_whole(book, path))
            _written(folder / "result.csv", lambda path: copy_whole(table, path))
            _written(folder / "result.json", lambda path: copy_whole(full, path))
        paths = {"csv_path": "result.csv", "result_path": "result.json"}
        if self._workbooks:
            paths["xlsx_path"] = "result.xlsx"
        return {**summary, **{key: str(folder / file) for key, file in paths.items()}}

    def _rows(self, done: list[ChunkOutcome], stopped_by: str) -> Iterator[tuple[DocumentRow, Details]]:
        why = stopped_by or next((_first_line(each.failure) for each in done if each.failure), "")
        for outcome in done:
            details = details_of(outcome.planned)
            for row in self._rows_of(outcome):
                yield explained(row, why), details.get(DocumentKey(*row[:5]), Details())

    def _rows_of(self, outcome: ChunkOutcome) -> Iterator[DocumentRow]:
        if outcome.state == "ended":
            yield from _read_part(outcome.planned)
            return
        try:
            payload = load_request(outcome.planned, self._plan.rtin)
        except (GstnInvalidRequest, GstnInvalidPayload) as error:
            nameless = DocumentKey("", "", "", "", "")
            yield DocumentRow(*nameless, outcome.state, message=str(error), reference_id=outcome.reference_id)
            return
        found = of_places(outcome.already_reset, payload)
        for key, _ in payload.documents():
            said = RESET.done if key in found else outcome.state
            why = outcome.failure if said == UNKNOWN else ""
            yield DocumentRow(*key, said, message=why, reference_id=outcome.reference_id)

    def _summary(self, done: list[ChunkOutcome]) -> dict[str, Any]:
        counts = {name: sum(outcome.counts()[name] for outcome in done) for name in COUNTED}
        ended = [outcome for outcome in done if outcome.state == "ended"]
        if len(ended) < len(done) or any(outcome.failure for outcome in done):
            word = "incomplete" if counts["not_sent"] or len(ended) < len(done) else "failed"
        else:
            word = "processed" if counts[RESET.done] == self._plan.documents else "partial"
        return {
            "rtin": self._plan.rtin,
            "outcome": word,
            "documents": self._plan.documents,
            **counts,
            "requests": len(done),
            "requests_ended": len(ended),
            "last_sent_at": _iso(max((outcome.sent_at for outcome in done), default=0.0)),
        }


def explained(row: DocumentRow, why: str = "") -> DocumentRow:
    """
    Return a row that says why its document is not reset, and what to do.

    :param why: why no more was sent, in one line
    """
    if row.outcome not in _WHY:
        return row
    message, remedy = _WHY[row.outcome]
    if row.outcome == "not sent" and why:
        message = f"It was not sent, since this came before: {why}"
    return row._replace(message=row.message or message, remedy=row.remedy or remedy)


_LOOKS = "Clear the task of this GSTIN: it looks at the documents that GSTN holds and sends those not at no action."
_WHY = {
    "refused": ("GSTN refused it and gave no reason.", "Look at the document on the GST portal."),
    "unknown": ("Nobody knows what became of it: GSTN's answer, or the request's fate, leaves it open.", _LOOKS),
    "not sent": (
        "It was not sent: the task ended before.",
        "Clear the task of this GSTIN: it sends what was not sent.",
    ),
}
"""Why a document is not reset where nothing tells it better, and what to do."""


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat() if seconds else ""


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _chunk_summary(outcome: ChunkOutcome) -> dict[str, Any]:
    return {
        "path": outcome.planned.path,
        "sha256": outcome.planned.sha256,
        "documents": outcome.planned.documents,
        "state": outcome.state,
        "reference_id": outcome.reference_id,
        **outcome.counts(),
        "failure": outcome.failure,
    }


def _part(chunk: PlannedRequest) -> ObjectStoragePath:
    path = ObjectStoragePath(chunk.path)
    return path.with_name(path.stem + ".result.csv")


def _read_part(chunk: PlannedRequest) -> Iterator[DocumentRow]:
    try:
        text = read_whole(_part(chunk)).decode()
    except StorageError as error:
        raise of_storage_error(error, "What became of a request's documents is not to be had.") from error
    rows = read_sheet(io.StringIO(text, newline=""))
    header = next(rows, [])
    for row in rows:
        yield DocumentRow.of_cells(dict(zip(header, row, strict=False)))


def _written(path: ObjectStoragePath, write: Callable[[ObjectStoragePath], None]) -> None:
    try:
        write(path)
    except CannotWrite as error:
        raise of_storage_error(
            error, "The result was not written.", "This task then goes on where it was; nothing is sent again."
        ) from error
