"""Brings documents and rows of the books together, pass by pass, one to one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from airflow_provider_ims.matching.numbers import with_normalised
from airflow_provider_ims.matching.passes import PASSES, Pass
from airflow_provider_ims.matching.rules import TOTAL, MatchRules
from airflow_provider_ims.tables.documents import AMOUNTS, TAXES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_FEWEST_DIGITS = 2
"""In a number of fewer digits one wrong digit leaves nothing that agrees, and amounts alone never decide."""


class Pairing:
    """
    Pairs the tables ``docs`` and ``books``.

    The result does not depend on the order of either: among the candidates of a pass, a document and a row of the books
    are a pair if each is the other's best and no second one is as good. Where there is one, all of those are left
    undecided, in the table ``tie``. The best is the one of the earliest pass, then the one with the nearest date, then
    the one with the smallest gap.

    What passes with one search have found stands in ``new_pair`` and ``new_tie`` until they have ended.

    Tables afterwards: ``pair`` (``doc``, ``book``, ``pass``), ``tie`` (the same, every candidate), where ``pass`` is
    the place in :data:`PASSES`.

    :param database: with both tables
    :param rules: how much the two may differ
    """

    def __init__(self, database: DuckDBPyConnection, rules: MatchRules) -> None:
        self._database = database
        self._rules = rules

    def run(self, passes: Sequence[Pass] = PASSES) -> None:
        """Run all passes."""
        run = self._database.execute
        for table in ("pair", "tie"):
            run(f"CREATE TEMP TABLE {table} (doc BIGINT, book BIGINT, pass TINYINT)")
            run(f"CREATE TEMP TABLE new_{table} AS FROM {table}")
        wanted = "id, rtin, stin, kind, number, date, val, " + ", ".join(AMOUNTS)
        run(
            f"CREATE TEMP VIEW docs_0 AS SELECT {wanted}, original_number, original_date,"
            f" {_YEAR.format('date')} AS fy, {_YEAR.format('original_date')} AS original_fy FROM docs"
            " WHERE kind IS NOT NULL AND date IS NOT NULL"
        )
        run(f"CREATE TEMP VIEW books_0 AS SELECT {wanted}, {_YEAR.format('date')} AS fy FROM books")
        self._left = ("docs_0", "books_0")
        numbered = list(enumerate(passes))
        for key, found in groupby(numbered, key=lambda one: one[1].key):
            self._stage(key, list(found))
        for view in ("docs_0", "books_0"):
            run(f"DROP VIEW {view}")
        for table in (*_LEFT, "new_pair", "new_tie", "candidate", "contested", "best", "clear", "doubtful"):
            run(f"DROP TABLE IF EXISTS {table}")

    def _stage(self, key: tuple[str, str, bool], passes: list[tuple[int, Pass]]) -> None:
        if "nearly" in key and not self._rules.probable:
            return
        docs, books = self._left
        run = self._database.execute
        run(f"CREATE OR REPLACE TEMP TABLE candidate AS {self._candidates(docs, books, key, passes)}")
        if not self._count("candidate"):
            if self._left == _LEFT:
                return
        elif not key[2] and key[1] in {"number", "normalised"} and key[0] == "gstin":
            self._choose_beyond_doubt(is_last=key[1] == "normalised")
        else:
            self._choose("candidate")
        self._narrow()

    def _candidates(self, docs: str, books: str, key: tuple[str, str, bool], passes: list[tuple[int, Pass]]) -> str:
        supplier = "d.stin = b.stin"
        if key[0] == "pan":
            supplier = "substr(d.stin, 3, 10) = substr(b.stin, 3, 10) AND d.stin <> b.stin"
        number, days = _NUMBERS[key[1]], "abs(d.date - b.date)"
        same_year = "d.fy = b.fy"
        if key[1].startswith("original"):
            same_year = "(d.fy = b.fy OR coalesce(d.original_fy = b.fy, false))"
            days = f"least({days}, abs(coalesce(d.original_date, d.date) - b.date))"
        if key[2]:
            number += " AND d.date = b.date"
        ranks = " ".join(f"WHEN {self._fits(one)} THEN {place}" for place, one in passes)
        gaps = " + ".join(f"coalesce(abs(d.{name} - b.{name}), 0)" for name in AMOUNTS)
        return (
            "SELECT doc, book, pass::TINYINT AS pass, days, gap FROM ("
            f"SELECT doc, book, days, gap, CASE {ranks} END AS pass FROM ("
            f"SELECT d.id AS doc, b.id AS book, {days} AS days, {gaps} AS gap, {same_year} AS same_year,"
            f" {self._facts()}"
            f" FROM {docs} d JOIN {books} b ON d.rtin = b.rtin AND d.kind = b.kind AND {supplier} AND {number}"
            ")) WHERE pass IS NOT NULL"
        )

    def _facts(self) -> str:
        """Return the SQL of what the passes ask for."""
        doc_total, book_total = (" + ".join(f"{side}.{name}" for name in AMOUNTS) for side in "db")
        doc_tax, book_tax = (" + ".join(f"{side}.{name}" for name in TAXES) for side in "db")
        heads = [self._within(name, f"d.{name}", f"b.{name}") for name in AMOUNTS]
        total = self._within(TOTAL, doc_total, book_total)
        value = f"(b.val IS NULL OR d.val IS NULL OR {self._within(TOTAL, 'd.val', 'b.val')})"
        tax = self._within_sum(TAXES, doc_tax, book_tax)
        return (
            f"{_EQUAL_AMOUNTS} AS equal, {' AND '.join([*heads, total, value])} AS tolerance,"
            f" {heads[0]} AND {tax} AS tax"
        )

    def _within(self, amount: str, doc: str, book: str) -> str:
        rupees = self._rules.rupees(amount)
        if rupees is None:
            return self._within_sum(AMOUNTS, doc, book)
        return self._gap_fits(doc, book, str(rupees), self._rules.percent(amount))

    def _within_sum(self, amounts: Sequence[str], doc: str, book: str) -> str:
        """Return the SQL of a sum that may differ by what the amounts in it that are not 0 may differ together."""
        allowed = " + ".join(
            f"CASE WHEN d.{name} <> 0 OR b.{name} <> 0 THEN {self._allowed(name)} ELSE 0 END" for name in amounts
        )
        return f"abs(({doc}) - ({book})) <= {allowed}"

    def _allowed(self, amount: str) -> str:
        rupees, percent = self._rules.rupees(amount), self._rules.percent(amount)
        return f"greatest({rupees}, d.{amount} * {percent} / 100)" if percent else str(rupees)

    @staticmethod
    def _gap_fits(doc: str, book: str, rupees: str, percent: object) -> str:
        gap = f"abs(({doc}) - ({book}))"
        return f"({gap} <= {rupees} OR {gap} * 100 <= abs({doc}) * {percent})" if percent else f"{gap} <= {rupees}"

    def _fits(self, one: Pass) -> str:
        rules = self._rules
        date = {
            "same": "days = 0",
            "year": f"(same_year OR days <= {rules.date_days})",
            "near": f"days <= {rules.near_days}",
        }[one.date]
        return date if one.amounts == "any" else f"{date} AND {one.amounts}"

    def _choose(self, candidates: str) -> None:
        """Pair each with its best, or note that there is more than one."""
        run = self._database.execute
        run(
            f"CREATE OR REPLACE TEMP TABLE contested AS SELECT * FROM {candidates} WHERE"
            f" doc IN (SELECT doc FROM {candidates} GROUP BY doc HAVING count(*) > 1)"
            f" OR book IN (SELECT book FROM {candidates} GROUP BY book HAVING count(*) > 1)"
        )
        run(
            f"INSERT INTO new_pair SELECT doc, book, pass FROM {candidates}"
            " WHERE doc NOT IN (SELECT doc FROM contested) AND book NOT IN (SELECT book FROM contested)"
        )
        while self._count("contested"):
            self._settle()

    def _settle(self) -> None:
        """Decide the best of what is contested; there is always one."""
        run = self._database.execute
        run(
            "CREATE OR REPLACE TEMP TABLE best AS SELECT *, count(*) OVER (PARTITION BY doc) AS books,"
            " count(*) OVER (PARTITION BY book) AS docs FROM (SELECT *, (pass, days, gap) AS score FROM contested"
            " QUALIFY score = min(score) OVER (PARTITION BY doc) AND score = min(score) OVER (PARTITION BY book))"
        )
        run("INSERT INTO new_pair SELECT doc, book, pass FROM best WHERE books = 1 AND docs = 1")
        run("INSERT INTO new_tie SELECT doc, book, pass FROM best WHERE books > 1 OR docs > 1")
        run(
            "CREATE OR REPLACE TEMP TABLE contested AS SELECT * FROM contested"
            " WHERE doc NOT IN (SELECT doc FROM best) AND book NOT IN (SELECT book FROM best)"
        )

    def _choose_beyond_doubt(self, *, is_last: bool) -> None:
        """
        Choose among candidates with two dates, but not where the row's date is another document's.

        Such a row, with the amounts and nearly the number of the other one, may as well be that one with a wrong digit.
        It is beyond doubt when the other one has found its own row.

        :param is_last: what is in doubt now remains so
        """
        run = self._database.execute
        while self._count("candidate"):
            run(
                "CREATE OR REPLACE TEMP TABLE doubtful AS SELECT c.doc, c.book, c.pass, d.id AS other"
                f" FROM candidate c JOIN {self._left[1]} b ON b.id = c.book"
                f" JOIN {self._left[0]} d ON d.rtin = b.rtin AND d.stin = b.stin AND d.kind = b.kind"
                f" AND d.date = b.date AND {_EQUAL_AMOUNTS}"
                f" WHERE d.id <> c.doc AND c.days > 0 AND {_NEARLY_AS_WRITTEN}"
                " AND d.id NOT IN (SELECT doc FROM new_pair) AND d.id NOT IN (SELECT doc FROM new_tie)"
            )
            run(
                "CREATE OR REPLACE TEMP TABLE clear AS FROM candidate"
                " WHERE (doc, book) NOT IN (SELECT (doc, book) FROM doubtful)"
            )
            if not self._count("clear"):
                break
            self._choose("clear")
            run(
                "CREATE OR REPLACE TEMP TABLE candidate AS FROM candidate WHERE doc NOT IN (SELECT doc FROM new_pair)"
                " AND book NOT IN (SELECT book FROM new_pair) AND doc NOT IN (SELECT doc FROM new_tie)"
                " AND book NOT IN (SELECT book FROM new_tie)"
            )
        if is_last and self._count("candidate"):
            run(
                "INSERT INTO new_tie SELECT DISTINCT * FROM (SELECT doc, book, pass FROM doubtful"
                " UNION ALL SELECT other, book, pass FROM doubtful)"
            )

    def _narrow(self) -> None:
        """
        Keep what is still to be paired, and after the first passes the normalised numbers, which only that needs.

        What is left is asked for what these passes have found alone: everything else is gone already.
        """
        run = self._database.execute
        forms = {"number": "normalised"}
        of_docs = forms | {"original_number": "original_normalised"}
        found = "(SELECT {0} FROM new_pair UNION ALL SELECT {0} FROM new_tie)"
        for old, new, side, numbers in zip(self._left, _LEFT, ("doc", "book"), (of_docs, forms), strict=True):
            if old == new:
                run(f"DELETE FROM {new} WHERE id IN {found.format(side)}")
                continue
            left = f"(FROM {old} WHERE id NOT IN {found.format(side)})"
            run(f"CREATE TEMP TABLE {new} AS {with_normalised(left, numbers, 'fy')}")
        self._left = _LEFT
        for table in ("pair", "tie"):
            run(f"INSERT INTO {table} FROM new_{table}")
            run(f"TRUNCATE new_{table}")

    def _count(self, table: str) -> int:
        [(count,)] = self._database.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(count)


_LEFT: Final = ("docs_left", "books_left")
"""Tables of what is still to be paired."""

_YEAR: Final = "(year({0}) - (month({0}) < 4)::INTEGER)::SMALLINT"
"""SQL of the year in which the financial year of a date began, which is in April."""

_EQUAL_AMOUNTS: Final = (
    " AND ".join(f"d.{name} = b.{name}" for name in AMOUNTS) + " AND (b.val IS NULL OR d.val IS NULL OR d.val = b.val)"
)

_NEARLY_AS_WRITTEN: Final = "damerau_levenshtein(upper(d.number), upper(b.number)) <= 1"

_NUMBERS: Final = {
    "number": "d.number = b.number",
    "normalised": "d.normalised = b.normalised",
    "original_number": "d.original_number = b.number",
    "original_normalised": "d.original_normalised = b.normalised",
    "nearly": (
        # As written, too: a wrong digit may make a leading zero.
        f"(damerau_levenshtein(d.normalised, b.normalised) <= 1 OR {_NEARLY_AS_WRITTEN})"
        " AND greatest(length(regexp_replace(d.normalised, '[^0-9]', '', 'g')),"
        f" length(regexp_replace(b.normalised, '[^0-9]', '', 'g'))) >= {_FEWEST_DIGITS}"
    ),
}
