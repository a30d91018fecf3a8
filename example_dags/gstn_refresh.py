"""Keep GSTN sessions alive: extend each before its 6 hours end, as long as the taxpayer's consent lasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_ims.operators.session import GstnRefreshSessionOperator

# [START howto_gstn_refresh]
with DAG(
    dag_id="gstn_refresh",
    schedule=timedelta(hours=1),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["gst", "session"],
    # A session that has ended needs a person: trying again cannot help, and the operator does not.
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
) as dag:
    GstnRefreshSessionOperator.partial(
        task_id="refresh",
        map_index_template="{{ task.gstin }}",
        min_age=timedelta(hours=3),  # hourly runs, so that two of them may fail before a session ends
    ).expand(gstin=["20MAYAS0100J1ZX"])
# [END howto_gstn_refresh]
