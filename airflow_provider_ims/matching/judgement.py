"""Says of each document and of each row of the books what it is, and that none is lost or doubled."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.matching.books import BOOK_COLUMNS, BooksRead, place_sql
from airflow_provider_ims.matching.decisions import ACTIONS, Decisions
from airflow_provider_ims.matching.passes import PASSES
from airflow_provider_ims.matching.reasons import DOUBLED, UNFILED, UNKNOWN_ACTION, UNKNOWN_FILED, UNSENDABLE, pair_sql
from airflow_provider_ims.matching.sendable import unsendable_sql
from airflow_provider_ims.matching.snapshots import documents_sql
from airflow_provider_ims.models.faults import CountsDisagree
from airflow_provider_ims.tables.database import rows_of
from airflow_provider_ims.tables.documents import DOCUMENT_COLUMNS
from airflow_provider_ims.tables.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NAMED = 5  # candidates in a reason


class Judgement:
    """
    The result, as SQL on the tables of a database.

    :param database: with the tables ``docs``, ``books``, ``pair`` and ``tie``
    :param documents: the snapshot's files, on the local disk
    :param read: what was read of the books
    :param decisions: what is to be done
    :param folder: a local directory, for what a function of the user's answers
    :raises CountsDisagree: when a document or a row is lost or doubled
    """

    def __init__(
        self,
        database: DuckDBPyConnection,
        documents: Sequence[Path],
        read: BooksRead,
        decisions: Decisions,
        folder: Path,
    ) -> None:
        self._database = database
        self._documents = documents
        self._read = read
        self._decisions = decisions
        self._overruled = False
        self._number()
        self._check()
        database.execute("DROP TABLE docs")  # memory is short for what is written now
        if decisions.function is not None:
            self._ask(folder / "overruled.csv")

    def _number(self) -> None:
        """Make the tables that say what each is, with the first of those that fit equally."""
        run = self._database.execute
        first = "(SELECT * FROM tie QUALIFY row_number() OVER (PARTITION BY {0} ORDER BY {1}) <= " + f"{_NAMED}) tie"
        place, document = place_sql(self._read, "b."), "d.section || ' ' || d.number"
        run(
            "CREATE TEMP TABLE doc_tied AS SELECT doc AS id, NULL::BIGINT AS book, any_value(pass) AS pass,"
            " any_value(candidates) AS candidates,"
            f" string_agg({place}, ', ' ORDER BY {place}) AS named FROM {first.format('doc', 'book')}"
            " JOIN books b ON b.id = book"
            " JOIN (SELECT doc, count(*) AS candidates FROM tie GROUP BY doc) USING (doc) GROUP BY doc"
        )
        run(
            "CREATE TEMP VIEW doc_found AS SELECT doc AS id, book, pass, 1 AS candidates, NULL::VARCHAR AS named"
            " FROM pair UNION ALL FROM doc_tied"
        )
        run(
            "CREATE TEMP TABLE book_found AS SELECT book AS id, any_value(pass) AS pass,"
            f" any_value(candidates) AS candidates, string_agg({document}, ', ' ORDER BY {document}) AS named"
            f" FROM {first.format('book', 'doc')} JOIN docs d ON d.id = doc"
            " JOIN (SELECT book, count(*) AS candidates FROM tie GROUP BY book) USING (book) GROUP BY book"
        )

    def _check(self) -> None:
        """Look for what the counts of the result would not show; whatever is lost or doubled, those do."""
        [(found,)] = self._database.execute(
            "SELECT count(*) FROM book_found SEMI JOIN pair ON pair.book = id"
        ).fetchall()
        if found:
            raise CountsDisagree(disagree(f"{found} rows of the books paired and tied"))

    def _joined(self, *, raw: bool) -> str:
        """Return the SQL of all rows: documents with what they are paired with, then the books' other rows."""
        names = [name for name in DOCUMENT_COLUMNS if raw or name != "raw"]
        document = ", ".join(f"d.{name}" for name in names)
        nothing = ", ".join(f"NULL::{DOCUMENT_COLUMNS[name]} AS {name}" for name in names)
        book = self._book_columns()
        rules, matches = (
            f"[{', '.join(literal(value) for value in values)}][p.pass + 1]"
            for values in ([one.name for one in PASSES], [one.match for one in PASSES])
        )
        match = f"CASE WHEN p.id IS NULL THEN 'only_in_ims' WHEN p.book IS NULL THEN 'ambiguous' ELSE {matches} END"
        known = ", ".join(map(literal, ACTIONS))
        reason = (
            "concat(CASE WHEN p.id IS NULL THEN 'no row of the books fits' WHEN p.book IS NOT NULL THEN"
            f" {pair_sql()} {_fits_equally('rows of the books', 'document')},"
            f" CASE WHEN d.id IN (FROM doubled) THEN '; {DOUBLED}' END,"
            f" CASE WHEN coalesce(d.action, '') NOT IN ({known}) THEN '; {UNKNOWN_ACTION}' END,"
            f" CASE WHEN d.filed = false THEN '; {UNFILED}' WHEN d.filed IS NULL THEN '; {UNKNOWN_FILED}' END)"
        )
        return (
            f"SELECT d.id AS doc_id, {document}, {book}, {match} AS match, coalesce({rules}, '') AS rule,"
            f" {reason} AS reason, coalesce(p.candidates, 0) AS candidates, d.id IN (FROM doubled) AS is_doubled"
            f" FROM ({documents_sql(self._documents)}) d LEFT JOIN doc_found p ON p.id = d.id"
            " LEFT JOIN books b ON b.id = p.book"
            f" UNION ALL SELECT NULL, {nothing}, {book},"
            f" CASE WHEN p.id IS NULL THEN 'only_in_books' ELSE 'ambiguous' END, coalesce({rules}, ''),"
            " CASE WHEN p.id IS NULL THEN 'no document in IMS fits'"
            f" {_fits_equally('documents', 'row of the books')}, coalesce(p.candidates, 0), false"
            " FROM (FROM books ANTI JOIN pair ON pair.book = books.id) b LEFT JOIN book_found p ON p.id = b.id"
        )

    def _book_columns(self) -> str:
        listed = [f"{place_sql(self._read, 'b.')} AS book_place", "b.key AS book_id"]
        listed += [
            f"b.{name.removeprefix('book_')} AS {name}"
            for name in BOOK_COLUMNS
            if name not in {"book_place", "book_id"}
        ]
        listed += [f"b.x{place} AS {identifier(name)}" for place, name in enumerate(self._read.carried)]
        return ", ".join(listed)

    def rows(self) -> str:
        """Return the SQL of all rows of ``reconciliation.parquet``."""
        decision = self._decisions.sql()
        # A row of the books has no document that could be unfiled.
        judged, overruled = f"({self._joined(raw=True)}) r", ""
        if self._overruled:
            decision, overruled = f"coalesce(o.decision, {decision})", " LEFT JOIN overruled o ON o.id = r.doc_id"
        return (
            "SELECT * EXCLUDE (doc_id, is_doubled, unsendable) REPLACE ("
            f"concat(reason, {literal(f'; {UNSENDABLE}: ')} || unsendable) AS reason,"
            " CASE WHEN unsendable IS NULL THEN decision ELSE 'review' END AS decision)"
            # To look at all fields of all documents would cost as much as matching them.
            f" FROM (SELECT *, CASE WHEN decision = 'reset' THEN {unsendable_sql()} END AS unsendable"
            f" FROM (SELECT r.*, {decision} AS decision FROM {judged}{overruled}))"
        )

    def _ask(self, answers: Path) -> None:
        with answers.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for row in self._documents_as_rows():
                identity = row.pop("doc_id")
                if row.pop("is_doubled"):
                    continue  # nobody knows which record is true, and so no function does
                answer = self._decisions.of_row(row)
                if answer != row["decision"]:
                    writer.writerow([identity, answer])
        self._database.execute(
            f"CREATE TEMP TABLE overruled AS SELECT * FROM read_csv({literal(answers)}, header=false,"
            " auto_detect=false, delim=',', columns={'id': 'BIGINT', 'decision': 'VARCHAR'})"
        )
        self._overruled = True

    def _documents_as_rows(self) -> Iterator[dict[str, Any]]:
        # On the same connection, which alone sees its temporary tables; nothing else runs on it meanwhile.
        sql = (
            f"SELECT *, {self._decisions.sql()} AS decision FROM ({self._joined(raw=False)}) r WHERE doc_id IS NOT NULL"
        )
        found = self._database.execute(sql)
        names = [column[0] for column in found.description or ()]
        for values in rows_of(found):
            yield dict(zip(names, values, strict=True))


def _fits_equally(many: str, other: str) -> str:
    """Return the end of a CASE: the words for those that could not be decided between."""
    return (
        f"WHEN p.candidates = 1 THEN p.named || ' fits, and it fits another {other} as well'"
        f" ELSE p.candidates || ' {many} fit equally: ' || p.named"
        f" || CASE WHEN p.candidates > {_NAMED} THEN ' ...' ELSE '' END END"
    )


def disagree(what: str) -> str:
    """Return the text of what must not happen."""
    return (
        f"The reconciliation does not add up: {what}. Nothing was written.\nThis is a defect of"
        " airflow-provider-ims; please report it."
    )
