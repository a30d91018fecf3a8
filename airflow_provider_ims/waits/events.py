"""The events that end a wait in the triggerer: how they are written, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import GstnError, GstnPermanentError, by_name
from airflow_provider_ims.hooks.gstn import RESET, Call
from airflow_provider_ims.models.printable import clean_lines, fitted
from airflow_provider_ims.waits.watch import ids_of

Event = dict[str, Any]

COMPLETED = {"status": "completed"}

UNDECIDED = {"status": "undecided"}
"""The triggerer cannot tell what is waited for: a worker decides."""


def timed_out(last_seen: str) -> dict[str, str]:
    """Return what an event says at the deadline."""
    return {"status": "timeout", "message": last_seen}


def failed(error: GstnError) -> dict[str, str]:
    """Return what an event says when a task failed, or cannot be asked about."""
    return {"status": "error", "error": type(error).__name__, "code": error.code, "message": str(error)}


def event_about(reference_id: str | list[str], said: Mapping[str, str]) -> Event:
    """
    Return an event as it is handed to Airflow.

    It goes to Airflow's database, where a NUL would end the triggerer; what Airflow itself said may hold one.
    """
    return {**{key: clean_lines(text) for key, text in said.items()}, "reference_id": reference_id}


def failure_of(event: Mapping[str, Any]) -> GstnError:
    """Return the error that an event with the status ``error`` carries."""
    return by_name(event.get("error", ""), event.get("message", ""), event.get("code", ""))


def read_event(event: Mapping[str, Any] | None, waited_for: list[str], call: Call[Any, Any] = RESET) -> None:
    """
    Return if a trigger's event says that what was waited for is complete.

    :param event: the event of an :class:`~airflow_provider_ims.triggers.ims.ImsTaskTrigger`
    :param waited_for: reference ids
    :param call: which call they are of
    :raises AirflowSensorTimeout: when the deadline came
    :raises GstnError: when a task failed, or the event is not the one that was waited for
    """
    event = event or {}
    reported = ids_of(event.get("reference_id", ""))
    if reported != waited_for:
        raise GstnPermanentError(
            f"The trigger reports on {', '.join(reported)!r}, but this task waits for {', '.join(waited_for)!r}."
            " Clear it to wait again."
        )
    match event.get("status"):
        case "completed":
            return
        case "timeout":
            raise not_complete_in_time(waited_for, str(event.get("message")), call)
        case "error":
            raise failure_of(event)
        case other:
            raise GstnPermanentError(f"The trigger's event for {', '.join(reported)} has the status {other!r}.")


def not_complete_in_time(
    reference_ids: list[str], last_seen: str, call: Call[Any, Any] = RESET
) -> AirflowSensorTimeout:
    """
    Return the error for a wait whose deadline has come.

    :param call: which call they are of
    """
    then = (
        f"It may still run, and changes nothing: clear this task to have the {call.noun} after all."
        if call.repeatable
        else f"It may still run: clear this sensor to wait on; do not send the {call.noun} again."
    )
    return AirflowSensorTimeout(
        fitted(f"Task {', '.join(reference_ids)} was not complete at the deadline.\nLast seen: {last_seen}.\n{then}")
    )
