"""Resets whose waits begin and end in the triggerer; of one, several tasks are waited for."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.sensors.ims import CAN_START_FROM_TRIGGER, ImsTaskSensor

if CAN_START_FROM_TRIGGER:
    CONN_ID, PAYLOAD = "{{ params.gstn_conn_id }}", "{{ params.payload }}"
    for dag_id, is_mapped, timeout in (
        ("without_a_worker", False, 600),
        ("without_a_worker_short", False, 12),
        ("without_a_worker_several", True, 600),
    ):
        with DAG(
            dag_id=dag_id,
            schedule=None,
            params={"payload": "", "gstn_conn_id": "gstn_default"},
            default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
        ):
            if is_mapped:
                reset = ImsResetOperator.partial(task_id="reset", gstn_conn_id=CONN_ID).expand(payload=[PAYLOAD])
            else:
                reset = ImsResetOperator(task_id="reset", payload=PAYLOAD, gstn_conn_id=CONN_ID)
            wait = ImsTaskSensor(
                task_id="wait",
                reference_id=reset.output,
                gstn_conn_id=CONN_ID,
                start_from_trigger=True,
                end_from_trigger=True,
                timeout=timeout,
            )
            if not is_mapped:
                ImsResultOperator(task_id="result", reference_id=wait.output, gstn_conn_id=CONN_ID)
