"""
Send again what an earlier reset left undone, from what GSTN holds now.

Trigger it with a GSTIN and the name of the `result.csv` of its earlier reset in the folder that the Variable
`ims_folder` holds. It downloads what GSTN holds, verifies every document, and plans those that do not stand at "no
action" with the action of now. Documents that the supplier has changed are left to a person: see `verified.csv`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_ims.exceptions import GstnInvalidRequest
from airflow_provider_ims.file_names import below
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.operators.reconcile import ImsVerifyOperator


@task
def earlier(results: str, params: dict[str, Any] | None = None) -> dict[str, str]:
    """Return what the earlier reset left behind, in the form that the verification takes."""
    if "://" in results:
        raise GstnInvalidRequest(f"{results} is in an object store; this DAG works on a disk that all workers share.")
    return {"rtin": (params or {})["gstin"], "csv_path": results}


# [START howto_ims_refused_again]
@task
def still_to_reset(verified: str, snapshot: str, rows: str) -> str:
    """Write the documents that are not reset as GSTN holds them now, with the action of now as prev_status."""
    import duckdb

    Path(rows).parent.mkdir(parents=True, exist_ok=True)
    documents = duckdb.connect().sql(
        """
        SELECT d.* EXCLUDE (action, filed, pending_blocked, hash, raw, taken_at, snapshot), d.action AS prev_status
        FROM read_parquet(?) AS d JOIN read_csv(?, header = true, all_varchar = true) AS v
          ON d.section = v.section AND upper(d.stin) = v.stin AND d.rtnprd = v.rtnprd
         AND strftime(d.date, '%d-%m-%Y') = v.date
         AND upper(d.number) = ltrim(v.number, chr(39)) -- the apostrophe that keeps a spreadsheet from counting
        WHERE v.verification = 'not_reset' AND d.action <> 'N'
        ORDER BY ALL
        """,
        params=[str(Path(snapshot).with_name("documents.parquet")), verified],
    )
    documents.write_parquet(rows)
    return rows


with DAG(
    dag_id="ims_refused_again",
    schedule=None,
    catchup=False,
    max_active_runs=1,  # GSTN works on one reset per GSTIN at a time
    tags=["gst", "ims"],
    params={
        "gstin": Param(type="string", pattern=GSTIN_PATTERN, description="GSTIN whose documents they are"),
        "results": Param(type="string", minLength=1, description="Name of its result.csv in the folder"),
    },
    # Who may trigger this names a file of the folder in the Variable ims_folder, and no other file.
    user_defined_macros={"below": below},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
) as dag:
    told = earlier("{{ below(var.value.ims_folder, params.results) }}")

    snapshot = ImsDownloadOperator(
        task_id="download",
        gstin=told["rtin"],
        output_path="{{ below(var.value.ims_folder, 'snapshots', run_id) }}",
        deferrable=True,
    )

    verified = ImsVerifyOperator(
        task_id="verify",
        outcomes=told,
        snapshot=snapshot.output,
        output_path="{{ below(var.value.ims_folder, 'verified', run_id) }}",
        on_difference="warn",
    )

    plan = ImsPlanOperator(
        task_id="plan",
        source=still_to_reset(
            verified.output["path"],
            snapshot.output["path"],
            "{{ below(var.value.ims_folder, 'again', run_id, 'rows.parquet') }}",
        ),
        output_path="{{ below(var.value.ims_folder, 'plans', run_id) }}",
        allow_empty=True,
    )

    ImsBulkResetOperator.partial(
        task_id="reset",
        on_ambiguous="reconcile",
        on_partial="fail",
        audit_path="{{ below(var.value.ims_folder, 'audit') }}",
        map_index_template="{{ task.plan_entry['rtin'] }}",
    ).expand(plan_entry=plan.output)
# [END howto_ims_refused_again]
