"""A real Airflow for the whole session, and the simulator that its connection points to."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_ims.simulator.server import SimulatorServer
from demo.airflow_stack import AirflowStack

DAG_FOLDERS = (Path(__file__).parents[2] / "example_dags", Path(__file__).parent / "dags")


@pytest.fixture(scope="session")
def _server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture(scope="session")
def airflow(_server: SimulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    # pytest ends at SIGTERM without tearing anything down, which would leave Airflow behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    root = tmp_path_factory.mktemp("airflow")
    dags = root / "dags"
    dags.mkdir()
    for folder in DAG_FOLDERS:
        (dags / folder.name).symlink_to(folder, target_is_directory=True)
    with AirflowStack(root / "home", dags, {"AIRFLOW_CONN_GSTN_DEFAULT": _server.connection_json}) as stack:
        yield stack


@pytest.fixture
def simulator(_server: SimulatorServer) -> SimulatorServer:
    """The simulator as it is at its start: no session, document, count or fault; ``simulator.gst`` steers it."""
    _server.gst.reset()
    return _server
