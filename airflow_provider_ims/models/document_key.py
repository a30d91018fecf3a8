"""What tells one document from another: the identity of a document, with its date and without."""

from __future__ import annotations

from typing import NamedTuple, Self


class UndatedKey(NamedTuple):
    """
    All that GSTN's error report gives of a document; documents that differ in their date alone share it.

    Letter case is folded, since a report may write a number in capitals that was sent in small letters.
    """

    section: str
    stin: str
    number: str
    rtnprd: str

    @classmethod
    def of(cls, section: str, stin: str, number: str, rtnprd: str) -> Self:
        """Build it from the parts as somebody wrote them."""
        return cls(section, stin.strip().upper(), number.strip().upper(), rtnprd.strip())


class DocumentKey(NamedTuple):
    """
    What tells one document of a GSTIN from another.

    The date belongs to it: a supplier may give a number again in a new financial year, and report both documents in
    one period. Letter case is folded as in :class:`UndatedKey`.
    """

    section: str
    stin: str
    number: str
    date: str
    rtnprd: str

    @classmethod
    def of(cls, section: str, stin: str, number: str, date: str, rtnprd: str) -> Self:
        """Build the key from the parts as somebody wrote them; ``date`` is DD-MM-YYYY."""
        return cls(section, stin.strip().upper(), number.strip().upper(), date.strip(), rtnprd.strip())

    @property
    def undated(self) -> UndatedKey:
        """What an error report would call the document."""
        return UndatedKey(self.section, self.stin, self.number, self.rtnprd)
