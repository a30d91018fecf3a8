"""The differences between the Airflow versions that we run on (3.1 and newer), all of them."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskAwaitingInput,
        TaskDeferralTimeout,
        TaskDeferred,
    )

    NEVER_EXPIRE: Any
    BaseDeadlineReference = object
else:
    try:  # Airflow 3.2 and newer
        from airflow.sdk import conf
    except ImportError:
        from airflow.configuration import conf
    try:
        from airflow.sdk.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowNotFoundException,
            AirflowRescheduleException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
            TaskDeferralTimeout,
            TaskDeferred,
        )
    except ImportError:
        from airflow.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowNotFoundException,
            AirflowRescheduleException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
            TaskDeferralTimeout,
            TaskDeferred,
        )
    try:  # Airflow 3.3 and newer
        from airflow.sdk.exceptions import TaskAwaitingInput
    except ImportError:
        TaskAwaitingInput = TaskDeferred  # there, waiting for a person is a deferral like any other
    try:  # Airflow 3.3 and newer
        from airflow.sdk import NEVER_EXPIRE
    except ImportError:
        NEVER_EXPIRE = None  # there is no task state store either

    try:  # Airflow 3.2 and newer, which keep a deadline reference of others with a DAG
        from airflow.sdk.definitions.deadline import BaseDeadlineReference
    except ImportError:
        BaseDeadlineReference = object

from airflow.sdk.log import mask_secret

__all__ = [
    "NEVER_EXPIRE",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "BaseDeadlineReference",
    "TaskAwaitingInput",
    "TaskDeferralTimeout",
    "TaskDeferred",
    "add_partition",
    "amask_secret",
    "can_start_from_trigger",
    "conf",
    "erase_human_input",
    "form_fields",
    "in_supervised_process",
    "label_mapped_task",
    "mask_secret",
    "retry_policies",
    "supervisor",
]


def can_start_from_trigger() -> bool:
    """
    Say whether the scheduler can start a task in the triggerer with arguments that are templates (3.3.1 and newer).

    Before, the templates reach the trigger as they were written.
    """
    from airflow import __version__

    parts = [int(part) for part in re.findall(r"\d+", __version__)[:3]]
    return tuple(parts) >= (3, 3, 1)


def retry_policies() -> Any:
    """Return Airflow's module of retry policies, or ``None`` below Airflow 3.3."""
    try:
        from airflow.sdk.definitions import retry_policy
    except ImportError:
        return None
    return retry_policy


async def amask_secret(secret: str) -> None:
    """Hide a secret from the logs, from within an event loop."""
    try:  # Airflow 3.3 and newer
        from airflow.sdk.log import amask_secret as native
    except ImportError:
        # mask_secret would also tell the supervisor, over a line that the triggerer's loop is using: its runner
        # then reads replies out of order and dies. This process is the one that writes a trigger's log.
        from airflow.sdk._shared.secrets_masker import mask_secret as mask_here

        mask_here(secret)
    else:
        await native(secret)


def in_supervised_process() -> bool:
    """Say whether this is a task or a trigger that Airflow supervises: only there can Variables be written."""
    return supervisor() is not None


def supervisor() -> Any:
    """Return the line to the process that supervises this task or trigger; ``None`` outside of one."""
    from airflow.sdk.execution_time import task_runner

    return getattr(task_runner, "SUPERVISOR_COMMS", None)


def erase_human_input(ti_id: Any) -> None:
    """
    Remove what a person typed from Airflow's record of the answer.

    Airflow keeps one answer per task instance and removes it when the task asks again; so this asks again, and
    the task goes on without waiting. That somebody answered, and who, is in Airflow's audit log.

    :param ti_id: the task instance, whose request Airflow keeps as it is
    """
    from airflow.sdk.execution_time.hitl import upsert_hitl_detail

    upsert_hitl_detail(ti_id=ti_id, options=["OK"], subject="", params={})


def label_mapped_task(text: str) -> None:
    """
    Have Airflow's pages show a text in the place of a mapped task's number, until its template is rendered again.

    It is no more than a label: an Airflow that does not take it shows the one it has.

    :param text: what to show
    """
    line = supervisor()
    if line is None:
        return
    with suppress(Exception):
        from airflow.sdk.execution_time.comms import SetRenderedMapIndex

        line.send(msg=SetRenderedMapIndex(rendered_map_index=text))


def form_fields(fields: dict[str, Any]) -> Any:
    """
    Return the fields of a form that a person fills, as an operator's params.

    :param fields: name -> Param
    """
    from airflow.sdk.definitions.param import ParamsDict

    params = ParamsDict(fields)
    if hasattr(params, "_fill_missing_param_source"):
        # Airflow 3.2 and newer shows a form only the params that say they are a task's, which it sets itself on
        # those that a DAG's author passes.
        params._fill_missing_param_source("task")
    return params


def add_partition(accessor: Any, key: str) -> None:
    """
    Give an asset's event a partition key, where Airflow has them (3.3 and newer).

    :param accessor: what ``outlet_events`` has for the asset
    """
    if hasattr(accessor, "add_partitions"):
        accessor.add_partitions(key)
