"""What GSTN holds of a document, as its download shows it."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

from .ims import FIELDS, identity_fields
from .options import Document


def download_record(document: Document, action: str) -> dict[str, Any]:
    """Return the record of a document: the fields it was given, the others made up, always the same ones.

    ``action`` is the one to show; the document's own may have changed since the download looked at it.
    The ``hash`` follows the contents and not the action; how GSTN computes it is not published.
    """
    held = document.whole_record()
    given = {name: _as_json(value) for name, value in held.items() if name not in ("prev_status", "action")}
    number, date = identity_fields(document.section)
    identity = {"stin": document.stin, "rtnprd": document.rtnprd, number: document.number}
    if document.date:
        identity[date] = document.date
    record = _made_up(document) | given | identity
    contents = json.dumps([document.rtin, document.section, record], sort_keys=True)
    return {"hash": hashlib.sha256(contents.encode()).hexdigest(), **record, "action": action}


def _made_up(document: Document) -> dict[str, Any]:
    identity = (document.rtin, document.section, document.stin, document.number, document.rtnprd, document.date or "")
    digest = hashlib.sha256("|".join(identity).encode()).hexdigest()
    # In paise, so that the sums are right to the last digit.
    taxable = 10_000 + int(digest[:8], 16) % 10_000_000
    tax = taxable * 9 // 100
    within_state = document.stin[:2] == document.rtin[:2]
    half, whole = (tax, 0) if within_state else (0, 2 * tax)
    month = f"{document.rtnprd[:2]}-{document.rtnprd[2:]}"
    fields = {
        "srcform": "R1",
        "pos": document.rtin[:2],
        "val": (taxable + 2 * tax) / 100,
        "txval": taxable / 100,
        "iamt": whole / 100,
        "camt": half / 100,
        "samt": half / 100,
        "cess": 0,
        "inv_typ": "R",
        **dict.fromkeys(("idt", "nt_dt"), f"15-{month}"),
        **dict.fromkeys(("oinum", "ont_num"), f"O-{digest[:8].upper()}"),
        **dict.fromkeys(("oidt", "ont_dt"), f"01-{month}"),
    }
    wanted = FIELDS[document.section].split()
    known = {name: value for name, value in fields.items() if name in wanted}
    return known | {"srcfilstatus": "Filed", "ispendactblocked": "N"}


def _as_json(value: Any) -> Any:
    # Two decimals below ten to the thirteenth come through a float unharmed.
    return float(value) if isinstance(value, Decimal) else value
