"""Writes what was found: each file whole or not at all, and nothing if the counts do not add up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ims.matching.books import BooksRead, reject_columns
from airflow_provider_ims.matching.judgement import Judgement, disagree
from airflow_provider_ims.matching.snapshots import KIND_SQL
from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.models.faults import CountsDisagree
from airflow_provider_ims.owner import Owner
from airflow_provider_ims.storage import copy_whole, remove, write_whole
from airflow_provider_ims.tables.database import no_room, rows_of
from airflow_provider_ims.tables.documents import MONEY, RUPEES, TAXES, Held, check_described
from airflow_provider_ims.tables.files import digest_of
from airflow_provider_ims.tables.sql import copy_to_parquet, identifier, literal
from airflow_provider_ims.workbooks.columns import columns_of
from airflow_provider_ims.workbooks.writer import Workbook

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from duckdb import DuckDBPyConnection

_LARGEST: Final = 10
_ROW_GROUP: Final = 30_720

FILES: Final = (
    *("reconciliation.parquet", "resets.parquet", "review.csv", "review.xlsx", "rejects.csv", "rejects.xlsx"),
    "reconciliation.json",
)
"""What is written."""


class Output:
    """
    The files of a result.

    :param path: the directory, for this result alone
    :param folder: a local one, for files that are not whole yet
    :param workbooks: write ``review.xlsx`` and ``rejects.xlsx``, too
    :param by: names the task instance that writes
    """

    def __init__(
        self, path: ObjectStoragePath, folder: Path, *, workbooks: bool = False, by: Mapping[str, Any] | None = None
    ) -> None:
        self._path = path
        self._owner = Owner(path, "reconciliation", by)
        self._folder = folder
        self._workbooks = workbooks

    def clear(self) -> None:
        """
        Remove an earlier result, the last file first: where that is, the others are whole.

        :raises FolderTaken: when it is of another task of the same run
        :raises StorageError: when something of it cannot be read or removed
        """
        self._owner.take()
        for name in reversed(FILES):
            remove(self._path / name)

    def write_rejects(self, database: DuckDBPyConnection, read: BooksRead) -> str:
        """
        Write ``rejects.csv``, one line for each fault.

        :return: its path
        :raises CannotWrite: when it cannot be written
        """
        local = self._folder / "rejects.csv"
        rows = f"SELECT {reject_columns(read)} FROM reject ORDER BY source, line, fault"
        self._write_workbook(database, rows, local.with_suffix(".xlsx"), "Rejected rows")
        _write_csv(database, rows, local)
        copy_whole(local, self._path / local.name)
        return str(self._path / local.name)

    def _write_workbook(self, database: DuckDBPyConnection, rows: str, local: Path, name: str) -> None:
        if not self._workbooks:
            return
        found = database.execute(rows)
        try:
            with Workbook(local) as book:
                sheet = book.sheet(name, columns_of(str(column[0]) for column in found.description or ()))
                for row in rows_of(found):
                    sheet.write(row)
        except OSError as error:
            raise no_room(error) from error
        copy_whole(local, self._path / local.name)

    def write(
        self, database: DuckDBPyConnection, judgement: Judgement, read: BooksRead, held: Held, summary: dict[str, Any]
    ) -> dict[str, Any]:
        """
        Write all files but the rejects; ``reconciliation.json`` last: where it is, the others are there and whole.

        :param held: the documents that were matched
        :param summary: what stands in ``reconciliation.json`` besides the counts
        :return: all of ``reconciliation.json``
        :raises CountsDisagree: when a document or a row would be missing; then nothing is written
        :raises FileUnusable: when a snapshot was replaced while it was matched; then nothing is written
        :raises FolderTaken: when another task has taken the directory meanwhile
        :raises CannotWrite: when a file cannot be written
        """
        local, resets, review = (self._folder / name for name in FILES[:3])
        database.execute(copy_to_parquet(judgement.rows(), local, row_group=_ROW_GROUP))
        source = f"read_parquet({literal(local)})"
        _count_together(database, source)
        check_described(_held(database), held)
        [(rows, documents, booked, crossed)] = database.execute(
            "SELECT coalesce(sum(COLUMNS(['rows', 'documents', 'book_rows', 'crossed'])), 0)::BIGINT FROM counted"
        ).fetchall()
        [(pairs,)] = database.execute("SELECT count(*) FROM pair").fetchall()
        found = documents, booked, documents + booked - rows
        expected = summary["documents"], read.kept, pairs
        if found != expected or crossed:
            raise CountsDisagree(
                disagree(
                    f"documents, rows of the books and pairs are {found} and not"
                    f" {expected}, {crossed} of two kinds or GSTINs"
                )
            )
        database.execute(copy_to_parquet(_resets_sql(source, read), resets, row_group=_ROW_GROUP))
        found_out = {
            "largest": _largest(database, source),
            "by_rtin": _by_rtin(database),
            "resets_digest": digest_of(resets),
        }
        whole = {**summary, **_counts(database), **found_out}
        _write_csv(database, _review_sql(source), review)
        self._write_workbook(database, _review_sql(source), review.with_suffix(".xlsx"), "To review")
        self._owner.check()
        for file in (local, resets, review):
            copy_whole(file, self._path / file.name)
        self._owner.check()
        write_whole(self._path / FILES[-1], json.dumps(whole, indent=1, ensure_ascii=False).encode())
        return whole


def _count_together(database: DuckDBPyConnection, source: str) -> None:
    """Make the table ``counted``, from which all counts come: all rows are read for them once."""
    tax, book_tax = (" + ".join(f"{side}{name}" for name in TAXES) for side in ("", "book_"))
    documents_tax, rows_tax = (" + ".join(f"coalesce({side}{name}, 0)" for name in TAXES) for side in ("", "book_"))
    database.execute(
        "CREATE OR REPLACE TEMP TABLE counted AS SELECT rtin, snapshot, coalesce(rtin, book_rtin) AS of_rtin, match,"
        " coalesce(action, '') AS action, decision, count(*) AS rows, count(rtin) AS documents,"
        f" count(book_place) AS book_rows, count(*) FILTER (rtin <> book_rtin OR {KIND_SQL} <> book_kind) AS crossed,"
        f" sum({tax}) AS tax, sum({book_tax}) AS book_tax,"
        f" sum(CASE WHEN rtin IS NULL THEN {rows_tax} ELSE {documents_tax} END) AS tax_of_rtin"
        f" FROM {source} GROUP BY ALL"
    )


def _held(database: DuckDBPyConnection) -> Held:
    """Return the documents that were written: they are read once more for it, from a file that may be another one."""
    found = database.execute(
        "SELECT rtin, snapshot, sum(documents)::BIGINT FROM counted GROUP BY ALL HAVING sum(documents) > 0"
    ).fetchall()
    return {(rtin, name): count for rtin, name, count in found}


def _counts(database: DuckDBPyConnection) -> dict[str, Any]:
    sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in ("rows", "documents", "book_rows"))
    taxes = ", ".join(f"coalesce(sum({name}), 0)::DECIMAL(38,2)::VARCHAR AS {name}" for name in ("tax", "book_tax"))
    found = database.execute(
        f"SELECT match, action, decision, {sums}, {taxes} FROM counted GROUP BY ALL ORDER BY match, action, decision"
    )
    names = [column[0] for column in found.description or ()]
    counts = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {"matches": _rows_by("match", counts), "decisions": _rows_by("decision", counts), "counts": counts}


def _largest(database: DuckDBPyConnection, source: str) -> list[dict[str, Any]]:
    """Return the documents to reset with the largest tax, for a person to look at."""
    found = database.execute(
        "SELECT * REPLACE (date::VARCHAR AS date, txval::VARCHAR AS txval, tax::DECIMAL(38,2)::VARCHAR AS tax) FROM"
        " (SELECT rtin, section, stin, trade_name, number, date, action, txval, match, rule,"
        f" coalesce(iamt + camt + samt + cess, 0) AS tax FROM {source} WHERE decision = 'reset'"
        f" ORDER BY tax DESC, rtin, stin, number, date LIMIT {_LARGEST})"
    )
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _by_rtin(database: DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Return for each GSTIN its documents, the counts by match and by decision, and the tax by decision."""
    rows = database.execute(
        "SELECT of_rtin, match, decision, sum(rows)::BIGINT, sum(documents)::BIGINT,"
        " coalesce(sum(tax_of_rtin), 0)::DECIMAL(38,2)"
        " FROM counted GROUP BY ALL ORDER BY of_rtin, match, decision"
    ).fetchall()
    found: dict[str, dict[str, Any]] = {}
    for rtin, match, decision, count, documents, amount in rows:
        told = found.setdefault(rtin, {"documents": 0, "counts": {}, "tax": {}})
        told["documents"] += documents
        for word in (match, decision):
            told["counts"][word] = told["counts"].get(word, 0) + count
        told["tax"][decision] = f"{Decimal(told['tax'].get(decision, 0)) + amount:.2f}"
    return found


def _rows_by(name: str, counts: Sequence[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in counts:
        found[entry[name]] = found.get(entry[name], 0) + entry["rows"]
    return found


def _write_csv(database: DuckDBPyConnection, rows: str, local: Path) -> None:
    """Write a table for people: no cell of it is a formula for a spreadsheet."""
    cells = []
    for name, kind, *_ in database.execute(f"DESCRIBE {rows}").fetchall():
        cell = identifier(str(name))
        if kind == "VARCHAR":
            formula = f"left({cell}, 1) IN ('=', '+', '@', '-', chr(9), chr(13))"
            cells.append(f"CASE WHEN {formula} THEN chr(39) || {cell} ELSE {cell} END AS {cell}")
        else:
            cells.append(cell)
    database.execute(f"COPY (SELECT {', '.join(cells)} FROM ({rows})) TO {literal(local)} (FORMAT csv, HEADER)")


def _resets_sql(source: str, read: BooksRead) -> str:
    """
    Return the SQL of the rows that ``ImsPlanOperator`` takes: a field that a section does not have is null.

    Beside the fields stand the supplier's name and the row of the books, which a plan carries to the result. They are
    sorted, as threads end in any order: the plan of a repeated reconciliation has the same requests, which are found
    again and not sent a second time.
    """
    sections = {
        field: ", ".join(literal(name) for name, model in SECTIONS.items() if field in model.model_fields)
        for field in ("inum", "nt_num", "oinum", "ont_num", "inv_typ")
    }

    def of(field: str, value: str) -> str:
        return f"CASE WHEN section IN ({sections[field]}) THEN {value} END"

    def day(column: str) -> str:
        return f"strftime({column}, '%d-%m-%Y')"

    columns = {
        "inum": of("inum", "number"),
        "idt": of("inum", day("date")),
        "oinum": of("oinum", "original_number"),
        "oidt": of("oinum", day("original_date")),
        "nt_num": of("nt_num", "number"),
        "nt_dt": of("nt_num", day("date")),
        "ont_num": of("ont_num", "original_number"),
        "ont_dt": of("ont_num", day("original_date")),
        "inv_typ": of("inv_typ", "inv_typ"),
        "prev_status": "action",
        "pos": "pos",
        **{name: name if name not in TAXES else f"coalesce({name}, 0)::{RUPEES}" for name in MONEY},
    }
    listed = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    return (
        f"SELECT rtin, section, stin, {listed}, srcform, rtnprd,"
        f" {', '.join(map(identifier, ('trade_name', 'book_place', 'book_id', *read.carried)))}"
        f" FROM {source} WHERE decision = 'reset'"
        " ORDER BY rtin, section, stin, number, date, rtnprd, book_place"
    )


def _review_sql(source: str) -> str:
    tax = "coalesce(iamt + camt + samt + cess, book_iamt + book_camt + book_samt + book_cess)"
    return (
        f"SELECT decision, match, reason, {tax} AS tax,"
        " * EXCLUDE (decision, match, reason, raw, hash, taken_at, snapshot)"
        f" FROM {source} WHERE decision = 'review' ORDER BY tax DESC, coalesce(rtin, book_rtin),"
        " coalesce(stin, book_stin), coalesce(number, book_number), book_place"
    )
