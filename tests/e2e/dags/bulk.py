"""The bulk example with requests of two documents, and workers that die once they have sent a GSTIN's second one."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_ims._metadata import TaskState
from airflow_provider_ims.exceptions import GstnAirflowUnavailable
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.submissions.journal import Journal


class MortalBulkReset(ImsBulkResetOperator):
    """
    A bulk reset to which this happens, for the GSTIN that the run names.

    :param dies: the worker is killed with SIGKILL when the second request is sent
    :param store_away: Airflow's task state takes no reference id
    :param forgets: there is no task state, as below Airflow 3.3
    """

    template_fields = (*ImsBulkResetOperator.template_fields, "dies", "store_away", "forgets")

    def __init__(self, *, dies: str = "", store_away: str = "", forgets: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dies = dies
        self.store_away = store_away
        self.forgets = forgets

    def execute(self, context: Any) -> Any:
        self._make_trouble(context)
        return super().execute(context)

    def execute_complete(self, context: Any, **kwargs: Any) -> Any:
        self._make_trouble(context)
        return super().execute_complete(context, **kwargs)

    def _make_trouble(self, context: Any) -> None:
        rtin = self.plan_entry["rtin"]
        keep, store = Journal.keep, TaskState.set

        def keep_and_die(journal: Journal, key: str, entry: Any) -> None:
            keep(journal, key, entry)
            if key.endswith("_0002") and entry.phase == "submitted":
                os.kill(os.getpid(), signal.SIGKILL)

        def refuse(state: TaskState, key: str, value: Any, **more: Any) -> None:
            if value["phase"] == "submitted":
                raise GstnAirflowUnavailable("The API server is away.")
            store(state, key, value, **more)

        if self.dies == rtin and context["ti"].try_number == 1:
            Journal.keep = keep_and_die  # type: ignore[method-assign]
        if self.store_away == rtin:
            TaskState.set = refuse  # type: ignore[method-assign]
        if self.forgets == rtin:
            context.pop("task_state_store")


with DAG(
    dag_id="bulk",
    schedule=None,
    params={
        "source": "",
        "output_path": "",
        "dies": "",
        "store_away": "",
        "forgets": "",
        "gstn_conn_id": "gstn_default",
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
):
    plan = ImsPlanOperator(
        task_id="plan", source="{{ params.source }}", output_path="{{ params.output_path }}/plan", max_documents=2
    )
    MortalBulkReset.partial(
        task_id="reset",
        dies="{{ params.dies }}",
        store_away="{{ params.store_away }}",
        forgets="{{ params.forgets }}",
        gstn_conn_id="{{ params.gstn_conn_id }}",
        on_ambiguous="reconcile",
        poke_interval=2,
        settle_time=30,
    ).expand(plan_entry=plan.output)
