"""Plan and bulk reset with one document a request."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator

with DAG(dag_id="bench_bulk", schedule=None, params={"source": "", "output_path": ""}):
    plan = ImsPlanOperator(
        task_id="plan", source="{{ params.source }}", output_path="{{ params.output_path }}/plan", max_documents=1
    )
    ImsBulkResetOperator.partial(task_id="reset", poke_interval=2).expand(plan_entry=plan.output)
