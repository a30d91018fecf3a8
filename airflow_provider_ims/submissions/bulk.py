"""Takes all requests of one GSTIN to the service, one after another, whatever dies in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnError,
    GstnInvalidRequest,
    GstnResetFailed,
    GstnTaskFailed,
    GstnTaskNotFound,
    GstnTransientError,
)
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.planned import PlannedChunk, PlannedGstin
from airflow_provider_ims.results.outcomes import ChunkOutcome, Outcomes
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.submissions.audit import AuditTrail
from airflow_provider_ims.submissions.journal import Attempt, Entry, Journal
from airflow_provider_ims.submissions.policy import Policy
from airflow_provider_ims.submissions.submission import (
    AwaitMoment,
    AwaitTasks,
    Sent,
    Submission,
)
from airflow_provider_ims.triggers.ims import TaskWatch

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
    planned: PlannedChunk


class BulkReset:
    """
    The resets of one GSTIN, of which the service allows one at a time.

    Everything that was done is in the journal, so that :meth:`go_on` can be called in any process, as often as it
    takes.

    :param hook: speaks to the service
    :param journal: what was done so far
    :param plan: the requests
    :param outcomes: keeps what became of each document
    :param attempt: which try of the task this is
    :param policy: what the user decided about sending
    :param on_failure: after a request that failed or whose fate is not known: ``stop``, or ``continue`` with the next
    :param timeout: how long one request may run, seconds
    :param audit: where a record of each reset is left, if anywhere
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        hook: GstnHook,
        journal: Journal,
        plan: PlannedGstin,
        outcomes: Outcomes,
        *,
        attempt: Attempt,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        on_failure: OnFailure = "stop",
        timeout: float,
        audit: AuditTrail | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hook = hook
        self._journal = journal
        self._plan = plan
        self._outcomes = outcomes
        self._attempt = attempt
        self._on_failure = on_failure
        self._timeout = timeout
        self._policy = policy
        self._audit = audit
        self._clock = clock
        self.chunks = [Chunk(n, f"ims_reset_{n:04d}", planned) for n, planned in enumerate(plan.chunks, 1)]

    def go_on(self, ended: Sequence[str] = ()) -> AwaitTasks | AwaitMoment | None:
        """
        Do what can be done now.

        :param ended: the tasks that the last :class:`AwaitTasks` of this try named: the reset of the request that is
            next to be dealt with, or the downloads that it takes to learn its fate
        :return: what has to be waited for before this is called again, or ``None`` when every request is dealt with
        :raises GstnError: when the rest cannot or shall not be sent; :meth:`done` says how far it got
        """
        for chunk in self.chunks:
            if self._is_settled(chunk):
                continue
            try:
                step = self._carry_on(chunk, ended)
            except _OF_ONE_CHUNK as error:
                self._note_failure(chunk, error)
                if self._on_failure == "stop":
                    raise
                step = None
            if step is not None:
                return step
            ended = ()  # what was waited for was about this request
        return None

    def done(self) -> list[ChunkOutcome]:
        """Say how far each request got, in their order."""
        return [self._outcome_of(chunk) for chunk in self.chunks]

    def _is_settled(self, chunk: Chunk) -> bool:
        entry = self._entry(chunk)
        if entry is None:
            return False
        cleared = entry.attempt.clears != self._attempt.clears
        if entry.failure:
            if not cleared and self._on_failure == "stop":
                # The worker died between this and the end of the task.
                raise GstnResetFailed(entry.failure)
            return not cleared  # a person who clears the task wants to know once more
        return entry.phase == "ended" and not (cleared and self._policy.force)

    def _carry_on(self, chunk: Chunk, ended: Sequence[str]) -> AwaitTasks | AwaitMoment | None:
        entry = self._entry(chunk)
        if entry is not None and entry.failure:
            phase = "submitted" if entry.reference_id else "intent"
            self._journal.write(chunk.key, entry.model_copy(update={"failure": "", "phase": phase}))
        payload = chunk.planned.load(self._plan.rtin)
        log.info("Request %d of %d of GSTIN %s.", chunk.number, len(self.chunks), self._plan.rtin)
        submission = Submission(
            self._hook,
            self._journal,
            payload,
            attempt=self._attempt,
            policy=self._policy,
            key=chunk.key,
            sha256=chunk.planned.sha256,
            audit=self._audit,
            clock=self._clock,
        )
        step = submission.go_on(ended)
        if not isinstance(step, Sent):
            return step
        if (running := self._still_running(chunk, step.reference_id)) is not None:
            return running
        report = Report.fetch(self._hook, step.reference_id, payload)
        downloads = [reference_id for reference_id in ended if reference_id != step.reference_id]
        if downloads:
            report.look(self._hook, downloads)
        elif downloads := report.start_look(self._hook):
            return AwaitTasks(downloads)
        self._finish(chunk, report)
        return None

    def _still_running(self, chunk: Chunk, reference_id: str) -> AwaitTasks | None:
        since = self._watched_since(chunk)
        until = since + self._timeout
        watch = TaskWatch([reference_id], since)
        try:
            watch.tell(self._hook.get_task_status(reference_id))
        except GstnTransientError as error:
            log.warning("Poll failed; the next one may work. %s", error)
        except GstnTaskNotFound as error:
            watch.miss(reference_id, error)
        if watch.is_over():
            return None
        if self._clock() >= until:
            raise AirflowSensorTimeout(
                f"GSTIN {self._plan.rtin}, request {chunk.number} of {len(self.chunks)}: task {reference_id} was not"
                f" complete {self._timeout:.0f} s after it was sent. It may still run: clear this task to wait on;"
                " nothing is sent again."
            )
        return AwaitTasks([reference_id], until)

    def _watched_since(self, chunk: Chunk) -> float:
        """Return since when this request is waited for; a person who clears the task has it waited for anew."""
        now = self._clock()
        entry = self._journal.read(chunk.key)
        if entry is None:
            return now
        if entry.watched_for is not None and entry.watched_for.clears == self._attempt.clears:
            return entry.watched_since
        since = entry.at if entry.attempt.clears == self._attempt.clears else now
        self._journal.write(chunk.key, entry.model_copy(update={"watched_since": since, "watched_for": self._attempt}))
        return since

    def _finish(self, chunk: Chunk, report: Report) -> None:
        self._outcomes.keep(chunk.planned, report)
        summary = report.summary()
        if self._audit:
            self._audit.ended(report.reference_id, summary, report.refused, report.unknown)
        error = report.error()
        failure = error if isinstance(error, GstnResetFailed) else None
        entry = self._journal.read(chunk.key)
        if entry is not None:
            changes = {
                "phase": "ended",
                "attempt": self._attempt,
                "told": {"outcome": report.outcome, **report.counts()},
                "failure": str(failure or ""),
            }
            self._journal.write(chunk.key, entry.model_copy(update=changes))
        if failure is not None:
            raise failure
        if error is not None:
            log.warning("%s", error)

    def _note_failure(self, chunk: Chunk, error: GstnError) -> None:
        log.error("Request %d of %d failed. %s", chunk.number, len(self.chunks), error)
        entry = self._journal.read(chunk.key)
        if entry is not None:
            failed = entry.model_copy(update={"failure": str(error), "attempt": self._attempt})
            self._journal.write(chunk.key, failed)

    def _outcome_of(self, chunk: Chunk) -> ChunkOutcome:
        entry = self._journal.read(chunk.key)
        if entry is None or entry.phase == "busy":
            return ChunkOutcome(chunk.planned, "not sent")
        if entry.sha256 != chunk.planned.sha256:
            return ChunkOutcome(chunk.planned, "unknown", failure="Another request was sent in its place.")
        if entry.phase == "ended":
            return ChunkOutcome(chunk.planned, "ended", entry.reference_id, entry.told, entry.failure)
        return ChunkOutcome(chunk.planned, "unknown", entry.reference_id, {}, entry.failure)

    def _entry(self, chunk: Chunk) -> Entry | None:
        """
        Return the journal's entry of a request.

        :raises GstnInvalidRequest: when it is of another request than the one that is planned now
        """
        entry = self._journal.read(chunk.key)
        if entry is None or entry.phase == "busy" or entry.sha256 == chunk.planned.sha256:
            return entry
        if self._policy.force and entry.attempt.clears != self._attempt.clears:
            return None
        raise GstnInvalidRequest(
            f"Request {chunk.number} of GSTIN {self._plan.rtin} was sent by this task, and the plan has another one in"
            " its place now. Nothing was sent this time: documents that are reset would be sent again. Send the new"
            " plan in a new run of the DAG, without the documents that are reset. To send it here all the same, set"
            " force_resubmit and clear this task."
        )
