"""Makes a plan: every row of the sources ends in exactly one request or among the rejects."""

from __future__ import annotations

import logging
import sqlite3
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.models.faults import CountsDisagree, Fault
from airflow_provider_ims.models.payload import MAX_BODY_BYTES
from airflow_provider_ims.models.plan import GstinPlan, PlannedRequest
from airflow_provider_ims.planning.carried import as_text
from airflow_provider_ims.planning.checks.checker import Checker, Valid
from airflow_provider_ims.planning.checks.duplicates import Duplicate, Duplicates
from airflow_provider_ims.planning.errors import PlanError, RowsRejected
from airflow_provider_ims.planning.output import REJECTS, REJECTS_BOOK, Output
from airflow_provider_ims.planning.packing import packed, size_alone
from airflow_provider_ims.planning.rejects import Rejects
from airflow_provider_ims.planning.sources.rows import Row, Source, Unreadable
from airflow_provider_ims.planning.spills import MOST_SOURCES, Spills, place_of
from airflow_provider_ims.planning.workspace import Place, open_database
from airflow_provider_ims.progress import ProgressLog
from airflow_provider_ims.storage import StorageError
from airflow_provider_ims.tables.errors import FileUnusable, NoRoom

OnInvalid = Literal["fail", "skip"]

_SHOWN = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rules:
    """
    How to plan.

    :param on_invalid: when rows are rejected: ``fail``, or ``skip`` them
    :param max_bytes: largest size of a request as sent, in bytes
    :param max_documents: largest number of documents of a request; ``None``: as many as fit
    :param strict_gstin: reject GSTINs whose check digit is wrong
    :param allow_no_action: accept documents whose ``prev_status`` is ``N`` already
    :param allow_empty: sources without a row are no fault: there is nothing to send
    :param workbooks: write the rejects as a workbook, too
    """

    on_invalid: OnInvalid = "fail"
    max_bytes: int = MAX_BODY_BYTES
    max_documents: int | None = None
    strict_gstin: bool = False
    allow_no_action: bool = False
    allow_empty: bool = False
    workbooks: bool = False

    def __post_init__(self) -> None:
        check_choice("on_invalid", self.on_invalid, OnInvalid, PlanError)
        if not 1 <= self.max_bytes <= MAX_BODY_BYTES:
            raise PlanError(f"max_bytes is {self.max_bytes}; the service takes 1 to {MAX_BODY_BYTES:,}")
        if self.max_documents is not None and self.max_documents < 1:
            raise PlanError(f"max_documents is {self.max_documents}; a request has at least 1")


@dataclass
class Plan:
    """
    What is to be sent.

    :param gstins: for each GSTIN, sorted, its requests
    :param rows: number of rows that were read
    :param documents: number of documents in the chunks
    :param rejected: number of rows in the rejects
    :param rejects: path of the rejects
    :param conversions: what was written otherwise than it was read, with counts
    :param warnings: what is not wrong but worth a look
    """

    gstins: list[GstinPlan] = field(default_factory=list)
    rows: int = 0
    documents: int = 0
    rejected: int = 0
    rejects: str = ""
    conversions: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as ``plan.json`` has it."""
        others = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "gstins"}
        return {"gstins": [gstin.model_dump(mode="json") for gstin in self.gstins], **others}


def make_plan(sources: Sequence[Source], output: Output, rules: Rules) -> Plan:
    """
    Read, check and pack.

    :param sources: where the rows come from, in the order in which they are sent
    :param output: where the requests go; an earlier plan there is removed first
    :param rules: how
    :raises PlanError: when there is no plan; then no chunk is left in the output
    :raises NoRoom: when this worker has no room for what it needs on the way
    :raises FolderTaken: when another task writes to the output
    :raises StorageError: when the output cannot be written; then no plan is left in it
    """
    if len(sources) > MOST_SOURCES:
        raise PlanError(f"{len(sources)} files are too many for one plan, which takes {MOST_SOURCES}")
    output.clear()
    try:
        with _workspace() as folder, open_database(folder) as database, Duplicates(folder, database) as duplicates:
            return _Planner(sources, output, rules, folder, database, duplicates).run()
    except BaseException:
        # A request without a plan is never to be sent.
        with suppress(StorageError):
            output.withdraw()
        raise


@contextmanager
def _workspace() -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix="ims-plan-") as folder:
            yield Path(folder)
    except StorageError:
        raise
    except (OSError, sqlite3.Error) as error:
        raise NoRoom(
            f"The temporary directory {tempfile.gettempdir()} does not take what a plan needs on the way, about as"
            f" much as the input ({type(error).__name__}: {error}). Nothing is left in the"
            " output. Free room there, or set TMPDIR on the worker to a directory with more, and run this again."
        ) from error


class _Planner:
    def __init__(
        self,
        sources: Sequence[Source],
        output: Output,
        rules: Rules,
        folder: Path,
        database: sqlite3.Connection,
        duplicates: Duplicates,
    ) -> None:
        self._sources = sources
        self._names = _short_names(sources)
        self._output = output
        self._rules = rules
        self._folder = folder
        self._duplicates = duplicates
        self._spills = Spills(folder, database, duplicates.watch)
        self._rejects = Rejects(database, self._name_of)
        self._room = {section: rules.max_bytes - size_alone(section, "") for section in SECTIONS}
        self._rtins: set[str] = set()
        self._spellings: dict[str, tuple[str, Place]] = {}
        self._plan = Plan()
        self._packing = ProgressLog(log, "documents in requests")

    def run(self) -> Plan:
        plan = self._plan
        for index, source in enumerate(self._sources):
            self._read(index, source)
        if not plan.rows and not self._rules.allow_empty:
            names = ", ".join(source.name for source in self._sources) or "source"
            raise FileUnusable(names, "no rows at all: is it the right source?")
        self._spills.write()
        for duplicate in self._duplicates.drop(self._spills):
            self._reject_duplicate(duplicate)
        plan.rejected = self._rejects.rows
        self._write_rejects()
        if (plan.rows and plan.rejected == plan.rows) or (plan.rejected and self._rules.on_invalid == "fail"):
            raise self._rows_rejected()
        for rtin in self._spills.rtins():
            self._pack(rtin)
        if plan.rows != plan.documents + plan.rejected:
            raise CountsDisagree(
                f"{plan.rows} rows were read, {plan.documents} are in requests and {plan.rejected} are rejected: that"
                " does not add up, so nothing may be sent. This is a defect of airflow-provider-ims; please report it."
            )
        self._output.write_plan(plan.to_json())
        return plan

    def _read(self, index: int, source: Source) -> None:
        rules = self._rules
        checker = Checker(
            text_amounts=source.text_amounts, strict_gstin=rules.strict_gstin, allow_no_action=rules.allow_no_action
        )
        spills, rtins, room = self._spills, self._rtins, self._room
        columns = source.columns
        rows = 0
        progress = ProgressLog(log, f"rows of {self._names[index]}")
        for number, row in source.rows(checker):
            rows += 1
            if rows & 4095 == 0:
                progress.reached(rows)
            if isinstance(row, Unreadable):
                self._rejects.add(Place(index, number), {}, [Fault("", row.value, row.rule)], columns)
                continue
            found = row if isinstance(row, Valid) else checker.check(row)
            if isinstance(found, Valid):
                faults: list[Fault] = []
                if found.rtin not in rtins or len(found.text) > room[found.section]:
                    faults = self._faults_among_others(found, index, number)
                if not faults:
                    spills.add(found, index, number, as_text(row.carried) if isinstance(row, Row) else "")
                    continue
                found = faults
            fields = row.row() if isinstance(row, Valid) else row
            self._rejects.add(Place(index, number), fields, found, columns)
        self._plan.rows += rows
        if not rows:
            self._plan.warnings.append(f"{source.name} has no rows.")
        for conversion, count in checker.conversions.items():
            self._plan.conversions[conversion] = self._plan.conversions.get(conversion, 0) + count

    def _faults_among_others(self, document: Valid, source: int, row: int) -> list[Fault]:
        if len(document.text) > self._room[document.section]:
            size = size_alone(document.section, document.text)
            return [Fault("", None, f"alone it makes a request of {size} bytes, above max_bytes")]
        rtin = document.rtin
        spelling, first = self._spellings.setdefault(rtin.upper(), (rtin, Place(source, row)))
        if spelling != rtin:
            rule = f"the same GSTIN is {spelling} at {self._name_of(first)}; write it one way"
            return [Fault("rtin", rtin, rule)]
        self._rtins.add(rtin)
        return []

    def _reject_duplicate(self, duplicate: Duplicate) -> None:
        others = ", ".join(map(self._name_of, duplicate.others))
        rule = f"the same document as {others}, which is sent; this row is alike"
        if duplicate.differing:
            rule = (
                f"the same document as {others}, with another {', '.join(duplicate.differing)}. None of them is sent:"
                " leave the right one in the input"
            )
        row = {"rtin": duplicate.rtin, "section": duplicate.section, **duplicate.document}
        self._rejects.add(duplicate.place, row, [Fault("", None, rule)])

    def _write_rejects(self) -> None:
        if self._rules.workbooks:
            book = self._folder / REJECTS_BOOK
            self._rejects.write_workbook(book)
            self._output.write_rejects(book)
        local = self._folder / REJECTS
        self._rejects.write(local)
        self._plan.rejects = self._output.write_rejects(local)

    def _rows_rejected(self) -> RowsRejected:
        plan = self._plan
        which = "All" if plan.rejected == plan.rows else f"{plan.rejected} of"
        remedy = "Mend them" + ("" if plan.rejected == plan.rows else ', or leave them out with on_invalid="skip"')
        lines = [
            f"{which} {plan.rows} rows are rejected; nothing was planned.",
            f"All of them are in {plan.rejects}.",
            f"{remedy}. The first:",
            *self._rejects.told(_SHOWN),
        ]
        return RowsRejected("\n".join(lines), self._rejects.first(_SHOWN))

    def _pack(self, rtin: str) -> None:
        rules = self._rules
        columns = list(dict.fromkeys(name for source in self._sources for name in source.columns.carried))
        waiting: deque[tuple[str, str]] = deque()  # what is carried with documents that are not yet in a chunk

        def documents() -> Iterator[tuple[str, str]]:
            for section, text, place, carried in self._spills.documents(rtin):
                if columns:
                    waiting.append((place, carried))
                yield section, text

        chunks: list[PlannedRequest] = []
        for chunk in packed(rtin, documents(), max_bytes=rules.max_bytes, max_documents=rules.max_documents):
            chunks.append(self._output.write_chunk(rtin, len(chunks) + 1, chunk))
            self._packing.reached(self._plan.documents + sum(planned.documents for planned in chunks))
            if columns:
                own = [waiting.popleft() for _ in range(chunk.documents)]
                rows = ((self._name_of(place_of(place)), carried) for place, carried in own)
                self._output.write_carried(chunks[-1], columns, rows)
            del chunk  # it is megabytes, and the next one is being filled
        if not chunks:  # all its documents are rejected
            return
        planned = GstinPlan(rtin=rtin, chunks=chunks)
        self._plan.gstins.append(planned)
        self._plan.documents += planned.documents

    def _name_of(self, place: Place) -> str:
        return f"{self._names[place.source]} {self._sources[place.source].unit} {place.row}"


def _short_names(sources: Sequence[Source]) -> list[str]:
    """Name files without their directories, unless two would have one name."""
    short = [source.name.rpartition("/")[2] for source in sources]
    counts = Counter(short)
    return [name if counts[name] == 1 else source.name for name, source in zip(short, sources, strict=True)]
