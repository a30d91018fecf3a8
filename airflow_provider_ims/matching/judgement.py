"""Says of each document and of each row of the books what it is, and that none is lost or doubled."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.matching.books import BOOK_COLUMNS, BooksRead, place_sql
from airflow_provider_ims.matching.decisions import Decisions
from airflow_provider_ims.matching.errors import CountsDisagree
from airflow_provider_ims.matching.passes import PASSES
from airflow_provider_ims.matching.reasons import UNFILED, UNKNOWN_FILED, pair_sql
from airflow_provider_ims.matching.snapshots import documents_sql
from airflow_provider_ims.tables.documents import DOCUMENT_COLUMNS
from airflow_provider_ims.tables.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 1000
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
        if decisions.function is not None:
            self._ask(folder / "overruled.csv")

    def _number(self) -> None:
        run = self._database.execute
        rule = f"[{', '.join(literal(one.name) for one in PASSES)}][pass + 1]"
        match = f"[{', '.join(literal(one.match) for one in PASSES)}][pass + 1]"
        run(
            "CREATE TEMP TABLE doc_found AS"
            f" SELECT doc AS id, book, {match} AS match, {rule} AS rule, pass, 1 AS candidates FROM pair"
            f" UNION ALL SELECT doc, NULL, 'ambiguous', any_value({rule}), any_value(pass), count(*) FROM tie"
            " GROUP BY doc"
        )
        run(
            f"CREATE TEMP TABLE book_found AS SELECT book AS id, any_value({rule}) AS rule, any_value(pass) AS pass,"
            " count(*) AS candidates FROM tie GROUP BY book"
        )

    def _check(self) -> None:
        def count(sql: str) -> int:
            [(found,)] = self._database.execute(sql).fetchall()
            return int(found)

        facts = {
            "documents paired or tied twice": count("SELECT count(*) - count(DISTINCT id) FROM doc_found"),
            "rows of the books paired twice": count("SELECT count(*) - count(DISTINCT book) FROM pair"),
            "rows of the books paired and tied": count(
                "SELECT count(*) FROM book_found SEMI JOIN pair ON pair.book = id"
            ),
            "documents that are none": count("SELECT count(*) FROM doc_found ANTI JOIN docs USING (id)"),
            "rows that are none": count("SELECT count(*) FROM pair ANTI JOIN books ON books.id = book"),
            "pairs of two kinds or GSTINs": count(
                "SELECT count(*) FROM pair JOIN docs d ON d.id = doc JOIN books b ON b.id = book"
                " WHERE d.kind IS DISTINCT FROM b.kind OR d.rtin IS DISTINCT FROM b.rtin"
            ),
        }
        if wrong := {name: found for name, found in facts.items() if found}:
            raise CountsDisagree(disagree(", ".join(f"{found} {name}" for name, found in wrong.items())))

    def _joined(self, *, raw: bool) -> str:
        """Return the SQL of all rows: documents with what they are paired with, then the books' other rows."""
        names = [name for name in DOCUMENT_COLUMNS if raw or name != "raw"]
        document = ", ".join(f"d.{name}" for name in names)
        nothing = ", ".join(f"NULL::{DOCUMENT_COLUMNS[name]} AS {name}" for name in names)
        book = self._book_columns()
        candidates = (
            f"(SELECT tie.{{0}} AS id, string_agg({{2}}, ', ' ORDER BY {{2}}) AS named FROM (SELECT * FROM tie QUALIFY"
            f" row_number() OVER (PARTITION BY {{0}} ORDER BY {{1}}) <= {_NAMED}) tie JOIN {{3}} GROUP BY 1)"
        )
        of_doc = candidates.format("doc", "book", place_sql(self._read, "b."), "books b ON b.id = tie.book")
        of_book = candidates.format("book", "doc", "d.section || ' ' || d.number", "docs d ON d.id = tie.doc")
        reason = (
            "CASE WHEN p.match = 'ambiguous' THEN p.candidates || ' rows of the books fit equally (' || t.named || ')'"
            " || CASE WHEN p.candidates = 1 THEN ', and so does another document' ELSE '' END"
            f" WHEN p.match IS NULL THEN 'no row of the books fits' ELSE {pair_sql()} END"
            f" || CASE WHEN d.filed = false THEN '; {UNFILED}' WHEN d.filed IS NULL THEN '; {UNKNOWN_FILED}'"
            " ELSE '' END"
        )
        return (
            f"SELECT d.id AS doc_id, {document}, {book},"
            f" coalesce(p.match, 'only_in_ims') AS match, coalesce(p.rule, '') AS rule, {reason} AS reason,"
            " coalesce(p.candidates, 0) AS candidates"
            f" FROM ({documents_sql(self._documents)}) d LEFT JOIN doc_found p ON p.id = d.id"
            f" LEFT JOIN books b ON b.id = p.book LEFT JOIN {of_doc} t ON t.id = d.id"
            f" UNION ALL SELECT NULL, {nothing}, {book},"
            " CASE WHEN p.id IS NULL THEN 'only_in_books' ELSE 'ambiguous' END, coalesce(p.rule, ''),"
            " CASE WHEN p.id IS NULL THEN 'no document in IMS fits'"
            " ELSE p.candidates || ' documents fit equally (' || t.named || ')'"
            " || CASE WHEN p.candidates = 1 THEN ', and so does another row of the books' ELSE '' END END,"
            " coalesce(p.candidates, 0)"
            f" FROM books b LEFT JOIN book_found p ON p.id = b.id LEFT JOIN {of_book} t ON t.id = b.id"
            " WHERE b.id NOT IN (SELECT book FROM pair)"
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
        if self._overruled:
            return (
                f"SELECT r.* EXCLUDE (doc_id), coalesce(o.decision, {decision}) AS decision"
                f" FROM ({self._joined(raw=True)}) r LEFT JOIN overruled o ON o.id = r.doc_id"
            )
        # A row of the books has no document that could be unfiled.
        return f"SELECT * EXCLUDE (doc_id), {decision} AS decision FROM ({self._joined(raw=True)}) r"

    def _ask(self, answers: Path) -> None:
        with answers.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for row in self._documents_as_rows():
                identity = row.pop("doc_id")
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
        while batch := found.fetchmany(_BATCH):
            for values in batch:
                yield dict(zip(names, values, strict=True))


def disagree(what: str) -> str:
    """Return the text of what must not happen."""
    return (
        f"The reconciliation does not add up: {what}. Nothing was written.\nThis is a defect of"
        " airflow-provider-ims; please report it."
    )
