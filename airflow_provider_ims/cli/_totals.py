"""What the documents of requests add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from airflow_provider_ims.models.documents import SECTIONS, Document
from airflow_provider_ims.tables.documents import AMOUNTS


class Totals:
    """Documents and taxes of each section."""

    def __init__(self) -> None:
        self._documents: dict[str, int] = {}
        self._amounts: dict[str, dict[str, Decimal]] = {}
        self._periods: set[str] = set()

    def add(self, section: str, documents: Sequence[Document]) -> None:
        """Add documents of a section."""
        of_it = self._amounts.setdefault(section, dict.fromkeys(AMOUNTS, Decimal(0)))
        self._documents[section] = self._documents.get(section, 0) + len(documents)
        for document in documents:
            self._periods.add(document.rtnprd)
            for name in AMOUNTS:
                of_it[name] += getattr(document, name)

    @property
    def documents(self) -> int:
        """Number of all documents."""
        return sum(self._documents.values())

    @property
    def periods(self) -> list[str]:
        """Return periods of the suppliers, MMYYYY, in the order of time."""
        return sorted(self._periods, key=lambda period: (period[2:], period[:2]))

    def sections(self) -> dict[str, dict[str, Any]]:
        """Return section -> documents and amounts (text with two decimals), in GSTN's order."""
        return {
            section: {
                "documents": self._documents[section],
                **{name: f"{amount:.2f}" for name, amount in self._amounts[section].items()},
            }
            for section in SECTIONS
            if section in self._documents
        }

    def rows(self) -> list[list[object]]:
        """Return the rows of a table: section, documents, amounts; the sum last."""
        rows: list[list[object]] = [
            [section, self._documents[section], *_shown(self._amounts[section].values())]
            for section in SECTIONS
            if section in self._documents
        ]
        if len(rows) > 1:
            sums = (sum((of_it[name] for of_it in self._amounts.values()), Decimal(0)) for name in AMOUNTS)
            rows.append(["all", self.documents, *_shown(sums)])
        return rows


def _shown(amounts: Iterable[Decimal]) -> list[str]:
    return [f"{amount:,.2f}" for amount in amounts]
