"""Reads what came of one request, and says it in every form that somebody needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_provider_ims.assets import Sums
from airflow_provider_ims.exceptions import (
    GstnError,
    GstnInvalidRequest,
    GstnRefused,
    GstnResetFailed,
    GstnResetNotDone,
    GstnResetPartial,
    GstnResultNotReady,
    GstnServiceUnavailable,
    of_code,
)
from airflow_provider_ims.hooks.gstn import RESET, Call, GstnHook
from airflow_provider_ims.models.account import Account
from airflow_provider_ims.models.document_key import DocumentKey, UndatedKey
from airflow_provider_ims.models.documents import SECTIONS, Document
from airflow_provider_ims.models.download import actions_of
from airflow_provider_ims.models.error_codes import meaning_of, nothing_was_done, remedy_for
from airflow_provider_ims.models.payload import ImsRequest
from airflow_provider_ims.models.reconciliation import Reconciliation
from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.models.sent_request import SentRequest
from airflow_provider_ims.results._ready import until_ready
from airflow_provider_ims.results.reconciliations import Reconciliations
from airflow_provider_ims.results.text_tables import aligned
from airflow_provider_ims.tables.documents import TAXES


class DocumentRow(NamedTuple):
    """
    What became of one document.

    :param date: date of the invoice or note, DD-MM-YYYY
    :param outcome: the call's word for what is done (``reset``), ``refused``, ``unknown``, or ``not sent``
    :param code: GSTN's code, if it refused this document, or one of the same number and another date
    :param message: GSTN's message, likewise
    :param remedy: what a person does about it
    :param reference_id: the reset that it was sent in
    """

    section: str
    stin: str
    number: str
    date: str
    rtnprd: str
    outcome: str
    code: str = ""
    message: str = ""
    remedy: str = ""
    reference_id: str = ""

    @classmethod
    def of_cells(cls, cells: Mapping[str, Any]) -> DocumentRow:
        """
        Return the row that stands in a table of outcomes.

        :param cells: name of a column -> what stands there; further columns are passed over
        """
        return cls(*(str(cells.get(name) or "") for name in cls._fields))


class RefusedRow(NamedTuple):
    """
    One refusal of GSTN's report, as a :class:`RefusedDocument` has it.

    :param date: date of the document, DD-MM-YYYY; GSTN gives none, so it is empty where the request does not tell
    """

    section: str
    stin: str
    number: str
    date: str
    rtnprd: str
    code: str
    message: str
    remedy: str


class Report:
    """
    What came of one request.

    :param reference_id: the task that did it
    :param result: GSTN's answer
    :param payload: the request; with it, every document is accounted for
    :param found: what a look at GSTN's documents told before, if there was one
    :param sent: what is kept of the request that was sent, if anything is
    :param call: which call it was
    """

    def __init__(
        self,
        reference_id: str,
        result: ResetResult,
        payload: ImsRequest | None = None,
        found: Reconciliation | None = None,
        sent: SentRequest | None = None,
        call: Call[Any, ResetResult] = RESET,
    ) -> None:
        self._call = call
        self.reference_id = reference_id
        self.result = result
        self.found = found
        self.is_simulated = False
        self._payload = payload
        self._sent = sent
        self._seen_done: set[DocumentKey] = set()
        self._documents: dict[DocumentKey, Document] | None = None
        self.account = self._accounted()

    def _accounted(self) -> Account | None:
        if self._payload is None:
            return None
        not_sent = self.found.keys(self._payload) if self.found else ()
        return self.result.account(self._payload, not_sent, self._seen_done, self._call.done)

    @classmethod
    def fetch(
        cls,
        hook: GstnHook,
        reference_id: str,
        payload: ImsRequest | None = None,
        found: Reconciliation | None = None,
        call: Call[Any, ResetResult] = RESET,
    ) -> Report:
        """
        Fetch the result of a task that is complete.

        :param found: what a look at GSTN's documents told before, if the caller knows; else what is kept of it is read
        :param call: which call it was
        :raises GstnResultNotReady: when GSTN still works on it
        :raises GstnResetNotDone: when nothing was done, since GSTN was busy or down, or had no session for the GSTIN
        :raises GstnResetFailed: when another error is all that came of it
        :raises GstnInvalidRequest: when another request was sent under this reference id than ``payload``
        """
        found = found or Reconciliations(hook.store).find(reference_id)
        sent = hook.find_sent_request(reference_id)
        if payload is not None:
            _refuse_another(call, payload, reference_id, found, sent)
        if found and not found.sent:
            # All documents were found at "no action" when the fate of the reset was looked up: nobody sent another.
            nothing_sent = {"reconciliation": found.model_dump()}
            result = ResetResult(status_cd="P", processed=found.count, errors=0, raw=nothing_sent)
        else:
            result = _result_of(hook, call, reference_id)
        if result.outcome == "running":
            raise GstnResultNotReady(
                f"Task {reference_id} is complete, but GSTN still works on the {call.noun} (IP). Read the result again"
                " later; the task's retries do that."
            )
        report = cls(reference_id, result, payload, found, sent, call)
        report.is_simulated = hook.is_simulator
        return report

    def start_reconciliation(self, hook: GstnHook) -> list[str]:
        """
        Begin to look at what GSTN holds, if the result alone does not tell.

        A reset that was sent once more meets documents that the first one has reset, and GSTN refuses those.

        :return: the downloads to wait for, and to give to :meth:`reconcile`; none if there is no need
        """
        if self._payload is None or self.account is None or self.found is None or not self.found.sent:
            return []
        open_ = {key.section for key, said in self.account.outcomes.items() if said != self._call.done}
        return [hook.submit_download(self._payload.rtin, section) for section in sorted(open_)]

    def reconcile(self, hook: GstnHook, downloads: Sequence[str]) -> None:
        """Correct the account by what GSTN holds, now that no reset runs any more."""
        actions = actions_of(page for reference_id in downloads for page in hook.get_task_pages(reference_id))
        outcomes = self.account.outcomes if self.account else {}
        open_ = [key for key, said in outcomes.items() if said != self._call.done]
        self._seen_done = {key for key in open_ if actions.get(key) == self._call.settles_on}
        self.account = self._accounted()

    @property
    def _name(self) -> str:
        return _named(self._call, self.reference_id)

    def document(self, key: DocumentKey) -> Document | None:
        """Return a document of the request, if that is known."""
        if self._documents is None:
            self._documents = dict(self._payload.documents()) if self._payload else {}
        return self._documents.get(key)

    @property
    def unknown(self) -> list[DocumentKey]:
        """The documents of which GSTN's answer leaves open what became of them."""
        return [key for key, said in self.account.outcomes.items() if said == "unknown"] if self.account else []

    @property
    def refused(self) -> list[RefusedRow]:
        """The refusals that GSTN lists, with the dates of the documents that they are about."""
        dates: dict[UndatedKey, list[str]] = {}
        for key in self.account.refusals if self.account else ():
            if self.account and self.account.outcomes[key] == "refused":
                dates.setdefault(key.undated, []).append(key.date)
        rows = []
        for row in self.result.refused:
            left = dates.get(UndatedKey.of(row.section, row.stin, row.number, row.rtnprd))
            rows.append(RefusedRow(*row[:3], left.pop(0) if left else "", *row[3:]))
        return rows

    @property
    def outcome(self) -> str:
        """The word for it all: ``processed``, ``partial`` or ``failed``."""
        if self._seen_done and self.account:
            # GSTN's word is about what the reset found; what counts is what GSTN holds after it.
            return "processed" if self.account.total(self._call.done) == len(self.account.outcomes) else "partial"
        if self.result.outcome not in {"processed", "partial"}:
            return "failed"
        return "partial" if self.unknown or not self._adds_up else self.result.outcome

    @property
    def _adds_up(self) -> bool:
        """Whether GSTN counts what was sent, as far as that is known; with the payload the account tells."""
        if self.account is not None or self._sent is None or (self.found is not None and not self.found.sent):
            return True
        return self.result.adds_up_to(self._sent.documents)

    def summary(self) -> dict[str, Any]:
        """Return the counts, small enough for XCom."""
        processed = self.result.processed
        if processed is None:
            processed = self.account.total(self._call.done) if self.account else 0
        summary: dict[str, Any] = {
            "outcome": self.outcome,
            "reference_id": self.reference_id,
            "processed": processed,
            "errors": self.result.errors,
            "status_cd": self.result.status_cd,
            "code": self.result.code,
        }
        if self.is_simulated:
            summary["simulator"] = True
        if self.account:
            summary["sections"] = self.account.sections()
        if self.found:
            summary[self._call.found_key] = self.found.count + len(self._seen_done)
        return summary

    def counts(self) -> dict[str, int]:
        """Return the number of documents by what became of them."""
        return (self.account or Account({}, [], {}, self._call.done)).counts()

    def as_extra(self) -> dict[str, Any]:
        """Return what an asset event tells of it; ``gstin`` is empty if the taxpayer is not known."""
        sums = Sums.empty()
        outcomes = self.account.outcomes if self.account else {}
        for key, document in self._payload.documents() if self._payload else ():
            tax = (getattr(document, name, None) for name in TAXES)
            sums.add(outcomes.get(key, "unknown"), tax)
        if not sums.counts:
            sums.counts.update({self._call.done: self.result.processed or 0, "refused": self.result.errors})
        return {
            "gstin": (self._payload and self._payload.rtin) or (self._sent and self._sent.rtin) or "",
            "outcome": self.outcome,
            "documents": sum(sums.counts.values()),
            "refused": self.refused,
            "reason": f"{self.result.code} {self.result.message}".strip() if self.outcome == "failed" else "",
            "simulator": self.is_simulated,
            **sums.as_extra(),
        }

    def error(self, rest: str = "") -> GstnError | None:
        """
        Return what is wrong: :class:`GstnResetFailed`, :class:`GstnResetPartial`, or nothing.

        :param rest: where the refusals are that the text has no room for, such as ``", all in the log"``
        """
        if self.outcome == "processed":
            return None
        if self.outcome == "failed":
            return GstnResetFailed(
                self._why_failed(), code=self.result.code, advice=self._advice(), refused=self._refused_now()
            )
        lines = [f"{self._name}: {self._counted()}."]
        if not self._adds_up:
            lines.append(
                f"GSTN counts {self.result.processed} processed and {self.result.errors} refused;"
                f" {self._sent.documents if self._sent else 0} were sent."
            )
        lines += self._first_refusals(rest)
        if self.unknown or not self._adds_up or (self.account is None and self.result.unexplained):
            lines.append("Look up those that are not accounted for on the GST portal.")
        refused = self._refused_now()
        code = next((row.code for row in refused if row.code), "")
        return GstnResetPartial("\n".join(lines), code=code, advice=self._advice(code), refused=refused)

    def _refused_now(self) -> list[RefusedRow]:
        """Return the refusals, without those of documents that are at "no action" all the same."""
        return [row for row in self.refused if DocumentKey(*row[:5]) not in self._seen_done]

    def _advice(self, code: str = "") -> str:
        code = code or self.result.code
        return remedy_for(code) if code else "Look at the documents on the GST portal."

    def _why_failed(self) -> str:
        result = self.result
        what = " ".join(part for part in (result.code, result.message) if part) or "no reason given"
        if result.outcome == "failed":
            if (result.code or result.message) and meaning_of(result.code) is None:
                what = f"GSTN says: {what}"  # a line that began with any words could pass for one of the log
            return f"{self._name} did not succeed (status_cd {result.status_cd!r}):\n{what}.\n{self._advice()}"
        if result.contradictions:
            against = ", ".join(result.contradictions)
            why = f"its answer contradicts itself: status_cd {result.status_cd!r} with {against}"
        else:
            why = f"nobody knows the word status_cd {result.status_cd!r}"
        said = f" GSTN says: {result.message}." if result.message else ""
        return (
            f"{self._name}: GSTN does not say what was done;\n{why}.{said}"
            "\nLook at the documents on the GST portal before you send anything again."
        )

    def _counted(self) -> str:
        """Say how many documents came to what, and claim of none more than is known."""
        if self.account is None:
            unexplained = self.result.unexplained
            unnamed = f", and does not name {unexplained} of them" if unexplained else ""
            processed = self.result.processed
            counted = "" if processed is None else f"; it counts {processed} as processed"
            return f"GSTN refused {self.result.errors}{unnamed}{counted}"
        done, refused, unknown = self.account.counts().values()
        parts = [
            f"{refused} refused by GSTN" if refused else "",
            f"{unknown} not accounted for" if unknown else "",
            f"{done} {self._call.done}" if done else "",
        ]
        return f"of {len(self.account.outcomes)} documents " + ", ".join(filter(None, parts))

    def _first_refusals(self, rest: str, shown: int = 5) -> list[str]:
        # Of what GSTN lists, some may be at "no action" all the same, as a look at its documents told.
        named = self.account.refusals if self.account else {}
        still = {row for key, row in named.items() if key not in self._seen_done}
        gone = {row for key, row in named.items() if key in self._seen_done} - still
        refused = [row for row in self.result.refused if row not in gone]
        lines = [
            f"{row.section if row.section in SECTIONS else repr(row.section)} {row.number or '?'} of {row.stin or '?'}:"
            f" {row.code}"
            for row in refused[:shown]
        ]
        if len(refused) > shown:
            lines.append(f"and {len(refused) - shown} more{rest}")
        return lines

    def rows(self) -> Iterator[DocumentRow]:
        """Yield every document of the request with what became of it."""
        for key, said in self.account.outcomes.items() if self.account else ():
            row = self.account.refusals.get(key) if self.account else None
            why = (row.code, row.message, row.remedy) if row else ("", "", "")
            if said == self._call.done:
                why = ("", "", "")
            elif said == "refused" and row is None:
                why = (self.result.code, self.result.message, remedy_for(self.result.code))
            yield DocumentRow(*key, said, *why, self.reference_id)

    def write_to(self, log: Any) -> None:
        """Write into a task's log what a person wants to see there."""
        for row in self.result.refused:
            log.warning(
                "Refused: %s %s of supplier %s, period %s: %s %s. %s",
                row.section,
                row.number or "(no number given)",
                row.stin or "(none given)",
                row.rtnprd or "(none given)",
                row.code,
                row.message,
                row.remedy,
            )
        if self.account is None:
            return
        header = ("section", "sent", *self.account.counts())
        counts = [(name, *said.values()) for name, said in self.account.sections().items()]
        log.info("%s\n%s", self._name, aligned(counts, header))
        for row in self.account.stray:
            log.warning("GSTN refused what we did not send, or did not name it: %s", row)


def _result_of(hook: GstnHook, call: Call[Any, ResetResult], reference_id: str) -> ResetResult:
    try:
        # A complete task whose GSTN half says IP is rare and short: worth a moment of this worker.
        result: ResetResult = until_ready(lambda read: read.outcome == "running")(
            hook.get_task_result, reference_id, call
        )
    except GstnError as error:
        if nothing_was_done(error.code):
            # The envelope's code is the task's, except that a gateway with an outage of its own may say the same.
            is_certain = not isinstance(error, GstnServiceUnavailable) or (error.http_status or 200) < 500
            raise _not_done(call, reference_id, error, is_certain=is_certain) from None
        if isinstance(error, (GstnRefused, GstnInvalidRequest)):
            # The task is complete, and an error is all that came of it: asking again gives the same.
            raise GstnResetFailed(f"{_named(call, reference_id)} ended in an error. {error}", code=error.code) from None
        raise
    if result.nothing_done:
        raise _not_done(call, reference_id, of_code(result.code, f"{result.code} {result.message}.".strip()))
    return result


def _not_done(
    call: Call[Any, Any], reference_id: str, cause: GstnError, *, is_certain: bool = True
) -> GstnResetNotDone:
    return GstnResetNotDone(
        f"Nothing of {call.noun} {reference_id} was done. Clear the task that sent it, together with those after it: it"
        f" is sent again.\n{cause}",
        cause=cause,
        is_certain=is_certain,
    )


def _named(call: Call[Any, Any], reference_id: str) -> str:
    return f"{call.noun.capitalize()} {reference_id}"


def listed(counts: Mapping[str, int]) -> str:
    """Return counts in words, without those that are zero."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def difference_of(payload: ImsRequest, found: Reconciliation | None, sent: SentRequest | None) -> str:
    """
    Say in which way a request is not the one that a reference id stands for; empty if it is, or if that is not known.

    :param found: what a look at GSTN's documents told about that one
    :param sent: what is kept of that one
    """
    difference = sent.difference(payload) if sent else ""
    if found is None:
        return difference
    # Then what was sent may be a part of the request that was asked for, and its counts tell nothing.
    if found.fingerprint == payload.fingerprint():
        return ""
    if not difference or (found.already_reset and sent and sent.rtin == payload.rtin):
        return "The request that was asked for had other documents, or one of them differs in a field."
    return difference


def _refuse_another(
    call: Call[Any, Any],
    payload: ImsRequest,
    reference_id: str,
    found: Reconciliation | None,
    sent: SentRequest | None,
) -> None:
    """Refuse to account for documents of which this reset says nothing; what is not known is no reason to."""
    difference = difference_of(payload, found, sent)
    if difference:
        raise GstnInvalidRequest(
            f"The payload is not what was sent as {reference_id}; nothing was accounted for.\n{difference}\nGive the"
            f" payload that the {call.noun} task was given, unchanged, or leave payload out, which tells GSTN's counts"
            " alone. Then clear this task: the service keeps the result for 7 days.\nIf this payload is the right one"
            f" and another was sent by mistake, clear the {call.noun} task: it looks at GSTN's documents and sends what"
            f" is not {call.settled}."
        )
