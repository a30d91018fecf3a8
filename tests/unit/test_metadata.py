"""What Airflow does not find is called absent only when Airflow could be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import supervisor as airflow_supervisor
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    ConnectionResult,
    DeleteVariable,
    ErrorResponse,
    GetConnection,
    GetVariable,
    OKResponse,
    PutVariable,
    VariableResult,
)

from airflow_provider_ims import _metadata
from airflow_provider_ims.exceptions import GstnAirflowUnavailable, GstnInvalidConnection, GstnTransientError
from airflow_provider_ims.hooks.gstn import GstnAsyncHook, GstnHook
from airflow_provider_ims.protocol.gstn_session import GstnSessions
from airflow_provider_ims.sessions.store import VariableSessionStore
from tests.unit.builders import RTIN

SECRET = "a-token-that-nobody-may-see"


class Supervisor:
    """The process that supervises a task: answers from a table, unless it is told to answer otherwise."""

    def __init__(self) -> None:
        self.connections: dict[str, ConnectionResult] = {}
        self.variables: dict[str, str] = {}
        self.fault: Callable[[Any], Any] | None = None
        self.faults = -1
        self.asked: list[Any] = []

    def send(self, message: Any) -> Any:
        if type(message).__name__ == "MaskSecret":
            return None
        self.asked.append(message)
        if self.fault is not None and self.faults != 0:
            self.faults -= 1
            return self.fault(message)
        match message:
            case GetConnection(conn_id=conn_id):
                return self.connections.get(conn_id) or ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
            case GetVariable(key=key) if key in self.variables:
                return VariableResult(key=key, value=self.variables[key])
            case GetVariable():
                return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
            case PutVariable(key=key, value=value):
                self.variables[key] = value
            case DeleteVariable(key=key):
                self.variables.pop(key, None)
        return OKResponse(ok=True)

    async def asend(self, message: Any) -> Any:
        return self.send(message)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    monkeypatch.delenv("AIRFLOW_CONN_GSTN_DEFAULT", raising=False)
    return supervisor


def away(status: int | None = None) -> Callable[[Any], Any]:
    """What the supervisor says while the API server or its database is away: raised by its line to us."""

    def fault(_: Any = None) -> Any:
        detail = {"status_code": status, "message": f"https://airflow.internal/{SECRET}"}
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))

    return fault


def as_answer(_: Any = None) -> Any:
    return ErrorResponse(error=ErrorType.GENERIC_ERROR, detail={"message": SECRET})


def gone(_: Any = None) -> Any:
    raise EOFError("Request socket closed before length")


def database_away(message: Any = None) -> Any:
    """What the API server says while its database is away: that there is no such thing, as if it had looked."""
    match message:
        case GetConnection():
            return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
        case GetVariable():
            return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
    return away(500)()


OUTAGES = [database_away, away(), away(500), away(403), as_answer, gone]


@pytest.fixture(params=["plain", "awaited"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Call a function of the module, or its awaited twin."""

    def do(name: str, *arguments: Any) -> Any:
        if request.param == "plain":
            return getattr(_metadata, name)(*arguments)
        return asyncio.run(getattr(_metadata, f"a{name}")(*arguments))

    return do


def a_connection(conn_id: str = "gstn_default") -> ConnectionResult:
    fields = {"conn_type": "gstn", "host": None, "schema": None, "port": None, "login": "tax@acme.test"}
    return ConnectionResult(conn_id=conn_id, password=SECRET, extra='{"environment": "sandbox"}', **fields)


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_is_not_an_undefined_connection(supervisor, call, outage):
    supervisor.fault = outage
    with pytest.raises(GstnAirflowUnavailable, match="gstn_default") as caught:
        call("find_connection", "gstn_default")
    assert isinstance(caught.value, GstnTransientError)
    assert SECRET not in str(caught.value)


def test_a_connection_that_is_defined_nowhere_is_none_only_after_it_was_asked_for_again(supervisor, call):
    assert call("find_connection", "gstn_default") is None
    assert [type(message) for message in supervisor.asked] == [GetConnection, DeleteVariable, GetConnection]


def test_who_may_not_delete_variables_may_still_ask(supervisor, call):
    def denied(message: Any) -> Any:
        if isinstance(message, DeleteVariable):
            return away(403)()
        return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)

    supervisor.fault = denied
    assert call("find_connection", "gstn_default") is None


def test_a_connection_that_only_the_second_question_finds_is_used(supervisor, call):
    supervisor.connections["gstn_default"] = a_connection()
    supervisor.fault, supervisor.faults = away(), 1
    assert call("find_connection", "gstn_default").password == SECRET


def test_a_connection_of_the_environment_needs_no_supervisor(supervisor, call, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", "gstn://user:secret@example.test")
    supervisor.fault = gone
    assert call("find_connection", "gstn_default").login == "user"


def test_a_connection_of_the_environment_that_cannot_be_read_is_told_as_such(supervisor, call, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", '{"password": "' + SECRET)
    with pytest.raises(GstnInvalidConnection, match="EnvironmentVariablesBackend") as caught:
        call("find_connection", "gstn_default")
    assert SECRET not in str(caught.value)


def test_a_secrets_backend_that_is_away_is_no_undefined_connection(supervisor, call, monkeypatch):
    class VaultBackend:
        def get_connection(self, conn_id: str) -> Any:
            raise OSError("https://vault.internal")

    real = airflow_supervisor.ensure_secrets_backend_loaded()
    monkeypatch.setattr(airflow_supervisor, "ensure_secrets_backend_loaded", lambda: [VaultBackend(), *real])
    with pytest.raises(GstnAirflowUnavailable, match="VaultBackend") as caught:
        call("find_connection", "gstn_default")
    assert "vault.internal" not in str(caught.value)


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_is_not_an_absent_variable(supervisor, call, outage):
    supervisor.variables["gstn_x"] = "kept"
    supervisor.fault = outage
    with pytest.raises(GstnAirflowUnavailable, match="gstn_x"):
        call("get_variable", "gstn_x")
    with pytest.raises(GstnAirflowUnavailable):
        call("set_variable", "gstn_x", SECRET)
    with pytest.raises(GstnAirflowUnavailable):
        call("delete_variable", "gstn_x")
    assert supervisor.variables == {"gstn_x": "kept"}


def test_variables_are_kept_and_forgotten(supervisor, call):
    assert call("get_variable", "gstn_x") is None
    call("set_variable", "gstn_x", "1")
    assert call("get_variable", "gstn_x") == "1"
    call("delete_variable", "gstn_x")
    call("delete_variable", "gstn_x")
    assert supervisor.variables == {}


def test_a_variable_of_the_environment_is_read_as_before(supervisor, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_GSTN_X", "from the environment")
    supervisor.fault = gone
    assert _metadata.get_variable("gstn_x") == "from the environment"


def test_a_variable_that_only_the_second_question_finds_is_used(supervisor):
    supervisor.variables["gstn_x"] = "kept"
    supervisor.fault, supervisor.faults = away(500), 1
    assert _metadata.get_variable("gstn_x") == "kept"


def test_outside_of_airflow_nobody_is_asked(monkeypatch):
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    assert _metadata.find_connection("gstn_nowhere") is None
    assert _metadata.get_variable("gstn_x") is None
    with pytest.raises(GstnAirflowUnavailable):
        _metadata.set_variable("gstn_x", "1")


@pytest.mark.parametrize("outage", OUTAGES)
def test_both_hooks_tell_an_outage_of_airflow_as_one_that_passes(supervisor, outage):
    async def awaited() -> None:
        async with GstnAsyncHook():
            raise AssertionError("not reached")

    supervisor.fault = outage
    with pytest.raises(GstnAirflowUnavailable):
        _ = GstnHook().settings
    with pytest.raises(GstnAirflowUnavailable):
        asyncio.run(awaited())


def test_both_hooks_tell_an_undefined_connection_for_good(supervisor):
    async def awaited() -> None:
        async with GstnAsyncHook():
            raise AssertionError("not reached")

    with pytest.raises(GstnInvalidConnection, match="not defined"):
        _ = GstnHook().settings
    with pytest.raises(GstnInvalidConnection, match="not defined"):
        asyncio.run(awaited())


@pytest.mark.parametrize("outage", OUTAGES)
def test_during_an_outage_no_session_is_called_unknown_and_no_list_is_overwritten(supervisor, outage):
    supervisor.connections["gstn_default"] = a_connection()
    hook = GstnHook(store=VariableSessionStore())
    sessions: GstnSessions = hook._gstn_sessions
    hook._run(sessions.remember_task(RTIN, "task-1"))
    before = dict(supervisor.variables)
    supervisor.fault = outage
    for failing in (
        lambda: hook.find_session(RTIN),
        lambda: hook.refresh_session(RTIN),
        lambda: hook._run(sessions.remember_task(RTIN, "task-2")),
    ):
        with pytest.raises(GstnAirflowUnavailable):
            failing()
    assert supervisor.variables == before


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_is_no_empty_task_state(outage):
    class Store:
        def get(self, *_: Any, **__: Any) -> Any:
            return outage()

        set = delete = get

    class Answering(Store):
        def get(self, *_: Any, **__: Any) -> Any:
            raise AirflowRuntimeError(as_answer())

        set = delete = get

    state = _metadata.task_state({"task_state_store": Answering() if outage is as_answer else Store()})
    assert state is not None
    for name, arguments in (("get", ("k",)), ("set", ("k", "v")), ("delete", ("k",))):
        with pytest.raises(GstnAirflowUnavailable, match="task state 'k'"):
            getattr(state, name)(*arguments)


def test_without_a_task_state_store_there_is_none():
    assert _metadata.task_state({}) is None


def test_a_trigger_in_the_process_of_a_dags_test_finds_what_a_task_finds(supervisor, monkeypatch):
    monkeypatch.delattr(Supervisor, "asend")  # as Airflow's own supervisor of dag.test()
    supervisor.connections["gstn_default"] = a_connection()

    async def awaited() -> None:
        found = await _metadata.afind_connection("gstn_default")
        assert found is not None
        assert found.password == SECRET
        assert await _metadata.afind_connection("gstn_nowhere") is None
        await _metadata.aset_variable("gstn_x", "kept")
        assert await _metadata.aget_variable("gstn_x") == "kept"
        await _metadata.adelete_variable("gstn_x")
        assert await _metadata.aget_variable("gstn_x") is None

    asyncio.run(awaited())


@pytest.mark.parametrize("outage", OUTAGES)
def test_there_an_outage_of_airflow_passes_too(supervisor, monkeypatch, outage):
    monkeypatch.delattr(Supervisor, "asend")
    supervisor.fault = outage
    for asked in (_metadata.afind_connection("gstn_default"), _metadata.aget_variable("gstn_x")):
        with pytest.raises(GstnAirflowUnavailable):
            asyncio.run(asked)
