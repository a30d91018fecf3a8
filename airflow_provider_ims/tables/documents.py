"""The table of a snapshot: every document that GSTN showed at one time, one a row."""

from __future__ import annotations

from typing import Final

RUPEES: Final = "DECIMAL(15,2)"
"""DuckDB's type of an amount: exact, to the paisa."""

AMOUNTS: Final = ("txval", "iamt", "camt", "samt", "cess")
"""The amounts that a tax return is made of."""

TAXES: Final = AMOUNTS[1:]

MONEY: Final = ("val", *AMOUNTS)
"""All amounts of a document; ``val``, its value, is the sum of the others, more or less."""

DOCUMENT_COLUMNS: Final[dict[str, str]] = {
    "rtin": "VARCHAR",
    "section": "VARCHAR",
    "stin": "VARCHAR",
    "trade_name": "VARCHAR",
    "number": "VARCHAR",
    "date": "DATE",
    "original_number": "VARCHAR",
    "original_date": "DATE",
    "inv_typ": "VARCHAR",
    "pos": "VARCHAR",
    **dict.fromkeys(MONEY, RUPEES),
    "srcform": "VARCHAR",
    "rtnprd": "VARCHAR",
    "action": "VARCHAR",
    "filed": "BOOLEAN",
    "pending_blocked": "BOOLEAN",
    "hash": "VARCHAR",
    "raw": "VARCHAR",
    "taken_at": "TIMESTAMP WITH TIME ZONE",
    "snapshot": "VARCHAR",
}
"""
The columns of ``documents.parquet`` in their order, with DuckDB's types.

``section`` as the reset request spells it (``b2bcn``, never ``CN``); ``number`` and ``date`` of the invoice or note,
``original_*`` of an amendment; amounts as GSTN shows them, positive also for credit notes; ``action`` is ``A``, ``R``,
``P`` or ``N``; ``filed`` and ``pending_blocked`` are null where GSTN did not say; ``raw`` is the record as it came, as
JSON; ``snapshot`` tells one snapshot from another.
"""
