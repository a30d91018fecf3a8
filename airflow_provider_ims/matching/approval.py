"""What a person who approves resets is shown: one text, made of a reconciliation's summary alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from airflow_provider_ims.matching.decisions import DECISIONS
from airflow_provider_ims.models.calendar import Calendar
from airflow_provider_ims.models.printable import counted

__all__ = ["approval_text"]

_ACTIONS: Final = {"A": "accepted", "R": "rejected", "P": "pending", "N": "no action"}
_LONGEST_CELL: Final = 60
_MOST_DIGESTS: Final = 10
_MOST_WARNINGS: Final = 10


class ApprovalText(NamedTuple):
    """
    The text of an approval, as ``ApprovalOperator`` takes it.

    :param subject: one line
    :param body: Markdown
    """

    subject: str
    body: str


def approval_text(
    reconciliation: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    *,
    at: datetime | None = None,
    calendar: Calendar | Mapping[str, Any] | None = None,
) -> ApprovalText:
    """
    Write what a person has to know to approve the resets of a reconciliation, or to reject them.

    :param reconciliation: what ``ImsReconcileOperator`` returned, or a list of it
    :param at: the time; ``None``: now
    :param calendar: how the company files; see :class:`~airflow_provider_ims.models.calendar.Calendar`
    """
    now = at or datetime.now(UTC)
    found = [reconciliation] if isinstance(reconciliation, Mapping) else list(reconciliation)
    counts = [entry for each in found for entry in each["counts"] if entry["documents"]]
    rtins = sorted({rtin for each in found for rtin in each["rtins"]})
    dates = Calendar.of(calendar)
    resets = [entry for entry in counts if entry["decision"] == "reset"]
    documents, tax = sum(entry["documents"] for entry in resets), _sum(resets)
    subject = (
        f"IMS: put {counted(documents, 'document')} with {_money(tax)} of tax back to no action"
        f" ({counted(len(rtins), 'GSTIN')})"
    )
    parts = [
        f"**{counted(documents, 'document')}** with **{_money(tax)}** of tax are to be put back to *no action*.",
        "A document at *no action* is deemed **accepted** when GSTR-2B is drawn, unless somebody acts on it before."
        + _of_rejected(resets),
        *(f"**{text}**" for text in dates.warnings(rtins, now)),
        *dates.notes(rtins, now),
        _warnings(found),
        _decisions(counts),
    ]
    largest = sorted(
        (row for each in found for row in each.get("largest", ())),
        key=lambda row: (-Decimal(row["tax"]), row["number"]),
    )[:10]
    if largest:
        parts += ["The largest to be reset:", _largest(largest)]
    parts += _files(found)
    parts.append(f"Approve: these documents are reset{_and_no_others(found)}. Reject: nothing is sent.")
    return ApprovalText(subject, "\n\n".join(part for part in parts if part))


def _warnings(found: Sequence[Mapping[str, Any]]) -> str:
    """Return what is not wrong but worth a look, such as rows of the books that were skipped."""
    said = [text for each in found for text in each.get("warnings", ())]
    more = len(said) - _MOST_WARNINGS
    lines = [f"- {_escaped(text)}" for text in said[:_MOST_WARNINGS]]
    return "\n".join([*lines, *([f"- and {more:,} more"] if more > 0 else [])])


def _and_no_others(found: Sequence[Mapping[str, Any]]) -> str:
    digests = [f"`{each['resets_digest'][:12]}`" for each in found if each.get("resets_digest")]
    return f", and no others (digest {', '.join(digests)})" if 0 < len(digests) <= _MOST_DIGESTS else ""


def _of_rejected(resets: Sequence[Mapping[str, Any]]) -> str:
    rejected = [entry for entry in resets if entry["action"] == "R"]
    if not rejected:
        return ""
    count = sum(entry["documents"] for entry in rejected)
    return f" {counted(count, 'of them is', 'of them are')} rejected now: to reset them takes the rejection back."


def _decisions(counts: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for decision in ("reset", *(word for word in DECISIONS if word != "reset")):
        of_pair: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for entry in counts:
            if entry["decision"] == decision:
                of_pair.setdefault((entry["match"], entry["action"]), []).append(entry)
        for (match, action), entries in sorted(of_pair.items()):
            number = sum(entry["documents"] for entry in entries)
            rows.append((decision, match, _ACTIONS.get(action, action), f"{number:,}", _money(_sum(entries))))
    return _table(("decision", "match", "stands at", "documents", "tax"), rows, right=("documents", "tax"))


def _largest(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = [
        (
            row["rtin"],
            row["trade_name"] or row["stin"],
            f"{row['number']} of {row['date']}",
            _ACTIONS.get(row["action"], row["action"]),
            row["match"],
            _money(Decimal(row["tax"])),
        )
        for row in rows
    ]
    return _table(("GSTIN", "supplier", "document", "stands at", "match", "tax"), shown, right=("tax",))


def _files(found: Sequence[Mapping[str, Any]]) -> list[str]:
    review = sum(each["decisions"].get("review", 0) for each in found)
    paths = [f"`{_cell(each['review_path'])}`" for each in found if each.get("review_path")]
    if not review or not paths:
        return []
    return [f"{counted(review, 'row', 'rows')} are left for a person to review: {', '.join(paths)}"]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> str:
    ruler = ["---:" if name in right else "---" for name in header]
    lines = [header, ruler, *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    """Return a text as Markdown shows it: what a supplier wrote is neither markup nor the end of a cell."""
    text = " ".join(str(value).split())
    return _escaped(text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…")


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#!|~&])", r"\\\1", text)


def _sum(entries: Iterable[Mapping[str, Any]]) -> Decimal:
    return sum((Decimal(entry["tax"]) for entry in entries), Decimal(0))


def _money(amount: Decimal) -> str:
    """Return rupees with India's separators: 12,34,567.00."""
    whole, _, paise = f"{abs(amount):.2f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    groups = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return f"{'-' if amount < 0 else ''}₹{','.join([*groups, tail])}.{paise}"
