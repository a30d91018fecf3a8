"""
The monthly loop without a person: what GSTN holds -> the books -> what to reset -> reset -> verify.

Runs each evening (India) from the 1st to the 20th, when GSTR-3B is due. Set `gstins` and `books` to your own: `books`
is the name of a file in the folder that the Variable `ims_folder` holds, and so is everything that is written. What
goes from task to task are paths and counts. Nobody is asked: `ims_reconciliation` is the same with an approval.
A GSTIN that fails stops no other; the last task fails then, and names it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_ims.exceptions import GstnPermanentError
from airflow_provider_ims.file_names import below
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.operators.reconcile import ImsReconcileOperator, ImsVerifyOperator

ERP_COLUMNS = {
    "Company GSTIN": "rtin",
    "Vendor GSTIN": "stin",
    "Doc Type": {"kind": {"RE": "invoice", "KG": "credit note"}},
    "Bill No": "number",
    "Bill Date": "date",
    "Taxable Amt": "txval",
    "IGST": "iamt",
    "CGST": "camt",
    "SGST": "samt",
    "Cess": "cess",
    "Voucher": "id",
}


@task
def taxpayers(params: dict[str, Any]) -> list[str]:
    """Return the GSTINs to work on."""
    return list(params["gstins"])


@task.short_circuit(ignore_downstream_trigger_rules=False)
def anything_to_reset(found: dict[str, Any]) -> bool:
    """Skip what follows when nothing is to be reset."""
    return bool(found["decisions"].get("reset"))


@task(trigger_rule="all_done", retries=0)
def sent_to(planned: list[dict[str, Any]] | None) -> list[str]:
    """Return the GSTINs to look at again, however their resets ended."""
    return [entry["rtin"] for entry in planned or ()]


@task(trigger_rule="all_done", retries=0)
def summary(
    gstins: list[str] | None,
    found: dict[str, Any] | None,
    planned: list[dict[str, Any]] | None,
    verified: dict[str, Any] | None,
    ti: Any = None,
) -> dict[str, Any]:
    """Return the counts of the whole run, or fail and name what failed in it, so that somebody looks."""
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])[ti.run_id]
    if states["verify"] == "skipped":
        verified = None  # what is there was returned before the run was cleared
    words = ("verified", "not_reset", "changed_by_supplier", "gone")
    told: dict[str, Any] = {word: (verified or {}).get(word, 0) for word in words}
    faults = []
    if found:
        told = {**{name: found[name] for name in ("matches", "decisions", "left_out")}, **told}
        if without := [gstin for gstin in gstins or () if gstin not in found["rtins"]]:
            faults.append(f"No snapshot was taken of {', '.join(without)}: nothing of it was reset.")
        if found["left_out"] and not found["book_rows"]:
            faults.append("No row of the books is of a GSTIN of this run. Are these the right books?")
    about = {f"download_{at}": gstin for at, gstin in enumerate(gstins or ())}
    for name in ("reset", "download_again"):
        about |= {f"{name}_{at}": entry["rtin"] for at, entry in enumerate(planned or ())}
    if failed := sorted(name for name, state in states.items() if state in ("failed", "upstream_failed")):
        named = ", ".join(f"{name} ({about[name]})" if name in about else name for name in failed)
        faults.append(f"Failed: {named}. The log of each says why, and what to do.")
    if faults:
        ti.xcom_push("return_value", told)
        then = "Then trigger this DAG again: a new run goes by what GSTN holds by then."
        raise GstnPermanentError("\n".join(("Not all of this run was done. Somebody has to look.", *faults, then)))
    return told


# [START howto_ims_reconciliation_unattended]
with DAG(
    dag_id="ims_reconciliation_unattended",
    schedule=CronTriggerTimetable("0 20 1-20 * *", timezone="Asia/Kolkata"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # GSTN works on one reset per GSTIN at a time
    tags=["gst", "ims"],
    params={
        "gstins": Param(["27AAPFU0939F1ZV"], type="array", minItems=1, description="GSTINs of the company"),
        "books": Param("books.csv", type="string", minLength=1, description="Name of the books' file in the folder"),
    },
    # Who may trigger this names a file of the folder in the Variable ims_folder, and no other file.
    user_defined_macros={"below": below},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
) as dag:
    gstins = taxpayers()
    snapshots = ImsDownloadOperator.partial(
        task_id="download",
        output_path="{{ below(var.value.ims_folder, 'snapshots', run_id) }}",
        map_index_template="{{ task.gstin }}",
        deferrable=True,
    ).expand(gstin=gstins)

    found = ImsReconcileOperator(
        task_id="reconcile",
        snapshot=snapshots.output,
        books="{{ below(var.value.ims_folder, params.books) }}",
        columns=ERP_COLUMNS,
        date_order="DMY",  # of 04/10/2026: the day comes first
        other_gstins="leave_out",  # those without a snapshot keep no other from being reset
        output_path="{{ below(var.value.ims_folder, 'reconciliations', run_id) }}",
        on_window="warn",
        trigger_rule="all_done",  # also when the download of one GSTIN failed: the others go on
    )

    plan = ImsPlanOperator(
        task_id="plan",
        source=found.output,
        output_path="{{ below(var.value.ims_folder, 'plans', run_id) }}",
    )
    anything_to_reset(found.output) >> plan

    reset = ImsBulkResetOperator.partial(
        task_id="reset",
        on_ambiguous="reconcile",
        on_partial="warn",  # the comparison below tells what became of each document
        audit_path="{{ below(var.value.ims_folder, 'audit') }}",
        map_index_template="{{ task.plan_entry['rtin'] }}",
        max_active_tis_per_dagrun=16,  # GSTINs at a time; read when the DAG is parsed, so no param can set it
    ).expand(plan_entry=plan.output)

    again = sent_to(plan.output)
    reset >> again
    fresh = ImsDownloadOperator.partial(
        task_id="download_again",
        output_path="{{ below(var.value.ims_folder, 'snapshots', run_id, 'after') }}",
        map_index_template="{{ task.gstin }}",
        deferrable=True,
    ).expand(gstin=again)

    verified = ImsVerifyOperator(
        task_id="verify",
        outcomes=reset.output,
        snapshot=fresh.output,
        plan=plan.output,
        output_path="{{ below(var.value.ims_folder, 'verified', run_id) }}",
        trigger_rule="all_done",  # also when the task of one GSTIN failed
    )

    summary(gstins, found.output, plan.output, verified.output)
# [END howto_ims_reconciliation_unattended]
