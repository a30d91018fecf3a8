"""The differences between the Airflow versions that we run on (3.1 and newer), all of them."""

from __future__ import annotations

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

from airflow.sdk.log import mask_secret

_NOT_FOUND = "VARIABLE_NOT_FOUND"

__all__ = [
    "NEVER_EXPIRE",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "TaskAwaitingInput",
    "TaskDeferralTimeout",
    "TaskDeferred",
    "adelete_variable",
    "aget_variable",
    "amask_secret",
    "aset_variable",
    "conf",
    "delete_variable",
    "erase_human_input",
    "form_fields",
    "get_variable",
    "in_supervised_process",
    "mask_secret",
    "retry_policies",
    "set_variable",
]


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
    return _comms() is not None


def get_variable(key: str) -> str | None:
    """Return an Airflow Variable, or ``None``."""
    from airflow.sdk import Variable

    value: str | None = Variable.get(key, default=None)
    return value


def set_variable(key: str, value: str) -> None:
    """Set an Airflow Variable."""
    from airflow.sdk import Variable

    Variable.set(key, value)


def delete_variable(key: str) -> None:
    """Delete an Airflow Variable; one that is not there is no fault."""
    from airflow.sdk import Variable

    if get_variable(key) is not None:
        Variable.delete(key)


# Airflow has no awaited Variable (3.1 to 3.3), and the plain one blocks the triggerer's loop or fails in it. The
# messages below are those that the plain one sends.


async def aget_variable(key: str) -> str | None:
    """Return an Airflow Variable, or ``None``, from within the triggerer's loop."""
    from airflow.sdk.execution_time.comms import GetVariable, VariableResult

    answer = await _comms().asend(GetVariable(key=key))
    if isinstance(answer, VariableResult):
        return answer.value
    _check(answer)
    return None


async def aset_variable(key: str, value: str) -> None:
    """Set an Airflow Variable, from within the triggerer's loop."""
    from airflow.sdk.execution_time.comms import PutVariable

    _check(await _comms().asend(PutVariable(key=key, value=value, description=None)))


async def adelete_variable(key: str) -> None:
    """Delete an Airflow Variable, from within the triggerer's loop."""
    from airflow.sdk.execution_time.comms import DeleteVariable

    _check(await _comms().asend(DeleteVariable(key=key)))


def _comms() -> Any:
    from airflow.sdk.execution_time import task_runner

    return getattr(task_runner, "SUPERVISOR_COMMS", None)


def _check(answer: Any) -> None:
    from airflow.sdk.execution_time.comms import ErrorResponse

    if isinstance(answer, ErrorResponse) and answer.error.value != _NOT_FOUND:
        raise AirflowException(f"Airflow's supervisor answered {answer.error.value} to a question about a Variable.")


def erase_human_input(ti_id: Any) -> None:
    """
    Remove what a person typed from Airflow's record of the answer.

    Airflow keeps one answer per task instance and removes it when the task asks again; so this asks again, and
    the task goes on without waiting. That somebody answered, and who, is in Airflow's audit log.

    :param ti_id: the task instance, whose request Airflow keeps as it is
    """
    from airflow.sdk.execution_time.hitl import upsert_hitl_detail

    upsert_hitl_detail(ti_id=ti_id, options=["OK"], subject="", params={})


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
