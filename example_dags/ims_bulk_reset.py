"""
Reset a company's documents: plan the requests, send those of each GSTIN, add up what came of them.

Trigger it with the name of a file in the folder (path or URI) that the Variable `ims_folder` holds. What goes from task
to task are paths and counts; the documents stay in files below `plans` there, in one directory for each run.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_ims.file_names import below
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator

log = logging.getLogger(__name__)


@task(trigger_rule="all_done", retries=0)
def add_up(planned: list[dict[str, Any]], results: Any) -> dict[str, int]:
    """Add up the outcomes of all GSTINs; fail when a document is not reset, so that somebody looks."""
    outcomes = [result for result in results if result]
    if any(outcome["outcome"] == "dry_run" for outcome in outcomes):
        return {"not_sent": sum(outcome["not_sent"] for outcome in outcomes)}
    names = ("reset", "refused", "unknown", "not_sent")
    total = {name: sum(outcome[name] for outcome in outcomes) for name in names}
    documents = sum(entry["documents"] for entry in planned)
    # A GSTIN whose task said nothing is not a GSTIN whose documents are reset.
    total["unknown"] += documents - sum(total.values())
    for outcome in outcomes:
        log.info("%s: %s. Every document: %s", outcome["rtin"], outcome["outcome"], outcome["csv_path"])
    if total["reset"] < documents:
        raise RuntimeError(f"Not all of {documents} documents are reset: {total}")
    return total


# [START howto_ims_bulk_reset]
with DAG(
    dag_id="ims_bulk_reset",
    schedule=None,
    catchup=False,
    max_active_runs=1,  # GSTN works on one reset per GSTIN at a time
    tags=["gst", "ims"],
    params={
        "source": Param(type="string", minLength=1, description="Name of the file (CSV, JSON, Parquet) in the folder"),
        "dry_run": Param(False, type="boolean", description="Say what would be sent, and send nothing"),
        "force_resubmit": Param(
            "false",
            enum=["false", "failed", "true"],
            description="When this run is cleared: send again what GSTN refused (failed), or all that is not reset",
        ),
    },
    # Who may trigger this names a file of the folder in the Variable ims_folder, and no other file.
    user_defined_macros={"below": below},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
) as dag:
    plan = ImsPlanOperator(
        task_id="plan",
        source="{{ below(var.value.ims_folder, params.source) }}",
        output_path="{{ below(var.value.ims_folder, 'plans', run_id) }}",
        on_invalid="fail",
    )

    reset = ImsBulkResetOperator.partial(
        task_id="reset",
        on_ambiguous="reconcile",
        on_partial="fail",
        dry_run="{{ params.dry_run }}",
        force_resubmit="{{ params.force_resubmit }}",
        audit_path="{{ below(var.value.ims_folder, 'audit') }}",
        map_index_template="{{ task.plan_entry['rtin'] }}",
        max_active_tis_per_dagrun=16,
    ).expand(plan_entry=plan.output)

    add_up(plan.output, reset.output)
# [END howto_ims_bulk_reset]
