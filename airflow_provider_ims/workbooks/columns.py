"""What a column is called in a workbook, and what its cells are."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple


class Kind(Enum):
    """What the cells of a column are."""

    TEXT = "text"
    """Text to the letter: numbers of documents, periods and codes keep their zeros."""
    WORDS = "words"
    """Sentences, which may run over several lines."""
    OUTCOME = "outcome"
    """A word that is coloured."""
    AMOUNT = "amount"
    """Rupees, with two decimals."""
    COUNT = "count"
    """A whole number."""
    DATE = "date"
    """A date, given as such or as DD-MM-YYYY."""
    ANY = "any"
    """What the user's own column held: text, a number or a date."""


class Column(NamedTuple):
    """
    A column of a sheet.

    :param heading: what stands in its first row
    :param kind: what its cells are
    """

    heading: str
    kind: Kind = Kind.TEXT


_OF_GSTN: Final = {
    "rtin": ("Your GSTIN", Kind.TEXT),
    "stin": ("Supplier GSTIN", Kind.TEXT),
    "trade_name": ("Supplier's trade name", Kind.TEXT),
    "section": ("Section", Kind.TEXT),
    "inv_typ": ("Invoice type", Kind.TEXT),
    "pos": ("Place of supply", Kind.TEXT),
    "val": ("Document value", Kind.AMOUNT),
    "txval": ("Taxable value", Kind.AMOUNT),
    "iamt": ("Integrated tax", Kind.AMOUNT),
    "camt": ("Central tax", Kind.AMOUNT),
    "samt": ("State tax", Kind.AMOUNT),
    "cess": ("Cess", Kind.AMOUNT),
    "rtnprd": ("Supplier's return period", Kind.TEXT),
    "srcform": ("Supplier's form", Kind.TEXT),
    "filed": ("Filed by the supplier", Kind.TEXT),
    "pending_blocked": ("Pending is not allowed", Kind.TEXT),
    "action": ("Action in IMS", Kind.TEXT),
    "prev_status": ("Action before the reset", Kind.TEXT),
    "hash": ("GSTN's hash", Kind.TEXT),
}
"""Names that GSTN or this package's tables give a field; they stand behind the words."""

_OURS: Final = {
    "number": Column("Document number (inum, nt_num)"),
    "date": Column("Document date (idt, nt_dt)", Kind.DATE),
    "original_number": Column("Original number (oinum, ont_num)"),
    "original_date": Column("Original date (oidt, ont_dt)", Kind.DATE),
    "outcome": Column("Outcome", Kind.OUTCOME),
    "verification": Column("Verified", Kind.OUTCOME),
    "code": Column("GSTN's code (error_cd)"),
    "message": Column("Why (error_msg)", Kind.WORDS),
    "remedy": Column("What to do", Kind.WORDS),
    "reference_id": Column("Reference id (reference_id)"),
    "place": Column("Row in your data"),
    "field": Column("GSTN's field"),
    "column": Column("Your column"),
    "value": Column("What stands there"),
    "reason": Column("Why", Kind.WORDS),
    "decision": Column("Decision", Kind.OUTCOME),
    "match": Column("Match", Kind.OUTCOME),
    "rule": Column("Rule of the match"),
    "candidates": Column("Candidates"),
    "tax": Column("Tax in all", Kind.AMOUNT),
    "kind": Column("Kind of document"),
    "id": Column("Id"),
    "documents": Column("Documents", Kind.COUNT),
    "reset": Column("Reset", Kind.COUNT),
    "refused": Column("Refused by GSTN", Kind.COUNT),
    "unknown": Column("Unknown", Kind.COUNT),
    "not_sent": Column("Not sent", Kind.COUNT),
    "requests": Column("Requests", Kind.COUNT),
    "requests_ended": Column("Requests that ended", Kind.COUNT),
    "csv_path": Column("Every document is in"),
}


def column_of(name: str) -> Column:
    """
    Return how a column of one of this package's tables is shown.

    :param name: its name there; one that is not known is the user's own, and keeps it
    """
    if name in _OF_GSTN:
        words, kind = _OF_GSTN[name]
        return Column(f"{words} ({name})", kind)
    if name in _OURS:
        return _OURS[name]
    for suffix, words in (("_sent", "as sent"), ("_now", "at GSTN now")):
        if name.removesuffix(suffix) in _OF_GSTN and name.endswith(suffix):
            said, kind = _OF_GSTN[name.removesuffix(suffix)]
            return Column(f"{said}, {words} ({name.removesuffix(suffix)})", kind)
    if name.startswith("book_"):
        own = column_of(name.removeprefix("book_"))
        return Column(f"Books: {own.heading.partition(' (')[0]}", own.kind)
    return Column(name, Kind.ANY)


def columns_of(names: Iterable[str]) -> list[Column]:
    """Return how the columns of a table are shown."""
    return [column_of(name) for name in names]
