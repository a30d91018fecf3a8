"""A task that reads from Airflow's API server over and over, and a wait: for outages of Airflow itself."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_ims.exceptions import GstnError
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.sensors.ims import ImsTaskSensor

with DAG(dag_id="reads_while_airflow_is_away", schedule=None):

    @task
    def reads(params: dict[str, Any] | None = None, dag_run: Any = None) -> None:
        """Say in files what each look at connection and session store found."""
        folder = Path(dag_run.conf["folder"])
        with GstnHook(dag_run.conf["gstn_conn_id"]) as hook:
            hook.store.set("gstn_reconciled__ref-1", "{}")
        (folder / "ready").touch()
        while not (folder / "away").exists():
            time.sleep(0.1)
        found: list[str] = []
        while "known" not in found:
            for look in (lambda hook: hook.store.get("gstn_reconciled__ref-1"), lambda hook: hook.settings):
                with GstnHook(dag_run.conf["gstn_conn_id"]) as hook:
                    try:
                        found.append("known" if look(hook) else "unknown")
                    except GstnError as error:
                        found.append(type(error).__name__)
                (folder / "found.json.part").write_text(json.dumps(found))
                (folder / "found.json.part").rename(folder / "found.json")

    reads()

with DAG(dag_id="waits_while_airflow_is_away", schedule=None):
    ImsTaskSensor(
        task_id="wait",
        reference_id="{{ dag_run.conf['reference_id'] }}",
        gstn_conn_id="{{ dag_run.conf['gstn_conn_id'] }}",
        deferrable=True,
        poke_interval=1,
        timeout=600,
    )
