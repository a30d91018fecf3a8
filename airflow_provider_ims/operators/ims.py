"""Sends a reset, and reads what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_ims._compat import conf
from airflow_provider_ims.assets import IMS_ALIAS
from airflow_provider_ims.exceptions import (
    GstnError,
    GstnInvalidConnection,
    GstnInvalidRequest,
    GstnLoginError,
    GstnPermanentError,
    GstnResetFailed,
    GstnResetNotDone,
)
from airflow_provider_ims.hooks.gstn import DOWNLOAD, RESET, Call, GstnHook
from airflow_provider_ims.links import LINKS
from airflow_provider_ims.models.calendar import Calendar
from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.models.payload import ImsRequest, ResetPayload
from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.operators._arguments import (
    REPORT_FORMATS,
    check_formats,
    folder,
    force_of,
    is_several,
    is_true,
    seconds,
    shortest,
)
from airflow_provider_ims.operators._assets import AssetEvents, declare_assets
from airflow_provider_ims.operators._deferral import ended_of, hand_over, trigger_for
from airflow_provider_ims.operators._dry_run import WouldSend, end_dry_run
from airflow_provider_ims.operators._ending import OnPartial, end_task, succeeds
from airflow_provider_ims.operators._page_summary import SUMMARY, ShowsSummary
from airflow_provider_ims.operators._payload import Payload, load_payload
from airflow_provider_ims.results.reconciliations import Reconciliations
from airflow_provider_ims.results.report import Report, listed
from airflow_provider_ims.results.result_files import write_result
from airflow_provider_ims.results.several import error_over, summary_of_failure, summary_over
from airflow_provider_ims.results.text_tables import aligned
from airflow_provider_ims.storage import is_given
from airflow_provider_ims.submissions.audit import AuditTrail, run_of
from airflow_provider_ims.submissions.journal import Attempt, Entry, Journal
from airflow_provider_ims.submissions.policy import SETTLE_TIME, OnAmbiguous, Policy
from airflow_provider_ims.submissions.sent_records import SentRecords
from airflow_provider_ims.submissions.single import SingleRequest, accounted
from airflow_provider_ims.submissions.submission import Sent, Submission
from airflow_provider_ims.waits.events import read_event
from airflow_provider_ims.waits.on_worker import wait_here
from airflow_provider_ims.waits.steps import KEY, AwaitMoment, AwaitTasks
from airflow_provider_ims.waits.watch import ids_of

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ImsResetOperator", "ImsResultOperator"]


class ImsResetOperator(BaseOperator):
    """
    Put documents back to "no action" in IMS: send the request, return its reference id.

    The request is checked before any call, and all its faults are told at once. It is sent once: what is about to be
    sent and what was sent is kept in Airflow's task state store (Airflow 3.3 and newer), so that a retry after a
    worker died goes on with the reset that was sent. A request whose fate is not known is treated as ``on_ambiguous``
    says; once a person has cleared the task, by a look at GSTN's documents, which is free. Mind that a document left at
    "no action" is deemed accepted when GSTR-2B is drawn.

    :param payload: the request: a dict, a :class:`~airflow_provider_ims.models.ResetPayload`, JSON text, or the path or
        URI of a JSON file, as text or as a path object (templated)
    :param gstn_conn_id: id of the connection (templated)
    :param strict_gstin: refuse GSTINs whose check digit is wrong, instead of warning
    :param allow_no_action: accept documents whose ``prev_status`` is ``N`` already
    :param on_ambiguous: what to do when the request may have been accepted or not (a lost reply, a worker that died
        while sending): ``fail`` and say what to check; ``resubmit``, which makes GSTN refuse what is reset already;
        ``reconcile``: download the documents that GSTN holds and send only those that are not at "no action"
    :param force_resubmit: once for each time that a person clears the task, look at the documents that GSTN holds and
        send those that are not at "no action", also if the reset ended: ``failed`` if GSTN refused anything of it,
        ``True`` in any case (templated; a text must be ``true``, ``false`` or ``failed``)
    :param busy_timeout: how long to wait while GSTN works on another request of the GSTIN, seconds or timedelta
    :param settle_time: how long after it was sent a request whose fate is not known may still be done (no figure is
        published, so this is a guess); until then nothing is sent after a look, seconds or timedelta
    :param audit_path: directory for a record of each reset, as ``ObjectStoragePath`` takes it. What was sent is kept
        there, too, for the tries to come: below Airflow 3.3, and when the run was deleted and is made again (templated)
    :param attach_to: the reference id of this very request, when it was sent and Airflow does not know it any more:
        nothing is sent, and the task goes on with that one. Empty: send (templated)
    :param dry_run: send nothing: say what would be sent, whether the service answers, whether there is a session, and
        what the calendar says; the task is skipped then, and with it those after it (templated)
    :param calendar: how the company files, for what a dry run says:
        :class:`~airflow_provider_ims.models.calendar.Calendar` or its arguments
    :param deferrable: wait for GSTN (busy, download) in the triggerer; the default is Airflow's
        ``[operators] default_deferrable``
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    """

    template_fields: Sequence[str] = ("payload", "gstn_conn_id", "force_resubmit", "audit_path", "attach_to", "dry_run")
    ui_color = "#f7e3d7"
    operator_extra_links = LINKS
    call: ClassVar[Call[bytes, ResetResult]] = RESET
    request: ClassVar[type[ImsRequest]] = ResetPayload
    reminder = " A document left at no action is deemed accepted in GSTR-2B."

    def __init__(
        self,
        *,
        payload: Payload,
        gstn_conn_id: str = GstnHook.default_conn_name,
        strict_gstin: bool = False,
        allow_no_action: bool = False,
        on_ambiguous: OnAmbiguous = "fail",
        force_resubmit: bool | str = False,
        busy_timeout: float | timedelta = timedelta(hours=1),
        settle_time: float | timedelta = SETTLE_TIME,
        audit_path: str | None = None,
        attach_to: str | None = None,
        dry_run: bool | str = False,
        calendar: Calendar | Mapping[str, Any] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("on_ambiguous", on_ambiguous, OnAmbiguous)
        self.payload = payload
        self.gstn_conn_id = gstn_conn_id
        self.strict_gstin = strict_gstin
        self.allow_no_action = allow_no_action
        self.on_ambiguous = on_ambiguous
        self.force_resubmit = force_resubmit
        self.busy_timeout = busy_timeout
        self.settle_time = settle_time
        self.audit_path = audit_path
        self.attach_to = attach_to
        # Airflow's operators have a method of this name, which shows rendered fields and nothing calls.
        self.dry_run = dry_run  # type: ignore[assignment,method-assign]
        self.calendar = Calendar.of(calendar)
        self.deferrable = deferrable
        self.emit_assets = declare_assets(self, emit_assets)

    def execute(self, context: Context) -> str:
        """
        Check and send the request.

        :return: the reference id
        :raises GstnInvalidPayload: with every fault; nothing was sent
        :raises GstnAmbiguousSubmission: when it may have been accepted, and a person has to look
        :raises AirflowSkipException: after a dry run
        :raises GstnError: see :meth:`GstnHook.submit_reset`
        """
        payload = self._load()
        journal = _journal(self, context)
        if is_true("dry_run", self.dry_run):  # type: ignore[arg-type]
            with GstnHook(self.gstn_conn_id, gstin=payload.rtin) as hook:
                request = WouldSend("The request", payload, journal.read(KEY), self._attach_to())
                end_dry_run(context, hook, [request], self.log, calendar=self.calendar, call=self.call)
        for doubt in payload.doubtful_gstins():
            self.log.warning("%s", doubt)
        self.log.info(
            "The %s of %d documents of GSTIN %s: %s.%s",
            self.call.noun,
            payload.count(),
            payload.rtin,
            listed(payload.counts()),
            self.reminder,
        )
        journal.warn_if_it_forgets(self.log, self.call)
        if (known := journal.read(KEY)) and known.attempt == Attempt.of(context):
            self.log.warning(
                "A run of this id was here before, and Airflow has forgotten it. What it sent is NOT sent again, unless"
                " GSTN's documents show that it was not done."
            )
        return self._advance(context, payload, journal)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None, carried: Mapping[str, Any] | None = None
    ) -> str:
        """Go on once the downloads have ended, or failed to."""
        journal = _journal(self, context, carried)
        ended = ended_of(journal, event, "reconcile")
        if ended is None:
            raise GstnInvalidRequest(
                f"The event {event!r} does not say what has ended. Nothing was sent. Clear this task."
            )
        return self._advance(context, self._load(), journal, ended)

    def send_again(self, context: Context, event: Any = None, carried: Mapping[str, Any] | None = None) -> str:
        """Try again after GSTN was busy."""
        return self._advance(context, self._load(), _journal(self, context, carried))

    def on_kill(self) -> None:
        """Say what becomes of the request when the task is ended from outside."""
        self.log.warning(
            "This task was ended from outside. A %s that was sent goes on, since the service has no cancel. Clear"
            " this task to go on with it: what was sent is not sent again.",
            self.call.noun,
        )

    def _load(self) -> ImsRequest:
        flags = {name: is_true(name, getattr(self, name)) for name in ("strict_gstin", "allow_no_action")}
        return load_payload(self.payload, self.request, **flags)

    def _attach_to(self) -> str:
        return ids_of(str(self.attach_to))[0] if is_given(self.attach_to) else ""

    def _advance(self, context: Context, payload: ImsRequest, journal: Journal, ended: AwaitTasks | None = None) -> str:
        watching = AssetEvents(self, context).watching(payload.rtin)
        with GstnHook(self.gstn_conn_id, gstin=payload.rtin) as hook, watching:
            submission = Submission(
                hook,
                journal,
                payload,
                attempt=Attempt.of(context),
                policy=Policy(
                    on_ambiguous=self.on_ambiguous,
                    force=force_of(self.force_resubmit),
                    busy_timeout=shortest(self.busy_timeout, self.execution_timeout),
                    settle_time=seconds(self.settle_time),
                ),
                audit=AuditTrail.at(self.audit_path, run_of(context, self.gstn_conn_id), self.call),
                call=self.call,
            )
            if is_given(self.attach_to):
                submission.attach(self._attach_to())
            while not isinstance(step := submission.advance(ended.reference_ids if ended else ()), Sent):
                if self.deferrable:
                    method = "execute_complete" if isinstance(step, AwaitTasks) else "send_again"
                    hand_over(self, step, journal, self.gstn_conn_id, method=method, call=self.call)
                ended = wait_here(hook, step, self.call)
        self.log.info("The service works on it under the reference id %s.", step.reference_id)
        return step.reference_id


class ImsResultOperator(ShowsSummary):
    """
    Read what came of a reset, account for its documents, and say so where the user wants it.

    :param reference_id: what the reset returned, such as ``wait.output``, or a list of them, such as the output of a
        mapped task: all are read, whatever came of the others, and told in one summary (templated)
    :param payload: the request that was sent, in any form that :class:`ImsResetOperator` takes; with it, every
        document is accounted for, section by section. Another request than the one that was sent is refused. For a
        list of reference ids it is the list of their requests, in the same order (templated)
    :param on_partial: when GSTN refused some documents: ``fail`` the task, ``warn`` and go on, or ``skip``
    :param output_path: directory for the full result (``<reference_id>.result.json``) and the refused documents
        (``<reference_id>.refused.csv`` and ``.xlsx``), as ``ObjectStoragePath`` takes it (templated)
    :param gstn_conn_id: id of the connection (templated)
    :param audit_path: the ``audit_path`` of the :class:`ImsResetOperator`, whose record gets the outcome (templated)
    :param busy_timeout: how long to wait and send the request again when the result says that nothing was done, since
        GSTN was busy or down; it takes ``payload``. With 0, and for a list of reference ids, the task fails then and
        says what to clear, seconds or timedelta
    :param report_formats: without ``xlsx`` among them no workbook is written; ``csv`` always is
    :param deferrable: wait for that, and for the downloads that a reset takes which was sent once more, in the
        triggerer; the default is Airflow's ``[operators] default_deferrable``
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    """

    template_fields: Sequence[str] = ("reference_id", "payload", "output_path", "gstn_conn_id", "audit_path", SUMMARY)
    ui_color = "#dff7d7"
    operator_extra_links = LINKS
    call: ClassVar[Call[bytes, ResetResult]] = RESET
    request: ClassVar[type[ImsRequest]] = ResetPayload

    def __init__(
        self,
        *,
        reference_id: str | Sequence[str],
        payload: Payload | Sequence[Payload] | None = None,
        on_partial: OnPartial = "fail",
        output_path: str | None = None,
        gstn_conn_id: str = GstnHook.default_conn_name,
        audit_path: str | None = None,
        busy_timeout: float | timedelta = timedelta(hours=1),
        report_formats: Sequence[str] = REPORT_FORMATS,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("on_partial", on_partial, OnPartial)
        self.reference_id = reference_id
        self.payload = payload
        self.on_partial = on_partial
        self.output_path = output_path
        self.report_formats = check_formats(report_formats)
        self.gstn_conn_id = gstn_conn_id
        self.audit_path = audit_path
        self.busy_timeout = busy_timeout
        self.deferrable = deferrable
        self.emit_assets = declare_assets(self, emit_assets, IMS_ALIAS)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Read, write, decide.

        :return: a small summary: ``outcome``, ``reference_id``, ``processed``, ``errors``, the counts of each
            section, the paths of the files, and ``simulator`` if it was the simulator that answered; for a list of
            reference ids see :func:`summary_over`. On failure it is pushed to XCom before the task fails
        :raises GstnResetPartial: when GSTN refused some documents and ``on_partial`` is ``fail``
        :raises GstnResetFailed: when GSTN refused a whole reset, or answered with a word that nobody knows
        :raises GstnInvalidRequest: when ``payload`` is not what was sent under this reference id
        :raises GstnResetNotDone: when nothing was done, and it is not sent again here
        :raises GstnSessionExpired: when nothing was done, since there was no GSTN session
        :raises GstnResultNotReady: when there is no result yet
        :raises GstnStorageUnavailable: when a file cannot be read or written now
        """
        if is_several(self.reference_id):
            return self._conclude_all(context, *self._read_all())
        return self._conclude(context, self._read(context, _journal(self, context)))

    def execute_complete(
        self, context: Context, event: Any = None, carried: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Go on once what was waited for has ended, or failed to."""
        journal = _journal(self, context, carried)
        ended = ended_of(journal, event if isinstance(event, Mapping) else None, "account")
        return self._conclude(context, self._read(context, journal, ended))

    def _read(self, context: Context, journal: Journal, ended: AwaitTasks | None = None) -> Report:
        [(reference_id, payload)] = self._each()
        with GstnHook(self.gstn_conn_id) as hook:
            while not isinstance(step := self._step(context, hook, journal, reference_id, payload, ended), Report):
                if self.deferrable:
                    method = "execute_complete"
                    hand_over(self, step, journal, self.gstn_conn_id, method=method, call=self.call)
                ended = wait_here(hook, step, self.call)
        return step

    def _step(
        self,
        context: Context,
        hook: GstnHook,
        journal: Journal,
        reference_id: str,
        payload: ImsRequest | None,
        ended: AwaitTasks | None,
    ) -> Report | AwaitTasks | AwaitMoment:
        busy_timeout = shortest(self.busy_timeout, self.execution_timeout)
        if payload is None or not busy_timeout:
            return accounted(hook, Report.fetch(hook, reference_id, payload, call=self.call), ended, KEY)
        entry = journal.read(KEY)
        if entry is None or entry.origin != reference_id:
            try:
                return accounted(hook, Report.fetch(hook, reference_id, payload, call=self.call), ended, KEY)
            except GstnResetNotDone:
                # Each entry of this task has an origin: one without cannot be read, and may be about another sending.
                is_unknown = entry is not None and not entry.origin
                self._take_over(context, hook, journal, reference_id, payload, may_be_sent=is_unknown)
        again = Submission(
            hook,
            journal,
            payload,
            attempt=Attempt.of(context),
            policy=Policy(on_ambiguous="reconcile", busy_timeout=busy_timeout),
            audit=AuditTrail.at(self.audit_path, run_of(context, self.gstn_conn_id), self.call),
            call=self.call,
        )
        step = SingleRequest(again).advance(ended)
        if step is None:
            raise GstnResetFailed(f"What was sent again for {reference_id} has ended. Clear the task that sent it.")
        return step

    def _take_over(
        self,
        context: Context,
        hook: GstnHook,
        journal: Journal,
        reference_id: str,
        payload: ImsRequest,
        *,
        may_be_sent: bool,
    ) -> None:
        """Note that from here on it is this task that sends the request."""
        self.log.warning("Nothing of %s %s was done. It is sent again from here.", self.call.noun, reference_id)
        attempt = Attempt.of(context)
        found = Reconciliations(hook.store).find(reference_id)
        known = found if found and found.fingerprint == payload.fingerprint() else None
        # Below Airflow 3.3, without a file, an earlier try may have sent it and nobody knows: a look tells.
        may_be_sent = may_be_sent or (not journal.lasts and attempt.try_number > 1)
        sends = 2 if known or may_be_sent else 1
        entry = Entry(
            phase="intent" if may_be_sent else "submitted",
            fingerprint=payload.fingerprint(),
            at=time.time(),
            attempt=attempt,
            sends=sends,
            sends_before=sends,
            must_reconcile=may_be_sent,
            reference_id=reference_id,
            origin=reference_id,
            already_reset=known.already_reset if known else "",
        )
        journal.write(KEY, entry)

    def advance_all(
        self,
        context: Context,
        event: Mapping[str, Any] | None = None,
        reconciliations: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Any]:
        """
        Go on with several resets once the downloads have ended, or failed to.

        :param reconciliations: reference id -> the downloads that tell what GSTN holds after it
        """
        reconciliations = reconciliations or {}
        read_event(event, [download for downloads in reconciliations.values() for download in downloads], DOWNLOAD)
        return self._conclude_all(context, *self._read_all(reconciliations))

    def _read_all(
        self, reconciliations: Mapping[str, Sequence[str]] | None = None
    ) -> tuple[list[Report], dict[str, GstnPermanentError]]:
        """Read what came of each reset; an error of one, which no other attempt mends, stops no other."""
        reports: list[Report] = []
        failures: dict[str, GstnPermanentError] = {}
        with GstnHook(self.gstn_conn_id) as hook:
            for reference_id, payload in self._each():
                try:
                    reports.append(Report.fetch(hook, reference_id, payload, call=self.call))
                except (GstnInvalidConnection, GstnLoginError):
                    raise
                except GstnPermanentError as error:
                    failures[reference_id] = error
            if reconciliations is None:
                begun = {report.reference_id: report.start_reconciliation(hook) for report in reports}
                reconciliations = {reference_id: downloads for reference_id, downloads in begun.items() if downloads}
                self._wait_for(hook, reconciliations)
            for report in reports:
                if downloads := reconciliations.get(report.reference_id):
                    report.reconcile(hook, downloads)
        return reports, failures

    def _wait_for(self, hook: GstnHook, reconciliations: Mapping[str, Sequence[str]]) -> None:
        if not reconciliations:
            return
        names = f"{self.call.noun.capitalize()}s", ", ".join(reconciliations)
        self.log.info("%s that were sent once more: %s. Looking at what GSTN holds.", *names)
        step = AwaitTasks([download for downloads in reconciliations.values() for download in downloads])
        if self.deferrable:
            trigger, timeout = trigger_for(step, self.gstn_conn_id)
            self.defer(
                trigger=trigger, method_name="advance_all", kwargs={"reconciliations": reconciliations}, timeout=timeout
            )
        wait_here(hook, step)

    def _each(self) -> list[tuple[str, ImsRequest | None]]:
        """
        Return each reference id with its request.

        :raises GstnInvalidRequest: when there are none, one stands there twice, or the requests are not as many
        :raises GstnInvalidPayload: with the faults of a request
        """
        reference_ids = ids_of(self.reference_id)
        if not reference_ids:
            raise GstnInvalidRequest(
                f"reference_id is an empty list: there is no {self.call.noun} to read the result of."
            )
        if twice := [name for name, count in Counter(reference_ids).items() if count > 1]:
            raise GstnInvalidRequest(
                f"reference_id names more than once: {', '.join(twice)}. Name each {self.call.noun} once."
            )
        if not self.payload:
            return [(reference_id, None) for reference_id in reference_ids]
        payloads: list[Any] = list(self.payload) if is_several(self.payload) else [self.payload]
        if is_several(self.payload) != is_several(self.reference_id) or len(payloads) != len(reference_ids):
            counts = f"{_number(self.payload, len(payloads))} for {_number(self.reference_id, len(reference_ids))}"
            raise GstnInvalidRequest(
                f"payload does not go with reference_id: {counts}. Give a list of requests for a list of reference ids,"
                " one for each and in the same order, or leave payload out."
            )
        loaded = [load_payload(payload, self.request, allow_no_action=True) for payload in payloads]
        return list(zip(reference_ids, loaded, strict=True))

    def _conclude_all(
        self, context: Context, reports: list[Report], failures: Mapping[str, GstnPermanentError]
    ) -> dict[str, Any]:
        summaries = {name: summary_of_failure(name, error) for name, error in failures.items()}
        errors: dict[str, GstnError] = dict(failures)
        for report in reports:
            summaries[report.reference_id] = self._conclude_one(context, report)
            rest = f", all in {summaries[report.reference_id].get('refused_path') or 'the log'}"
            if wrong := report.error(rest=rest):
                errors[report.reference_id] = wrong
        for each in errors.values():
            self.log.warning("%s", each)
        order = ids_of(self.reference_id)
        summary = summary_over([summaries[name] for name in order], self.call)
        error = error_over(summary, [errors[name] for name in order if name in errors], self.call)
        self.show_summary(summary)
        self._emit(context, [(report, summaries[report.reference_id]) for report in reports], error)
        return end_task(context, summary, error, self.on_partial, self.log)

    def _conclude(self, context: Context, report: Report) -> dict[str, Any]:
        summary = self._conclude_one(context, report)
        error = report.error(rest=f", all in {summary.get('refused_path') or 'the log'}")
        self.show_summary(summary)
        self._emit(context, [(report, summary)], error)
        return end_task(context, summary, error, self.on_partial, self.log)

    def _emit(
        self, context: Context, told: Sequence[tuple[Report, Mapping[str, Any]]], error: GstnError | None
    ) -> None:
        events = ({**report.as_extra(), "path": summary.get("refused_path", "")} for report, summary in told)
        AssetEvents(self, context).ims(
            self.call.name, (each for each in events if each["gstin"]), succeeds=succeeds(error, self.on_partial)
        )

    def _conclude_one(self, context: Context, report: Report) -> dict[str, Any]:
        summary = report.summary()
        summary.update(self._write(report, summary))
        report.write_to(self.log)
        paths = [(key, str(path)) for key, path in summary.items() if key.endswith("_path")]
        if paths:
            self.log.info("Written:\n%s", aligned(paths))
        trail = AuditTrail.at(self.audit_path, run_of(context, self.gstn_conn_id), self.call)
        trail.ended(report.reference_id, summary, report.refused, report.unknown)
        return summary

    def _write(self, report: Report, summary: Mapping[str, Any]) -> dict[str, str]:
        if not is_given(self.output_path):
            return {}
        target = folder("output_path", self.output_path)
        return write_result(target, report, summary, workbooks="xlsx" in self.report_formats)


def _number(argument: object, count: int) -> str:
    return f"a list of {count}" if is_several(argument) else "one"


def _journal(
    operator: ImsResetOperator | ImsResultOperator, context: Context, carried: Mapping[str, Any] | None = None
) -> Journal:
    """Open the journal of a task instance: in Airflow's task state, and below ``audit_path``, if there is one."""
    journal = Journal.of(context, carried)
    if is_given(operator.audit_path):
        journal.also_in(SentRecords.below(operator.audit_path, KEY, journal.who))
    return journal
