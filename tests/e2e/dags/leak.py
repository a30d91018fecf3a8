"""A task that leaks on purpose: the canary test has to find it."""

from __future__ import annotations

from airflow.sdk import DAG, BaseHook, task


@task
def leak() -> str | None:
    """Put a connection's password where everybody can read it."""
    return BaseHook.get_connection("leak_canary").password


with DAG(dag_id="leak", schedule=None):
    leak()
