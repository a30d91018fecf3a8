"""Resets that go through faults: one DAG for each ``on_ambiguous``, and workers that die where the run says."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import DAG, Param

from airflow_provider_ims.hooks import gstn
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.sensors.ims import ImsTaskSensor
from airflow_provider_ims.submissions.journal import Journal


class MortalReset(ImsResetOperator):
    """A reset whose worker is killed with SIGKILL in its first try, at the point that ``dies`` names."""

    template_fields = (*ImsResetOperator.template_fields, "dies")

    def __init__(self, *, dies: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dies = dies

    def execute(self, context: Any) -> str:
        if self.dies and context["ti"].try_number == 1:
            self._die_at(self.dies)
        return super().execute(context)

    def _die_at(self, point: str) -> None:
        send, write, keep = gstn.send, Journal.write, Journal.keep

        def on_the_wire(session: Any, request: Any, settings: Any) -> Any:
            if request.method != "PUT" or "reset" not in request.url:
                return send(session, request, settings)
            if point == "after the request":
                send(session, request, settings)
            if point in {"before the request", "after the request"}:
                die()
            return send(session, request, settings)

        def in_the_journal(journal: Journal, key: str, entry: Any) -> None:
            if point == "before the intent" and entry.phase == "intent":
                die()
            write(journal, key, entry)

        def after_the_reply(journal: Journal, key: str, entry: Any) -> None:
            keep(journal, key, entry)
            if point == "after the reference id" and entry.phase == "submitted":
                die()

        gstn.send = on_the_wire
        Journal.write = in_the_journal  # type: ignore[method-assign]
        Journal.keep = after_the_reply  # type: ignore[method-assign]


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives that")


def three_tasks(reset: Callable[..., ImsResetOperator], timeout: Any, **waiting: Any) -> None:
    sent = reset(
        task_id="reset",
        payload="{{ params.payload }}",
        force_resubmit="{{ params.force }}",
        audit_path="{{ params.audit_path }}",
        gstn_conn_id="{{ params.gstn_conn_id }}",
        deferrable=True,
        settle_time=45,
    )
    waited = ImsTaskSensor(
        task_id="wait",
        reference_id=sent.output,
        gstn_conn_id="{{ params.gstn_conn_id }}",
        deferrable=True,
        poke_interval=2,
        timeout=timeout,
        **waiting,
    )
    ImsResultOperator(
        task_id="result",
        reference_id=waited.output,
        payload="{{ params.payload }}",
        audit_path="{{ params.audit_path }}",
        gstn_conn_id="{{ params.gstn_conn_id }}",
        deferrable=True,
    )


params = {"payload": "", "dies": "", "force": Param(False), "audit_path": "", "gstn_conn_id": "gstn_default"}
default_args = {"retries": 2, "retry_delay": timedelta(seconds=1)}

for policy in ("fail", "resubmit", "reconcile"):
    with DAG(dag_id=f"durable_{policy}", schedule=None, params=params, default_args=default_args, max_active_runs=64):
        three_tasks(
            lambda policy=policy, **arguments: MortalReset(on_ambiguous=policy, dies="{{ params.dies }}", **arguments),
            timeout=600,
        )

with DAG(dag_id="durable_deadline", schedule=None, params=params, default_args=default_args, max_active_runs=64):
    # Airflow itself ignores execution_timeout while a task is deferred.
    three_tasks(ImsResetOperator, timeout=600, execution_timeout=timedelta(seconds=14))
