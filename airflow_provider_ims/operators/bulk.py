"""Sends all requests of one GSTIN, one after another."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_ims._compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
)
from airflow_provider_ims.assets import IMS_ALIAS
from airflow_provider_ims.backoff import backoff
from airflow_provider_ims.bulk.bulk_reset import BulkReset, OnFailure, chunks_of, records_of
from airflow_provider_ims.bulk.outcomes import COUNTED, ChunkOutcome, Outcomes
from airflow_provider_ims.bulk.plan_entry import load_request, plan_of
from airflow_provider_ims.exceptions import (
    GstnBusy,
    GstnError,
    GstnPermanentError,
    GstnResetFailed,
    GstnResetPartial,
    GstnTransientError,
    retold,
)
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.links import LINKS
from airflow_provider_ims.models.calendar import Calendar, OnWindow
from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.operators._arguments import (
    REPORT_FORMATS,
    check_formats,
    force_of,
    is_true,
    seconds,
)
from airflow_provider_ims.operators._assets import AssetEvents, declare_assets
from airflow_provider_ims.operators._deferral import hand_over
from airflow_provider_ims.operators._dry_run import WouldSend, end_dry_run
from airflow_provider_ims.operators._ending import OnPartial, end_task, push_summary, succeeds
from airflow_provider_ims.operators._page_summary import SUMMARY, ShowsSummary
from airflow_provider_ims.operators._window import look_at_the_calendar
from airflow_provider_ims.progress import span
from airflow_provider_ims.results.text_tables import aligned
from airflow_provider_ims.submissions.audit import AuditTrail, run_of
from airflow_provider_ims.submissions.journal import Attempt, Journal
from airflow_provider_ims.submissions.policy import SETTLE_TIME, OnAmbiguous, Policy
from airflow_provider_ims.waits.events import failure_of
from airflow_provider_ims.waits.steps import AwaitMoment, AwaitTasks
from airflow_provider_ims.waits.watch import abandoned_message

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ImsBulkResetOperator"]


MOST_FAILURES = 20
"""Faults in a row that one try waits out below Airflow 3.3, where Airflow's own retry would begin anew."""

TRIGGER_FAIL_REPR = "__fail__"
"""The method that Airflow "resumes" with when a trigger failed or ran out of time."""


class ImsBulkResetOperator(ShowsSummary):
    """
    Reset all documents that a plan has for one GSTIN; map it over the plan.

    Sends the requests one after another, since GSTN works on one per GSTIN, and defers while each runs: no worker slot
    is held. Where it was is kept in Airflow's task state store (Airflow 3.3 and newer), and beside each request
    (``0001.sent.json``) for every task that meets it: a worker or triggerer that dies, a plan that is made again, or a
    GSTIN that moves to another mapped task costs nothing: nothing is sent twice, and no result is lost. What became of
    every document is written next to the requests: ``result.csv``, ``result.xlsx`` and ``result.json``.

    :param plan_entry: one entry of what :class:`ImsPlanOperator` returns (templated; use
        ``.expand(plan_entry=plan.output)``)
    :param gstn_conn_id: id of the connection (templated)
    :param on_failure: after a request that failed, or whose fate is not known: ``stop`` this GSTIN, or ``continue``
        with its next request. Either way the task fails, and says what was not sent
    :param on_partial: when all requests were dealt with and GSTN refused some documents: ``fail`` the task, ``warn``
        and go on, or ``skip``
    :param on_ambiguous: see :class:`~airflow_provider_ims.operators.ims.ImsResetOperator`
    :param force_resubmit: once for each time that a person clears the task, look at the documents that GSTN holds and
        send those that are not at "no action", also of requests that ended: ``failed`` of those of which GSTN refused
        anything, ``True`` of all (templated). Without it a cleared task does so only for requests that were not sent,
        failed, or whose fate is not known
    :param busy_timeout: how long to wait while GSTN works on another request of the GSTIN, seconds or timedelta
    :param settle_time: see :class:`~airflow_provider_ims.operators.ims.ImsResetOperator`
    :param poke_interval: longest time between two polls of a request, seconds or timedelta; the first comes after 5 s
    :param timeout: how long one request may run, seconds or timedelta
    :param audit_path: directory for a record of each reset (templated)
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    :param dry_run: see :class:`~airflow_provider_ims.operators.ims.ImsResetOperator`; every request is read and checked
    :param report_formats: without ``xlsx`` among them no workbook is written; ``csv`` always is
    :param on_window: when GSTR-3B is due shortly or was due: ``warn`` before anything is sent, ``fail`` and send
        nothing (what was begun is brought to its end), or ``ignore``
    :param calendar: how the company files: :class:`~airflow_provider_ims.models.calendar.Calendar` or its arguments
    """

    template_fields: Sequence[str] = ("plan_entry", "gstn_conn_id", "force_resubmit", "audit_path", "dry_run", SUMMARY)
    ui_color = "#f7e3d7"
    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        plan_entry: Mapping[str, Any],
        gstn_conn_id: str = GstnHook.default_conn_name,
        on_failure: OnFailure = "stop",
        on_partial: OnPartial = "fail",
        on_ambiguous: OnAmbiguous = "fail",
        force_resubmit: bool | str = False,
        busy_timeout: float | timedelta = timedelta(hours=1),
        settle_time: float | timedelta = SETTLE_TIME,
        poke_interval: float | timedelta = timedelta(seconds=30),
        timeout: float | timedelta = timedelta(hours=6),
        audit_path: str | None = None,
        dry_run: bool | str = False,
        report_formats: Sequence[str] = REPORT_FORMATS,
        on_window: OnWindow = "warn",
        calendar: Calendar | Mapping[str, Any] | None = None,
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("on_failure", on_failure, OnFailure)
        check_choice("on_partial", on_partial, OnPartial)
        check_choice("on_ambiguous", on_ambiguous, OnAmbiguous)
        check_choice("on_window", on_window, OnWindow)
        self.plan_entry = plan_entry
        self.gstn_conn_id = gstn_conn_id
        self.on_failure = on_failure
        self.on_partial = on_partial
        self.on_ambiguous = on_ambiguous
        self.force_resubmit = force_resubmit
        self.busy_timeout = busy_timeout
        self.settle_time = settle_time
        self.poke_interval = poke_interval
        self.timeout = timeout
        self.audit_path = audit_path
        self.report_formats = check_formats(report_formats)
        self.emit_assets = declare_assets(self, emit_assets, IMS_ALIAS)
        self.dry_run = dry_run  # type: ignore[assignment,method-assign]  # see ImsResetOperator
        self.on_window = on_window
        self.calendar = Calendar.of(calendar)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Send the first request that is not dealt with yet.

        :return: when all are dealt with, a small summary: ``rtin``, ``outcome``, the counts, the paths of the files.
            On failure it is pushed to XCom before the task fails
        :raises GstnResetPartial: when GSTN refused some documents and ``on_partial`` is ``fail``
        :raises GstnResetFailed: when requests failed and ``on_failure`` is ``continue``
        :raises AirflowSkipException: after a dry run
        :raises GstnError: what stopped this GSTIN
        """
        journal = Journal.of(context)
        if is_true("dry_run", self.dry_run):  # type: ignore[arg-type]
            self._end_dry_run(context, journal)
        journal.warn_if_it_forgets(self.log)
        return self._advance(context, journal, begins=True)

    def execute_complete(
        self, context: Context, event: Any = None, carried: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """
        Go on after a wait.

        What the event says of a reset is not believed, only what the service says: the event may be out of date.
        """
        said = event if isinstance(event, Mapping) else {}
        journal = Journal.of(context, carried)
        trouble: AirflowException | None = None
        if said.get("status") == "error":
            trouble = failure_of(said)
        elif said.get("status") == "timeout" and (journal.awaited or {}).get("kind") != "request":
            trouble = AirflowSensorTimeout(f"The downloads of GSTN's documents took too long.\n{said.get('message')}")
        if trouble is not None:
            self.log.warning("The wait in the triggerer came to no good end. %s", trouble)
        return self._advance(context, journal, AwaitTasks.of_event(journal.awaited, event), trouble)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a wait, also after one that Airflow gave up."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            if next_method != TRIGGER_FAIL_REPR or not Journal.of(context).forgets:
                raise
            raise GstnPermanentError(
                f"Airflow gave up the wait in the triggerer ({type(error).__name__}: {error}).\nIt keeps no task state"
                " (3.3 and newer do), so this task is not tried again by itself. Clear it: it goes on where it was, by"
                " what is kept beside the requests."
            ) from None

    def _end_dry_run(self, context: Context, journal: Journal) -> NoReturn:
        plan = plan_of(self.plan_entry)
        journal.also_in(records_of(plan))
        requests = (
            WouldSend(f"Request {chunk.number}", load_request(chunk.planned, plan.rtin), journal.read(chunk.key))
            for chunk in chunks_of(plan)
        )
        with GstnHook(self.gstn_conn_id, gstin=plan.rtin) as hook:
            end_dry_run(context, hook, requests, self.log, calendar=self.calendar)

    def on_kill(self) -> None:
        """Say what becomes of the reset that runs when the task is ended from outside."""
        self.log.warning("%s", abandoned_message("the reset that runs, if there is one"))

    def _advance(
        self,
        context: Context,
        journal: Journal,
        ended: AwaitTasks | None = None,
        trouble: AirflowException | None = None,
        *,
        begins: bool = False,
    ) -> dict[str, Any]:
        plan = plan_of(self.plan_entry)
        records = records_of(plan)
        journal.also_in(records)
        outcomes = Outcomes(plan, workbooks="xlsx" in self.report_formats)
        attempt = Attempt.of(context)
        step: AwaitTasks | AwaitMoment | None
        summary: dict[str, Any] = {}
        with GstnHook(self.gstn_conn_id, gstin=plan.rtin) as hook:
            bulk = BulkReset(
                hook,
                journal,
                plan,
                outcomes,
                records,
                attempt=attempt,
                policy=Policy(
                    on_ambiguous=self.on_ambiguous,
                    force=force_of(self.force_resubmit),
                    busy_timeout=seconds(self.busy_timeout),
                    settle_time=seconds(self.settle_time),
                ),
                on_failure=self.on_failure,
                timeout=seconds(self.timeout),
                audit=AuditTrail.at(self.audit_path, run_of(context, self.gstn_conn_id)),
            )
            if begins:
                refusal = None if bulk.has_begun else _NOT_SENT
                look_at_the_calendar(self.calendar, [plan.rtin], self.on_window, self.log, refusal=refusal)
            try:
                step = bulk.advance(ended)
                if trouble is not None and isinstance(step, AwaitTasks):
                    raise trouble  # the triggerer cannot wait for it, and it is not over
                if step is None:
                    summary = outcomes.gather(bulk.done())
                journal.forget_failures()
            except (AirflowFailException, AirflowSensorTimeout) as error:
                self._fail(context, outcomes, bulk, error)
            except Exception as error:
                if journal.forgets:
                    step = self._wait_out(context, outcomes, bulk, journal, error)
                elif attempt.is_last and isinstance(error, GstnTransientError):
                    self._fail(context, outcomes, bulk, error)
                else:
                    raise
        if step is not None:
            method, pause = "execute_complete", seconds(self.poke_interval)
            self.log.info("%s", _next_look(step, pause))
            hand_over(self, step, journal, self.gstn_conn_id, method=method, poll_interval=pause)
        return self._conclude(context, outcomes, summary, bulk.done())

    def _wait_out(
        self, context: Context, outcomes: Outcomes, bulk: BulkReset, journal: Journal, error: Exception
    ) -> AwaitMoment:
        """Wait out a fault below Airflow 3.3, where a retry would know nothing but what is kept beside the requests."""
        if isinstance(error, GstnBusy) and not bulk.has_sent:
            self._fail(context, outcomes, bulk, error)  # a retry has nothing to know
        failures = journal.count_failure()
        if failures > MOST_FAILURES or isinstance(error, GstnBusy):
            text = str(error) if isinstance(error, GstnError) else f"{type(error).__name__}: {error}"
            last = GstnPermanentError(f"{text}\nClear this task to go on where it was; nothing is sent again.")
            self._fail(context, outcomes, bulk, last)
        pause = backoff(
            failures, first=30.0, longest=300.0, error=error if isinstance(error, GstnTransientError) else None
        )
        self.log.warning("Fault %d in a row; going on in %.0f s. %s: %s", failures, pause, type(error).__name__, error)
        return AwaitMoment(time.time() + pause)

    def _fail(self, context: Context, outcomes: Outcomes, bulk: BulkReset, error: Exception) -> NoReturn:
        try:
            summary = outcomes.gather(bulk.done(), str(error).partition("\n")[0])
        except Exception as untold:
            self.log.error("What became of each document could not be written. %s: %s", type(untold).__name__, untold)
            raise error from None
        events = AssetEvents(self, context)
        self._emit(events, outcomes, summary, succeeds=False, reason=str(error).partition("\n")[0])
        events.failed(summary["rtin"], error)
        push_summary(context, summary, self.log)
        self._tell(outcomes, summary)
        last = retold(error, f"GSTIN {summary['rtin']}: {_counts(summary)}.\n{error}\nEvery document: {_file(summary)}")
        if isinstance(last, (GstnResetFailed, GstnResetPartial)):
            last.refused = list(outcomes.refused)
        raise last from None

    def _tell(self, outcomes: Outcomes, summary: Mapping[str, Any]) -> None:
        """Show what a person wants to see at the end: sections and paths in the log, the counts on the page."""
        header = ("section", *COUNTED)
        sections = list(dict.fromkeys(section for section, _ in outcomes.sections))
        rows = [
            (section, *(outcomes.sections[section, name.replace("_", " ")] for name in COUNTED)) for section in sections
        ]
        paths = [(name, summary[name]) for name in ("xlsx_path", "csv_path", "result_path") if name in summary]
        self.log.info("GSTIN %s: %s.\n%s\n%s", summary["rtin"], _counts(summary), aligned(rows, header), aligned(paths))
        self.show_summary(summary)

    def _conclude(
        self, context: Context, outcomes: Outcomes, summary: dict[str, Any], done: list[ChunkOutcome]
    ) -> dict[str, Any]:
        text = f"GSTIN {summary['rtin']}: {_counts(summary)}."
        self._tell(outcomes, summary)
        events = AssetEvents(self, context)
        if summary["outcome"] == "processed":
            self._emit(events, outcomes, summary)
            return summary
        failures = [outcome.failure for outcome in done if outcome.failure]
        error: GstnError
        if failures:
            error = GstnResetFailed(
                f"{text}\n{len(failures)} of {len(done)} requests failed. The first:\n{failures[0]}\n{_AGAIN}\n"
                f"Every document: {_file(summary)}",
                code=next((row.code for row in outcomes.refused if row.code), ""),
                advice=_AGAIN,
                refused=outcomes.refused,
            )
        else:
            advice = f"Which, and what to do about each, is in {_file(summary)}"
            error = GstnResetPartial(
                f"{text}\n{advice}",
                code=next((row.code for row in outcomes.refused if row.code), ""),
                advice=advice,
                refused=outcomes.refused,
            )
        reason = failures[0] if failures else ""
        self._emit(events, outcomes, summary, succeeds=succeeds(error, self.on_partial), reason=reason)
        return end_task(context, summary, error, self.on_partial, self.log)

    @staticmethod
    def _emit(
        events: AssetEvents,
        outcomes: Outcomes,
        summary: Mapping[str, Any],
        *,
        succeeds: bool = True,
        reason: str = "",
    ) -> None:
        told = {
            "gstin": summary["rtin"],
            "outcome": summary["outcome"],
            "documents": summary["documents"],
            "counts": {name: summary[name] for name in COUNTED},
            "tax": outcomes.sums.as_extra()["tax"],
            "path": _file(summary),
            "reason": reason,
            "simulator": bool(summary.get("simulator")),
            "refused": outcomes.refused,
        }
        events.ims("reset", [told], succeeds=succeeds)


def _next_look(step: AwaitTasks | AwaitMoment, pause: float) -> str:
    """Say when it goes on."""
    if isinstance(step, AwaitMoment):
        return f"Going on in {span(step.moment - time.time())}."
    what = "It runs" if step.kind == "request" else "The downloads run"
    return f"{what} under {', '.join(step.reference_ids)}; the next poll is within {span(pause)}."


_NOT_SENT = 'Nothing was sent, since on_window="fail". To send all the same: "warn".'

_AGAIN = "To send what GSTN refused once more, set force_resubmit='failed' and clear this task."


def _file(summary: Mapping[str, Any]) -> str:
    """Return the path of the file that a person opens."""
    return str(summary.get("xlsx_path") or summary["csv_path"])


def _counts(summary: Mapping[str, Any]) -> str:
    parts = [f"{summary[name]:,} {name.replace('_', ' ')}" for name in ("reset", "refused", "unknown", "not_sent")]
    return f"of {summary['documents']:,} documents " + ", ".join(part for part in parts if not part.startswith("0 "))
