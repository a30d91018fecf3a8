"""A small company: three GSTINs, a few hundred documents in IMS, and its books as an ERP exports them."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GSTINS = ("27AAPFU0939F1ZV", "29AAPFU0939F1ZR", "33AAPFU0939F1Z2")
PER_GSTIN = 100
ERP_COLUMNS = {
    "Company GSTIN": "rtin",
    "Vendor GSTIN": "stin",
    "Doc Type": {"kind": {"RE": "invoice", "KG": "credit note"}},
    "Bill No": "number",
    "Bill Date": "date",
    "Taxable Amt": "txval",
    "IGST": "iamt",
    "CGST": "camt",
    "SGST": "samt",
    "Cess": "cess",
    "Voucher": "id",
}
"""What the ERP calls the columns; ``Cost Centre`` is none of ours and is carried through."""


def documents(gstins: tuple[str, ...] = GSTINS, per_gstin: int = PER_GSTIN) -> Iterator[dict[str, Any]]:
    """Yield the documents that GSTN holds, as the simulator takes them: the same ones every time."""
    chance = random.Random(7)  # noqa: S311
    for rtin in gstins:
        for index in range(per_gstin):
            note = index % 10 == 9
            stin = f"{chance.choice((24, 27, 29))}AABC{chance.choice('KLMN')}{1000 + index % 7}D1Z5"
            taxable = chance.randrange(10_000, 90_000_000) / 100
            within = stin[:2] == rtin[:2]
            half = round(taxable * 0.09, 2)
            day = f"{1 + index % 28:02}-10-2026"
            number, date = ("nt_num", "nt_dt") if note else ("inum", "idt")
            name = f"{'CN' if note else 'INV'}/26-27/{index + 1:04}"
            record = {
                **{number: name, date: day, "tradenm": f"Supplier {stin[6]}", "srcform": "R1", "pos": rtin[:2]},
                **{"txval": taxable, "iamt": 0 if within else round(2 * half, 2), "inv_typ": "R", "cess": 0},
                **{"camt": half if within else 0, "samt": half if within else 0},
                "val": round(taxable + 2 * half, 2),
            }
            yield {
                **{"rtin": rtin, "section": "b2bcn" if note else "b2b", "stin": stin, "number": name, "date": day},
                **{"rtnprd": "102026", "status": "RPAN"[index % 4], "record": record},
            }


def write_books(path: Path, gstins: tuple[str, ...] = GSTINS, per_gstin: int = PER_GSTIN) -> None:
    """Write the books of these documents: most agree, some are written otherwise, some differ, some are missing."""
    header = [*ERP_COLUMNS, "Cost Centre"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        for place, document in enumerate(documents(gstins, per_gstin)):
            record, kind = document["record"], place % 20
            if kind == 7:
                continue  # only in IMS
            sign = -1 if document["section"] == "b2bcn" else 1
            taxable = record["txval"] + (500 if kind == 13 else 0.4 if kind == 4 else 0)
            number = document["number"].replace("/26-27/0", "-2627-") if kind == 2 else document["number"]
            amounts = {"IGST": record["iamt"], "CGST": record["camt"], "SGST": record["samt"], "Taxable Amt": taxable}
            writer.writerow(
                {
                    **{name: f"{sign * value:.2f}" for name, value in amounts.items()},
                    **{"Company GSTIN": document["rtin"], "Vendor GSTIN": document["stin"]},
                    **{"Cess": "", "Bill No": number},
                    **{"Doc Type": "KG" if sign < 0 else "RE", "Bill Date": document["date"].replace("-", "/")},
                    **{"Voucher": f"V{place:05}", "Cost Centre": f"CC{place % 4}"},
                }
            )
