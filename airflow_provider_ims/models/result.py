"""The result of a reset: GSTN's words read into an outcome and rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from airflow_provider_ims.models.account import DONE, REFUSED, UNKNOWN, Account, ListedRefusals, RefusedDocument
from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.models.documents import section_of
from airflow_provider_ims.models.error_codes import nothing_was_done, remedy_for
from airflow_provider_ims.models.payload import ImsRequest
from airflow_provider_ims.models.printable import clean

Outcome = Literal["processed", "partial", "failed", "running", "unknown"]

_OUTCOMES: dict[str, Outcome] = {"P": "processed", "PE": "partial", "ER": "failed", "IP": "running"}


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
    :param unreadable: the counts of GSTN's that are no numbers, such as ``proc_cnt 'abc'``
    :param raw: the result as it came
    """

    model_config = ConfigDict(frozen=True)

    status_cd: str
    processed: int | None
    errors: int
    code: str = ""
    message: str = ""
    refused: list[RefusedDocument] = []
    unreadable: list[str] = []
    raw: dict[str, Any] = {}

    @property
    def outcome(self) -> Outcome:
        """What the request came to; ``transTypCd`` is never looked at, it is the same for every kind."""
        outcome = _OUTCOMES.get(self.status_cd.strip().upper(), "unknown")
        if outcome == "processed" and (self.refused or self.errors):
            return "partial"  # the word and the report disagree: believe the worse one
        if outcome == "processed" and self.contradictions:
            return "unknown"
        return outcome

    @property
    def contradictions(self) -> list[str]:
        """What in the answer does not go with its word: a code for what was processed, a count that is no number."""
        is_processed = _OUTCOMES.get(self.status_cd.strip().upper()) == "processed"
        return ([f"err_cd {self.code!r}"] if self.code and is_processed else []) + self.unreadable

    @property
    def nothing_done(self) -> bool:
        """Whether GSTN did not even begin: it was busy or down, or had no session for the GSTIN."""
        return self.outcome == "failed" and not self.refused and nothing_was_done(self.code)

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
        counts = {name: _text(data.get(name)) for name in ("proc_cnt", "err_cnt")}
        errors = _count(counts["err_cnt"])
        return cls(
            status_cd=_text(data.get("status_cd")),
            processed=_count(counts["proc_cnt"]),
            errors=len(refused) if errors is None else errors,
            code=_text(data.get("err_cd")),
            message=_text(data.get("err_msg")),
            refused=refused,
            # A count that is missing is no contradiction: a clean result has no err_cnt.
            unreadable=[f"{name} {text[:40]!r}" for name, text in counts.items() if text and _count(text) is None],
            raw=dict(data),
        )

    def account(
        self,
        payload: ImsRequest,
        already_done: Collection[DocumentKey] = (),
        seen_done: Collection[DocumentKey] = (),
        done: str = DONE,
    ) -> Account:
        """
        Say what became of every document that was sent.

        :param payload: the request that this is the result of
        :param already_done: documents of it that were not sent, since GSTN held them as they should be already
        :param seen_done: documents that GSTN held as they should be after this result, whatever it says of them
        :param done: what a document is called that is done
        :return: an outcome for each document. A document that GSTN does not list was reset if the request was
            processed; it is ``unknown`` where GSTN counts more refusals than it lists, where its counts do not add up
            to what was sent or contradict its word, or where it refuses "some document" of the
            same section and supplier without naming it. A refusal names no date: if it fits several documents, all are
            ``refused`` if GSTN lists as many refusals, else ``unknown``
        """
        sent = [key for key, _ in payload.documents() if key not in already_done]
        everything = dict.fromkeys(already_done, done)
        listed = ListedRefusals(self.refused, sent, repeats=self.errors < len(self.refused))
        everything.update(listed.outcomes(self._unlisted(len(sent), listed.explained, done)))
        everything.update(dict.fromkeys(seen_done, done))
        return Account({key: everything[key] for key, _ in payload.documents()}, listed.stray, listed.named, done)

    def _unlisted(self, sent: int, explained: int, done: str) -> str:
        """Return what became of the documents that GSTN's report does not list."""
        if self.outcome == "failed":
            return REFUSED
        if self.outcome == "partial" and not self.refused:
            return UNKNOWN  # some were refused, and nobody says which
        if self.outcome not in {"processed", "partial"} or self.contradictions or not self.adds_up_to(sent):
            return UNKNOWN
        return done if explained >= self.errors else UNKNOWN

    def adds_up_to(self, sent: int) -> bool:
        """
        Say whether GSTN's counts are those of a request of so many documents; a count that is missing says nothing.

        Whether ``proc_cnt`` includes the refused is not documented, so both readings pass.
        """
        return self.processed in {None, sent, sent - self.errors}


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
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else clean(str(value)).strip()  # a list or an object may be of any length


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None
