"""Compares what bulk said of each document with a fresh snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.spreadsheets import read_sheet
from airflow_provider_ims.tables.documents import MONEY, RUPEES
from airflow_provider_ims.tables.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Verification = Literal["verified", "not_reset", "changed_by_supplier", "gone"]
VERIFICATIONS: Final[tuple[Verification, ...]] = ("verified", "not_reset", "changed_by_supplier", "gone")

_KEY: Final = ("section", "stin", "number", "date", "rtnprd")
_SAID: Final = (*_KEY, "outcome", "code", "message", "reference_id")
_COMPARED: Final = (*MONEY, "pos")
_BATCH: Final = 1000

COLUMNS: Final = (
    *("rtin", *_KEY, "outcome", "verification", "action"),
    *(f"{name}_{when}" for name in MONEY for when in ("sent", "now")),
    *("code", "message", "reference_id"),
)
"""The columns of ``verified.csv``."""


class Reported(NamedTuple):
    """
    What became of the documents of one GSTIN, as bulk reported it, in local files.

    :param rtin: the GSTIN
    :param outcomes: bulk's ``result.csv``
    :param requests: the requests that were planned
    :param snapshot: ``documents.parquet`` of a fresh snapshot
    :param before: that of the snapshot from which the requests were made; ``None``: amounts alone are compared
    """

    rtin: str
    outcomes: Path
    requests: Sequence[Path]
    snapshot: Path
    before: Path | None = None


def verify(database: DuckDBPyConnection, reported: Reported, folder: Path) -> Iterator[tuple[Any, ...]]:
    """
    Yield a row for each document, with the columns of :data:`COLUMNS`.

    A document is ``gone`` if the snapshot does not have it; ``changed_by_supplier`` if an amount or the place of supply
    is another one than was sent, or its hash is another one than before; ``verified`` if it stands at "no action"; else
    ``not_reset``.

    :param database: an open one that may read the files
    :param folder: a local directory that it may read
    """
    run = database.execute
    for table in ("said", "sent", "held", "earlier"):
        run(f"DROP TABLE IF EXISTS {table}")
    _read_outcomes(database, reported.outcomes, folder)
    _read_requests(database, reported.requests)
    run(f"CREATE TEMP TABLE held AS {_documents(reported.snapshot)}")
    earlier = _documents(reported.before) if reported.before else "FROM held WHERE false"
    run(f"CREATE TEMP TABLE earlier AS {earlier}")
    same = " AND ".join(f"s.{name} = {{0}}.{name}" for name in _KEY)
    changed = " OR ".join(f"q.{name} <> h.{name}" for name in _COMPARED)
    at_n = "bool_and(coalesce(h.action = 'N', false))"
    now = ", ".join(f"any_value(q.{name}) AS {name}_sent, any_value(h.{name}) AS {name}_now" for name in MONEY)
    found = run(
        f"SELECT {literal(reported.rtin)} AS rtin, {', '.join(f'any_value(s.{name}) AS {name}' for name in _SAID)},"
        " CASE WHEN count(h.section) = 0 THEN CASE WHEN any_value(s.section) = '' THEN 'not_reset' ELSE 'gone' END"
        # How GSTN computes the hash is not published: that it does not follow the action is inferred (hash).
        f" WHEN bool_or({changed}) OR bool_or(e.hash <> h.hash) THEN 'changed_by_supplier'"
        f" WHEN {at_n} THEN 'verified' ELSE 'not_reset' END AS verification,"
        # A document that GSTN shows twice, at two actions, does not stand at "no action".
        f" CASE WHEN {at_n} THEN 'N' ELSE string_agg(DISTINCT h.action, ' and ' ORDER BY h.action)"
        f" FILTER (h.action <> 'N') END AS action, {now}"
        f" FROM said s LEFT JOIN held h ON {same.format('h')} LEFT JOIN sent q ON {same.format('q')}"
        f" LEFT JOIN earlier e ON {same.format('e')} GROUP BY s.id ORDER BY s.id"
    )
    names = [str(column[0]) for column in found.description or ()]
    places = [names.index(name) for name in COLUMNS]
    while batch := found.fetchmany(_BATCH):
        for row in batch:
            yield tuple(row[place] for place in places)


def _read_outcomes(database: DuckDBPyConnection, outcomes: Path, folder: Path) -> None:
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


def _documents(path: Path) -> str:
    kept = ", ".join(identifier(name) for name in (*MONEY, "pos", "hash", "action"))
    return (
        "SELECT section, upper(stin) AS stin, upper(number) AS number, strftime(date, '%d-%m-%Y') AS date, rtnprd,"
        f" {kept} FROM read_parquet({literal(path)})"
    )
