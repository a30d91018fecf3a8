"""
Reset a company's documents: plan the requests, send those of each GSTIN, add up what came of them.

Trigger it with the name of a file in the folder (path or URI) that the Variable `ims_folder` holds. What goes from task
to task are paths and counts; the documents stay in files below `plans` there, in one directory for each run.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_ims.file_names import below
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.operators.summary import ImsBulkSummaryOperator

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
        max_active_tis_per_dagrun=16,  # GSTINs at a time; read when the DAG is parsed, so no param can set it
    ).expand(plan_entry=plan.output)

    # summary.xlsx beside the plan; fails when a document is not reset, so that somebody looks.
    ImsBulkSummaryOperator(task_id="add_up", plan=plan.output, results=reset.output, retries=0)
# [END howto_ims_bulk_reset]
