"""A session and a reset in one: what the canary test and the one-time password test run."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.operators.session import GstnRequestOtpOperator, GstnVerifyOtpOperator
from airflow_provider_ims.sensors.ims import ImsTaskSensor

with DAG(
    dag_id="session_and_reset",
    schedule=None,
    params={"payload": "", "gstin": "", "output_path": "", "gstn_conn_id": "gstn_default"},
    default_args={"retries": 1, "retry_delay": timedelta(seconds=1), "gstn_conn_id": "{{ params.gstn_conn_id }}"},
) as dag:
    request = GstnRequestOtpOperator(task_id="request_otp", gstin="{{ params.gstin }}", username="portal.user")
    verify = GstnVerifyOtpOperator(task_id="verify_otp", gstin="{{ params.gstin }}", otp_request_id=request.output)
    reset = ImsResetOperator(task_id="reset", payload="{{ params.payload }}", trigger_rule="none_failed")
    wait = ImsTaskSensor(task_id="wait", reference_id=reset.output, deferrable=True, poke_interval=1, timeout=120)
    result = ImsResultOperator(task_id="result", reference_id=wait.output, output_path="{{ params.output_path }}")
    verify >> reset
