"""Accounts for every document that was sent, from the refusals that GSTN lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, repeat
from typing import NamedTuple

from airflow_provider_ims.models.document_key import DocumentKey, UndatedKey

REFUSED, UNKNOWN = "refused", "unknown"
DONE = "reset"
"""What became of a document. What it is called when it is done is the call's word: ``reset``."""


class RefusedDocument(NamedTuple):
    """
    One document that GSTN refused.

    :param section: section in the request's spelling (``b2bcn``, never ``cn``)
    :param stin: GSTIN of the supplier; empty if GSTN named none
    :param number: number of the invoice or note; empty if GSTN named none
    :param rtnprd: return period of the supplier, MMYYYY; empty if GSTN named none
    :param code: GSTN's code
    :param message: GSTN's message
    :param remedy: what a person does about it
    """

    section: str
    stin: str
    number: str
    rtnprd: str
    code: str
    message: str
    remedy: str


class Account(NamedTuple):
    """
    What became of every document that was sent.

    :param outcomes: document -> the word for what is done (``reset``), ``refused``, or ``unknown`` when the result
        does not say
    :param stray: refusals that fit no document that was sent; they are told, never dropped
    :param refusals: document -> the refusal that names it; or that names its number, where documents of other dates
        have the same
    :param done: the word for what is done
    """

    outcomes: dict[DocumentKey, str]
    stray: list[RefusedDocument]
    refusals: dict[DocumentKey, RefusedDocument]
    done: str = DONE

    def sections(self) -> dict[str, dict[str, int]]:
        """Return the number of documents of each section, ``sent`` and by outcome, in the order of the request."""
        counts: dict[str, dict[str, int]] = {}
        for key, outcome in self.outcomes.items():
            count = counts.setdefault(key.section, dict.fromkeys(("sent", self.done, REFUSED, UNKNOWN), 0))
            count["sent"] += 1
            count[outcome] += 1
        return counts

    def counts(self) -> dict[str, int]:
        """Return the number of documents by outcome."""
        return {outcome: self.total(outcome) for outcome in (self.done, REFUSED, UNKNOWN)}

    def total(self, outcome: str) -> int:
        """Return the number of documents with this outcome."""
        return Counter(self.outcomes.values())[outcome]


class ListedRefusals:
    """
    The refusals that GSTN lists, tied to the documents that were sent.

    :param rows: the refusals
    :param sent: the documents
    :param repeats: GSTN counts fewer refusals than it lists: to name a document twice says no more than once
    """

    def __init__(self, rows: Sequence[RefusedDocument], sent: Sequence[DocumentKey], *, repeats: bool) -> None:
        self._sent = sent
        self._repeats = repeats
        self._of_name: dict[UndatedKey, list[DocumentKey]] = {}
        self._of_number: dict[tuple[str, ...], list[DocumentKey]] = {}
        for key in sent:
            self._of_name.setdefault(key.undated, []).append(key)
            self._of_number.setdefault(key.undated[1:], []).append(key)
        self._rows: dict[UndatedKey, list[RefusedDocument]] = {}
        for row in rows:
            self._rows.setdefault(UndatedKey.of(row.section, row.stin, row.number, row.rtnprd), []).append(row)
        self.stray: list[RefusedDocument] = []
        self.named: dict[DocumentKey, RefusedDocument] = {}
        for name, listed in self._rows.items():
            if fitting := self._fitting(name):
                self.named.update(zip(fitting, chain(listed, repeat(listed[-1])), strict=False))
            else:
                self.stray += listed

    @property
    def explained(self) -> int:
        """Number of refusals that are accounted for by a row."""
        if self._repeats:
            return len(self._rows)
        return sum(min(len(listed), max(1, len(self._fitting(name)))) for name, listed in self._rows.items())

    def outcomes(self, unlisted: str) -> dict[DocumentKey, str]:
        """
        Return the outcome of each document.

        :param unlisted: that of a document that no refusal can be about
        """
        outcomes = dict.fromkeys(self._sent, unlisted)
        for name, listed in self._rows.items():
            fitting = self._fitting(name)
            if len(fitting) == 1 or (fitting and len(listed) >= len(fitting) and not self._repeats):
                outcomes.update(dict.fromkeys(fitting, REFUSED))
                continue
            for key in fitting or self._may_be_meant(name):
                if outcomes[key] != REFUSED:
                    outcomes[key] = UNKNOWN
        return outcomes

    def _fitting(self, name: UndatedKey) -> list[DocumentKey]:
        """Return the documents that a refusal names; they differ in their date alone."""
        if name in self._of_name:
            return self._of_name[name]
        # Under a section's name that we do not know, it may still fit the documents of one section alone.
        alike = self._of_number.get(name[1:], [])
        return alike if len({key.section for key in alike}) == 1 else []

    def _may_be_meant(self, name: UndatedKey) -> Sequence[DocumentKey]:
        """
        Return the documents that a refusal may be about although it names none of them.

        GSTN may leave parts out, or write a number or period otherwise than it was sent.
        """
        sent = self._sent
        agreeing = [key for key in sent if all(part in ("", own) for part, own in zip(name, key.undated, strict=True))]
        of_supplier = [key for key in sent if key.stin == name.stin]
        of_section = [key for key in sent if key.section == name.section]
        of_both = [key for key in of_supplier if key.section == name.section]
        return self._of_number.get(name[1:]) or agreeing or of_both or of_supplier or of_section or sent
