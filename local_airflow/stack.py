"""A real Airflow on this machine: API server, scheduler, DAG processor and triggerer."""

from __future__ import annotations

import base64
import os
import random
import secrets
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import requests

from local_airflow.api import POLL_SECONDS, AirflowApi, AirflowError
from local_airflow.processes import ProcessSet
from local_airflow.service import Service

LOOPBACK = "127.0.0.1"
MIGRATE_SECONDS = 600  # of a machine that has other things to do; it takes ten
HEALTHY_SECONDS = 600  # likewise; it takes twenty
# Likewise: a DAG file that was given up once is not looked at again for MIN_FILE_PROCESS_INTERVAL.
FOR_A_BUSY_MACHINE = {"CORE__DAGBAG_IMPORT_TIMEOUT": 300, "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": 300}
# How long SQLite waits for another process that writes, before it says that the database is locked (5 s).
SQLITE_CONNECT_ARGS = "connect_args = {'timeout': 120}"
# What every task imports after the fork, unless its parent has.
TASK_MODULES = (
    "airflow.sdk.api.client",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
)


class AirflowStack(AirflowApi, Service):
    """
    An Airflow with its own home, database, ports and processes; it is also the client of its REST API.

    The components are started one by one: `airflow standalone` leaves its children behind on SIGTERM.

    :param home: becomes its AIRFLOW_HOME; created when it is missing
    :param dags_folder: where the DAG processor looks for DAGs
    :param env: environment of every component, on top of this process's own without its AIRFLOW variables
    :param parallelism: how many tasks run at once
    :param database_url: SQLAlchemy URL of the metadata database; a SQLite file in `home` by default
    :param preload: modules that the scheduler imports before it forks its workers, so that not every task has to, and
        the DAG processor before it forks for each file; with Airflow's own (:data:`TASK_MODULES`) a task takes half
        the CPU
    :param base_path: the path under which Airflow is served, as behind a proxy: ``/airflow``
    """

    COMPONENTS: Mapping[str, tuple[str, ...]] = {
        # The log servers of scheduler and triggerer would listen on every interface, for nothing: on one
        # machine the API server reads the log files themselves.
        "api-server": ("--host", LOOPBACK, "--workers", "1"),
        "scheduler": ("--skip-serve-logs",),
        "dag-processor": (),
        "triggerer": ("--skip-serve-logs",),
    }

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        env: Mapping[str, str],
        *,
        parallelism: int = 4,
        database_url: str | None = None,
        preload: Sequence[str] = (),
        base_path: str = "",
    ) -> None:
        self.home = home.resolve()
        self._preload = preload
        self.port, *log_ports = free_ports(3)
        super().__init__(f"http://{LOOPBACK}:{self.port}{base_path}")
        self.logs = self.home / "logs-of-components"
        self.environment = {
            **environment_without_airflow(),
            **self._configuration(
                dags_folder.resolve(),
                parallelism,
                database_url or f"sqlite:///{self.home}/airflow.db",
                log_ports,
            ),
            **env,
        }
        self._processes = ProcessSet()
        self._started_at: dict[str, datetime] = {}

    def start(self, *components: str) -> None:
        """
        Create the database, start all components and wait until each has reported itself healthy.

        :param components: start only these, after :meth:`kill`; of several, the API server first
        :raises AirflowError: one of them ended or did not become healthy; with the tail of its log
        """
        if not components:
            self.logs.mkdir(parents=True, exist_ok=True)
            self._write_local_settings()
            self._spawn("migrate", "db", "migrate")
            if self._processes.wait("migrate", MIGRATE_SECONDS) != 0:
                raise self._failure("migrate", "did not create the database")
        for name in components or self.COMPONENTS:
            self._start(name)
        self.wait_until_healthy()

    def kill(self, name: str) -> None:
        """Take a component away with SIGKILL, with the tasks or triggers that it runs."""
        self._processes.kill(name)
        del self._started_at[name]

    def stop(self) -> None:
        """Stop all components; harmless when they have been stopped."""
        self.close()
        self._processes.stop()
        self._started_at.clear()

    def check_alive(self) -> None:
        """Raise AirflowError with the tail of its log when a component has ended by itself."""
        for name in self._processes.dead():
            raise self._failure(name, "has ended by itself")

    def wait_until_healthy(self, timeout: float = HEALTHY_SECONDS) -> None:
        """Wait until every component that is to run has sent a heartbeat since its start."""
        deadline = time.monotonic() + timeout
        while unhealthy := self._unhealthy():
            self.check_alive()
            if time.monotonic() > deadline:
                raise self._failure(unhealthy[0], f"is not healthy after {timeout:.0f} s")
            time.sleep(POLL_SECONDS)

    def _unhealthy(self) -> list[str]:
        if not self._serves():
            return ["api-server"]
        try:
            # The API for tasks is built at its first request, which takes longer than a task waits: the first
            # task would ask again and be told that it runs already.
            if not self.task_api_answers():
                return ["api-server"]
            health = self.health()
        except (requests.ConnectionError, requests.Timeout):
            return ["api-server"]
        return [name for name in self._started_at if name != "api-server" and not self._has_reported(name, health)]

    def _has_reported(self, name: str, health: Mapping[str, Mapping[str, str | None]]) -> bool:
        # A component that was killed a moment ago still counts as healthy: its heartbeat has to be newer.
        key = name.replace("-", "_")
        heartbeat = health[key][f"latest_{key}_heartbeat"]
        return (
            health[key]["status"] == "healthy"
            and heartbeat is not None
            and datetime.fromisoformat(heartbeat) >= self._started_at[name]
        )

    def _serves(self) -> bool:
        # Were the port taken, our API server would end, and another Airflow could answer in its place.
        try:
            connections = psutil.Process(self._processes.pid("api-server")).net_connections("tcp")
        except psutil.NoSuchProcess:
            return False
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port for connection in connections
        )

    def _write_local_settings(self) -> None:
        # Airflow imports this module at the start of each of its programs.
        config = self.home / "config"
        config.mkdir(exist_ok=True)
        imports = "".join(f"    import {module}\n" for module in self._preload)
        # Tasks come after the scheduler and its workers: kept from hearing that a task has deferred until that is
        # resumed, the scheduler takes the task for one that ended without a word.
        behind = (
            "    scheduler = os.getpid()\n"
            "    os.register_at_fork(after_in_child=lambda: os.getppid() == scheduler or os.nice(10))\n"
        )
        program = f"import os\nimport sys\n\n{SQLITE_CONNECT_ARGS}\nif 'scheduler' in sys.argv:\n{behind}"
        if self._preload:
            program += f"if {{'scheduler', 'dag-processor'}} & {{*sys.argv}}:\n{imports}"
        (config / "airflow_local_settings.py").write_text(program)

    def _start(self, name: str) -> None:
        self._started_at[name] = datetime.now(UTC)
        self._spawn(name, name, *self.COMPONENTS[name])

    def _spawn(self, name: str, *arguments: str) -> None:
        self._processes.spawn(
            name,
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            cwd=self.home,  # `python -m` puts the working directory on the import path
            log=self.logs / f"{name}.log",
        )

    def component_log_lines(self, text: str, limit: int = 15) -> list[str]:
        """Return what each component wrote last with `text` in it, at most `limit` lines of each."""
        found = []
        for file in sorted(self.logs.glob("*.log")):
            with file.open(errors="replace") as lines:
                last = deque((line.rstrip() for line in lines if text in line), maxlen=limit)
            found += [f"{file.stem}: {line}" for line in last]
        return found

    def _failure(self, name: str, what: str) -> AirflowError:
        tail = self._processes.log_tail(name)
        return AirflowError(f"Airflow's {name} {what}. The end of {self.logs / name}.log:\n{tail}")

    def _configuration(
        self, dags_folder: Path, parallelism: int, database_url: str, log_ports: list[int]
    ) -> dict[str, str]:
        options = {
            "CORE__DAGS_FOLDER": dags_folder,
            "CORE__LOAD_EXAMPLES": False,
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": parallelism,
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,  # no login, on loopback only
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # the default asks the name server
            "DATABASE__SQL_ALCHEMY_CONN": database_url,
            "API__HOST": LOOPBACK,
            "API__PORT": self.port,
            "API__BASE_URL": self.url,
            "API__SECRET_KEY": secrets.token_urlsafe(32),
            "API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "API_AUTH__JWT_ISSUER": "airflow",  # without one Airflow 3.1.3 gives none, and newer PyJWT refuses that
            # Nothing listens there (see COMPONENTS), but the default ports may be another Airflow's, which
            # the API server would ask for our logs.
            "LOGGING__WORKER_LOG_SERVER_PORT": log_ports[0],
            "LOGGING__TRIGGER_LOG_SERVER_PORT": log_ports[1],
            "USAGE_DATA_COLLECTION__ENABLED": False,  # Airflow before 3.3 reports its version to its makers
            **FOR_A_BUSY_MACHINE,
            "WORKERS__EXECUTION_API_TIMEOUT": 60,  # fifty tasks may ask at once (5 s)
            # Below: shorter than the defaults, so that a run takes seconds and a fault test need not wait.
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,  # an idle scheduler looks again (1 s)
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 1,  # executor events are collected (5 s)
            "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": 1,  # deferrals past their timeout are failed (15 s)
            "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 10,  # what a lost scheduler had queued is queued again (300 s)
            "TRIGGERER__JOB_HEARTBEAT_SEC": 1,  # the triggerer says that it lives (5 s)
            "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 10,  # a lost triggerer's triggers move on (30 s)
            "DAG_PROCESSOR__REFRESH_INTERVAL": 5,  # new DAG files are looked for (300 s)
            # Longer: parsing a file takes a second of a core, and one that has changed is parsed at once.
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 600,
        }
        if database_url.startswith("sqlite"):
            options["DATABASE__SQL_ALCHEMY_CONNECT_ARGS"] = "airflow_local_settings.connect_args"
            options["DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC"] = "airflow_local_settings.connect_args"
        else:
            # As many tasks as run at once ask the API server, which answers in 40 threads (5 and 10 above that).
            options["DATABASE__SQL_ALCHEMY_POOL_SIZE"] = 20
        return {"AIRFLOW_HOME": str(self.home)} | {f"AIRFLOW__{name}": str(value) for name, value in options.items()}


def free_ports(count: int) -> list[int]:
    """
    Return ports on which nothing listens.

    They are drawn from below the range that the system gives to outgoing connections: a component binds
    seconds later, and by then the next connection of anyone could have been given an ephemeral port.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - not a secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            if port not in ports:
                ports.append(port)
    return ports


def environment_without_airflow() -> dict[str, str]:
    """Return this process's environment without any Airflow's settings in it, and with all proxies off."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW"))}
    return inherited | {"NO_PROXY": "*", "no_proxy": "*"}
