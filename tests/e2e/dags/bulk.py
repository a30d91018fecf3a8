"""The bulk example with requests of two documents, and workers that die once they have sent a GSTIN's second one."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.submissions.journal import Journal


class MortalBulkReset(ImsBulkResetOperator):
    """A bulk reset whose worker is killed with SIGKILL when the second request of the GSTIN ``dies`` is sent."""

    template_fields = (*ImsBulkResetOperator.template_fields, "dies")

    def __init__(self, *, dies: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dies = dies

    def execute_complete(self, context: Any, **kwargs: Any) -> Any:
        if self.dies == self.plan_entry["rtin"] and context["ti"].try_number == 1:
            write = Journal.write

            def write_and_die(journal: Journal, key: str, entry: Any) -> None:
                write(journal, key, entry)
                if (key, entry.phase) == ("ims_reset_0002", "submitted"):
                    os.kill(os.getpid(), signal.SIGKILL)

            Journal.write = write_and_die  # type: ignore[method-assign]
        return super().execute_complete(context, **kwargs)


with DAG(
    dag_id="bulk",
    schedule=None,
    params={"source": "", "output_path": "", "dies": ""},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
):
    plan = ImsPlanOperator(
        task_id="plan", source="{{ params.source }}", output_path="{{ params.output_path }}/plan", max_documents=2
    )
    MortalBulkReset.partial(
        task_id="reset",
        dies="{{ params.dies }}",
        on_ambiguous="reconcile",
        poke_interval=2,
        settle_time=30,
    ).expand(plan_entry=plan.output)
