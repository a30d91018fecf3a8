"""Airflow's API server and database, as a task or a trigger meets them: through the supervisor of its process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator
from typing import Any

from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import comms, task_runner


class Database:
    """What Airflow keeps: connections, Variables, task state, XCom."""

    def __init__(self) -> None:
        self.connections: dict[str, dict[str, Any]] = {}
        self.variables: dict[str, str] = {}
        self.task_state: dict[tuple[Any, str], Any] = {}
        self.xcoms: dict[tuple[Any, str], Any] = {}
        self.masked: set[str] = set()
        self.hitl: dict[Any, dict[str, Any]] = {}


class Supervisor:
    """
    Stands where ``SUPERVISOR_COMMS`` stands in a supervised process.

    :param world: the day
    """

    def __init__(self, world: Any) -> None:
        self._world = world

    def send(self, msg: Any, *args: Any, **kwargs: Any) -> Any:
        """Ask, and wait for the answer."""
        steps = self._steps(msg)
        try:
            while True:
                self._world.kernel.sleep(next(steps))
        except StopIteration as end:
            return end.value

    async def asend(self, msg: Any) -> Any:
        """Ask, and await the answer."""
        steps = self._steps(msg)
        try:
            while True:
                await asyncio.sleep(next(steps))
        except StopIteration as end:
            return end.value

    def _steps(self, msg: Any) -> Generator[float, None, Any]:
        name = type(msg).__name__
        where = _WHERE.get(name)
        if where is None:
            return comms.OKResponse(ok=True)
        return (yield from self._world.ask_airflow(where, _about(msg), lambda: _ANSWERS[name](self._world, msg)))


_WHERE = {
    "GetConnection": "connection get",
    "GetVariable": "variable get",
    "PutVariable": "variable set",
    "DeleteVariable": "variable set",
    "GetTaskStateStore": "state get",
    "SetTaskStateStore": "state set",
    "DeleteTaskStateStore": "state set",
    "CreateHITLDetailPayload": "question set",
}


def _about(msg: Any) -> str:
    return str(getattr(msg, "key", getattr(msg, "conn_id", "")))


def _connection(world: Any, msg: Any) -> Any:
    held = world.database.connections.get(msg.conn_id)
    if held is None:
        return comms.ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND, detail={"conn_id": msg.conn_id})
    return comms.ConnectionResult.model_validate(
        {"conn_id": msg.conn_id, "schema": None, "port": None, **held, "type": "ConnectionResult"}
    )


def _get_variable(world: Any, msg: Any) -> Any:
    held = world.database.variables.get(msg.key)
    if held is None:
        return comms.ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND, detail={"key": msg.key})
    return comms.VariableResult(key=msg.key, value=held)


def _put_variable(world: Any, msg: Any) -> Any:
    world.database.variables[msg.key] = msg.value
    return comms.OKResponse(ok=True)


def _delete_variable(world: Any, msg: Any) -> Any:
    world.database.variables.pop(msg.key, None)
    return comms.OKResponse(ok=True)


def _get_state(world: Any, msg: Any) -> Any:
    scope = world.scope_of(msg.ti_id)
    held = world.database.task_state.get((scope, msg.key))
    if held is None:
        return comms.ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND, detail={"key": msg.key})
    return comms.TaskStateStoreResult(value=json.loads(held))


def _set_state(world: Any, msg: Any) -> Any:
    world.database.task_state[world.scope_of(msg.ti_id), msg.key] = json.dumps(msg.value)
    return comms.OKResponse(ok=True)


def _delete_state(world: Any, msg: Any) -> Any:
    world.database.task_state.pop((world.scope_of(msg.ti_id), msg.key), None)
    return comms.OKResponse(ok=True)


def _ask(world: Any, msg: Any) -> Any:
    world.database.hitl[msg.ti_id] = {"params_input": None}  # what was typed before is gone
    return comms.OKResponse(ok=True)


_ANSWERS: dict[str, Callable[[Any, Any], Any]] = {
    "GetConnection": _connection,
    "GetVariable": _get_variable,
    "PutVariable": _put_variable,
    "DeleteVariable": _delete_variable,
    "GetTaskStateStore": _get_state,
    "SetTaskStateStore": _set_state,
    "DeleteTaskStateStore": _delete_state,
    "CreateHITLDetailPayload": _ask,
}


def install(world: Any) -> None:
    """Let the processes of this day talk to its Airflow."""
    task_runner.SUPERVISOR_COMMS = Supervisor(world)  # type: ignore[attr-defined]


def uninstall() -> None:
    """Be no supervised process any more."""
    if hasattr(task_runner, "SUPERVISOR_COMMS"):
        del task_runner.SUPERVISOR_COMMS
