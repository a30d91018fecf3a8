"""Open GSTN sessions: a person starts this DAG and types the one-time passwords into Airflow's page."""

from __future__ import annotations

from airflow.sdk import DAG, Param, task, task_group

from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.operators.session import GstnRequestOtpOperator, GstnVerifyOtpOperator

# [START howto_gstn_session]
with DAG(
    dag_id="gstn_session",
    schedule=None,  # a person starts it: each run can send messages to taxpayers' phones
    catchup=False,
    max_active_runs=1,
    tags=["gst", "session"],
    params={
        "taxpayers": Param(
            [{"gstin": "20MAYAS0100J1ZX", "username": "portal.user"}],
            type="array",
            minItems=1,
            # Airflow checks this before the run begins: a mistyped GSTIN starts nothing.
            items={
                "type": "object",
                "required": ["gstin", "username"],
                "properties": {
                    "gstin": {"type": "string", "pattern": GSTIN_PATTERN},
                    "username": {"type": "string", "minLength": 1},
                },
            },
            description="GSTIN and GST portal user name of each taxpayer",
        )
    },
    doc_md=__doc__,
) as dag:

    @task
    def taxpayers(params: dict | None = None) -> list[dict[str, str]]:
        """Hand out the list, so that each taxpayer gets tasks of its own."""
        return (params or {})["taxpayers"]

    # A group of tasks for each taxpayer: what happens to one stops no other.
    @task_group
    def session(gstin: str, username: str) -> None:
        """Request a one-time password unless there is a live session, and open the session with it."""
        named = {"map_index_template": "{{ task.gstin }}"}  # Airflow's pages show the GSTIN, not a number
        request = GstnRequestOtpOperator(task_id="request_otp", gstin=gstin, username=username, **named)
        GstnVerifyOtpOperator(task_id="verify_otp", gstin=gstin, otp_request_id=request.output, **named)

    session.expand_kwargs(taxpayers())
# [END howto_gstn_session]
