"""Snapshots and books as files, and what becomes of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb  # noqa: TID253
from airflow.sdk import ObjectStoragePath
from pyarrow import parquet  # noqa: TID253

from airflow_provider_ims.matching import BookFile, Decisions, MatchRules, Options, reconcile
from airflow_provider_ims.tables.documents import DOCUMENT_COLUMNS

RTIN = "27AAPFU0939F1ZV"
STIN = "29AAACB1234C1Z5"
SAME_PAN = "24AAACB1234C1Z9"
OTHER = "29AABCX9876D1Z3"

BOOKS_HEADER = ("rtin", "stin", "kind", "number", "date", "txval", "iamt", "camt", "samt", "cess")


def document(number: str = "INV/1", **fields: Any) -> dict[str, Any]:
    """A filed invoice of 4 October 2026 at R: 1000 and 18 % of integrated tax."""
    return {
        "rtin": RTIN,
        "section": "b2b",
        "stin": STIN,
        "trade_name": "Supplier",
        "number": number,
        "date": "2026-10-04",
        "inv_typ": "R",
        "pos": "27",
        "val": "1180.00",
        "txval": "1000.00",
        "iamt": "180.00",
        "camt": "0.00",
        "samt": "0.00",
        "cess": "0.00",
        "srcform": "R1",
        "rtnprd": "102026",
        "action": "R",
        "filed": True,
        "pending_blocked": False,
        "hash": "0",
        "raw": "{}",
        "taken_at": "2026-11-16T09:00:00+05:30",
        "snapshot": "s1",
        **fields,
    }


def booking(number: str = "INV/1", **fields: Any) -> dict[str, Any]:
    """The same in the books."""
    return {
        "rtin": RTIN,
        "stin": STIN,
        "kind": "invoice",
        "number": number,
        "date": "2026-10-04",
        "txval": "1000.00",
        "iamt": "180.00",
        "camt": "0",
        "samt": "0",
        "cess": "0",
        **fields,
    }


def write_documents(path: Path, documents: Sequence[Mapping[str, Any]]) -> ObjectStoragePath:
    """Write ``documents.parquet``."""
    lines = path.with_suffix(".jsonl")
    lines.write_text("\n".join(map(json.dumps, documents)) + "\n" if documents else "")
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in DOCUMENT_COLUMNS.items())
    duckdb.execute(
        f"COPY (SELECT * FROM read_json('{lines}', format='newline_delimited', columns={{{columns}}}))"
        f" TO '{path}' (FORMAT parquet)"
    )
    return ObjectStoragePath(str(path))


def write_books(path: Path, rows: Sequence[Mapping[str, Any]], delimiter: str = ",") -> ObjectStoragePath:
    """Write a CSV file with the columns of the first row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0] if rows else BOOKS_HEADER), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return ObjectStoragePath(str(path))


@dataclass
class Result:
    """What was written."""

    summary: dict[str, Any]
    folder: Path
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = read(self.folder / "reconciliation.parquet")

    @property
    def words(self) -> list[tuple[str | None, str | None, str]]:
        """Number of the document, number in the books, match; sorted."""
        found = [(row["number"], row["book_number"], row["match"]) for row in self.rows]
        return sorted(found, key=lambda row: tuple(part or "" for part in row))

    def of(self, number: str) -> dict[str, Any]:
        """The row of the document with a number."""
        [row] = [row for row in self.rows if row["number"] == number]
        return row

    @property
    def rejects(self) -> list[dict[str, str]]:
        """The rejected rows."""
        with (self.folder / "rejects.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def read(path: Path) -> list[dict[str, Any]]:
    """Read a Parquet file."""
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def matched(
    folder: Path,
    documents: Sequence[Mapping[str, Any]],
    books: Sequence[Mapping[str, Any]],
    *,
    columns: Mapping[str, Any] | None = None,
    rules: MatchRules | None = None,
    decisions: Decisions | None = None,
    **options: Any,
) -> Result:
    """Match, and read what was written."""
    snapshot = write_documents(folder / "documents.parquet", documents)
    source = BookFile(write_books(folder / "books.csv", books))
    summary = reconcile(
        [snapshot],
        [source],
        ObjectStoragePath(str(folder / "out")),
        columns=columns,
        rules=rules,
        decisions=decisions,
        options=Options(**options),
    )
    return Result(summary, folder / "out")
