"""Makes a plan: every row of the sources ends in exactly one request or among the rejects."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.models.faults import CountsDisagree, Fault
from airflow_provider_ims.models.payload import MAX_BODY_BYTES
from airflow_provider_ims.models.plan import GstinPlan, PlannedRequest
from airflow_provider_ims.planning.carried import as_text
from airflow_provider_ims.planning.checks.checker import Checker, Valid
from airflow_provider_ims.planning.checks.in_sql import SECTION_NAMES
from airflow_provider_ims.planning.documents import MOST_SOURCES, Documents, Kept, Place, Stored, place_of
from airflow_provider_ims.planning.errors import PlanError, RowsRejected
from airflow_provider_ims.planning.output import REJECTS, REJECTS_BOOK, Output
from airflow_provider_ims.planning.packing import packed, size_alone
from airflow_provider_ims.planning.rejects import Rejects
from airflow_provider_ims.planning.sources.rows import NumberedRow, Row, Source, TableSource, Unreadable
from airflow_provider_ims.progress import ProgressLog
from airflow_provider_ims.storage import StorageError
from airflow_provider_ims.tables.database import (
    checked_memory_limit,
    open_database,
    part_of,
    reading,
    workspace,
)
from airflow_provider_ims.tables.errors import FileUnusable, TableError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OnInvalid = Literal["fail", "skip"]

MEMORY_LIMIT = "512MB"
"""What a plan holds in memory; what is more goes to the disk."""

_FOR_TABLES = 0.85
"""How much of the memory DuckDB is told to keep to; the rest is for the requests that are being filled, and itself."""

_SHOWN = 10

T = TypeVar("T")

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
    :param memory_limit: what it may hold in memory, such as ``512MB``; what is more goes to the disk
    """

    on_invalid: OnInvalid = "fail"
    max_bytes: int = MAX_BODY_BYTES
    max_documents: int | None = None
    strict_gstin: bool = False
    allow_no_action: bool = False
    allow_empty: bool = False
    workbooks: bool = False
    memory_limit: str = MEMORY_LIMIT

    def __post_init__(self) -> None:
        check_choice("on_invalid", self.on_invalid, OnInvalid, PlanError)
        if not 1 <= self.max_bytes <= MAX_BODY_BYTES:
            raise PlanError(f"max_bytes is {self.max_bytes}; the service takes 1 to {MAX_BODY_BYTES:,}")
        try:
            checked_memory_limit(self.memory_limit)
        except TableError as error:
            raise PlanError(str(error)) from None
        if self.max_documents is not None and self.max_documents < 1:
            raise PlanError(f"max_documents is {self.max_documents}; a request has at least 1")


@dataclass
class Plan:
    """
    What is to be sent.

    :param gstins: for each GSTIN, sorted, its requests
    :param rows: number of rows that were read; those in which no cell is filled are none
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


def make_plan(
    sources: Sequence[Source], output: Output, rules: Rules, reached: Callable[[int], None] = lambda rows: None
) -> Plan:
    """
    Read, check and pack.

    :param sources: where the rows come from, in the order in which they are sent
    :param output: where the requests go; an earlier plan there is removed first
    :param rules: how
    :param reached: is told now and then how many rows were read
    :raises PlanError: when there is no plan; then no chunk is left in the output
    :raises NoRoom: when this worker has no room for what it needs on the way
    :raises FolderTaken: when another task writes to the output
    :raises StorageError: when the output cannot be written; then no plan is left in it
    """
    if len(sources) > MOST_SOURCES:
        raise PlanError(f"{len(sources)} files are too many for one plan, which takes {MOST_SOURCES}")
    output.clear()
    try:
        for_tables = part_of(rules.memory_limit, _FOR_TABLES)
        with workspace() as folder, open_database(folder, memory_limit=for_tables) as database:
            return _Planner(sources, output, rules, folder, database, reached).run()
    except BaseException:
        # A request without a plan is never to be sent.
        with suppress(StorageError):
            output.withdraw()
        raise


class _Planner:
    def __init__(
        self,
        sources: Sequence[Source],
        output: Output,
        rules: Rules,
        folder: Path,
        database: DuckDBPyConnection,
        reached: Callable[[int], None],
    ) -> None:
        self._sources = sources
        self._names = _short_names(sources)
        self._output = output
        self._rules = rules
        self._folder = folder
        self._database = database
        self._reached = reached
        self._documents = Documents(database, folder)
        self._rejects = Rejects(database, folder, self._name_of)
        self._plan = Plan()
        self._packing = ProgressLog(log, "documents in requests")

    def run(self) -> Plan:
        plan = self._plan
        for index, source in enumerate(self._sources):
            self._read(index, source)
        if not plan.rows and not self._rules.allow_empty:
            names = ", ".join(source.name for source in self._sources) or "source"
            raise FileUnusable(names, "no rows at all: is it the right source?")
        self._leave_out()
        plan.rejected = self._rejects.rows
        self._write_rejects()
        if (plan.rows and plan.rejected == plan.rows) or (plan.rejected and self._rules.on_invalid == "fail"):
            raise self._rows_rejected()
        self._pack()
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
        rows = self._read_table(index, source, checker)
        if rows is None:
            rows = self._take(index, source, source.rows(checker), checker)
        self._documents.load()
        self._rejects.load()
        self._plan.rows += rows
        self._reached(self._plan.rows)
        if not rows:
            self._plan.warnings.append(f"{source.name} has no rows.")
        for conversion, count in sorted(checker.conversions.items()):  # the database tells no order
            self._plan.conversions[conversion] = self._plan.conversions.get(conversion, 0) + count

    def _read_table(self, index: int, source: Source, checker: Checker) -> int | None:
        """Have the database read a source; return its rows, or ``None`` if it cannot."""
        rules = self._rules
        if rules.strict_gstin or not isinstance(source, TableSource):
            return None
        copy = self._folder / f"{index}.source"
        try:
            table = source.table(self._database, copy)
            if table is None:
                return None
            progress = ProgressLog(log, f"rows of {self._names[index]}")
            with reading(source.name, table.kind):
                rows = self._documents.take(
                    index, table, text_amounts=source.text_amounts, allow_no_action=rules.allow_no_action
                )
                if rows is not None and rows != table.total:
                    raise CountsDisagree(
                        f"{source.name} has {table.total} rows, and the database has read {rows}: nothing may be sent."
                        " This is a defect of airflow-provider-ims; please report it."
                    )
                if rows is not None:
                    progress.reached(rows)
                    checker.conversions.update(self._documents.conversions(index))
                    misfits = _Counted(self._documents.misfits(index, table))
                    taken = self._take(index, source, table.as_rows(misfits), checker)
                    rows -= misfits.count - taken  # those in which no cell is filled, which only this tells
            return rows
        finally:
            copy.unlink(missing_ok=True)

    def _take(self, index: int, source: Source, found: Iterable[NumberedRow], checker: Checker) -> int:
        """Take rows, each as a document or as a reject; return how many they are."""
        documents, columns = self._documents, source.columns
        base = Place(index, 0).as_number()
        progress = ProgressLog(log, f"rows of {self._names[index]}")
        rows = 0
        for number, row in found:
            rows += 1
            if rows & 4095 == 0:
                progress.reached(rows)
                self._reached(self._plan.rows + rows)
            if isinstance(row, Unreadable):
                self._rejects.add(Place(index, number), {}, [Fault("", row.value, row.rule)], columns)
                continue
            checked = row if isinstance(row, Valid) else checker.check(row)
            if isinstance(checked, Valid):
                documents.add(checked, base + number, as_text(row.carried) if isinstance(row, Row) else "")
            else:
                self._rejects.add(Place(index, number), row.row() if isinstance(row, Valid) else row, checked, columns)
        return rows

    def _leave_out(self) -> None:
        """Reject the documents that are valid, but not among the others."""
        alone = {section: size_alone(section, "") for section in SECTIONS}
        for document in self._documents.too_large({name: self._rules.max_bytes - size for name, size in alone.items()}):
            size = alone[document.section] + len(document.text)
            self._reject(document, Fault("", None, f"alone it makes a request of {size} bytes, above max_bytes"))
        for document, spelling, first in self._documents.spelled_otherwise():
            rule = f"the same GSTIN is {spelling} at {self._name_of(first)}; write it one way"
            self._reject(document, Fault("rtin", document.rtin, rule))
        for document, places, differing in self._documents.duplicates():
            others = ", ".join(map(self._name_of, places))
            rule = f"the same document as {others}, which is sent; this row is alike"
            if differing:
                rule = (
                    f"the same document as {others}, with another {', '.join(differing)}. None of them is sent: leave"
                    " the right one in the input"
                )
            self._reject(document, Fault("", None, rule))
        self._rejects.load()

    def _reject(self, document: Stored, fault: Fault) -> None:
        self._rejects.add(document.place, document.row(), [fault], self._sources[document.place.source].columns)

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

    def _pack(self) -> None:
        columns = list(dict.fromkeys(name for source in self._sources for name in source.columns.carried))
        kept = self._documents.kept(carried=bool(columns))
        for rtin, documents in groupby(kept, key=itemgetter(0)):
            planned = GstinPlan(rtin=rtin, chunks=list(self._chunks(rtin, documents, columns)))
            self._plan.gstins.append(planned)

    def _chunks(self, rtin: str, kept: Iterable[Kept], columns: Sequence[str]) -> Iterator[PlannedRequest]:
        rules, plan = self._rules, self._plan
        waiting: deque[tuple[int, str]] = deque()  # what is carried with documents that are not yet in a chunk

        def documents() -> Iterator[tuple[str, str]]:
            for _, section, text, place, carried in kept:
                if columns:
                    waiting.append((place, carried))
                yield SECTION_NAMES[section], text

        chunks = packed(rtin, documents(), max_bytes=rules.max_bytes, max_documents=rules.max_documents)
        for number, chunk in enumerate(chunks, 1):
            planned = self._output.write_chunk(rtin, number, chunk)
            plan.documents += planned.documents
            self._packing.reached(plan.documents)
            if columns:
                own = [waiting.popleft() for _ in range(chunk.documents)]
                rows = ((self._name_of(place_of(place)), carried) for place, carried in own)
                self._output.write_carried(planned, columns, rows)
            yield planned
            del chunk  # it is megabytes, and the next one is being filled

    def _name_of(self, place: Place) -> str:
        return f"{self._names[place.source]} {self._sources[place.source].unit} {place.row}"


class _Counted(Generic[T]):
    """Counts what it yields."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self.count = 0

    def __iter__(self) -> Iterator[T]:
        for item in self._items:
            self.count += 1
            yield item


def _short_names(sources: Sequence[Source]) -> list[str]:
    """Name files without their directories, unless two would have one name."""
    short = [source.name.rpartition("/")[2] for source in sources]
    counts = Counter(short)
    return [name if counts[name] == 1 else source.name for name, source in zip(short, sources, strict=True)]
