"""The table of a snapshot: every document that GSTN showed at one time, one a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_ims.tables.errors import FileUnusable

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


_LISTED: Final = 6

Held = Mapping[tuple[Any, Any], int]
"""(own GSTIN, name of the snapshot) -> number of documents; a file that is no snapshot has neither."""


def check_described(found: Held | None, described: Held) -> None:
    """
    Refuse documents that are not those of their snapshot: its ``documents.parquet`` was replaced.

    :param found: what there is; ``None``: it cannot be read
    :param described: what ``snapshot.json`` says, or what there was before
    :raises FileUnusable: when the two differ
    """
    there = {**dict.fromkeys(described, 0), **(found or {})}
    wrong = [each for each, count in there.items() if found is None or count != described.get(each, 0)]
    if wrong:
        listed = "\n".join(
            f"{name} of GSTIN {rtin}: {described.get((rtin, name), 0)} documents, and {there[rtin, name]} were read."
            for rtin, name in sorted(wrong, key=str)[:_LISTED]
        )
        raise FileUnusable(
            "documents.parquet", f"is not the one that snapshot.json describes.\n{listed}\nTake the snapshot again."
        )
