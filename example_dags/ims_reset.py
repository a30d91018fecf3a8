"""Put documents back to "no action" in IMS, wait without holding a worker, and account for every document."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.sensors.ims import ImsTaskSensor

SAMPLE = Path(__file__).with_name("ims_reset_sample.json")

# [START howto_ims_reset]
with DAG(
    dag_id="ims_reset",
    schedule=None,
    catchup=False,
    max_active_runs=1,  # GSTN works on one reset per GSTIN at a time
    tags=["gst", "ims"],
    params={
        "payload": Param(str(SAMPLE), type="string", description="Path or URI of the reset request (JSON)"),
        "output_path": Param("", type="string", description="Directory or URI for the result; empty: none"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
) as dag:
    reset = ImsResetOperator(task_id="reset", payload="{{ params.payload }}")

    wait = ImsTaskSensor(
        task_id="wait",
        reference_id=reset.output,
        deferrable=True,
        poke_interval=timedelta(seconds=2),
        exponential_backoff=True,
        max_wait=timedelta(minutes=5),
        timeout=timedelta(hours=6),
    )

    result = ImsResultOperator(
        task_id="result",
        reference_id=wait.output,
        payload="{{ params.payload }}",
        on_partial="fail",
        output_path="{{ params.output_path }}",
    )
# [END howto_ims_reset]
