"""The result of a reset: GSTN's words read into rows, and every document that was sent accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from airflow_provider_ims.models.codes import remedy_for
from airflow_provider_ims.models.documents import section_of
from airflow_provider_ims.models.payload import DocumentKey, ResetPayload

Outcome = Literal["processed", "partial", "failed", "running", "unknown"]
DocumentOutcome = Literal["reset", "refused", "unknown"]

_OUTCOMES: dict[str, Outcome] = {"P": "processed", "PE": "partial", "ER": "failed", "IP": "running"}


class RefusedDocument(NamedTuple):
    """
    One document that GSTN did not reset.

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


class SectionCount(BaseModel):
    """What became of the documents of one section."""

    sent: int = 0
    reset: int = 0
    refused: int = 0
    unknown: int = 0


class Account(NamedTuple):
    """
    What became of every document that was sent.

    :param outcomes: document -> ``reset``, ``refused``, or ``unknown`` when the result does not say
    :param stray: refusals that fit no document that was sent; they are told, never dropped
    """

    outcomes: dict[DocumentKey, DocumentOutcome]
    stray: list[RefusedDocument]

    def sections(self) -> dict[str, SectionCount]:
        """Return the counts of each section, in the order of the request."""
        counts: dict[str, SectionCount] = {}
        for key, outcome in self.outcomes.items():
            count = counts.setdefault(key.section, SectionCount())
            count.sent += 1
            setattr(count, outcome, getattr(count, outcome) + 1)
        return counts

    def total(self, outcome: DocumentOutcome) -> int:
        """Return the number of documents with this outcome."""
        return Counter(self.outcomes.values())[outcome]


class ResetResult(BaseModel):
    """
    What GSTN made of a reset.

    Source of the shape: Vayana's sample of the result and GSTN's schema of the request status.

    :param status_cd: GSTN's word: ``P`` processed, ``PE`` processed with errors, ``ER`` failed as a whole,
        ``IP`` not ready; any other word is ``unknown``, never success
    :param processed: number of documents that GSTN says it processed; ``None`` if it does not say
    :param errors: number of documents that GSTN says it refused; the rows of its report if it does not say
    :param code: GSTN's code for the whole request, if any
    :param message: GSTN's message for the whole request, if any
    :param refused: one row per refused document
    :param raw: the result as it came
    """

    model_config = ConfigDict(frozen=True)

    status_cd: str
    processed: int | None
    errors: int
    code: str = ""
    message: str = ""
    refused: list[RefusedDocument] = []
    raw: dict[str, Any] = {}

    @property
    def outcome(self) -> Outcome:
        """What the request came to; ``transTypCd`` is never looked at, it is the same for every kind."""
        outcome = _OUTCOMES.get(self.status_cd.strip().upper(), "unknown")
        if outcome == "processed" and (self.refused or self.errors):
            return "partial"  # the word and the report disagree: believe the worse one
        return outcome

    @property
    def unexplained(self) -> int:
        """Number of refusals that GSTN counts and its report does not list."""
        return max(0, self.errors - len({row[:4] for row in self.refused}))

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> ResetResult:
        """
        Read the ``data`` of a result, in every shape that was seen.

        Counts come as text, numbers, empty or not at all; the error report may be missing, use GSTN's other
        section names, and leave ``inv`` out.

        :param data: the ``data`` of the service's reply
        """
        refused = list(_refusals(data.get("error_report")))
        errors = _count(data.get("err_cnt"))
        return cls(
            status_cd=_text(data.get("status_cd")),
            processed=_count(data.get("proc_cnt")),
            errors=len(refused) if errors is None else errors,
            code=_text(data.get("err_cd")),
            message=_text(data.get("err_msg")),
            refused=refused,
            raw=dict(data),
        )

    def account(
        self,
        payload: ResetPayload,
        already_reset: Collection[DocumentKey] = (),
        seen_reset: Collection[DocumentKey] = (),
    ) -> Account:
        """
        Say what became of every document that was sent.

        :param payload: the request that this is the result of
        :param already_reset: documents of it that were not sent, since GSTN held them at "no action" already
        :param seen_reset: documents that GSTN held at "no action" after this result, whatever it says of them
        :return: an outcome for each document. A document that GSTN does not list was reset if the request was
            processed; it is ``unknown`` where GSTN counts more refusals than it lists, counts fewer documents
            than were sent, or refuses "some document" of the same section and supplier without naming it
        """
        sent = [key for key, _ in payload.documents() if key not in already_reset]
        # Whether proc_cnt includes the refused is not documented; short in both readings is short.
        short = self.processed is not None and self.processed + self.errors < len(sent)
        unlisted: DocumentOutcome = "unknown"
        if self.outcome == "failed":
            unlisted = "refused"
        elif self.outcome in {"processed", "partial"} and not self.unexplained and not short:
            unlisted = "reset"
        if self.outcome == "partial" and not self.refused:
            unlisted = "unknown"  # some were refused, and nobody says which
        outcomes: dict[DocumentKey, DocumentOutcome] = dict.fromkeys(sent, unlisted)
        by_identity: dict[tuple[str, str, str], list[DocumentKey]] = {}
        for key in sent:
            by_identity.setdefault(key[1:], []).append(key)
        stray: list[RefusedDocument] = []
        for row in self.refused:
            named = DocumentKey.of(row.section, row.stin, row.number, row.rtnprd)
            if named in outcomes:
                outcomes[named] = "refused"
                continue
            alike = by_identity.get(named[1:], [])
            if (
                len(alike) == 1 and row.number
            ):  # under a section's name that we do not know, but it can be no other document
                outcomes[alike[0]] = "refused"
                continue
            stray.append(row)
            for key in alike or _may_be_meant(named, sent):
                if outcomes[key] == "reset":
                    outcomes[key] = "unknown"
        everything: dict[DocumentKey, DocumentOutcome] = dict.fromkeys(already_reset, "reset")
        everything.update(outcomes)
        everything.update(dict.fromkeys(seen_reset, "reset"))
        return Account({key: everything[key] for key, _ in payload.documents()}, stray)


def _may_be_meant(named: DocumentKey, sent: list[DocumentKey]) -> list[DocumentKey]:
    """
    Return the documents that a refusal may be about although it names none of them.

    GSTN may leave parts out, or write a number or period otherwise than it was sent.
    """
    agreeing = [key for key in sent if all(part in ("", known) for part, known in zip(named, key, strict=True))]
    of_supplier = [key for key in sent if key.stin == named.stin]
    of_section = [key for key in sent if key.section == named.section]
    of_both = [key for key in of_supplier if key.section == named.section]
    return agreeing or of_both or of_supplier or of_section or sent


def _refusals(report: object) -> Iterator[RefusedDocument]:
    if not isinstance(report, Mapping):
        yield from _unreadable_refusals("", report)
        return
    for name, entries in report.items():
        section = section_of(name)
        for entry in _as_list(entries):
            if not isinstance(entry, Mapping):
                yield from _unreadable_refusals(section, entry)
                continue
            for document in _as_list(entry.get("inv")) or [{}]:
                yield _refusal(section, entry, document if isinstance(document, Mapping) else {"inum": document})


def _refusal(section: str, entry: Mapping[str, Any], document: Mapping[str, Any]) -> RefusedDocument:
    def first(*names: str) -> str:
        return next((_text(part[name]) for part in (document, entry) for name in names if part.get(name)), "")

    code = first("error_cd", "err_cd")
    return RefusedDocument(
        section=section,
        stin=first("stin"),
        number=first("inum", "nt_num"),
        rtnprd=first("rtnprd"),
        code=code,
        message=first("error_msg", "err_msg"),
        remedy=remedy_for(code),
    )


def _unreadable_refusals(section: str, what: object) -> Iterator[RefusedDocument]:
    if what:
        yield RefusedDocument(section, "", "", "", "", str(what)[:500], remedy_for(""))


def _as_list(value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value] if value else []


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _count(value: object) -> int | None:
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None
