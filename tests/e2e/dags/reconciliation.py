"""The example of the loop, with the connection and the folder of a story."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_ims.operators.approval import ImsApprovalOperator
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.operators.reconcile import ImsReconcileOperator, ImsVerifyOperator
from demo.company import ERP_COLUMNS


@task
def taxpayers(params: dict[str, Any]) -> list[str]:
    return list(params["gstins"])


@task.short_circuit(ignore_downstream_trigger_rules=False)
def anything_to_reset(found: dict[str, Any]) -> bool:
    return bool(found["decisions"].get("reset"))


@task(trigger_rule="all_done", retries=0)
def sent_to(planned: list[dict[str, Any]] | None) -> list[str]:
    return [entry["rtin"] for entry in planned or ()]


@task(trigger_rule="none_failed", retries=0)
def summary(found: dict[str, Any], verified: dict[str, Any] | None) -> dict[str, Any]:
    return {"decisions": found["decisions"], "verified": (verified or {}).get("verified", 0)}


with DAG(dag_id="reconciliation", schedule=None, catchup=False, params={"gstn_conn_id": "", "gstins": []}) as dag:
    conn = {"gstn_conn_id": "{{ params.gstn_conn_id }}", "poke_interval": 2}
    folder = "{{ params.folder }}/{{ run_id }}"
    snapshots = ImsDownloadOperator.partial(
        task_id="download", output_path=f"{folder}/snapshots", deferrable=True, **conn
    ).expand(gstin=taxpayers())
    found = ImsReconcileOperator(
        task_id="reconcile",
        snapshot=snapshots.output,
        books="{{ params.folder }}/books.csv",
        columns=ERP_COLUMNS,
        output_path=f"{folder}/reconciliation",
    )
    approve = ImsApprovalOperator(task_id="approve", reconciliation=found.output)
    anything_to_reset(found.output) >> approve
    plan = ImsPlanOperator(task_id="plan", source=approve.output, output_path=f"{folder}/plan")
    reset = ImsBulkResetOperator.partial(task_id="reset", on_partial="warn", **conn).expand(plan_entry=plan.output)
    again = sent_to(plan.output)
    reset >> again
    fresh = ImsDownloadOperator.partial(
        task_id="download_again", output_path=f"{folder}/after", deferrable=True, **conn
    ).expand(gstin=again)
    verified = ImsVerifyOperator(
        task_id="verify",
        outcomes=reset.output,
        snapshot=fresh.output,
        plan=plan.output,
        output_path=f"{folder}/verified",
        trigger_rule="all_done",
    )
    reset >> summary(found.output, verified.output)
