"""Reads the documents of snapshots into the table that is matched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_ims.matching.columns import CREDIT_NOTE, DEBIT_NOTE, INVOICE
from airflow_provider_ims.matching.errors import MatchError
from airflow_provider_ims.tables.documents import AMOUNTS, DOCUMENT_COLUMNS, RUPEES, Held
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.sql import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KIND_OF_SECTION: Final = {
    "b2b": INVOICE,
    "b2ba": INVOICE,
    "ecom": INVOICE,
    "ecoma": INVOICE,
    "b2bdn": DEBIT_NOTE,
    "b2bdna": DEBIT_NOTE,
    "b2bcn": CREDIT_NOTE,
    "b2bcna": CREDIT_NOTE,
}
"""What the documents of a section are; those of others, such as imports, are matched with nothing."""

KIND_SQL: Final = (
    f"CASE section {' '.join(f'WHEN {literal(s)} THEN {literal(k)}' for s, k in KIND_OF_SECTION.items())} END"
)

_IDENTITY: Final = "hash(rtin, section, stin, upper(number), date, rtnprd)"


class Snapshots(NamedTuple):
    """
    What was read.

    :param documents: their number
    :param rtins: own GSTINs, sorted
    :param snapshots: the snapshots' names, sorted
    :param warnings: what is not wrong but worth a look
    :param held: which documents they are
    :param doubled: number of documents that GSTN shows more than once, with different records
    """

    documents: int
    rtins: list[str]
    snapshots: list[str]
    warnings: list[str]
    held: Held
    doubled: int


def documents_sql(paths: Sequence[Path]) -> str:
    """
    Return the SQL of all documents with all their columns and an ``id``, the same for the same files.

    :param paths: local files
    """
    parts = []
    for place, path in enumerate(paths):
        columns = ", ".join(DOCUMENT_COLUMNS)
        parts.append(
            f"SELECT {place << 40} + file_row_number AS id, {columns}"
            f" FROM read_parquet({literal(path)}, file_row_number=true)"
        )
    return " UNION ALL ".join(parts)


def read_documents(
    database: DuckDBPyConnection, names: Sequence[str], paths: Sequence[Path], rtins: Sequence[str] = ()
) -> Snapshots:
    """
    Read documents into the table ``docs``: what is compared of them, and ``id``.

    The table ``doubled`` has the ``id`` of those of which there is more than one record: nobody knows which is true.

    :param names: the files, as their owner knows them
    :param paths: the same, on the local disk
    :param rtins: own GSTINs that are known though a snapshot of theirs may have no document
    :raises FileUnusable: when a file is no snapshot
    :raises MatchError: when two snapshots of one GSTIN are among them
    """
    import duckdb

    for name, path in zip(names, paths, strict=True):
        try:
            described = database.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(path)})").fetchall()
        except (duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException) as error:
            said = str(error).strip().splitlines()[0][:200]
            raise FileUnusable(name, f"is not a whole Parquet file ({said}); take the snapshot again") from None
        found = {str(row[0]): str(row[1]) for row in described}
        wrong = [
            f"{column} is {found.get(column, 'missing')} and not {kind}"
            for column, kind in DOCUMENT_COLUMNS.items()
            if found.get(column) != kind
        ]
        if wrong:
            raise FileUnusable(name, f"is no snapshot of documents: {'; '.join(wrong[:5])}")
    columns = "id, rtin, section, stin, number, date, original_number, original_date, val"
    amounts = ", ".join(name if name == "txval" else f"coalesce({name}, 0)::{RUPEES} AS {name}" for name in AMOUNTS)
    database.execute(
        f"CREATE TEMP TABLE docs AS SELECT {columns}, {amounts}, {KIND_SQL} AS kind, {_IDENTITY} AS identity"
        f" FROM ({documents_sql(paths)})"
    )
    held: dict[tuple[Any, Any], int] = {}
    of_rtin: dict[str, list[str]] = {}
    for _, rtin, name, rows in database.execute(
        f"SELECT id >> 40 AS file, rtin, snapshot, count(*) FROM ({documents_sql(paths)}) GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        held[rtin, name] = held.get((rtin, name), 0) + rows
        of_rtin.setdefault(str(rtin), []).append(str(name or ""))
    if several := {rtin: found for rtin, found in of_rtin.items() if len(found) > 1}:
        listed = "\n".join(f"  {rtin}: {', '.join(sorted(set(found)))}" for rtin, found in list(several.items())[:10])
        raise MatchError(
            f"There is more than one snapshot of {len(several)} GSTINs, and nobody knows which of them counts.\n"
            f"{listed}\n  Give the newest snapshot of each GSTIN."
        )
    own = {rtin for rtin, _ in held if rtin is not None}
    [(count,)] = database.execute("SELECT count(*) FROM docs").fetchall()
    warnings = [] if count else ["The snapshot has no documents."]
    doubled = _find_doubled(database)
    if doubled:
        warnings.append(f"GSTN shows {doubled} documents more than once, with different records; they are for review.")
    names_found = sorted({name for _, name in held if name is not None})
    return Snapshots(int(count), sorted(own | set(rtins)), names_found, warnings, held, doubled)


def _find_doubled(database: DuckDBPyConnection) -> int:
    database.execute(
        "CREATE TEMP TABLE doubled AS SELECT id FROM docs WHERE number IS NOT NULL"
        " AND identity IN (SELECT identity FROM docs GROUP BY identity HAVING count(*) > 1)"
    )
    [(count,)] = database.execute("SELECT count(*) FROM doubled").fetchall()
    return int(count)
