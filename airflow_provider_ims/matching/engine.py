"""Documents x books -> decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ims.matching.books import BooksRead, BooksReader, DateOrder, OtherGstins, first_rejects
from airflow_provider_ims.matching.columns import BookColumns
from airflow_provider_ims.matching.decisions import Decisions
from airflow_provider_ims.matching.errors import MatchError, RowsRejected
from airflow_provider_ims.matching.judgement import Judgement, disagree
from airflow_provider_ims.matching.output import Output
from airflow_provider_ims.matching.pairing import Pairing
from airflow_provider_ims.matching.rules import MatchRules
from airflow_provider_ims.matching.snapshots import Snapshots, read_documents
from airflow_provider_ims.matching.sources import Books
from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.models.faults import CountsDisagree, Fault
from airflow_provider_ims.models.printable import counted
from airflow_provider_ims.tables.database import MEMORY_LIMIT, open_database, workspace
from airflow_provider_ims.tables.documents import Held, check_described
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.files import local_file

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from duckdb import DuckDBPyConnection

OnInvalid = Literal["fail", "skip"]

_SHOWN = 10


@dataclass(frozen=True)
class Options:
    """
    How books are read, and with what means.

    :param on_invalid: when rows of the books are rejected: ``fail``, or ``skip`` them
    :param other_gstins: rows of the books whose ``rtin`` has no document in the snapshot: ``reject``, or ``leave_out``
        when the books of a whole company are matched for one GSTIN at a time
    :param date_order: see :class:`BooksReader`
    :param allow_empty_books: books without a row are no fault
    :param memory_limit: of the database, such as ``1GB``
    :param threads: of the database; ``None``: the cores that this process may use
    :param workbooks: write ``review.xlsx`` and ``rejects.xlsx``, too
    """

    on_invalid: OnInvalid = "fail"
    other_gstins: OtherGstins = "reject"
    date_order: DateOrder | None = None
    allow_empty_books: bool = False
    memory_limit: str = MEMORY_LIMIT
    threads: int | None = None
    workbooks: bool = False

    def __post_init__(self) -> None:
        check_choice("on_invalid", self.on_invalid, OnInvalid, MatchError)


def reconcile(
    documents: Sequence[ObjectStoragePath],
    books: Sequence[Books],
    output: ObjectStoragePath,
    *,
    columns: BookColumns | Mapping[str, Any] | None = None,
    rules: MatchRules | None = None,
    decisions: Decisions | None = None,
    options: Options | None = None,
    rtins: Sequence[str] = (),
    expected: Held | None = None,
    by: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Match documents with books, decide, and write the result.

    :param documents: ``documents.parquet`` of one or more snapshots, at most one for each GSTIN
    :param books: :class:`BookFile`, :class:`BookQuery`
    :param output: directory for this result alone: the files of :data:`output.FILES`, ``reconciliation.json`` last; an
        earlier one is removed first
    :param columns: see :class:`BookColumns`
    :param rules: how much the two may differ
    :param decisions: what is to be done
    :param options: how books are read
    :param rtins: own GSTINs of the snapshots, so that a GSTIN without a document is known, too
    :param expected: the documents that must be found; ``None``: whatever is there
    :param by: names the task instance that asks; see :class:`~airflow_provider_ims.owner.Owner`
    :return: the content of ``reconciliation.json``: ``documents``, ``book_rows``, ``rejected``, ``left_out``,
        ``warnings``, ``snapshots``, ``rtins``, ``matches`` and ``decisions`` (word -> rows), ``counts`` (one entry for
        each match, action and decision: ``rows``, ``documents``, ``book_rows``, ``tax``, ``book_tax``, taxes as text),
        ``largest`` (the documents with the largest tax among those to reset), ``resets_digest`` (SHA-256 of
        ``resets.parquet``)
    :raises FolderTaken: when another task writes to the same directory
    :raises TableError: when a file is not what it must be, or cannot be read now, or there is no room
    :raises MatchError: when rows are rejected, arguments are wrong, or the result does not add up
    :raises StorageError: when a file cannot be written, or an earlier one not be removed
    """
    options = options or Options()
    names = columns if isinstance(columns, BookColumns) else BookColumns(columns)
    with workspace() as folder:
        result = Output(output, folder, workbooks=options.workbooks, by=by)
        result.clear()
        snapshots = [local_file(path, folder) for path in documents]
        fetched = [source.fetch(folder) for source in books]
        with open_database(
            folder,
            readable=[*snapshots, *(local.path for local in fetched)],
            memory_limit=options.memory_limit,
            threads=options.threads,
        ) as database:
            found = read_documents(database, [str(path) for path in documents], snapshots, rtins)
            if expected is not None:
                check_described(found.held, expected)
            reader = BooksReader(database, names, found.rtins, options.other_gstins, options.date_order)
            read = reader.read(books, fetched)
            _look_at(read, books, options)
            rejects = result.write_rejects(database, read)
            if read.rejected and (options.on_invalid == "fail" or not read.kept):
                raise _rows_rejected(read, first_rejects(database, read, _SHOWN), rejects)
            Pairing(database, rules or MatchRules()).run()
            warnings = [*found.warnings, *read.warnings, *_skipped(read, rejects), *_of_another_period(database)]
            judgement = Judgement(database, snapshots, read, decisions or Decisions(), folder)
            return result.write(database, judgement, read, found.held, _summary(found, read, warnings))


def _summary(found: Snapshots, read: BooksRead, warnings: list[str]) -> dict[str, Any]:
    return {
        "documents": found.documents,
        "book_rows": read.kept,
        "rejected": read.rejected,
        "left_out": read.left_out,
        "rtins": found.rtins,
        "snapshots": found.snapshots,
        "warnings": warnings,
    }


def _skipped(read: BooksRead, rejects: str) -> Iterator[str]:
    """Yield what to say of rows of the books that were matched with nothing."""
    if read.rejected:
        were = counted(
            read.rejected, "row of the books cannot be read and was", "rows of the books cannot be read and were"
        )
        yield f"{were} skipped: {rejects}"
    if read.left_out:
        were = counted(
            read.left_out,
            "row of the books is of another GSTIN and was",
            "rows of the books are of other GSTINs and were",
        )
        yield f"{were} left out"


def _of_another_period(database: DuckDBPyConnection) -> Iterator[str]:
    """Yield what to say of books that have nothing to do with the documents."""
    [(found, *dates)] = database.execute(
        "SELECT (SELECT count(*) FROM pair) + (SELECT count(*) FROM tie), d.first, d.last, b.first, b.last"
        " FROM (SELECT min(date) AS first, max(date) AS last FROM docs) d,"
        " (SELECT min(date) AS first, max(date) AS last FROM books) b"
    ).fetchall()
    if found or None in dates:
        return
    of_docs, of_books = (f"{first:%d-%m-%Y} to {last:%d-%m-%Y}" for first, last in (dates[:2], dates[2:]))
    yield (
        f"No row of the books fits any document: the documents are of {of_docs}, the books of {of_books}."
        " Are these the right books?"
    )


def _look_at(read: BooksRead, books: Sequence[Books], options: Options) -> None:
    if read.rows != read.kept + read.rejected + read.left_out:
        raise CountsDisagree(
            disagree(
                f"{read.rows} rows of the books were read, {read.kept} kept, {read.rejected} rejected,"
                f" {read.left_out} left out"
            )
        )
    if not read.rows and not options.allow_empty_books:
        names = ", ".join(source.name for source in books) or "books"
        raise FileUnusable(names, "no rows at all: are these the right books?")


def _rows_rejected(read: BooksRead, first: Sequence[tuple[Any, ...]], path: str) -> RowsRejected:
    faults = [
        Fault(f"{place}: {column}" if column else place, value, reason)
        for place, _, _, _, column, value, reason in first
    ]
    all_of_them = read.rejected == read.rows
    remedy = "Mend them" + ("" if all_of_them else ', or leave them out with on_invalid="skip"')
    lines = [
        f"{read.rejected} of {counted(read.rows, 'row')} of the books cannot be read; nothing was matched.",
        f"All of them are in {path}.",
        f"{remedy}. The first:",
    ]
    for (place, number), group in groupby(first, lambda row: (row[0], row[3])):
        lines.append(f"{place}{f', {number}' if number else ''}:")
        for *_, column, value, reason in group:
            lines.append("  " + str(Fault(column or "row", value, reason)))
    return RowsRejected("\n".join(lines), faults)
