"""How a task ends that has read what GSTN did: as the user decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.exceptions import GstnError, GstnResetFailed

if TYPE_CHECKING:
    from airflow.sdk import Context

OnPartial = Literal["fail", "warn", "skip"]


def end_task(
    context: Context, summary: dict[str, Any], error: GstnError | None, on_partial: OnPartial, log: Any
) -> dict[str, Any]:
    """
    Return the summary, or end the task otherwise.

    :param summary: what goes to XCom, however the task ends
    :param error: what is wrong, if anything
    :param on_partial: when GSTN refused some documents: ``fail``, ``warn`` or ``skip``
    :param log: of the task
    :raises GstnResetFailed: whatever ``on_partial`` says
    :raises GstnResetPartial: with ``fail``
    :raises AirflowSkipException: with ``skip``
    """
    if error is None:
        return summary
    push_summary(context, summary, log)
    if succeeds(error, on_partial):
        log.warning("%s", error)
        return summary
    if on_partial == "skip" and not isinstance(error, GstnResetFailed):
        raise AirflowSkipException(str(error))
    raise error


def succeeds(error: GstnError | None, on_partial: OnPartial) -> bool:
    """Say whether :func:`end_task` ends the task in success; only then Airflow takes its asset events."""
    return error is None or (on_partial == "warn" and not isinstance(error, GstnResetFailed))


def push_summary(context: Context, summary: Mapping[str, Any], log: Any) -> None:
    """Push the summary ahead of a failure, with which the return value is lost; Airflow may be away."""
    try:
        context["ti"].xcom_push(key="return_value", value=summary)
    except Exception as error:
        # To raise it would have the task tried again, whatever the failure says about that.
        log.error("The summary was not pushed to XCom (%s: %s): %s", type(error).__name__, error, summary)
