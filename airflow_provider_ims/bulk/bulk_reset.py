"""Takes all requests of one GSTIN to the service, one after another, whatever dies in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from airflow_provider_ims.bulk.outcomes import ChunkOutcome, Outcomes
from airflow_provider_ims.bulk.plan_entry import load_request
from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnError,
    GstnResetFailed,
    GstnTaskFailed,
    GstnTaskNotFound,
)
from airflow_provider_ims.hooks.gstn import RESET, Call, GstnHook
from airflow_provider_ims.models.plan import GstinPlan, PlannedRequest
from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.progress import span
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.submissions.audit import NO_AUDIT, AuditTrail
from airflow_provider_ims.submissions.journal import Attempt, BulkPart, Entry, Journal, entry_of
from airflow_provider_ims.submissions.policy import Policy
from airflow_provider_ims.submissions.sent_records import SentRecords
from airflow_provider_ims.submissions.single import TIMEOUT, SingleRequest
from airflow_provider_ims.submissions.submission import Submission
from airflow_provider_ims.waits.steps import AwaitMoment, AwaitTasks

OnFailure = Literal["stop", "continue"]

log = logging.getLogger(__name__)

_OF_ONE_CHUNK = (GstnAmbiguousSubmission, GstnTaskFailed, GstnTaskNotFound, GstnResetFailed)
"""What is wrong with one request and says nothing of the next one."""


class Chunk(NamedTuple):
    """
    A request of the plan with its number, from 1, and the journal's key.

    :param planned: the request
    """

    number: int
    key: str
    planned: PlannedRequest


def chunks_of(plan: GstinPlan) -> list[Chunk]:
    """Return the requests of a plan; a task instance may come to do another GSTIN, so the key names it."""
    return [Chunk(n, f"ims_reset_{plan.rtin}_{n:04d}", planned) for n, planned in enumerate(plan.chunks, 1)]


def records_of(plan: GstinPlan) -> SentRecords:
    """Return where it is kept beside the requests what was sent of them."""
    return SentRecords({chunk.key: chunk.planned.path for chunk in chunks_of(plan)})


class BulkReset:
    """
    The resets of one GSTIN, of which the service allows one at a time.

    Everything that was done is in the journal, so that :meth:`advance` can be called in any process, as often as it
    takes.

    :param hook: speaks to the service
    :param journal: what was done so far
    :param plan: the requests
    :param outcomes: keeps what became of each document
    :param records: what was sent from the same folder
    :param attempt: which try of the task this is
    :param policy: what the user decided about sending
    :param on_failure: after a request that failed or whose fate is not known: ``stop``, or ``continue`` with the next
    :param timeout: how long one request may run, seconds
    :param audit: where a record of each reset is left, if anywhere
    :param call: which call they are of
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        hook: GstnHook,
        journal: Journal,
        plan: GstinPlan,
        outcomes: Outcomes,
        records: SentRecords,
        *,
        attempt: Attempt,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        on_failure: OnFailure = "stop",
        timeout: float = TIMEOUT,
        audit: AuditTrail = NO_AUDIT,
        call: Call[bytes, ResetResult] = RESET,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._call = call
        self._hook = hook
        self._journal = journal
        self._plan = plan
        self._outcomes = outcomes
        self._records = records
        self._attempt = attempt
        self._on_failure = on_failure
        self._timeout = timeout
        self._policy = policy
        self._audit = audit
        self._clock = clock
        self.chunks = chunks_of(plan)
        self._is_first_plan = False

    def advance(self, ended: AwaitTasks | None = None) -> AwaitTasks | AwaitMoment | None:
        """
        Do what can be done now.

        :param ended: what the last call said has to be waited for, if that has ended
        :return: what has to be waited for before this is called again, or ``None`` when every request is dealt with
        :raises GstnError: when the rest cannot or shall not be sent; :meth:`done` says how far it got
        """
        self._mind_an_earlier_plan()
        for chunk in self.chunks:
            if self._is_settled(chunk):
                continue
            try:
                step = self._carry_on(chunk, ended if ended and ended.key == chunk.key else None)
            except _OF_ONE_CHUNK as error:
                self._note_failure(chunk, error)
                if self._on_failure == "stop":
                    raise
                step = None
            if step is not None:
                return step
        return None

    @property
    def has_begun(self) -> bool:
        """Whether something is known of any request, such as that it was sent."""
        return any(self._entry(chunk) is not None for chunk in self.chunks)

    @property
    def has_sent(self) -> bool:
        """Whether any request went out, or may have."""
        return any(entry.sends for chunk in self.chunks if (entry := self._entry(chunk)) is not None)

    def done(self) -> list[ChunkOutcome]:
        """Say how far each request got, in their order."""
        return [self._outcome_of(chunk) for chunk in self.chunks]

    def _mind_an_earlier_plan(self) -> None:
        """
        Have GSTN's documents looked at before anything is sent that an earlier plan may have sent.

        Its requests may have had the same documents in any other order, so this is about all that are new. Each is
        marked before the last trace of the earlier plan is written over.
        """
        new = [chunk for chunk in self.chunks if self._entry(chunk) is None]
        if not new:
            return
        mine = {chunk.planned.sha256 for chunk in self.chunks}
        known = [self._journal.read(chunk.key) for chunk in new]
        recorded = [entry_of("a record beside the requests", record) for record in self._records.all()]
        earlier = [entry for entry in (*known, *recorded) if entry is not None and _sha256_of(entry) not in mine]
        earlier = [entry for entry in earlier if entry.sends]
        if not earlier:
            self._is_first_plan = True
            return
        log.warning(
            "Requests of another plan were sent for GSTIN %s from here (%d). Before anything of this plan is sent that"
            " was not in it, GSTN's documents are looked at.",
            self._plan.rtin,
            len(earlier),
        )
        now = self._clock()
        since = max(entry.in_flight_since if entry.at else now for entry in earlier)
        for chunk in sorted(new, key=lambda chunk: self._journal.read(chunk.key) is not None):
            mark = Entry(
                **{"phase": "intent", "fingerprint": "", "at": now, "attempt": self._attempt},
                **{"sends": 1, "sends_before": 1, "in_flight_since": since, "must_reconcile": True},
                bulk=BulkPart(sha256=chunk.planned.sha256),
            )
            self._journal.write(chunk.key, mark)

    def _is_settled(self, chunk: Chunk) -> bool:
        entry = self._entry(chunk)
        if entry is None:
            return False
        if not entry.is_of(self._attempt):
            # A person has cleared the task.
            if entry.phase != "ended" or self._policy.asks_again(*entry.came_to):
                return False
            kept = {"cleared": self._attempt.max_tries, "cleared_at": self._clock(), "must_reconcile": False}
            self._journal.write(chunk.key, entry.model_copy(update=kept))
            return True
        failure = _failure_of(entry)
        if failure and (entry.phase == "ended" or self._journal.is_mine(entry)):
            if self._on_failure == "stop" and not self._attempt.cleared_since(entry.attempt):
                # The worker died between this and the end of the task, or another task met this failure.
                raise (GstnAmbiguousSubmission if entry.phase == "intent" else GstnResetFailed)(failure)
            return True
        return entry.phase == "ended" and not entry.must_reconcile

    def _carry_on(self, chunk: Chunk, ended: AwaitTasks | None) -> AwaitTasks | AwaitMoment | None:
        payload = load_request(chunk.planned, self._plan.rtin)
        name = f"GSTIN {self._plan.rtin}, request {chunk.number} of {len(self.chunks)}"
        before = sum(each.planned.documents for each in self.chunks[: chunk.number - 1])
        log.info(
            "%s: documents %s to %s of %s.",
            *(name, f"{before + 1:,}", f"{before + chunk.planned.documents:,}", f"{self._plan.documents:,}"),
        )
        submission = Submission(
            self._hook,
            self._journal,
            payload,
            attempt=self._attempt,
            policy=self._policy,
            key=chunk.key,
            bulk=BulkPart(sha256=chunk.planned.sha256),
            audit=self._audit,
            call=self._call,
            clock=self._clock,
        )
        step = SingleRequest(submission, timeout=self._timeout, name=name).advance(ended)
        if not isinstance(step, Report):
            return step
        self._finish(chunk, step)
        return None

    def _finish(self, chunk: Chunk, report: Report) -> None:
        if (entry := self._entry(chunk)) and entry.at:
            log.info(
                "Request %d of %d: GSTN took %s at most for %s documents.",
                *(chunk.number, len(self.chunks), span(self._clock() - entry.at), f"{chunk.planned.documents:,}"),
            )
        self._outcomes.keep(chunk.planned, report)
        summary = report.summary()
        self._audit.ended(report.reference_id, summary, report.refused, report.unknown)
        error = report.error()
        failure = error if isinstance(error, GstnResetFailed) else None
        changes = {"phase": "ended", "outcome": report.outcome, "in_flight_since": 0.0}
        self._note(chunk, str(failure or ""), report.counts(), **changes)
        if failure is not None:
            raise failure
        if error is not None:
            log.warning("%s", error)

    def _note_failure(self, chunk: Chunk, error: GstnError) -> None:
        log.error("Request %d of %d failed. %s", chunk.number, len(self.chunks), error)
        if isinstance(error, GstnResetFailed):
            # That is known for good, and another sending comes to the same unless a person thinks otherwise.
            has_ended = (entry := self._entry(chunk)) is not None and entry.phase == "ended"
            changes = {} if has_ended else {"phase": "ended", "outcome": "failed"}
            self._note(chunk, str(error), None if has_ended else {}, **changes, in_flight_since=0.0)
        else:
            self._note(chunk, str(error))

    def _note(self, chunk: Chunk, failure: str, counts: dict[str, int] | None = None, **changes: object) -> None:
        entry = self._entry(chunk)
        if entry is None or entry.bulk is None:
            return
        counts = entry.bulk.counts if counts is None else counts
        bulk = entry.bulk.model_copy(update={"failure": failure, "counts": counts})
        changes |= {"bulk": bulk, "attempt": self._attempt, "cleared": None}
        self._journal.keep(chunk.key, entry.model_copy(update=changes))

    def _outcome_of(self, chunk: Chunk) -> ChunkOutcome:
        entry = self._entry(chunk)
        if entry is None:
            # Its documents may have been sent by a plan before this one, as long as it is not known that none was.
            return ChunkOutcome(chunk.planned, "not sent" if self._is_first_plan else "unknown")
        known: dict[str, Any] = {"reference_id": entry.reference_id, "failure": _failure_of(entry)}
        if entry.phase == "unsent":
            return ChunkOutcome(chunk.planned, "not sent", **known, already_reset=entry.already_reset)
        known["sent_at"] = entry.at
        if entry.phase == "ended" and entry.bulk and entry.bulk.counts:
            return ChunkOutcome(chunk.planned, "ended", ended_as=entry.bulk.counts, **known)
        return ChunkOutcome(chunk.planned, "unknown", **known, already_reset=entry.already_reset)

    def _entry(self, chunk: Chunk) -> Entry | None:
        """Return the journal's entry of a request, or ``None`` if it is about another one."""
        entry = self._journal.read(chunk.key)
        return entry if entry is None or _sha256_of(entry) == chunk.planned.sha256 else None


def _sha256_of(entry: Entry) -> str:
    return entry.bulk.sha256 if entry.bulk else ""


def _failure_of(entry: Entry) -> str:
    return entry.bulk.failure if entry.bulk else ""
