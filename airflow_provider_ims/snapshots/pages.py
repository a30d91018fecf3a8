"""
Makes ``documents.parquet`` of a download's pages, a few at a time, so that memory does not grow with them.

Python takes a page apart into its records and looks into none of them: they are lines of a file for each section, which
DuckDB reads twice side by side, as fields and as they stand.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from airflow_provider_ims.models.documents import SECTIONS, section_of
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.snapshots.errors import PageUnreadable
from airflow_provider_ims.tables.database import no_room
from airflow_provider_ims.tables.documents import DOCUMENT_COLUMNS, MONEY, RUPEES, TAXES
from airflow_provider_ims.tables.sql import copy_to_parquet, identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT: Final = "192MB"
"""What DuckDB may hold in memory meanwhile."""

_ROW_GROUP: Final = 20_480

# What a download shows beside the fields of a reset, in every spelling that was seen (inferred: record-fields,
# from published clients). ispendactnallwd is not read: its name leaves open whether Y means allowed.
_READ: Final = (
    *("stin", "rtnprd", "inum", "nt_num", "idt", "nt_dt", "oinum", "ont_num", "oidt", "ont_dt", "srcform", "pos"),
    *(*MONEY, "inv_typ"),
    *("action", "srcfilstatus", "ispendactblocked", "tradenm", "trdnm", "hash"),
)
_FILED: Final = ("FILED", "F", "Y", "TRUE")
_NOT_FILED: Final = ("NOT FILED", "NOTFILED", "NOT_FILED", "NF", "N", "SAVED", "FALSE")
_LINE: Final = 1 << 16  # bytes of a record; there is room for longer ones where there are any

_IDENTITY: Final = "section, stin, upper(number), date, rtnprd"
"""What tells one document of a taxpayer from another."""

_NAMED: Final = 5  # documents in a warning

log = logging.getLogger(__name__)


_RECORDS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OWN: Final = ("rtin", "gstin")
"""What a page or a record may call the taxpayer's own GSTIN."""
_COUNTS: Final = ("cnt", "count", "total", "total_count", "records", "num_records")
"""What a page may call the number of its records."""


_NOTHING: Final = (b"null", b"[]", b"{}")
_SHORT: Final = 100  # bytes of a JSON text that may have nothing in it

_LACKS: Final = " OR ".join(f"{name} IS NULL" for name in ("stin", "number", "date", "val", "txval"))
"""SQL of a document that lacks what it is matched by."""

_NO_TAX: Final = " OR ".join(f"{name} IS NULL" for name in TAXES)
_UNREAD_TAX: Final = " OR ".join(
    f"({name} IS NULL AND contains(raw, '\"{name}\"') AND json_extract_string(raw, '$.{name}') IS NOT NULL)"
    for name in TAXES
)
"""SQL of a document with a tax that cannot be read; one that is not there at all is none."""


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
        self._folder = folder
        self._written = folder / "documents.parquet"
        self._constants = {
            "rtin": literal(gstin),
            "taken_at": f"{literal(taken_at.isoformat())}::TIMESTAMPTZ",
            "snapshot": literal(snapshot),
        }
        self._gstin = gstin
        self._records: dict[str, int] = {}
        self._longest = _LINE

    def add(self, section: str, data: Mapping[str, msgspec.Raw], frame: bytes) -> int:
        """
        Take a page.

        :param section: the section that was asked for
        :param data: the page: section, in any spelling, -> JSON of its records, in one line; keys that nobody knows are
            passed over
        :param frame: the JSON that stands around these
        :return: number of documents in it
        :raises PageUnreadable: when documents might be lost: there are no records, or some that are none
        """
        key = _key_of(section, data)
        _refuse_what_is_there_twice(frame, key)
        self._refuse_anothers(section, data)
        if key is None:
            _refuse_uncounted(section, data)
            return 0
        try:
            records = _RECORDS.decode(data[key])
        except msgspec.DecodeError:
            records = None
        self._refuse_anothers(section, _fields_of(records[0]) if records else {})
        lines = b"\n".join(records or ())
        ends = lines.count(b"\n") + 1
        if not records or lines.count(b"\n{") + lines.startswith(b"{") != ends or ends != len(records):
            raise PageUnreadable(f"{key!r} of a page of section {section} is no list of records")
        try:
            with self._lines(section).open("ab") as file:
                file.write(lines)
                file.write(b"\n")
        except OSError as error:
            raise no_room(error) from error
        self._records[section] = self._records.get(section, 0) + len(records)
        self._longest = max(self._longest, _longest_line(lines))
        return len(records)

    def _refuse_anothers(self, section: str, fields: Mapping[str, msgspec.Raw]) -> None:
        """Refuse what says that it is of another taxpayer: a page, or the first of its records."""
        for name in _OWN:
            named = _word(fields.get(name))
            if re.fullmatch(GSTIN_PATTERN, named) and named != self._gstin:
                raise PageUnreadable(f"a page of section {section} is of GSTIN {named}, as its {name!r} says")

    def write(self, target: Path) -> Written:
        """
        Write the file.

        A record that came twice, as it does where pages overlap, is one document. Where two records of one document
        differ, nobody knows which is true: both are kept, and said.

        :param target: where, on the local disk
        :raises PageUnreadable: when some of the pages could not be read
        """
        self._written = target
        self._write(target)
        repeated, warnings = self._look_for_repeated()
        run = self._database.execute
        counts: dict[str, dict[str, int]] = {}
        doubtful = untaxed = 0
        for section, action, rows, of_doubt, without in run(
            f"SELECT section, coalesce(action, ''), count(*), count_if({_LACKS}), count_if({_NO_TAX})"
            f" FROM {self._documents} GROUP BY ALL ORDER BY ALL"
        ).fetchall():
            counts.setdefault(section, {})[action] = rows
            doubtful += of_doubt
            untaxed += without
        if untaxed:
            [(of_doubt,)] = run(
                f"SELECT count(*) FROM {self._documents} WHERE NOT ({_LACKS}) AND ({_UNREAD_TAX})"
            ).fetchall()
            doubtful += of_doubt
        if doubtful:
            warnings.append(
                f"{doubtful} documents have a number, date or amount that is missing or cannot be read; see the column"
                " raw. They are matched with nothing by what is missing."
            )
        documents = sum(rows for of_action in counts.values() for rows in of_action.values())
        return Written(documents, counts, repeated, warnings)

    @property
    def _documents(self) -> str:
        return f"read_parquet({literal(self._written)}, file_row_number=true)"

    def _lines(self, section: str) -> Path:
        """Return the file with the records of a section, one a line."""
        return self._folder / f"{section}.jsonl"

    def _write(self, target: Path) -> None:
        import duckdb

        parts = [self._rows(section) for section in self._records]
        nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in DOCUMENT_COLUMNS.items())
        rows = " UNION ALL ".join(parts) or f"SELECT {nothing} WHERE false"
        try:
            self._copy(rows, target)
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            target.unlink(missing_ok=True)
            said = str(error).strip().splitlines()[0][:200]
            listed = " or ".join(self._records)
            raise PageUnreadable(f"a page of section {listed} cannot be read ({said})") from None
        found = self._database.execute(f"SELECT section, count(*) FROM {self._documents} GROUP BY ALL").fetchall()
        [(without,)] = self._database.execute(
            "SELECT coalesce(sum(stats_null_count), 0)"
            f" FROM parquet_metadata({literal(target)}) WHERE path_in_schema = 'raw'"
        ).fetchall()
        if dict(found) != self._records or without:
            target.unlink()
            raise PageUnreadable(f"pages hold {self._records} records, {dict(found)} were read")

    def _copy(self, rows: str, target: Path) -> None:
        self._database.execute(copy_to_parquet(rows, target, row_group=_ROW_GROUP))

    def _rows(self, section: str) -> str:
        """Return the SQL of the documents of a section."""
        lines = literal(self._lines(section))
        fields = ", ".join(f"{identifier(name)}: 'VARCHAR'" for name in _READ)
        # Both readers go through the file in its order, and a positional join takes their rows as they come.
        return (
            f"SELECT {self._columns(section)} FROM read_json({lines}, format='newline_delimited',"
            f" auto_detect=false, columns={{{fields}}}, maximum_object_size={self._longest + 16}) r"
            f" POSITIONAL JOIN read_csv({lines}, delim='\x01', quote='', escape='', header=false, auto_detect=false,"
            f" columns={{raw: 'VARCHAR'}}, max_line_size={self._longest + 16},"
            f" buffer_size={2 * (self._longest + 16)}) AS lines"
        )

    def _look_for_repeated(self) -> tuple[int, list[str]]:
        """Leave one of each record that came more than once; return how many went, and what is worth a look."""
        run = self._database.execute
        # Hashes first: nearly always there is nothing to look at, and they take a fraction of the memory.
        run(
            f"CREATE OR REPLACE TEMP TABLE again AS SELECT hash({_IDENTITY}) AS h FROM {self._documents}"
            " GROUP BY h HAVING count(*) > 1"
        )
        [(again,)] = run("SELECT count(*) FROM again").fetchall()
        if not again:
            return 0, []
        run(
            "CREATE TEMP TABLE copies AS SELECT row FROM (SELECT file_row_number AS row, row_number() OVER"
            f" (PARTITION BY {_IDENTITY}, md5(raw) ORDER BY file_row_number) AS nth FROM {self._documents}"
            f" WHERE hash({_IDENTITY}) IN (FROM again)) WHERE nth > 1"
        )
        [(repeated,)] = run("SELECT count(*) FROM copies").fetchall()
        if repeated:
            once, columns = self._folder / "once.parquet", ", ".join(DOCUMENT_COLUMNS)
            self._copy(f"SELECT {columns} FROM {self._documents} WHERE file_row_number NOT IN (FROM copies)", once)
            once.replace(self._written)
        differing = run(
            f"SELECT section, stin, any_value(number), strftime(date, '%d-%m-%Y'), list(DISTINCT action), count(*)"
            f" FROM {self._documents} WHERE hash({_IDENTITY}) IN (FROM again) AND number IS NOT NULL"
            f" GROUP BY {_IDENTITY} HAVING count(*) > 1 ORDER BY ALL"
        ).fetchmany(_NAMED)
        run("DROP TABLE copies")
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
            f"::DECIMAL(38,2)::VARCHAR FROM {self._documents} GROUP BY 1 ORDER BY 1"
        ).fetchall()
        return {"counts": {word: count for word, count, _ in rows}, "tax": {word: tax for word, _, tax in rows}}

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
        return ", ".join(f"{columns[name]} AS {name}" for name in DOCUMENT_COLUMNS)


def _key_of(section: str, data: Mapping[str, msgspec.Raw]) -> str | None:
    """Return the key under which a page has the records of a section; ``None``: it has none."""
    known = [key for key in data if section_of(key) == section]
    others = [
        key for key in data if section_of(key) in SECTIONS and section_of(key) != section and not _is_empty(data[key])
    ]
    if others or len(known) > 1:
        raise PageUnreadable(
            f"a page of section {section} holds {', '.join(map(repr, [*known, *others]))}; nobody knows which counts"
        )
    if known:
        return None if _is_empty(data[known[0]]) else known[0]
    lists = [key for key, value in data.items() if bytes(memoryview(value)[:1]) == b"[" and not _is_empty(value)]
    if lists:
        raise PageUnreadable(f"a page of section {section} holds {', '.join(map(repr, lists))} and no {section!r}")
    return None


def _refuse_uncounted(section: str, data: Mapping[str, msgspec.Raw]) -> None:
    """Refuse a page without a record that counts some."""
    for name, value in data.items():
        if name.strip().lower() in _COUNTS and _word(value).strip("0"):
            raise PageUnreadable(f"a page of section {section} holds no record, and its {name!r} is {_word(value)!r}")


def _fields_of(record: msgspec.Raw) -> Mapping[str, msgspec.Raw]:
    try:
        return _FIELDS.decode(record)
    except msgspec.MsgspecError:
        return {}


def _word(value: msgspec.Raw | None) -> str:
    """Return a JSON text or number of some characters; nothing, if it is something else."""
    text = bytes(value or b"")
    return text.strip(b'" ').decode("utf-8", "replace") if len(text) < _SHORT and text[:1] not in b"[{nft" else ""


def _is_empty(value: msgspec.Raw) -> bool:
    """Say whether a JSON text is null or a list or an object without anything in it."""
    return b"".join(bytes(value).split()) in _NOTHING if len(memoryview(value)) < _SHORT else False


def _longest_line(lines: bytes) -> int:
    """Return how many bytes the longest line has, or that it has no more than is usual."""
    half = _LINE // 2
    if all(lines.find(b"\n", start, start + half) >= 0 for start in range(0, len(lines) - half, half)):
        return _LINE
    return max(map(len, lines.split(b"\n")))


def _refuse_what_is_there_twice(frame: bytes, key: str | None) -> None:
    """Refuse a page in which one key leads to two lists, since every reader of JSON passes over one of them."""
    names = ("data", key or "data")

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if any([name for name, _ in pairs].count(name) > 1 for name in names):
            raise PageUnreadable(f"a page holds {key!r} or 'data' twice; nobody knows which counts")
        return dict(pairs)

    json.loads(frame, object_pairs_hook=checked)


def _text(name: str) -> str:
    column = identifier(name)
    # To look whether there is a blank at either end costs a fraction of what trimming does.
    is_trimmed = f"{column} >= '!' AND NOT suffix({column}, ' ') AND strlen({column}) = length({column})"
    return f"CASE WHEN {is_trimmed} THEN {column} ELSE nullif(trim({column}), '') END"


def _money(name: str) -> str:
    return f"TRY_CAST({identifier(name)} AS {RUPEES})"


def _day(value: str) -> str:
    # A year of two digits would be one of the first century, which no other year is near.
    day = f"try_strptime({value}, '%d-%m-%Y')::DATE"
    return f"CASE WHEN {day} >= DATE '1900-01-01' THEN {day} END"


def _flag(name: str, yes: tuple[str, ...], no: tuple[str, ...]) -> str:
    said = f"upper(trim({identifier(name)}))"
    listed = [", ".join(map(literal, words)) for words in (yes, no)]
    return f"CASE WHEN {said} IN ({listed[0]}) THEN true WHEN {said} IN ({listed[1]}) THEN false END"
