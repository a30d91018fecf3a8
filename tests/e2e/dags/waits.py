"""Resets whose waits poll every second: one with a short deadline and retries left, one with time enough."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_ims.operators.ims import ImsResetOperator
from airflow_provider_ims.sensors.ims import ImsTaskSensor

for dag_id, timeout in (("short_wait", 30), ("steady_wait", 600)):
    with DAG(
        dag_id=dag_id,
        schedule=None,
        params={"payload": "", "gstn_conn_id": "gstn_default"},
        default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
    ):
        conn_id = "{{ params.gstn_conn_id }}"
        reset = ImsResetOperator(task_id="reset", payload="{{ params.payload }}", gstn_conn_id=conn_id)
        ImsTaskSensor(
            task_id="wait",
            reference_id=reset.output,
            gstn_conn_id=conn_id,
            deferrable=True,
            poke_interval=1,
            timeout=timeout,
        )
