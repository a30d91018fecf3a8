"""
The rules by which a document and a row of the books are taken for the same: read from top to bottom, first hit wins.

What every pass demands besides what its line says: the same own GSTIN, the same kind (invoice, debit note, credit
note), and one to one. ``docs/matching.md`` shows an example of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Match = Literal["matched", "within_tolerance", "mismatch", "probable", "ambiguous", "only_in_ims", "only_in_books"]

MATCHES: Final[tuple[Match, ...]] = (
    "matched",
    "within_tolerance",
    "mismatch",
    "probable",
    "ambiguous",
    "only_in_ims",
    "only_in_books",
)


@dataclass(frozen=True)
class Pass:
    """
    One rule.

    :param name: what ``rule`` shows
    :param supplier: ``gstin``: the same supplier; ``pan``: another GSTIN of the same PAN
    :param number: which numbers agree. ``number``: as they are written; ``normalised``: without regard to case,
        separators, leading zeros and the financial year; ``original_number``, ``original_normalised``: the number of
        the document that this one amends, with the number in the books; ``nearly``: one character wrong, missing, too
        much or swapped with its neighbour
    :param date: ``same``: the same day; ``year``: the same financial year, or at most ``date_days`` apart; ``near``: at
        most ``near_days`` apart; ``probable``: at most ``probable_days``
    :param amounts: ``equal``; ``tolerance``: within the tolerance; ``tax``: taxable value and total tax within the
        tolerance; ``any``: whatever they are
    :param match: what the two are then
    """

    name: str
    supplier: Literal["gstin", "pan"]
    number: Literal["number", "normalised", "original_number", "original_normalised", "nearly"]
    date: Literal["same", "year", "near", "probable"]
    amounts: Literal["equal", "tolerance", "tax", "any"]
    match: Match

    @property
    def key(self) -> tuple[str, ...]:
        """What must be equal; passes with the same key are looked for together."""
        if self.number != "nearly":
            return self.supplier, self.number
        return self.supplier, self.number, "date" if self.date == "same" else "amounts"


# fmt: off
PASSES: Final = (
    #    name                             supplier  number                 date       amounts      match
    Pass("number_date_amounts",           "gstin",  "number",              "same",    "equal",     "matched"),
    Pass("number_amounts",                "gstin",  "number",              "year",    "equal",     "matched"),
    Pass("number_tolerance",              "gstin",  "number",              "year",    "tolerance", "within_tolerance"),
    Pass("number_only",                   "gstin",  "number",              "year",    "any",       "mismatch"),
    Pass("normalised_date_amounts",       "gstin",  "normalised",          "same",    "equal",     "matched"),
    Pass("normalised_amounts",            "gstin",  "normalised",          "year",    "equal",     "matched"),
    Pass("normalised_tolerance",          "gstin",  "normalised",          "year",    "tolerance", "within_tolerance"),
    Pass("normalised_only",               "gstin",  "normalised",          "near",    "any",       "mismatch"),
    Pass("original_amounts",              "gstin",  "original_number",     "year",    "equal",     "matched"),
    Pass("original_tolerance",            "gstin",  "original_number",     "year",    "tolerance", "within_tolerance"),
    Pass("original_only",                 "gstin",  "original_number",     "year",    "any",       "mismatch"),
    Pass("original_normalised_amounts",   "gstin",  "original_normalised", "year",    "equal",     "matched"),
    Pass("original_normalised_tolerance", "gstin",  "original_normalised", "year",    "tolerance", "within_tolerance"),
    Pass("original_normalised_only",      "gstin",  "original_normalised", "near",    "any",       "mismatch"),
    Pass("pan_number",                    "pan",    "number",              "year",    "tax",       "mismatch"),
    Pass("pan_normalised",                "pan",    "normalised",          "year",    "tax",       "mismatch"),
    Pass("nearly_date_amounts",           "gstin",  "nearly",              "same",    "tolerance", "probable"),
    Pass("nearly_amounts",                "gstin",  "nearly",              "probable", "equal",     "probable"),
)
# fmt: on

BY_NAME: Final = {one.name: one for one in PASSES}
