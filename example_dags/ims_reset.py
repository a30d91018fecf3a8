"""Put documents back to "no action" in IMS, wait without holding a worker, and account for every document."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_ims.file_names import below
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.sensors.ims import CAN_START_FROM_TRIGGER, ImsTaskSensor

# [START howto_ims_reset]
with DAG(
    dag_id="ims_reset",
    schedule=None,
    catchup=False,
    max_active_runs=1,  # GSTN works on one reset per GSTIN at a time
    tags=["gst", "ims"],
    params={
        "payload": Param("", type="string", description="Name of the reset request (JSON) in the folder"),
        "dry_run": Param(False, type="boolean", description="Say what would be sent, and send nothing"),
        "force_resubmit": Param(
            "false",
            enum=["false", "failed", "true"],
            description="When this run is cleared: send again what GSTN refused (failed), or all that is not reset",
        ),
        "attach_to": Param(
            "",
            type="string",
            description="Reference id, if this request was sent and its run is gone: go on with it, send nothing",
        ),
    },
    # Who may trigger this names a file of the folder in the Variable ims_folder, and no other file.
    user_defined_macros={"below": below},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
) as dag:
    payload = "{{ below(var.value.ims_folder, params.payload) }}"

    reset = ImsResetOperator(
        task_id="reset",
        payload=payload,
        dry_run="{{ params.dry_run }}",
        force_resubmit="{{ params.force_resubmit }}",
        attach_to="{{ params.attach_to }}",
        audit_path="{{ below(var.value.ims_folder, 'audit') }}",
    )

    wait = ImsTaskSensor(
        task_id="wait",
        reference_id=reset.output,
        deferrable=True,
        start_from_trigger=CAN_START_FROM_TRIGGER,  # begun and ended without a worker: Airflow 3.3.1 and newer
        end_from_trigger=CAN_START_FROM_TRIGGER,
        timeout=timedelta(hours=6),
    )

    result = ImsResultOperator(
        task_id="result",
        reference_id=wait.output,
        payload=payload,
        on_partial="fail",
        output_path="{{ below(var.value.ims_folder, 'results') }}",
        audit_path="{{ below(var.value.ims_folder, 'audit') }}",
    )
# [END howto_ims_reset]
