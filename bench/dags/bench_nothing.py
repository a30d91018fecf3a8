"""Two tasks that do nothing, one after the other: what Airflow alone takes for as many as a reset has."""

from __future__ import annotations

from airflow.sdk import DAG, task


@task
def nothing(before: None = None) -> None:
    """Return at once."""


with DAG(dag_id="bench_nothing", schedule=None):
    nothing(nothing())
