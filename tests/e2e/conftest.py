"""A real Airflow for the whole session, and the simulator that its connection points to."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.postgres import PostgresServer
from local_airflow.stack import AirflowStack

DAG_FOLDERS = (Path(__file__).parents[2] / "example_dags", Path(__file__).parent / "dags")


@pytest.fixture(scope="session")
def _server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture(scope="session")
def _busy_server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture(scope="session")
def _ends_at_sigterm() -> None:
    # pytest ends at SIGTERM without tearing anything down, which would leave Airflow behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def airflow(
    _server: SimulatorServer, _ends_at_sigterm: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    root = tmp_path_factory.mktemp("airflow")
    with AirflowStack(root / "home", dags_below(root), environment_of(root, _server)) as stack:
        yield stack


@pytest.fixture(scope="session")
def busy_airflow(
    _busy_server: SimulatorServer, _ends_at_sigterm: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    """Run an Airflow with PostgreSQL, which carries 50 tasks at once; its simulator is ``busy_simulator``."""
    root = tmp_path_factory.mktemp("busy-airflow")
    with (
        PostgresServer() as postgres,
        AirflowStack(
            root / "home",
            dags_below(root),
            environment_of(root, _busy_server),
            parallelism=50,
            database_url=postgres.url,
        ) as stack,
    ):
        yield stack


def dags_below(root: Path) -> Path:
    """Return a new folder in `root` with the examples and the tests' own DAGs."""
    dags = root / "dags"
    dags.mkdir()
    for folder in DAG_FOLDERS:
        (dags / folder.name).symlink_to(folder, target_is_directory=True)
    return dags


def environment_of(root: Path, server: SimulatorServer) -> dict[str, str]:
    """Return the environment with the connection, and with the folder of the example DAGs."""
    folder = root / "ims"
    folder.mkdir()
    for sample in DAG_FOLDERS[0].glob("*_sample.*"):
        shutil.copy(sample, folder)
    return {
        "AIRFLOW_CONN_GSTN_DEFAULT": server.connection_json,
        "AIRFLOW_VAR_IMS_FOLDER": str(folder),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    }


def folder_of(airflow: AirflowStack) -> Path:
    """Return the folder whose files the example DAGs take."""
    return Path(airflow.environment["AIRFLOW_VAR_IMS_FOLDER"])


@pytest.fixture
def simulator(_server: SimulatorServer) -> SimulatorServer:
    """The simulator as it is at its start: no session, document, count or fault; ``simulator.gst`` steers it."""
    _server.gst.reset()
    return _server


@pytest.fixture
def busy_simulator(_busy_server: SimulatorServer) -> SimulatorServer:
    """Reset and return the simulator of ``busy_airflow``, as ``simulator`` does with that of ``airflow``."""
    _busy_server.gst.reset()
    return _busy_server


def forget_sessions(airflow: AirflowStack) -> None:
    """Empty the session store of an Airflow, whose tokens a simulator that was reset does not know."""
    for variable in airflow.get("variables")["variables"]:
        airflow.delete(f"variables/{variable['key']}", missing_ok=True)


def wait_until(done: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that will happen soon."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
