"""Takes one reset to its end: sends it, waits for it, reads it, and sends it again if nothing of it was done."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import GstnResetNotDone, GstnTransientError
from airflow_provider_ims.hooks.gstn import RESET, Call, GstnHook
from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.submissions.audit import NO_AUDIT, AuditTrail
from airflow_provider_ims.submissions.journal import Attempt, Entry, Journal
from airflow_provider_ims.submissions.policy import Policy
from airflow_provider_ims.submissions.submission import Sent, Submission
from airflow_provider_ims.waits.steps import KEY, AwaitMoment, AwaitTasks
from airflow_provider_ims.waits.watch import TaskWatch, ask

TIMEOUT = 6 * 3600.0
"""Seconds that one reset may run, unless the user says otherwise."""

log = logging.getLogger(__name__)


class SingleReset:
    """
    One reset, from its first sending to its result.

    Everything that was done is in the journal, so that :meth:`advance` can be called in any process, as often as it
    takes.

    :param hook: speaks to the service
    :param journal: what was done so far
    :param payload: the request
    :param attempt: which try of the task this is
    :param policy: what the user decided about sending
    :param timeout: how long the reset may run, seconds
    :param key: the journal's key
    :param name: what it is, for messages
    :param sha256: in bulk, of the planned request
    :param audit: where a record is left
    :param call: which call it is
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        hook: GstnHook,
        journal: Journal,
        payload: ResetPayload,
        *,
        attempt: Attempt,
        policy: Policy,
        timeout: float = TIMEOUT,
        key: str = KEY,
        name: str = "",
        sha256: str = "",
        audit: AuditTrail = NO_AUDIT,
        call: Call[bytes, ResetResult] = RESET,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._call = call
        self._hook = hook
        self._payload = payload
        self._timeout = timeout
        self._key = key
        self._name = name or f"The {call.noun} of GSTIN {payload.rtin}"
        self._clock = clock
        self._submission = Submission(
            hook,
            journal,
            payload,
            attempt=attempt,
            policy=policy,
            key=key,
            sha256=sha256,
            audit=audit,
            call=call,
            clock=clock,
        )

    def advance(self, ended: AwaitTasks | None = None) -> AwaitTasks | AwaitMoment | Report | None:
        """
        Do what can be done now.

        :param ended: what the last call said has to be waited for, if that has ended
        :return: what has to be waited for before this is called again; or what came of the reset; or ``None`` if it
            ended before, and what came of it is known
        :raises AirflowSensorTimeout: when the reset runs for longer than ``timeout``
        :raises GstnError: when it cannot or shall not be sent, or the service says that it failed
        """
        looked = ended.reference_ids if ended and ended.kind == "reconcile" else ()
        step = self._submission.advance(looked)
        if not isinstance(step, Sent):
            return step
        entry = self._submission.entry
        if entry is None or entry.phase == "ended":
            return None
        if entry.sent and (running := self._running(entry)):
            return running
        try:
            report = Report.fetch(
                self._hook, entry.reference_id, self._payload, self._submission.found(entry), self._call
            )
        except GstnResetNotDone as error:
            return self._submission.not_done(entry, error)
        return accounted(self._hook, report, ended, self._key)

    def _running(self, entry: Entry) -> AwaitTasks | None:
        """Return what has to be waited for; a person who clears the task has it waited for anew."""
        since = max(entry.at, entry.cleared_at)
        until = since + self._timeout
        watch = TaskWatch([entry.reference_id], since, self._clock)
        try:
            ask(watch, self._hook.get_task_status)
        except GstnTransientError as error:
            log.warning("Poll failed; the next one may work. %s", error)
        if watch.is_over():
            return None
        if self._clock() >= until:
            raise AirflowSensorTimeout(
                f"{self._name}: task {entry.reference_id} was not complete {self._timeout:.0f} s after it was sent. It"
                " may still run: clear this task to wait on; nothing is sent again."
            )
        return AwaitTasks([entry.reference_id], until, "reset", self._key)


def accounted(hook: GstnHook, report: Report, ended: AwaitTasks | None, key: str) -> Report | AwaitTasks:
    """
    Return a report whose documents are accounted for, or what that takes.

    :param ended: what was waited for before this, if anything was
    :param key: the journal's key
    """
    if ended and ended.kind == "account":
        report.reconcile(hook, ended.reference_ids)
    elif downloads := report.start_reconciliation(hook):
        return AwaitTasks(downloads, kind="account", key=key)
    return report
