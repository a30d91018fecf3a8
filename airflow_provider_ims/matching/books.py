"""Reads books into one table, each row as what it means, and puts aside what cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_ims.matching import coercion
from airflow_provider_ims.matching.columns import CREDIT_NOTE, FIELDS, BookColumns, Header, output_names
from airflow_provider_ims.matching.errors import MatchError
from airflow_provider_ims.matching.sources import Books, Local, Raw
from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.tables.blank_rows import filled_sql
from airflow_provider_ims.tables.documents import AMOUNTS, MONEY, RUPEES, TAXES
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.sql import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DateOrder = Literal["DMY", "MDY"]
OtherGstins = Literal["reject", "leave_out"]

BOOK_COLUMNS: Final = {
    "book_place": "VARCHAR",
    "book_id": "VARCHAR",
    "book_rtin": "VARCHAR",
    "book_stin": "VARCHAR",
    "book_kind": "VARCHAR",
    "book_number": "VARCHAR",
    "book_date": "DATE",
    **{f"book_{name}": RUPEES for name in MONEY},
}
"""What a row of the books becomes; carried columns come after these."""

_MOST_KINDS = 500


@dataclass
class BooksRead:
    """
    What was read.

    :param rows: number of rows in the sources; those in which no cell is filled are none
    :param kept: number of rows in the table ``books``
    :param rejected: number of rows among the rejects
    :param left_out: number of rows of other own GSTINs, which were left out
    :param places: for each source, what stands before the number of a row: ``books.csv line``
    :param carried: names of the carried columns as they are written
    :param warnings: what is not wrong but worth a look
    """

    rows: int = 0
    kept: int = 0
    rejected: int = 0
    left_out: int = 0
    places: list[str] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def places(sources: Sequence[Books]) -> list[str]:
    """Name files without their directories, unless two would have one name, and what their rows are counted in."""
    short = [source.name.rpartition("/")[2] for source in sources]
    counts = Counter(short)
    return [
        f"{name if counts[name] == 1 else source.name} {source.unit}"
        for name, source in zip(short, sources, strict=True)
    ]


class BooksReader:
    """
    Reads books into the tables ``books`` and ``reject`` of a database.

    ``books``: ``id``, unlike for every row; ``source`` and ``line``, where it stands; the columns of
    :data:`BOOK_COLUMNS` without their prefix; ``x0``, ``x1`` ... the carried ones.

    :param database: an open one
    :param columns: the user's names
    :param rtins: own GSTINs of the documents
    :param others: what is done with rows of other GSTINs
    :param date_order: whether the day or the month comes first in dates such as 04/10/2026; ``None``: what other dates
        of the same source show
    """

    def __init__(
        self,
        database: DuckDBPyConnection,
        columns: BookColumns,
        rtins: Sequence[str],
        others: OtherGstins = "reject",
        date_order: DateOrder | None = None,
    ) -> None:
        check_choice("other_gstins", others, OtherGstins, MatchError)
        check_choice("date_order", date_order, Literal[DateOrder, None], MatchError)
        self._database = database
        self._columns = columns
        self._rtins = rtins
        self._others = others
        self._date_order = date_order
        self._read = BooksRead()

    def read(self, sources: Sequence[Books], fetched: Sequence[Local]) -> BooksRead:
        """
        Read all sources.

        :param sources: what the user named
        :param fetched: the same, on the local disk
        :raises FileUnusable: when a source as a whole is not what it must be
        """
        read = self._read
        read.places = places(sources)
        raws = [local.load(self._database, f"raw_{index}") for index, local in enumerate(fetched)]
        headers = [self._columns.of_header(raw.header, source.name) for raw, source in zip(raws, sources, strict=True)]
        carried = list(dict.fromkeys(name for header in headers for _, name in header.carried))
        read.carried = output_names(carried, BOOK_COLUMNS)
        self._make_tables()
        for index, (raw, header) in enumerate(zip(raws, headers, strict=True)):
            read.warnings += raw.notes
            self._convert(index, raw, header, carried)
        self._reject_reversed(raws, headers)
        self._make_view(len(raws), len(carried))
        read.kept = self._count("SELECT count(*) FROM books")
        read.rejected = self._count("SELECT count(DISTINCT (source, line)) FROM reject")
        return read

    def _count(self, sql: str) -> int:
        found = self._database.execute(sql).fetchone()
        return int(found[0]) if found else 0

    def _make_tables(self) -> None:
        self._database.execute(
            "CREATE TEMP TABLE reject (source INTEGER, line BIGINT, rtin VARCHAR, stin VARCHAR, number VARCHAR,"
            " fault INTEGER, col VARCHAR, value VARCHAR, reason VARCHAR)"
        )
        self._database.execute("CREATE TEMP TABLE own (rtin VARCHAR)")
        for rtin in self._rtins:
            self._database.execute("INSERT INTO own VALUES (?)", [rtin])

    def _convert(self, source: int, raw: Raw, header: Header, carried: list[str]) -> None:
        """Make the table of a source: each row as what it means, and whether it is good."""
        database, table = self._database, f"judged_{source}"
        place_of = {name: place for place, name in header.carried}
        texts = [
            f"{self._columns.word_sql(name, coercion.text(f'c{place}', raw.types[place]))} AS t_{name}"
            for name, place in header.position.items()
        ]
        texts += [f"{literal(value.strip())} AS t_{name}" for name, value in self._columns.fixed.items()]
        texts += [
            f"{coercion.text(f'c{place_of[name]}', raw.types[place_of[name]]) if name in place_of else 'NULL::VARCHAR'}"
            f" AS x{place}"
            for place, name in enumerate(carried)
        ]
        kept = ["key", *(f"x{place}" for place in range(len(carried)))]
        values = [*self._values(raw, header), ("key", "t_id" if "id" in header.position else "NULL::VARCHAR")]
        order, dashes = self._order(source, raw, header)
        filled = filled_sql((f"c{place}", kind) for place, kind in enumerate(raw.types))
        negative = " OR ".join(f"{name} < 0" for name in MONEY)
        positive = negative.replace("<", ">")
        complete = " AND ".join(f"{name} IS NOT NULL" for name in ("rtin", "stin", "kind", "number", "date", *AMOUNTS))
        # What is tax given back is written with either sign; the kind says it already.
        amounts = ", ".join(f"abs({name}) AS {name}" for name in MONEY)
        database.execute(
            f"CREATE TEMP TABLE {table} AS SELECT n, {self._line(source, raw)} AS line, {', '.join(kept)},"
            f" rtin, stin, kind, number, date, {amounts}, val_unread, is_either, is_own, is_negative, is_mixed,"
            f" {complete} AND is_own AND NOT val_unread AND NOT is_negative AND NOT is_mixed AS is_good FROM"
            f" (SELECT *, {coercion.date(order, dashes)} AS date,"
            " coalesce(a <= 12 AND b <= 12 AND a <> b, false) AS is_either,"
            " coalesce(rtin IN (SELECT rtin FROM own), false) AS is_own,"
            f" coalesce(({negative}) AND kind <> '{CREDIT_NOTE}', false) AS is_negative,"
            f" coalesce(({negative}) AND ({positive}) AND kind = '{CREDIT_NOTE}', false) AS is_mixed"
            f" FROM (SELECT n, {', '.join(kept[1:] + [f'{sql} AS {name}' for name, sql in values])}"
            f" FROM (SELECT rowid AS n, *, {', '.join(texts)} FROM {raw.table} WHERE {filled})))"
        )
        [(rows, bad, of_others)] = database.execute(
            f"SELECT count(*), count(*) FILTER (NOT coalesce(is_good, false)),"
            f" count(*) FILTER (rtin IS NOT NULL AND NOT is_own) FROM {table}"
        ).fetchall()
        if self._others == "leave_out":
            self._read.left_out += of_others
        self._read.rows += rows + sum(bad.is_filled for bad in raw.unread)
        if bad:
            self._reject(source, raw, header)
        database.execute(f"DROP TABLE {raw.table}")

    def _reject_reversed(self, raws: Sequence[Raw], headers: Sequence[Header]) -> None:
        """Reject what another row takes back; without the negative row alone, the booking would seem to stand."""
        run = self._database.execute
        tables = [f"judged_{source}" for source in range(len(raws))]
        same = "rtin, stin, kind, upper(number)"
        run(
            "CREATE TEMP TABLE reversed AS "
            + " UNION ".join(f"SELECT ({same}) AS booking FROM {table} WHERE is_negative" for table in tables)
        )
        if not self._count("SELECT count(*) FROM reversed"):
            return
        for source, (table, raw, header) in enumerate(zip(tables, raws, headers, strict=True)):
            place = header.position.get("number")
            column = literal("number" if place is None else raw.header[place])
            taken_back = f"is_good AND ({same}) IN (FROM reversed)"
            run(
                f"INSERT INTO reject SELECT {source}, line, rtin, stin, number, 100, {column}, number,"
                f" {literal(coercion.RULES['reversed'])} FROM {table} WHERE {taken_back}"
            )
            run(f"UPDATE {table} SET is_good = false WHERE {taken_back}")

    def _make_view(self, sources: int, carried: int) -> None:
        columns = ["key", "rtin", "stin", "kind", "number", "date", *MONEY, *(f"x{place}" for place in range(carried))]
        parts = [
            f"SELECT {source << 40} + n AS id, {source} AS source, line, {', '.join(columns)} FROM judged_{source}"
            " WHERE is_good"
            for source in range(sources)
        ]
        self._database.execute(f"CREATE TEMP VIEW books AS {' UNION ALL '.join(parts)}")

    def _values(self, raw: Raw, header: Header) -> list[tuple[str, str]]:
        """Return the name and the SQL of each value of a row."""

        def cell(name: str) -> tuple[str, str, str]:
            place = header.position.get(name)
            return f"t_{name}", f"c{place}" if place is not None else f"t_{name}", self._type(raw, header, name)

        values = [
            ("rtin", coercion.gstin("t_rtin")),
            ("stin", coercion.gstin("t_stin")),
            ("kind", self._kind_sql(raw, header)),
            ("number", coercion.number("t_number")),
            *((name, sql) for name, sql in coercion.date_parts(*cell("date")).items()),
        ]
        for name in MONEY:
            if name not in header.position and name not in self._columns.fixed:
                values += [("val", f"NULL::{RUPEES}"), ("val_unread", "false")]
                continue
            amount = coercion.amount(*cell(name))
            if name in TAXES:  # an empty tax is none
                amount = f"CASE WHEN t_{name} IS NULL THEN 0::{RUPEES} ELSE {amount} END"
            values.append((name, amount))
            if name == "val":
                values.append(("val_unread", f"t_val IS NOT NULL AND ({amount}) IS NULL"))
        return values

    def _type(self, raw: Raw, header: Header, name: str) -> str:
        place = header.position.get(name)
        return "VARCHAR" if place is None else raw.types[place]

    def _kind_sql(self, raw: Raw, header: Header) -> str:
        if "kind" in self._columns.fixed:
            words = [self._columns.fixed["kind"]]
        else:
            place = header.position["kind"]
            found = self._database.execute(
                f"SELECT DISTINCT c{place}::VARCHAR AS word FROM {raw.table} WHERE word IS NOT NULL"
                f" LIMIT {_MOST_KINDS + 1}"
            )
            words = [str(word) for (word,) in found.fetchall()]
            if len(words) > _MOST_KINDS:
                raise FileUnusable(
                    raw.name,
                    f"the column {raw.header[place]!r} has more than {_MOST_KINDS} different words, such as"
                    f" {words[0]!r}: does it say invoice, credit note or debit note?",
                )
        known = [(word, kind) for word in words if (kind := self._columns.kind_of(word))]
        if not known:
            return "NULL::VARCHAR"
        value = f"c{header.position['kind']}::VARCHAR" if "kind" in header.position else "t_kind"
        return f"CASE {value} {' '.join(f'WHEN {literal(word)} THEN {literal(kind)}' for word, kind in known)} END"

    def _order(self, source: int, raw: Raw, header: Header) -> tuple[str | None, str | None]:
        """Say whether the day or the month comes first: in all dates, and in those without slashes."""
        place = header.position.get("date")
        if self._date_order or place is None:
            return self._date_order, self._date_order or "DMY"
        text = coercion.text(f"c{place}", raw.types[place])
        parts = coercion.date_parts("t_date", f"c{place}", raw.types[place])
        found = self._database.execute(
            "SELECT coalesce(bool_or(a > 12 AND b <= 12), false), coalesce(bool_or(b > 12 AND a <= 12), false)"
            f" FROM (SELECT {parts['a']} AS a, {parts['b']} AS b"
            f" FROM (SELECT c{place}, {text} AS t_date FROM {raw.table}))"
        ).fetchone()
        day_first, month_first = found or (False, False)
        if day_first and month_first:
            self._read.warnings.append(
                f"{self._read.places[source].rpartition(' ')[0]}: in some dates the day comes first, in others the"
                " month; those that can be read both ways are rejected"
            )
            return None, None
        if day_first or month_first:
            order = "DMY" if day_first else "MDY"
            return order, order
        return None, "DMY"  # dashes are how GSTN itself writes dates

    def _line(self, source: int, raw: Raw) -> str:
        """Return the SQL of a row's number, and note the rows that could not be taken apart."""
        if not raw.unread:
            return f"n + {raw.first}"
        self._database.execute("CREATE OR REPLACE TEMP TABLE shift (threshold BIGINT, skipped BIGINT)")
        for count, bad in enumerate(raw.unread):
            self._database.execute("INSERT INTO shift VALUES (?, ?)", [bad.number - count, count + 1])
            if not bad.is_filled:
                continue
            self._database.execute(
                "INSERT INTO reject VALUES (?, ?, NULL, NULL, NULL, 0, NULL, ?, ?)",
                [source, bad.number, bad.text, bad.rule],
            )
        return f"n + {raw.first} + (SELECT coalesce(max(skipped), 0) FROM shift WHERE threshold <= n + {raw.first})"

    def _reject(self, source: int, raw: Raw, header: Header) -> None:
        rule = {name: literal(said) for name, said in coercion.RULES.items()}
        own = ", ".join(self._rtins[:3]) + (" ..." if len(self._rtins) > 3 else "")
        not_ours = literal(f"a GSTIN of this snapshot ({own}); is it a supplier's, or another company's?")
        kind = literal(
            "invoice, credit note or debit note, or a word for one; name your own:"
            ' columns={"your column": {"kind": {"your word": "credit note"}}}'
        )
        date_rule = (
            f"CASE WHEN is_either THEN {rule['ambiguous']}"
            f" WHEN regexp_matches(t_date, '^[3-6][0-9]{{4}}(\\.0)?$') THEN {rule['serial']} ELSE {rule['date']} END"
        )
        faults = [
            ("rtin", "rtin IS NULL", rule["rtin"]),
            ("rtin", "rtin IS NOT NULL AND NOT is_own", not_ours),
            ("stin", "stin IS NULL", rule["stin"]),
            ("kind", "kind IS NULL", kind),
            ("number", "number IS NULL", rule["number"]),
            ("date", "date IS NULL", date_rule),
            ("txval", "txval IS NULL", f"CASE WHEN t_txval IS NULL THEN {rule['txval']} ELSE {rule['amount']} END"),
            *((name, f"{name} IS NULL", rule["amount"]) for name in TAXES),
            ("val", "val_unread", rule["amount"]),
            ("txval", "is_negative", rule["negative"]),
            ("txval", "is_mixed", rule["signs"]),
        ]
        texts = {}
        for name in FIELDS:
            place = header.position.get(name)
            if place is not None:
                texts[name] = coercion.text(f"raw.c{place}", raw.types[place])
            else:
                texts[name] = literal(self._columns.fixed[name]) if name in self._columns.fixed else "NULL"
        shown = {name: f"left({text}, 200)" for name, text in texts.items()}
        for name in ("txval", "date"):
            faults = [
                (field, condition, reason.replace(f"t_{name}", f"({texts[name]})"))
                for field, condition, reason in faults
            ]

        def column(name: str) -> str:
            place = header.position.get(name)
            return literal(name if place is None else raw.header[place])

        listed = ", ".join(
            f"CASE WHEN {condition} THEN {{'fault': {count + 1}, 'col': {column(name)}, 'value': {shown[name]},"
            f" 'reason': {reason}}} END"
            for count, (name, condition, reason) in enumerate(faults)
        )
        mine = " AND (rtin IS NULL OR is_own)" if self._others == "leave_out" else ""
        self._database.execute(
            f"INSERT INTO reject SELECT {source}, line, rtin_text, stin_text, number_text, f.fault, f.col, f.value,"
            " f.reason"
            f" FROM (SELECT line, {shown['rtin']} AS rtin_text, {shown['stin']} AS stin_text,"
            f" {shown['number']} AS number_text, unnest([{listed}]) AS f"
            f" FROM judged_{source} JOIN {raw.table} raw ON raw.rowid = n WHERE NOT coalesce(is_good, false){mine})"
            " WHERE f IS NOT NULL"
        )


def first_rejects(database: DuckDBPyConnection, read: BooksRead, most: int) -> list[tuple[Any, ...]]:
    """Return the first rejects: place, rtin, stin, number, column, value, reason."""
    return database.execute(
        f"SELECT {reject_columns(read)} FROM reject ORDER BY source, line, fault LIMIT {most}"
    ).fetchall()


def reject_columns(read: BooksRead) -> str:
    """Return the SQL of the columns of ``rejects.csv``."""
    return f'{place_sql(read)} AS place, rtin, stin, number, col AS "column", value, reason'


def place_sql(read: BooksRead, prefix: str = "") -> str:
    """Return the SQL of where a row of the books stands: ``books.csv line 17``."""
    listed = ", ".join(literal(f"{place} ") for place in read.places)
    return f"[{listed}][{prefix}source + 1] || {prefix}line"
