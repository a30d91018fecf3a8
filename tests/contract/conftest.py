"""Both hooks against the simulator, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_ims.hooks import _base
from airflow_provider_ims.hooks.gstn import GstnAsyncHook, GstnHook
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.sessions import store
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.simulator.options import InjectedFault, NextTask, Options
from airflow_provider_ims.simulator.server import SimulatorServer


class Simulator:
    """The running simulator, with the words that tests use."""

    def __init__(self, server: SimulatorServer) -> None:
        self.server = server
        self.gst = server.gst
        self.url = server.url

    def fault(self, call: str, kind: str, **more: Any) -> None:
        self.gst.add_fault(InjectedFault(call=call, kind=kind, **more))

    def next_task(self, **plan: Any) -> None:
        self.gst.add_next_task(NextTask(**plan))

    def finish_tasks(self) -> None:
        self.gst.advance(60)

    def __getitem__(self, counter: str) -> int:
        return self.gst.counters()[counter]


@pytest.fixture(scope="session")
def _server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Options(otp="424242", task_seconds=30)) as server:
        yield server


@pytest.fixture
def simulator(_server: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    _server.gst.reset()
    _base._KNOWN_TOKENS.clear()
    store._PROCESS_MEMORY.kept.clear()
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", _server.connection_json)
    return Simulator(_server)


@pytest.fixture
def payload(sample: dict) -> ResetPayload:
    return ResetPayload.parse(sample)


class SharedStore(MemorySessionStore):
    """A store that other workers see, as far as a hook can tell."""

    is_shared = True


@pytest.fixture
def shared_store() -> SharedStore:
    return SharedStore()


@pytest.fixture
def hook(simulator: Simulator) -> Iterator[GstnHook]:
    with GstnHook() as hook:
        yield hook


@pytest.fixture
def submitted(simulator: Simulator, hook: GstnHook, payload: ResetPayload) -> str:
    """The reference id of a reset that is running."""
    simulator.gst.open_session(payload.rtin)
    return hook.submit_reset(payload)


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest, simulator: Simulator) -> Callable[..., Any]:
    """Call ``get_task_status`` or ``get_task_result`` of either hook, each time with a fresh one."""

    def call(method: str, reference_id: str, **kwargs: Any) -> Any:
        if request.param == "sync":
            with GstnHook(**kwargs) as hook:
                return getattr(hook, method)(reference_id)

        async def awaited() -> Any:
            async with GstnAsyncHook(**kwargs) as hook:
                return await getattr(hook, method)(reference_id)

        return asyncio.run(awaited())

    return call


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries at once, unless the service asks for a pause."""
    monkeypatch.setattr("airflow_provider_ims.backoff.random.uniform", lambda low, high: 0.0)
