"""Sends all requests of one GSTIN, one after another."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from airflow.sdk import BaseOperator

from airflow_provider_ims._compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_provider_ims.exceptions import (
    GstnError,
    GstnResetFailed,
    GstnResetPartial,
    GstnTransientError,
    by_name,
)
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.hooks.retries import backoff
from airflow_provider_ims.operators.arguments import is_true, seconds
from airflow_provider_ims.operators.ims import OnPartial
from airflow_provider_ims.planned import PlannedGstin
from airflow_provider_ims.results.outcomes import Outcomes
from airflow_provider_ims.submissions.audit import AuditTrail, run_of
from airflow_provider_ims.submissions.bulk import BulkReset, OnFailure
from airflow_provider_ims.submissions.journal import Attempt, Journal
from airflow_provider_ims.submissions.policy import SETTLE_TIME, OnAmbiguous, Policy
from airflow_provider_ims.submissions.submission import AwaitMoment, AwaitTasks
from airflow_provider_ims.submissions.waiting import trigger_for
from airflow_provider_ims.triggers.ims import farewell, ids_of

if TYPE_CHECKING:
    from airflow.sdk import Context


MOST_FAILURES = 20
"""Faults that one try waits out below Airflow 3.3, where a retry would begin anew."""


class ImsBulkResetOperator(BaseOperator):
    """
    Reset all documents that a plan has for one GSTIN; map it over the plan.

    Sends the requests one after another, since GSTN works on one per GSTIN, and defers while each runs: no worker slot
    is held. Where it was is kept in Airflow's task state store (Airflow 3.3 and newer), so that a worker or triggerer
    that dies costs nothing: nothing is sent twice, and no result is lost. What became of every document is written
    next to the requests: ``result.csv`` and ``result.json``.

    :param plan_entry: one entry of what :class:`ImsPlanOperator` returns (templated; use
        ``.expand(plan_entry=plan.output)``)
    :param gstn_conn_id: id of the connection (templated)
    :param on_failure: after a request that failed, or whose fate is not known: ``stop`` this GSTIN, or ``continue``
        with its next request. Either way the task fails, and says what was not sent
    :param on_partial: when all requests were dealt with and GSTN refused some documents: ``fail`` the task, ``warn``
        and go on, or ``skip``
    :param on_ambiguous: see :class:`~airflow_provider_ims.operators.ims.ImsResetOperator`
    :param force_resubmit: once for each time that a person clears the task, send everything again (templated)
    :param busy_timeout: how long to wait while GSTN works on another request of the GSTIN, seconds or timedelta
    :param settle_time: see :class:`~airflow_provider_ims.operators.ims.ImsResetOperator`
    :param poke_interval: time between two polls of a request, seconds or timedelta
    :param timeout: how long one request may run, seconds or timedelta
    :param audit_path: directory for a record of each reset (templated)
    """

    template_fields: Sequence[str] = ("plan_entry", "gstn_conn_id", "force_resubmit", "audit_path")
    ui_color = "#f7e3d7"

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, known in (
            ("on_failure", on_failure, get_args(OnFailure)),
            ("on_partial", on_partial, get_args(OnPartial)),
            ("on_ambiguous", on_ambiguous, get_args(OnAmbiguous)),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}; it takes {', '.join(known)}")
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

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Send the first request that is not dealt with yet.

        :return: when all are dealt with, a small summary: ``rtin``, ``outcome``, the counts, the paths of the files.
            On failure it is pushed to XCom before the task fails
        :raises GstnResetPartial: when GSTN refused some documents and ``on_partial`` is ``fail``
        :raises GstnResetFailed: when requests failed and ``on_failure`` is ``continue``
        :raises GstnError: what stopped this GSTIN
        """
        journal = Journal.of(context)
        journal.warn_if_it_forgets(self.log)
        return self._go_on(context, journal)

    def execute_complete(
        self, context: Context, event: Any = None, carried: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """
        Go on after a wait.

        What the event says of a task is not believed, only what the service says: the event may be out of date.
        """
        told = event if isinstance(event, Mapping) else {}
        ended = ids_of(told["reference_id"]) if "reference_id" in told else []
        trouble = None
        if told.get("status") == "error":
            trouble = by_name(told.get("error", ""), told.get("message", ""), told.get("code", ""))
            self.log.warning("The wait in the triggerer ended in an error. %s", trouble)
        return self._go_on(context, Journal.of(context, carried), ended, trouble)

    def on_kill(self) -> None:
        """Say what becomes of the reset that runs when the task is ended from outside."""
        self.log.warning("%s", farewell("the reset that runs, if there is one"))

    def _go_on(
        self, context: Context, journal: Journal, ended: Sequence[str] = (), trouble: GstnError | None = None
    ) -> dict[str, Any]:
        plan = PlannedGstin.of(self.plan_entry)
        outcomes = Outcomes(plan)
        attempt = Attempt.of(context)
        with GstnHook(self.gstn_conn_id, gstin=plan.rtin) as hook:
            bulk = BulkReset(
                hook,
                journal,
                plan,
                outcomes,
                attempt=attempt,
                policy=Policy(
                    on_ambiguous=self.on_ambiguous,
                    force=is_true("force_resubmit", self.force_resubmit),
                    busy_timeout=seconds(self.busy_timeout),
                    settle_time=seconds(self.settle_time),
                ),
                on_failure=self.on_failure,
                timeout=seconds(self.timeout),
                audit=AuditTrail.at(self.audit_path, run_of(context, self.gstn_conn_id)),
            )
            try:
                step = bulk.go_on(ended)
                if trouble is not None and isinstance(step, AwaitTasks):
                    raise trouble  # the triggerer cannot wait for it, and it is not over
            except GstnTransientError as error:
                if attempt.is_last and not journal.would_forget:
                    self._fail(context, outcomes, bulk, error)
                step = self._without_a_retry(journal, error)
            except (AirflowFailException, AirflowSensorTimeout) as error:
                self._fail(context, outcomes, bulk, error)
        if step is not None:
            self._hand_over(step, journal)
        return self._conclude(context, outcomes, bulk)

    def _without_a_retry(self, journal: Journal, error: GstnTransientError) -> AwaitMoment:
        """Wait out a fault if the next try would know nothing of what was sent; else leave it to Airflow."""
        failures = journal.count_failure() if journal.would_forget else MOST_FAILURES + 1
        if failures > MOST_FAILURES:
            raise error
        pause = backoff(failures, first=30.0, longest=300.0, error=error)
        self.log.warning("Going on in %.0f s, since a retry would begin anew. %s", pause, error)
        return AwaitMoment(time.time() + pause)

    def _fail(self, context: Context, outcomes: Outcomes, bulk: BulkReset, error: Exception) -> NoReturn:
        # A failing task's return value is lost, so the summary goes ahead of the failure, in its place.
        summary = outcomes.gather(bulk.done())
        context["ti"].xcom_push(key="return_value", value=summary)
        raise type(error)(f"GSTIN {summary['rtin']}: {_counts(summary)}. {error}") from None

    def _hand_over(self, step: AwaitTasks | AwaitMoment, journal: Journal) -> NoReturn:
        trigger, timeout = trigger_for(step, self.gstn_conn_id, seconds(self.poke_interval))
        kwargs = {"carried": journal.carried}
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs, timeout=timeout)

    def _conclude(self, context: Context, outcomes: Outcomes, bulk: BulkReset) -> dict[str, Any]:
        done = bulk.done()
        summary = outcomes.gather(done)
        text = f"GSTIN {summary['rtin']}: {_counts(summary)}"
        self.log.info("%s. Every document: %s", text, summary["csv_path"])
        if summary["outcome"] == "processed":
            return summary
        context["ti"].xcom_push(key="return_value", value=summary)
        failures = [outcome.failure for outcome in done if outcome.failure]
        error: GstnError
        if failures:
            error = GstnResetFailed(f"{text}. {len(failures)} of {len(done)} requests failed. First: {failures[0]}")
            raise error
        error = GstnResetPartial(f"{text}. Which, and what to do about each, is in {summary['csv_path']}")
        if self.on_partial == "fail":
            raise error
        if self.on_partial == "skip":
            raise AirflowSkipException(str(error))
        self.log.warning("%s", error)
        return summary


def _counts(summary: Mapping[str, Any]) -> str:
    parts = [f"{summary[name]:,} {name.replace('_', ' ')}" for name in ("reset", "refused", "unknown", "not_sent")]
    return f"of {summary['documents']:,} documents " + ", ".join(part for part in parts if not part.startswith("0 "))
