"""Why two are what they are, in words, with both values of each field that differs."""

from __future__ import annotations

from typing import Final

from airflow_provider_ims.matching.passes import PASSES
from airflow_provider_ims.tables.sql import literal

_FIELDS: Final = {
    "stin": "supplier",
    "number": "number",
    "date": "date",
    "val": "value",
    "txval": "taxable value",
    "iamt": "IGST",
    "camt": "CGST",
    "samt": "SGST",
    "cess": "cess",
}
"""What is compared, in the words of a tax person."""

_HOW: Final = {
    "number": "same number",
    "normalised": "same number but for its spelling",
    "original_number": "the books have the number that this document amends",
    "original_normalised": "the books have the number that this document amends, but for its spelling",
    "nearly": "the number agrees nearly",
}

_SUPPLIER: Final = {"gstin": "", "pan": ", another GSTIN of the same PAN"}

UNFILED: Final = "its supplier has saved it but not filed it, so it is kept as it is"
DOUBLED: Final = "GSTN shows this document more than once, with different records"
UNKNOWN_ACTION: Final = "GSTN shows no action of it that is known here"
UNKNOWN_FILED: Final = "GSTN does not say whether its supplier has filed it"

UNSENDABLE: Final = "it agrees, but a request does not take it as GSTN shows it"


def pair_sql() -> str:
    """
    Return the SQL of the reason of a pair: the columns of a document are ``d``'s, those of the books ``b``'s.

    ``p.pass`` is the place of its rule.
    """
    how = " ".join(
        f"WHEN {place} THEN {literal(_HOW[one.number] + _SUPPLIER[one.supplier])}" for place, one in enumerate(PASSES)
    )
    differing = ", ".join(
        f"CASE WHEN d.{field} <> b.{field} THEN '{words} ' || {_shown('d', field)} || ' in IMS, ' ||"
        f" {_shown('b', field)} || ' in the books' END"
        for field, words in _FIELDS.items()
    )
    # All that is not named agrees; of the first pass that is everything.
    return (
        "CASE WHEN p.pass = 0 THEN 'same number, date and amounts'"
        f" ELSE concat_ws('; ', CASE p.pass {how} END, {differing}) END"
    )


def _shown(side: str, field: str) -> str:
    if field == "date":
        return f"strftime({side}.date, '%d-%m-%Y')"
    return f"{side}.{field}::VARCHAR"
