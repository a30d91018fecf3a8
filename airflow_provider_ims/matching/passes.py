"""
The rules by which a document and a row of the books are taken for the same: read from top to bottom, first hit wins.

What every pass demands besides what its line says: the same own GSTIN, the same kind (invoice, debit note, credit
note), and one to one. Between equals nothing is chosen; nor where a row of the books has the number of one document and
the date of another one with its amounts and nearly its number (``number_amounts`` to ``normalised_tolerance``).
``docs/matching.md`` shows an example of each.
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
        most ``near_days`` apart
    :param amounts: ``equal``; ``tolerance``: within the tolerance; ``tax``: taxable value and total tax within the
        tolerance; ``any``: whatever they are
    :param match: what the two are then
    """

    name: str
    supplier: Literal["gstin", "pan"]
    number: Literal["number", "normalised", "original_number", "original_normalised", "nearly"]
    date: Literal["same", "year", "near"]
    amounts: Literal["equal", "tolerance", "tax", "any"]
    match: Match

    @property
    def key(self) -> tuple[str, str, bool]:
        """What must be equal: supplier, number, whether the day; passes next to each other share one search for it."""
        return self.supplier, self.number, self.date == "same"


# fmt: off
PASSES: Final = (
    #    name                             supplier  number                 date        amounts      match
    Pass("number_date_amounts",           "gstin",  "number",              "same",     "equal",     "matched"),
    Pass("number_date_tolerance",         "gstin",  "number",              "same",     "tolerance", "within_tolerance"),
    Pass("number_date",                   "gstin",  "number",              "same",     "any",       "mismatch"),
    Pass("normalised_date_amounts",       "gstin",  "normalised",          "same",     "equal",     "matched"),
    Pass("normalised_date_tolerance",     "gstin",  "normalised",          "same",     "tolerance", "within_tolerance"),
    Pass("number_amounts",                "gstin",  "number",              "year",     "equal",     "matched"),
    Pass("number_tolerance",              "gstin",  "number",              "year",     "tolerance", "within_tolerance"),
    Pass("normalised_amounts",            "gstin",  "normalised",          "year",     "equal",     "matched"),
    Pass("normalised_tolerance",          "gstin",  "normalised",          "year",     "tolerance", "within_tolerance"),
    Pass("nearly_date_amounts",           "gstin",  "nearly",              "same",     "tolerance", "probable"),
    Pass("number_only",                   "gstin",  "number",              "year",     "any",       "mismatch"),
    Pass("normalised_only",               "gstin",  "normalised",          "near",     "any",       "mismatch"),
    Pass("original_amounts",              "gstin",  "original_number",     "year",     "equal",     "matched"),
    Pass("original_tolerance",            "gstin",  "original_number",     "year",     "tolerance", "within_tolerance"),
    Pass("original_only",                 "gstin",  "original_number",     "year",     "any",       "mismatch"),
    Pass("original_normalised_amounts",   "gstin",  "original_normalised", "year",     "equal",     "matched"),
    Pass("original_normalised_tolerance", "gstin",  "original_normalised", "year",     "tolerance", "within_tolerance"),
    Pass("original_normalised_only",      "gstin",  "original_normalised", "near",     "any",       "mismatch"),
    Pass("pan_number",                    "pan",    "number",              "year",     "tax",       "mismatch"),
    Pass("pan_normalised",                "pan",    "normalised",          "year",     "tax",       "mismatch"),
)
# fmt: on
