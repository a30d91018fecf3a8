"""Makes ``documents.parquet`` of a download's pages, a few at a time, so that memory does not grow with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from airflow_provider_ims.models.documents import SECTIONS, section_of
from airflow_provider_ims.snapshots.errors import PageUnreadable
from airflow_provider_ims.tables.documents import DOCUMENT_COLUMNS, MONEY, RUPEES, TAXES
from airflow_provider_ims.tables.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT: Final = "128MB"
"""What DuckDB may hold in memory meanwhile: the rows go to the disk as they come."""

_BATCH_BYTES: Final = 4_000_000
_ROW_GROUP: Final = 20_480  # rows that are held in memory until they are written

# What a download shows beside the fields of a reset, in every spelling that was seen (inferred: record-fields,
# from published clients). ispendactnallwd is not read: its name leaves open whether Y means allowed.
_READ: Final = (
    *("stin", "rtnprd", "inum", "nt_num", "idt", "nt_dt", "oinum", "ont_num", "oidt", "ont_dt", "srcform", "pos"),
    *(*MONEY, "inv_typ"),
    *("action", "srcfilstatus", "ispendactblocked", "tradenm", "trdnm", "hash"),
)
_FILED: Final = ("FILED", "F", "Y", "TRUE")
_NOT_FILED: Final = ("NOT FILED", "NOTFILED", "NOT_FILED", "NF", "N", "SAVED", "FALSE")
_NO_LIST: Final[tuple[Any, ...]] = (None, [], {})

_IDENTITY: Final = "section, stin, upper(number), date, rtnprd"
"""What tells one document of a taxpayer from another."""

_NAMED: Final = 5  # documents in a warning

log = logging.getLogger(__name__)


class _Page(msgspec.Struct):
    data: dict[str, msgspec.Raw]


_PAGE: Final = msgspec.json.Decoder(_Page)


class Written(NamedTuple):
    """
    What ``documents.parquet`` holds.

    :param documents: number of documents
    :param counts: section -> action -> number of documents
    :param repeated: records that were left out, since the same one had been read already
    :param warnings: what is worth a look
    """

    documents: int
    counts: dict[str, dict[str, int]]
    repeated: int
    warnings: list[str]


class DocumentsTable:
    """
    The documents of one snapshot, in a table that grows page by page.

    :param database: an open one
    :param folder: a local directory that the database may read
    :param gstin: the taxpayer
    :param snapshot: the snapshot's name
    :param taken_at: when it was taken
    """

    def __init__(
        self, database: DuckDBPyConnection, folder: Path, *, gstin: str, snapshot: str, taken_at: datetime
    ) -> None:
        self._database = database
        self._batch_file = folder / "pages.json"
        self._constants = {
            "rtin": literal(gstin),
            "taken_at": f"{literal(taken_at.isoformat())}::TIMESTAMPTZ",
            "snapshot": literal(snapshot),
        }
        self._batch: list[bytes] = []
        self._batch_of = ("", "")
        self._records = 0
        columns = ", ".join(f"{name} {kind}" for name, kind in DOCUMENT_COLUMNS.items())
        database.execute(f"CREATE TEMP TABLE documents ({columns}, doubtful BOOLEAN)")

    def add(self, section: str, data: Mapping[str, Any], text: bytes) -> int:
        """
        Take a page.

        :param section: the section that was asked for
        :param data: the page: section, in any spelling, -> records; keys that nobody knows are passed over
        :param text: an object whose ``data`` is the same, as JSON in one line
        :return: number of documents in it
        :raises PageUnreadable: when documents might be lost: there are no records, or some that are none
        """
        key = _key_of(section, data)
        if key is None:
            return 0
        records = data[key]
        if not isinstance(records, list) or any(type(record) is not dict for record in records):
            raise PageUnreadable(f"{key!r} of a page of section {section} is no list of records")
        if self._batch and self._batch_of != (section, key):
            self._flush()
        self._batch_of = (section, key)
        self._batch.append(text)
        self._records += len(records)
        if sum(map(len, self._batch)) > _BATCH_BYTES:
            self._flush()
        return len(records)

    def write(self, target: Path) -> Written:
        """
        Write the file.

        A record that came twice, as it does where pages overlap, is one document. Where two records of one document
        differ, nobody knows which is true: both are kept, and said.

        :param target: where, on the local disk
        :raises PageUnreadable: when some of the pages could not be read
        """
        if self._batch:
            self._flush()
        run = self._database.execute
        repeated, warnings = self._look_for_repeated()
        columns = ", ".join(DOCUMENT_COLUMNS)
        run(
            f"COPY (SELECT {columns} FROM documents) TO {literal(target)} (FORMAT parquet, ROW_GROUP_SIZE {_ROW_GROUP})"
        )
        counts: dict[str, dict[str, int]] = {}
        doubtful = 0
        for section, action, rows, in_doubt in run(
            "SELECT section, coalesce(action, ''), count(*), count_if(doubtful) FROM documents"
            " GROUP BY ALL ORDER BY ALL"
        ).fetchall():
            counts.setdefault(section, {})[action] = rows
            doubtful += in_doubt
        if doubtful:
            warnings.append(
                f"{doubtful} documents have a number, date or amount that is missing or cannot be read; see the column"
                " raw. They are matched with nothing by what is missing."
            )
        documents = sum(rows for of_action in counts.values() for rows in of_action.values())
        return Written(documents, counts, repeated, warnings)

    def _look_for_repeated(self) -> tuple[int, list[str]]:
        """Leave one of each record that came more than once; return how many went, and what is worth a look."""
        run = self._database.execute
        # Hashes first: nearly always there is nothing to look at, and they take a fraction of the memory.
        run(
            f"CREATE TEMP TABLE again AS SELECT h FROM (SELECT hash({_IDENTITY}) AS h FROM documents)"
            " GROUP BY h HAVING count(*) > 1"
        )
        run(
            "CREATE TEMP TABLE copies AS SELECT row FROM (SELECT rowid AS row, row_number() OVER"
            f" (PARTITION BY {_IDENTITY}, md5(raw) ORDER BY rowid) AS nth FROM documents"
            f" WHERE hash({_IDENTITY}) IN (FROM again)) WHERE nth > 1"
        )
        [(repeated,)] = run("SELECT count(*) FROM copies").fetchall()
        if repeated:
            run("DELETE FROM documents WHERE rowid IN (FROM copies)")
        differing = run(
            f"SELECT section, stin, any_value(number), strftime(date, '%d-%m-%Y'), list(DISTINCT action), count(*)"
            f" FROM documents WHERE hash({_IDENTITY}) IN (FROM again) AND number IS NOT NULL"
            f" GROUP BY {_IDENTITY} HAVING count(*) > 1 ORDER BY ALL"
        ).fetchmany(_NAMED)
        run("DROP TABLE copies")
        run("DROP TABLE again")
        warnings = []
        if repeated:
            warnings.append(f"{repeated} records came more than once, each the same; one of each was kept.")
        if differing:
            told = "; ".join(
                f"{section} {number} of {stin}, {date}: {count} records at {', '.join(sorted(map(str, actions)))}"
                for section, stin, number, date, actions, count in differing
            )
            warnings.append(
                "GSTN shows documents more than once, with records that differ, and nobody knows which is true. They"
                f" are left to a person; see the column raw. The first: {told}"
            )
        return int(repeated), warnings

    def by_action(self) -> dict[str, dict[str, Any]]:
        """Return the number of documents (``counts``) and the sum of their tax in rupees (``tax``) by action."""
        rows = self._database.execute(
            "SELECT coalesce(nullif(action, ''), '?'), count(*),"
            " coalesce(sum(coalesce(iamt, 0) + coalesce(camt, 0) + coalesce(samt, 0) + coalesce(cess, 0)), 0)"
            "::DECIMAL(38,2)::VARCHAR FROM documents GROUP BY 1 ORDER BY 1"
        ).fetchall()
        return {"counts": {word: count for word, count, _ in rows}, "tax": {word: tax for word, _, tax in rows}}

    def _flush(self) -> None:
        import duckdb

        section, key = self._batch_of
        try:
            self._write_batch(key)
        except msgspec.MsgspecError as error:
            raise PageUnreadable(f"a page of section {section} cannot be read ({str(error)[:200]})") from None
        largest = max(map(len, self._batch)) + 16
        # Each record as it came, to the last digit of its numbers.
        source = (
            f"read_json_objects({literal(self._batch_file)}, format='array',"
            f" maximum_object_size={max(largest, 1 << 16)})"
        )
        shape = literal(json.dumps(dict.fromkeys(_READ, "VARCHAR")))
        records = (
            f"SELECT r.*, raw FROM (SELECT json_transform(json, {shape}) AS r, json::VARCHAR AS raw FROM {source})"
        )
        try:
            [(inserted,)] = self._database.execute(
                f"INSERT INTO documents SELECT {self._columns(section)} FROM ({records})"
            ).fetchall()
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            said = str(error).strip().splitlines()[0][:200]
            raise PageUnreadable(f"a page of section {section} cannot be read ({said})") from None
        if inserted != self._records:
            raise PageUnreadable(f"pages of section {section} hold {self._records} records, {inserted} were read")
        self._batch, self._records = [], 0

    def _write_batch(self, key: str) -> None:
        """Write the records of a batch as one list."""
        with self._batch_file.open("wb") as file:
            for place, text in enumerate(self._batch):
                records = bytes(_PAGE.decode(text).data[key])
                _refuse_what_is_there_twice(text, records, key)
                file.write(b"," if place else b"[")
                file.write(records.strip()[1:-1])
            file.write(b"]")

    def _columns(self, section: str) -> str:
        note = SECTIONS[section].number_field == "nt_num"
        own, other = ("nt_num", "inum") if note else ("inum", "nt_num")
        date, other_date = ("nt_dt", "idt") if note else ("idt", "nt_dt")
        original, original_date = ("ont_num", "ont_dt") if note else ("oinum", "oidt")
        number, issued = f"coalesce({_text(own)}, {_text(other)})", f"coalesce({_text(date)}, {_text(other_date)})"
        columns = {
            **{name: _text(name) for name in ("inv_typ", "pos", "srcform", "rtnprd", "hash")},
            **{name: _money(name) for name in MONEY},
            **self._constants,
            "section": literal(section),
            "stin": f"upper({_text('stin')})",
            "trade_name": f"coalesce({_text('tradenm')}, {_text('trdnm')})",
            "number": number,
            "date": _day(issued),
            "original_number": _text(original),
            "original_date": _day(_text(original_date)),
            "action": f"upper({_text('action')})",
            "filed": _flag("srcfilstatus", _FILED, _NOT_FILED),
            "pending_blocked": _flag("ispendactblocked", ("Y", "TRUE"), ("N", "FALSE")),
            "raw": "raw",
        }
        unread = [f"{_money(name)} IS NULL" for name in ("val", "txval")]
        unread += [f"{name} IS NOT NULL AND {_money(name)} IS NULL" for name in TAXES]
        unread += [f"{_day(issued)} IS NULL", f"{number} IS NULL", f"{_text('stin')} IS NULL"]
        return ", ".join([*(columns[name] for name in DOCUMENT_COLUMNS), " OR ".join(unread)])


def _key_of(section: str, data: Mapping[str, Any]) -> str | None:
    """Return the key under which a page has the records of a section; ``None``: it has none."""
    known = [key for key in data if section_of(key) == section]
    others = [key for key in data if section_of(key) in SECTIONS and section_of(key) != section and data[key]]
    if others or len(known) > 1:
        raise PageUnreadable(
            f"a page of section {section} holds {', '.join(map(repr, [*known, *others]))}; nobody knows which counts"
        )
    if known:
        return known[0] if data[known[0]] not in _NO_LIST else None
    lists = [key for key, value in data.items() if isinstance(value, list) and value]
    if lists:
        raise PageUnreadable(f"a page of section {section} holds {', '.join(map(repr, lists))} and no {section!r}")
    return None


def _refuse_what_is_there_twice(text: bytes, records: bytes, key: str) -> None:
    """Refuse a page in which one key leads to two lists, since every reader of JSON passes over one of them."""
    around = text.replace(records, b"", 1)
    if all(around.count(json.dumps(name).encode()) < 2 for name in (key, "data")):
        return

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if any([name for name, _ in pairs].count(name) > 1 for name in (key, "data")):
            raise PageUnreadable(f"a page holds {key!r} or 'data' twice; nobody knows which counts")
        return dict(pairs)

    json.loads(text, object_pairs_hook=checked)


def _text(name: str) -> str:
    return f"nullif(trim({identifier(name)}), '')"


def _money(name: str) -> str:
    return f"TRY_CAST({identifier(name)} AS {RUPEES})"


def _day(value: str) -> str:
    return f"try_strptime({value}, '%d-%m-%Y')::DATE"


def _flag(name: str, yes: tuple[str, ...], no: tuple[str, ...]) -> str:
    said = f"upper(trim({identifier(name)}))"
    listed = [", ".join(map(literal, words)) for words in (yes, no)]
    return f"CASE WHEN {said} IN ({listed[0]}) THEN true WHEN {said} IN ({listed[1]}) THEN false END"
