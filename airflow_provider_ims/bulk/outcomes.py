"""What became of every document of a GSTIN, over all its requests: files next to the requests, and their counts."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.bulk.plan_entry import GstinPlan, PlannedRequest
from airflow_provider_ims.exceptions import GstnInvalidPayload, GstnInvalidRequest, of_storage_error
from airflow_provider_ims.models.payload import DocumentKey
from airflow_provider_ims.models.reconciliation import count_of, of_places
from airflow_provider_ims.results.report import DocumentRow, Report
from airflow_provider_ims.spreadsheets import SheetWriter, read_sheet
from airflow_provider_ims.storage import CannotWrite, StorageError, copy_whole, read_whole, write_whole

COUNTED = ("reset", "refused", "unknown", "not_sent")


class ChunkOutcome(NamedTuple):
    """
    How far one request got.

    :param planned: the request
    :param state: ``ended``, ``not sent``, or ``unknown`` when it was sent, or may have been, and nothing more is known
    :param reference_id: the reset, if there is one
    :param ended_as: the number of documents ``reset``, ``refused`` and ``unknown``, once it ended
    :param failure: why it failed, if it did
    :param already_reset: which of its documents were found at "no action", until it has ended
    """

    planned: PlannedRequest
    state: str
    reference_id: str = ""
    ended_as: Mapping[str, int] = {}
    failure: str = ""
    already_reset: str = ""

    def counts(self) -> dict[str, int]:
        """Return the number of its documents by what became of them."""
        counts = dict.fromkeys(COUNTED, 0)
        if self.state == "ended":
            return counts | {name: self.ended_as.get(name, 0) for name in ("reset", "refused", "unknown")}
        found = count_of(self.already_reset)
        return counts | {"reset": found, self.state.replace(" ", "_"): self.planned.documents - found}


class Outcomes:
    """
    Keeps and gathers the outcomes of the documents of one GSTIN.

    :param plan: its requests; the files are written next to them
    """

    def __init__(self, plan: GstinPlan) -> None:
        self._plan = plan

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

    def gather(self, done: Iterable[ChunkOutcome]) -> dict[str, Any]:
        """
        Write ``result.csv`` and ``result.json`` with every document of the GSTIN.

        :param done: how far each request got
        :return: the counts and the paths, small enough for XCom
        :raises GstnInvalidRequest: when they cannot be written
        :raises GstnStorageUnavailable: when they cannot be written now
        """
        try:
            return self._gathered(list(done))
        except OSError as error:  # what the files' own places raise has become a GstnError by then
            here = CannotWrite(tempfile.gettempdir(), error)
            raise of_storage_error(here, "The result was not written.") from error

    def _gathered(self, done: list[ChunkOutcome]) -> dict[str, Any]:
        summary = self._summary(done)
        folder = self._plan.folder
        with tempfile.TemporaryDirectory(prefix="ims-result-") as name:
            table, full = Path(name) / "result.csv", Path(name) / "result.json"
            with (
                table.open("w", newline="", encoding="utf-8") as lines,
                full.open("w", encoding="utf-8", errors="backslashreplace") as text,
            ):
                sheet = SheetWriter(lines, DocumentRow._fields)
                head = {**summary, "chunks": [_chunk_summary(each) for each in done]}
                text.write(json.dumps(head, ensure_ascii=False, indent=2).removesuffix("\n}") + ',\n  "documents": [')
                between = "\n"
                for row in self._rows(done):
                    sheet.write(row)
                    text.write(between + json.dumps(row._asdict(), ensure_ascii=False))
                    between = ",\n"
                text.write("\n  ]\n}\n")
            _written(folder / "result.csv", lambda path: copy_whole(table, path))
            _written(folder / "result.json", lambda path: copy_whole(full, path))
        return {**summary, "csv_path": str(folder / "result.csv"), "result_path": str(folder / "result.json")}

    def _rows(self, done: Iterable[ChunkOutcome]) -> Iterator[DocumentRow]:
        for outcome in done:
            if outcome.state == "ended":
                yield from _read_part(outcome.planned)
                continue
            try:
                payload = outcome.planned.load(self._plan.rtin)
            except (GstnInvalidRequest, GstnInvalidPayload) as error:
                nameless = DocumentKey("", "", "", "", "")
                yield DocumentRow(*nameless, outcome.state, message=str(error), reference_id=outcome.reference_id)
                continue
            found = of_places(outcome.already_reset, payload)
            for key, _ in payload.documents():
                said = "reset" if key in found else outcome.state
                why = outcome.failure if said == "unknown" else ""
                yield DocumentRow(*key, said, message=why, reference_id=outcome.reference_id)

    def _summary(self, done: list[ChunkOutcome]) -> dict[str, Any]:
        counts = {name: sum(outcome.counts()[name] for outcome in done) for name in COUNTED}
        ended = [outcome for outcome in done if outcome.state == "ended"]
        if len(ended) < len(done) or any(outcome.failure for outcome in done):
            word = "incomplete" if counts["not_sent"] or len(ended) < len(done) else "failed"
        else:
            word = "processed" if counts["reset"] == self._plan.documents else "partial"
        return {
            "rtin": self._plan.rtin,
            "outcome": word,
            "documents": self._plan.documents,
            **counts,
            "requests": len(done),
            "requests_ended": len(ended),
        }


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
        cells = dict(zip(header, row, strict=False))
        yield DocumentRow(*(cells.get(name) or "" for name in DocumentRow._fields))


def _written(path: ObjectStoragePath, write: Callable[[ObjectStoragePath], None]) -> None:
    try:
        write(path)
    except CannotWrite as error:
        raise of_storage_error(
            error, "The result was not written.", "This task then goes on where it was; nothing is sent again."
        ) from error
