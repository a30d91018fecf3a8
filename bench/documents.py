"""Makes documents in any number: the same ones every time."""

from __future__ import annotations

import csv
import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SHARES = {"b2b": 80, "b2ba": 3, "b2bdn": 2, "b2bdna": 1, "b2bcn": 9, "b2bcna": 1, "ecom": 3, "ecoma": 1}
_SUPPLIERS = 4000
_AMOUNTS = ("val", "txval", "iamt", "camt", "samt", "cess")
_COLUMNS = (
    *("rtin", "section", "stin", "rtnprd", "srcform", "pos", "val", "txval", "iamt", "camt", "samt", "cess"),
    *("prev_status", "inum", "idt", "oinum", "oidt", "nt_num", "nt_dt", "ont_num", "ont_dt", "inv_typ"),
)


def documents(count: int, gstins: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """
    Yield valid rows as a company has them: mostly invoices, some notes and amendments.

    :param count: number of rows
    :param gstins: number of the company's GSTINs
    :param seed: another one gives other rows
    """
    chance = random.Random(seed)  # noqa: S311
    own = [_gstin(chance) for _ in range(gstins)]
    suppliers = [_gstin(chance) for _ in range(_SUPPLIERS)]
    sections = chance.choices(list(_SHARES), weights=list(_SHARES.values()), k=min(count, 100_000))
    for index in range(count):
        section = sections[index % len(sections)]
        taxable = chance.randrange(10_000, 90_000_000) / 100
        rate = chance.choice((0.05, 0.12, 0.18, 0.28))
        tax = round(taxable * rate, 2)
        half = round(tax / 2, 2)
        inside = chance.random() < 0.6
        row = {
            "rtin": own[index % gstins],
            "section": section,
            "stin": chance.choice(suppliers),
            "rtnprd": chance.choice(("012025", "022025", "032025")),
            "srcform": "R1",
            "pos": "27",
            "val": round(taxable + 2 * half if inside else taxable + tax, 2),
            "txval": taxable,
            "iamt": 0 if inside else tax,
            "camt": half if inside else 0,
            "samt": half if inside else 0,
            "cess": 0,
            "prev_status": chance.choice("ARP"),
        }
        note = section.startswith(("b2bdn", "b2bcn"))
        number, date = ("nt_num", "nt_dt") if note else ("inum", "idt")
        row[number] = f"{'CN' if note else 'INV'}/25/{index}"
        row[date] = f"{chance.randint(1, 28):02}-{chance.randint(1, 3):02}-2025"
        if section.endswith("a"):
            row[f"o{number}"] = f"{'CN' if note else 'INV'}/24/{index}"
            row[f"o{date}"] = f"{chance.randint(1, 28):02}-12-2024"
        if not section.startswith("ecom"):
            row["inv_typ"] = "R"
        yield row


def write_json_lines(path: Path, count: int, gstins: int, seed: int = 1) -> None:
    """Write rows as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for row in documents(count, gstins, seed):
            file.write(json.dumps(row) + "\n")


def write_csv(path: Path, count: int, gstins: int, seed: int = 1) -> None:
    """Write the same rows as CSV, under one header for all sections."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(documents(count, gstins, seed))


def write_parquet(path: Path, source: Path) -> None:
    """
    Write the rows of a CSV file as Parquet, amounts as numbers.

    :param source: what :func:`write_csv` has written
    """
    import duckdb

    amounts = ", ".join(f"{name}::DOUBLE AS {name}" for name in _AMOUNTS)
    rows = duckdb.read_csv(str(source), all_varchar=True).project(f"* REPLACE ({amounts})")
    rows.write_parquet(str(path))


def _gstin(chance: random.Random) -> str:
    letters = "".join(chance.choices(string.ascii_uppercase, k=6))
    return f"{chance.randint(1, 37):02}{letters[:5]}{chance.randint(0, 9999):04}{letters[5]}1Z5"
