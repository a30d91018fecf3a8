"""Takes one reset to its end: sends it, waits for it, reads it, and sends it again if nothing of it was done."""

from __future__ import annotations

import logging

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import GstnResetNotDone, GstnTransientError
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.models.printable import fitted
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.submissions.journal import Entry
from airflow_provider_ims.submissions.submission import Sent, Submission
from airflow_provider_ims.waits.steps import AwaitMoment, AwaitTasks
from airflow_provider_ims.waits.watch import TaskWatch, ask

TIMEOUT = 6 * 3600.0
"""Seconds that one reset may run, unless the user says otherwise."""

log = logging.getLogger(__name__)


class SingleRequest:
    """
    One reset, from its first sending to its result.

    Everything that was done is in the journal, so that :meth:`advance` can be called in any process, as often as it
    takes.

    :param submission: takes it to the service
    :param timeout: how long the reset may run, seconds
    :param name: what it is, for messages
    """

    def __init__(self, submission: Submission, *, timeout: float = TIMEOUT, name: str = "") -> None:
        self._submission = submission
        self._timeout = timeout
        self._name = name or f"The {submission.call.noun} of GSTIN {submission.payload.rtin}"

    def advance(self, ended: AwaitTasks | None = None) -> AwaitTasks | AwaitMoment | Report | None:
        """
        Do what can be done now.

        :param ended: what the last call said has to be waited for, if that has ended
        :return: what has to be waited for before this is called again; or what came of the reset; or ``None`` if it
            ended before, and what came of it is known
        :raises AirflowSensorTimeout: when the reset runs for longer than ``timeout``
        :raises GstnError: when it cannot or shall not be sent, or the service says that it failed
        """
        submission = self._submission
        step = submission.advance(ended.reference_ids if ended and ended.kind == "reconcile" else ())
        if not isinstance(step, Sent):
            return step
        entry = submission.entry
        if entry is None or entry.phase == "ended":
            return None
        if entry.sent and (running := self._running(entry)):
            return running
        try:
            report = submission.fetch_report(entry)
        except GstnResetNotDone as error:
            return submission.not_done(entry, error)
        return accounted(submission.hook, report, ended, submission.key)

    def _running(self, entry: Entry) -> AwaitTasks | None:
        """Return what has to be waited for; a person who clears the task has it waited for anew."""
        since = max(entry.at, entry.cleared_at)
        until = since + self._timeout
        watch = TaskWatch([entry.reference_id], since, self._submission.clock, self._submission.call)
        try:
            ask(watch, self._submission.hook.get_task_status)
        except GstnTransientError as error:
            log.warning("Poll failed; the next one may work. %s", error)
        if watch.is_over():
            return None
        if self._submission.clock() >= until:
            raise AirflowSensorTimeout(
                fitted(
                    f"{self._name}: task {entry.reference_id} was not complete {self._timeout:.0f} s after it was"
                    " sent.\nIt may still run: clear this task to wait on; nothing is sent again."
                )
            )
        return AwaitTasks([entry.reference_id], until, "request", self._submission.key)


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
