"""Compares what bulk said of each document with a fresh snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.snapshots.errors import SnapshotUnusable
from airflow_provider_ims.snapshots.snapshot import Snapshot
from airflow_provider_ims.spreadsheets import read_sheet
from airflow_provider_ims.tables.database import rows_of
from airflow_provider_ims.tables.documents import MONEY, RUPEES, check_described
from airflow_provider_ims.tables.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Verification = Literal["verified", "not_reset", "changed_by_supplier", "gone"]
VERIFICATIONS: Final[tuple[Verification, ...]] = ("verified", "not_reset", "changed_by_supplier", "gone")

_KEY: Final = ("section", "stin", "number", "date", "rtnprd")
_SAID: Final = (*_KEY, "outcome", "code", "message", "reference_id")
_COMPARED: Final = (*MONEY, "pos")
_NOTHING_SAID: Final = "The task that sends its GSTIN's resets ended without saying what became of it."

COLUMNS: Final = (
    *("rtin", *_KEY, "outcome", "verification", "action"),
    *(f"{name}_{when}" for name in MONEY for when in ("sent", "now")),
    *("code", "message", "reference_id"),
)
"""The columns of ``verified.csv``."""


class Held(NamedTuple):
    """
    A snapshot whose documents are on the local disk.

    :param head: its ``snapshot.json``
    :param documents: its ``documents.parquet``
    """

    head: Snapshot
    documents: Path


class Reported(NamedTuple):
    """
    What became of the documents of one GSTIN, as bulk reported it, in local files.

    :param rtin: the GSTIN
    :param outcomes: bulk's ``result.csv``; ``None``: bulk said nothing, and each document of the requests is unknown
    :param requests: the requests that were planned
    :param snapshot: a fresh one
    :param before: the snapshot from which the requests were made; ``None``: amounts alone are compared
    """

    rtin: str
    outcomes: Path | None
    requests: Sequence[Path]
    snapshot: Held
    before: Held | None = None

    @property
    def files(self) -> list[Path]:
        """What the database reads."""
        return [*self.requests, *(each.documents for each in (self.snapshot, self.before) if each)]


def verify(database: DuckDBPyConnection, reported: Reported, folder: Path) -> Iterator[tuple[Any, ...]]:
    """
    Yield a row for each document, with the columns of :data:`COLUMNS`.

    A document is ``gone`` if the snapshot does not have it; ``changed_by_supplier`` if an amount or the place of supply
    is another one than was sent, or its hash is another one than before; ``verified`` if it stands at "no action"; else
    ``not_reset``. One that is there in another period, or that may be a record whose number, date or supplier cannot be
    read, is not gone: it is ``changed_by_supplier`` if all of these stand at "no action", else ``not_reset``.

    :param database: an open one that may read the files
    :param folder: a local directory that it may read
    :raises FileUnusable: before the first row, when a table of documents is not the one that its snapshot describes
    :raises SnapshotUnusable: before the first row, when the snapshot lacks a section of which documents were sent
    """
    run = database.execute
    for table in ("said", "sent", "held", "earlier", "perhaps"):
        run(f"DROP TABLE IF EXISTS {table}")
    _read_requests(database, reported.requests)
    _read_outcomes(database, reported.outcomes, folder)
    _check_sections(database, reported.snapshot.head)
    _read_documents(database, "held", reported.snapshot)
    if reported.before:
        _read_documents(database, "earlier", reported.before)
    else:
        run("CREATE TEMP TABLE earlier AS FROM held WHERE false")
    _look_for_missed(database)
    same = " AND ".join(f"s.{name} = {{0}}.{name}" for name in _KEY)
    changed = " OR ".join(f"q.{name} <> h.{name}" for name in _COMPARED)
    at_n = "bool_and(coalesce(h.action = 'N', false))"
    now = ", ".join(f"any_value(q.{name}) AS {name}_sent, any_value(h.{name}) AS {name}_now" for name in MONEY)
    found = run(
        f"SELECT {literal(reported.rtin)} AS rtin, {', '.join(f'any_value(s.{name}) AS {name}' for name in _SAID)},"
        " CASE WHEN count(h.section) = 0 THEN CASE WHEN any_value(p.at_n) THEN 'changed_by_supplier'"
        " WHEN any_value(s.section) = '' OR any_value(p.id) IS NOT NULL THEN 'not_reset' ELSE 'gone' END"
        # How GSTN computes the hash is not published: that it does not follow the action is inferred (hash).
        f" WHEN bool_or({changed}) OR bool_or(e.hash <> h.hash) THEN 'changed_by_supplier'"
        f" WHEN {at_n} THEN 'verified' ELSE 'not_reset' END AS verification,"
        # A document that GSTN shows twice, at two actions, does not stand at "no action".
        f" CASE WHEN {at_n} THEN 'N' WHEN count(h.section) = 0 THEN any_value(p.action)"
        " ELSE string_agg(DISTINCT h.action, ' and ' ORDER BY h.action)"
        f" FILTER (h.action <> 'N') END AS action, {now}"
        f" FROM said s LEFT JOIN held h ON {same.format('h')} LEFT JOIN sent q ON {same.format('q')}"
        f" LEFT JOIN earlier e ON {same.format('e')} LEFT JOIN perhaps p ON p.id = s.id GROUP BY s.id ORDER BY s.id"
    )
    names = [str(column[0]) for column in found.description or ()]
    places = [names.index(name) for name in COLUMNS]
    for row in rows_of(found):
        yield tuple(row[place] for place in places)


def _check_sections(database: DuckDBPyConnection, head: Snapshot) -> None:
    said = database.execute("SELECT DISTINCT section FROM said WHERE section <> '' ORDER BY ALL").fetchall()
    if absent := [section for (section,) in said if section not in head.sections]:
        raise SnapshotUnusable(
            f"The snapshot {head.snapshot} of GSTIN {head.gstin} has no section {', '.join(absent)}, of which documents"
            " were reset.\nTake it with all sections."
        )


def _look_for_missed(database: DuckDBPyConnection) -> None:
    """Make the table ``perhaps``: what the records say that may be a document which is nowhere as it was sent."""
    listed = ", ".join(_KEY)
    perhaps = (
        "SELECT m.id, h.action FROM missed m JOIN held h ON h.section = m.section AND h.stin = m.stin"
        " AND h.number = m.number WHERE h.date IS NULL OR h.rtnprd IS NULL OR h.date = m.date"
        " UNION ALL SELECT m.id, h.action FROM missed m JOIN (SELECT DISTINCT section, stin, number, action FROM held"
        " WHERE stin IS NULL OR number IS NULL) h ON h.section = m.section"
        " AND coalesce(h.stin, m.stin) = m.stin AND coalesce(h.number, m.number) = m.number"
    )
    database.execute(
        f"CREATE TEMP TABLE perhaps AS WITH missed AS MATERIALIZED (FROM said ANTI JOIN held USING ({listed}))"
        " SELECT id, bool_and(coalesce(action = 'N', false)) AS at_n,"
        " coalesce(string_agg(DISTINCT action, ' and ' ORDER BY action) FILTER (action <> 'N'), any_value(action))"
        f" AS action FROM ({perhaps}) GROUP BY id"
    )


def _read_outcomes(database: DuckDBPyConnection, outcomes: Path | None, folder: Path) -> None:
    if outcomes is None:
        said = {**{name: name for name in _KEY}, **dict.fromkeys(_SAID[len(_KEY) :], "''")}
        said |= {"outcome": "'unknown'", "message": literal(_NOTHING_SAID)}
        listed = ", ".join(f"{sql} AS {name}" for name, sql in said.items())
        database.execute(f"CREATE TEMP TABLE said AS SELECT row_number() OVER () AS id, {listed} FROM sent")
        return
    lines = folder / "outcomes.jsonl"
    with outcomes.open(encoding="utf-8", newline="") as file, lines.open("w", encoding="utf-8") as target:
        rows = read_sheet(file)
        header = next(rows, [])
        for number, row in enumerate(rows):
            cells = dict(zip(header, row, strict=False))
            target.write(json.dumps({"id": number, **{name: cells.get(name) or "" for name in _SAID}}) + "\n")
    columns = ", ".join(["'id': 'BIGINT'", *(f"{literal(name)}: 'VARCHAR'" for name in _SAID)])
    database.execute(
        f"CREATE TEMP TABLE said AS SELECT * FROM read_json({literal(lines)}, format='newline_delimited',"
        f" columns={{{columns}}})"
    )


def _read_requests(database: DuckDBPyConnection, requests: Sequence[Path]) -> None:
    columns = ", ".join(f"{name} {RUPEES}" for name in MONEY)
    keys = ", ".join(f"{name} VARCHAR" for name in _KEY)
    database.execute(f"CREATE TEMP TABLE sent ({keys}, {columns}, pos VARCHAR)")
    fields = (*_KEY[1:2], "inum", "nt_num", "idt", "nt_dt", "rtnprd", *MONEY, "pos")
    shape = literal(json.dumps(dict.fromkeys(fields, "VARCHAR")))
    for path in requests:
        for section in SECTIONS:
            records = literal(f'$.invdata."{section}"[*]')
            amounts = ", ".join(f"TRY_CAST(r.{name} AS {RUPEES})" for name in MONEY)
            database.execute(
                f"INSERT INTO sent SELECT {literal(section)}, upper(r.stin), upper(coalesce(r.nt_num, r.inum)),"
                f" coalesce(r.nt_dt, r.idt), r.rtnprd, {amounts}, r.pos"
                f" FROM (SELECT json_transform(record, {shape}) AS r"
                f" FROM (SELECT unnest(json_extract(json, {records})) AS record FROM"
                f" read_json_objects({literal(path)}, format='unstructured', maximum_object_size=8000000)))"
            )


def _read_documents(database: DuckDBPyConnection, table: str, snapshot: Held) -> None:
    """Make a table of a snapshot's documents, which are those that its ``snapshot.json`` describes."""
    import duckdb

    described = {(snapshot.head.gstin, snapshot.head.snapshot): snapshot.head.documents}
    kept = ", ".join(identifier(name) for name in (*MONEY, "pos", "hash", "action", "rtin", "snapshot"))
    rows = (
        "SELECT section, upper(stin) AS stin, upper(number) AS number, strftime(date, '%d-%m-%Y') AS date, rtnprd,"
        f" {kept} FROM read_parquet({literal(snapshot.documents)})"
    )
    try:
        database.execute(f"SELECT count(*) FROM ({rows})")
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.BinderException, duckdb.SerializationException):
        check_described(None, described)
    database.execute(f"CREATE TEMP TABLE {table} AS {rows}")
    found = database.execute(f"SELECT rtin, snapshot, count(*) FROM {table} GROUP BY ALL").fetchall()
    check_described({(rtin, name): count for rtin, name, count in found}, described)
