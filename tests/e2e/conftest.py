"""
Two Airflows for the whole session: one with PostgreSQL for all, one with SQLite that the canary test searches.

To run one test (Airflow takes half a minute to start):

    .venv/bin/python -m pytest tests/e2e/test_reset.py -k without_a_gstn_session

To add a test, choose the first of these that will do:

1. A **story** takes one argument, ``story`` (tests/e2e/stories.py): the Airflow of all, a simulator, a connection and a
   folder of its own. Stories run in threads beside all other tests, from the start of the session; a story costs nearly
   no time. Its DAG takes the connection's id from ``params.gstn_conn_id``, as those in tests/e2e/dags do.
2. With ``airflow`` and ``simulator`` it runs alone with the connection ``gstn_default``, which the example DAGs use.
   ``simulator`` is reset before each test; ``forget_sessions`` makes Airflow forget its tokens.
3. With ``quiet``, too, it runs after the stories: for what ends a component of Airflow or needs all of the machine.
4. With ``alone`` it runs last. Only here may a test assume that nobody else uses Airflow's pools and variables.
   After all others come those of test_airflow_away.py, whose ``broken_airflow`` has settings of its own.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_ims.protocol.access import digest
from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.postgres import PostgresServer
from local_airflow.stack import AirflowStack
from tests.e2e.runs import Runs
from tests.e2e.stories import Stack, Stories, Story, add_connection, tell, wait_until

__all__ = ["add_connection", "forget_sessions", "wait_until"]

FOLDER = Path(__file__).parent
DAG_FOLDERS = (FOLDER.parents[1] / "example_dags", FOLDER / "dags")
WORKERS = 64  # fifty tasks that have to meet, and some more
# Other tasks wait for each other: more at once would only keep the scheduler from hearing of their ends, and Airflow
# fails a task that defers and is resumed before the scheduler has heard of it.
SLOTS = 8


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First tests that a story does not disturb, then how the stories ended, then those that want it quiet or empty."""

    def turn(item: pytest.Item) -> int:
        names = getattr(item, "fixturenames", ())
        if "broken_airflow" in names:
            return 5
        if "alone" in names:
            return 4
        if is_long(item):
            return 3
        return 2 if "quiet" in names else 1 if {"story", "runs", "aftermath"} & set(names) else 0

    places = [place for place, item in enumerate(items) if item.path.is_relative_to(FOLDER)]
    for place, item in zip(places, sorted((items[place] for place in places), key=turn), strict=True):
        items[place] = item


def is_long(item: pytest.Item) -> bool:
    """Whether it is marked as a story that takes long; it begins first and is awaited late."""
    return item.get_closest_marker("takes_long") is not None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A story has been told in its thread; here is how it ended."""
    if "story" not in pyfuncitem.fixturenames:
        return None
    pyfuncitem.funcargs["stories"].result(pyfuncitem.nodeid)
    return True


@pytest.fixture(scope="session")
def _ends_at_sigterm() -> None:
    # pytest ends at SIGTERM without tearing anything down, which would leave Airflow to its watchdog.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def stories(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stories]:
    """Begin all that runs beside the tests, as far as it was selected."""
    selected = [item for item in request.session.items if item.path.is_relative_to(FOLDER)]
    stories = Stories()
    try:
        # With an Airflow of its own, and the longest.
        for item in selected:
            if "aftermath" in item.fixturenames:
                request.getfixturevalue("_ends_at_sigterm")
                stories.begin("canary", item.module.run_everything_and_search, tmp_path_factory.mktemp("canary"))
                break
        told = [item for item in selected if "story" in item.fixturenames]
        if told:
            airflow = request.getfixturevalue("airflow")
            told.sort(key=lambda item: not is_long(item))
        for number, item in enumerate(told):
            folder = tmp_path_factory.mktemp("story")
            stories.begin(item.nodeid, tell, item, f"story_{number}", airflow, folder, long=is_long(item))
        if any("runs" in item.fixturenames for item in selected):
            request.getfixturevalue("runs")
        yield stories
    finally:
        stories.close()


@pytest.fixture
def story(stories: Stories) -> None:
    """Take this argument to be a story; the function is called in another thread, with a :class:`Story`."""


@pytest.fixture
def quiet(stories: Stories) -> None:
    """Nothing else runs on this Airflow but the stories that take long, which wait deferred and survive anything."""
    stories.wait_for_all(but_long_ones=True)


@pytest.fixture
def alone(stories: Stories) -> None:
    """Nothing else is on this Airflow."""
    stories.wait_for_all()


@pytest.fixture(scope="session")
def _server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture(scope="session")
def airflow(
    _server: SimulatorServer, _ends_at_sigterm: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    """Run an Airflow with PostgreSQL, as SQLite fails under many writers."""
    root = tmp_path_factory.mktemp("airflow")
    folder = root / "ims"
    folder.mkdir()
    for sample in DAG_FOLDERS[0].glob("*_sample.*"):
        shutil.copy(sample, folder)
    env = {
        "AIRFLOW_CONN_GSTN_DEFAULT": _server.connection_json,
        "AIRFLOW_VAR_IMS_FOLDER": str(folder),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__DEFAULT_POOL_TASK_SLOT_COUNT": str(SLOTS),
    }
    with (
        PostgresServer() as postgres,
        Stack(root / "home", dags_below(root), env, parallelism=WORKERS, database_url=postgres.url) as stack,
    ):
        yield stack


def dags_below(root: Path) -> Path:
    """Return a new folder in `root` with the examples and the tests' own DAGs."""
    dags = root / "dags"
    dags.mkdir()
    for folder in DAG_FOLDERS:
        (dags / folder.name).symlink_to(folder, target_is_directory=True)
    return dags


def folder_of(airflow: AirflowStack) -> Path:
    """Return the folder whose files the example DAGs take."""
    return Path(airflow.environment["AIRFLOW_VAR_IMS_FOLDER"])


@pytest.fixture
def simulator(_server: SimulatorServer) -> SimulatorServer:
    """The simulator as it is at its start: no session, document, count or fault; ``simulator.gst`` steers it."""
    _server.gst.reset()
    return _server


@pytest.fixture(scope="session")
def runs(airflow: AirflowStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The runs of all cases in tests/e2e/runs.py, begun at the start of the session."""
    with Story("runs", airflow, tmp_path_factory.mktemp("runs")) as story:
        yield Runs.of_all_cases(story)


def forget_sessions(airflow: AirflowStack) -> None:
    """Empty the session store of ``gstn_default``, whose tokens a simulator that was reset does not know."""
    connection = json.loads(airflow.environment["AIRFLOW_CONN_GSTN_DEFAULT"])
    extra = connection["extra"]
    host, login = connection["host"], connection["login"]
    owners = digest(extra["auth_url"], host, login), digest(host, extra["org_id"])
    for owner in owners:
        while found := airflow.get("variables", variable_key_pattern=f"%{owner}%")["variables"]:
            for variable in found:
                airflow.delete(f"variables/{variable['key']}", missing_ok=True)
