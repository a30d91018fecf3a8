"""
Reset documents and mail what GSTN refused, with the table of it, to those who can mend it.

Needs a connection `smtp_default` (apache-airflow-providers-smtp, which Airflow brings along). Otherwise it is
`ims_reset`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param

from airflow_provider_ims.exceptions import GstnSessionExpired
from airflow_provider_ims.file_names import below
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.sensors.ims import ImsTaskSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

# [START howto_ims_mail]
TAX_TEAM = "tax-team@example.com"
PHONE_HOLDERS = "gst-otp@example.com"


def mail(context: Context) -> None:
    """Mail why a task failed: to those who can open a session, or to those who can mend documents."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    needs_otp = isinstance(context.get("exception"), GstnSessionExpired)
    task_instance = context["ti"]
    summary: Any = task_instance.xcom_pull(task_ids=task_instance.task_id) or {}  # it is there also when a task fails
    refused = summary.get("refused_path") if isinstance(summary, dict) else None
    SmtpNotifier(
        to=PHONE_HOLDERS if needs_otp else TAX_TEAM,
        from_email="airflow@example.com",
        # Words of GSTN are in the error: they are a template's value, never a template.
        subject="{{ (exception | string).splitlines()[0] }}",
        html_content="<pre>{{ exception | string | e }}</pre><p>Log: {{ ti.log_url | e }}</p>",
        files=[refused] if refused and Path(refused).is_file() else None,
    )(context)


with DAG(
    dag_id="ims_reset_mail",
    schedule=None,
    catchup=False,
    max_active_runs=1,  # GSTN works on one reset per GSTIN at a time
    tags=["gst", "ims"],
    params={"payload": Param(type="string", minLength=1, description="Name of the reset request (JSON) in the folder")},
    # Who may trigger this names a file of the folder in the Variable ims_folder, and no other file.
    user_defined_macros={"below": below},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1), "on_failure_callback": mail},
    doc_md=__doc__,
) as dag:
    payload = "{{ below(var.value.ims_folder, params.payload) }}"
    audit = "{{ below(var.value.ims_folder, 'audit') }}"
    reset = ImsResetOperator(task_id="reset", payload=payload, audit_path=audit)
    wait = ImsTaskSensor(task_id="wait", reference_id=reset.output, deferrable=True, timeout=timedelta(hours=6))
    result = ImsResultOperator(
        task_id="result",
        reference_id=wait.output,
        payload=payload,
        output_path="{{ below(var.value.ims_folder, 'results') }}",
        audit_path=audit,
    )
# [END howto_ims_mail]
