"""Airflow's own API server or database away, while tasks read and triggers wait: nothing is called undefined."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import create_engine, text

from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.stack import AirflowStack
from tests.conftest import SAMPLE_FILE
from tests.e2e.conftest import add_connection, wait_until
from tests.e2e.stories import Stories

CONNECTION = "gstn_in_the_database"
UNAVAILABLE = "GstnAirflowUnavailable"


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture(scope="module")
def broken_airflow(airflow: AirflowStack, stories: Stories, server: SimulatorServer) -> AirflowStack:
    """The Airflow of all, with a connection in its database; its tasks soon give up a question, and late themselves."""
    stories.wait_for_all()
    add_connection(airflow, CONNECTION, server)
    patience = {"EXECUTION_API_RETRIES": "2", "EXECUTION_API_TIMEOUT": "3", "MAX_FAILED_HEARTBEATS": "100"}
    airflow.environment |= {f"AIRFLOW__WORKERS__{name}": value for name, value in patience.items()}
    airflow.kill("scheduler")  # the new one starts tasks with these settings
    airflow.start("scheduler")
    return airflow


@pytest.fixture(scope="module")
def database(airflow: AirflowStack) -> str:
    return airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


@contextmanager
def tables_away(database: str) -> Iterator[None]:
    """Let every question about a connection or a Variable fail in the database, as it does while it is away."""
    engine = create_engine(database)
    try:
        rename(engine, "", "_away")
        yield
    finally:
        rename(engine, "_away", "")
        engine.dispose()


def rename(engine: Any, before: str, after: str) -> None:
    with engine.begin() as connection:
        for table in ("connection", "variable"):
            connection.execute(text(f"ALTER TABLE {table}{before} RENAME TO {table}{after}"))


@pytest.fixture
def reading(broken_airflow: AirflowStack, tmp_path: Path) -> Callable[[], list[str]]:
    """Start the task that reads, up to where it waits for the outage; return what tells what it found."""
    run_id = broken_airflow.trigger_dag(
        "reads_while_airflow_is_away", {"folder": str(tmp_path), "gstn_conn_id": CONNECTION}
    )
    wait_until((tmp_path / "ready").exists)

    def found() -> list[str]:
        file = tmp_path / "found.json"
        return json.loads(file.read_text()) if file.exists() else []

    def end() -> list[str]:
        assert broken_airflow.wait_for_run("reads_while_airflow_is_away", run_id, timeout=180) == "success"
        return found()

    found.begin = (tmp_path / "away").touch  # type: ignore[attr-defined]
    found.end = end  # type: ignore[attr-defined]
    return found


def says_only_that_airflow_was_away(found: list[str]) -> bool:
    return found[-1] == "known" and set(found) == {UNAVAILABLE, "known"}


@contextmanager
def api_server_stopped(airflow: AirflowStack) -> Iterator[None]:
    """Let the API server answer nobody; to start a new one takes longer than all that is tested here."""
    [server] = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if (connection.status, connection.laddr.port) == (psutil.CONN_LISTEN, airflow.port)
    }
    os.kill(server, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server, signal.SIGCONT)


def test_a_task_that_reads_while_the_api_server_does_not_answer_finds_nothing_undefined(alone, broken_airflow, reading):
    with api_server_stopped(broken_airflow):
        reading.begin()
        wait_until(lambda: len(reading()) >= 2, seconds=120)
    found = reading.end()
    assert found[:2] == [UNAVAILABLE, UNAVAILABLE], "of the session store, and of the connection"
    assert says_only_that_airflow_was_away(found)


def test_a_task_that_reads_while_the_database_is_away_finds_nothing_undefined(alone, database, reading):
    with tables_away(database):
        reading.begin()
        wait_until(lambda: len(reading()) >= 2, seconds=120)
    found = reading.end()
    assert found[:2] == [UNAVAILABLE, UNAVAILABLE]
    assert says_only_that_airflow_was_away(found)


@pytest.fixture
def reference_id(server: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A reset that is running."""
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", server.connection_json)
    payload = ResetPayload.parse(json.loads(SAMPLE_FILE.read_text()))
    server.gst.open_session(payload.rtin)
    with GstnHook(store=MemorySessionStore()) as hook:
        return hook.submit_reset(payload)


def test_a_wait_that_begins_while_the_database_is_away_goes_on_without_a_retry(
    alone, broken_airflow, server, database, reference_id
):
    airflow = broken_airflow
    logins = server.gst.counters()["logins"]
    dag_id, conf = "waits_while_airflow_is_away", {"reference_id": reference_id, "gstn_conn_id": CONNECTION}
    with tables_away(database):
        run_id = airflow.trigger_dag(dag_id, conf)
        airflow.wait_for_state(dag_id, run_id, "wait", "deferred", timeout=180)
        wait_until(lambda: "Poll failed 2 times in a row" in airflow.task_log(dag_id, run_id, "wait"), seconds=180)
    assert airflow.wait_for_run(dag_id, run_id, timeout=180) == "success"
    [task] = airflow.task_instances(dag_id, run_id)
    assert task["try_number"] == 1
    assert server.gst.counters()["logins"] - logins <= 1
