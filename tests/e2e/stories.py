"""Stories: tests that run beside each other on one Airflow, each with a service and a connection of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import TextClause, create_engine, text

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import Options
from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.api import StateChange
from local_airflow.service import Service
from local_airflow.stack import TASK_MODULES, AirflowStack

# Each waits for Airflow most of the time, and two cores carry about as many.
SIDE_BY_SIDE = 5
_over = threading.Event()


# Imported once, not by every task: it halves the time of all tests.
PRELOADED = (
    *TASK_MODULES,
    "airflow.providers.standard.operators.python",
    "airflow_provider_ims.operators.approval",
    "airflow_provider_ims.operators.bulk",
    "airflow_provider_ims.operators.download",
    "airflow_provider_ims.operators.ims",
    "airflow_provider_ims.operators.plan",
    "airflow_provider_ims.operators.reconcile",
    "airflow_provider_ims.operators.session",
    "airflow_provider_ims.sensors.ims",
    "duckdb",
    "xlsxwriter",
)


class Stack(AirflowStack):
    """
    An Airflow on which nobody waits any longer once the session is over.

    Whoever waits looks into its database: an answer of the API server, which all tasks ask, costs twenty times as much.
    """

    WAIT_SECONDS = 0.3
    RUN_STATE = text("SELECT state FROM dag_run WHERE dag_id = :dag_id AND run_id = :run_id")
    TASK_STATES = text(
        "SELECT task_id, map_index, state FROM task_instance WHERE dag_id = :dag_id AND run_id = :run_id"
    )

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, preload=PRELOADED, **named)
        url = self.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        self._database = create_engine(url, pool_size=SIDE_BY_SIDE, isolation_level="AUTOCOMMIT")

    def run_state(self, dag_id: str, run_id: str) -> str:
        [(state,)] = self._read(self.RUN_STATE, dag_id, run_id)
        return str(state)

    def task_states(self, dag_id: str, run_id: str) -> list[StateChange]:
        return [StateChange(*row) for row in self._read(self.TASK_STATES, dag_id, run_id)]

    def _read(self, question: TextClause, dag_id: str, run_id: str) -> Sequence[Any]:
        with self._database.connect() as connection:
            return connection.execute(question, {"dag_id": dag_id, "run_id": run_id}).all()

    def stop(self) -> None:
        self._database.dispose()
        super().stop()

    def check_alive(self) -> None:
        super().check_alive()
        _check_not_over()


class Story(Service):
    """
    What a story has: the Airflow of all, a service and a folder of its own.

    :param name: becomes the id of the connection
    :param folder: empty, for whatever the story writes
    """

    def __init__(self, name: str, airflow: AirflowStack, folder: Path) -> None:
        self.airflow = airflow
        self.conn_id = f"gstn_{name}"
        # Another story may have had its port: with a user of its own, nobody takes a token of the other one's.
        self.simulator = SimulatorServer(Options(login=f"{name}@example.com", org_id=name))
        self.folder = folder

    @property
    def gst(self) -> Gst:
        return self.simulator.gst

    def start(self) -> None:
        self.simulator.start()
        add_connection(self.airflow, self.conn_id, self.simulator)

    def stop(self) -> None:
        self.simulator.stop()

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run with the story's connection; return its id."""
        return self.airflow.trigger_dag(dag_id, {"gstn_conn_id": self.conn_id, **conf})


class Stories:
    """Runs what was begun at the start of the session, and keeps how it ended until somebody asks."""

    def __init__(self) -> None:
        _over.clear()
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="story")
        self._begun: dict[str, Future[Any]] = {}
        self._long: set[str] = set()

    def begin(self, name: str, function: Callable[..., Any], *arguments: Any, long: bool = False) -> None:
        """Have a function called in a thread; those begun first are called first."""
        self._begun[name] = self._pool.submit(function, *arguments)
        if long:
            self._long.add(name)

    def result(self, name: str) -> Any:
        """Wait for the end of what was begun; return or raise as it did."""
        return self._begun[name].result()

    def wait_for_all(self, *, but_long_ones: bool = False) -> None:
        """Wait until nothing runs beside the caller any more, however it ended."""
        for name, future in self._begun.items():
            if not (but_long_ones and name in self._long):
                future.exception()

    def close(self) -> None:
        """Break off what still runs."""
        _over.set()
        self._pool.shutdown(cancel_futures=True)


def tell(item: pytest.Function, name: str, airflow: AirflowStack, folder: Path) -> None:
    """Call a test function that takes a story and, if it has parameters, those."""
    with Story(name, airflow, folder) as story:
        item.obj(story=story, **(item.callspec.params if hasattr(item, "callspec") else {}))


def add_connection(airflow: AirflowStack, conn_id: str, simulator: SimulatorServer) -> None:
    """Tell Airflow of a connection to a simulator; a former one of that id is replaced."""
    connection = simulator.connection
    airflow.delete(f"connections/{conn_id}", missing_ok=True)
    airflow.post("connections", {**connection, "connection_id": conn_id, "extra": json.dumps(connection["extra"])})


def finish_tasks(gst: Gst, gstin: str | None = None) -> None:
    """Have all tasks of the service, or those of one taxpayer, end now; unlike ``advance``, no token gets older."""
    for task in gst._tasks._tasks.values():
        if gstin in (None, task.gstin):
            task.ready_at = 0


def heard_of(dag_id: str, run_id: str, task_id: str) -> str:
    """Return what the scheduler logs, up to ``map_index``, when it hears of the good end of a task's process."""
    return (
        "Received executor event with state success for task instance"
        f" TaskInstanceKey(dag_id='{dag_id}', task_id='{task_id}', run_id='{run_id}'"
    )


def wait_until(done: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for something that will happen soon."""
    deadline = time.monotonic() + seconds
    while not done():
        _check_not_over()
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def _check_not_over() -> None:
    if _over.is_set():
        raise RuntimeError("the session ended before the story")
