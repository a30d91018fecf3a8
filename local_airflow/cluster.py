"""
Airflow on several hosts, on one machine without Docker: what deploy/compose.yaml describes.

PostgreSQL comes from a wheel, the object store is moto, Redis is the machine's. Each of Airflow's processes runs on a
host of its own (see hosts.py): two schedulers, two triggerers, three Celery workers, a DAG processor, an API server.
"""

from __future__ import annotations

import base64
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from local_airflow.api import POLL_SECONDS, AirflowApi, AirflowError
from local_airflow.families import family
from local_airflow.hosts import Hosts
from local_airflow.postgres import PostgresServer
from local_airflow.processes import ProcessSet
from local_airflow.recipe import Local, Program, programs
from local_airflow.service import Service
from local_airflow.stack import FOR_A_BUSY_MACHINE, LOOPBACK, environment_without_airflow, free_ports

CHECKOUT = Path(__file__).parents[1]
START_SECONDS = 600  # of a machine that has other things to do
ASK_AGAIN = 5
NOT_AIRFLOW = ("redis", "s3", "simulator")
# Airflow's processes, those first that the others ask.
AIRFLOW = ("api-server", "dag-processor", "scheduler", "triggerer", "worker")
JOBS = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}
WORKER_IS_READY = " ready."
# Beside those of the file: shorter, so that a run takes minutes though hosts die.
SETTINGS = {
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "40",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    **{option: str(value) for option, value in FOR_A_BUSY_MACHINE.items()},
}
# Log servers of one machine would all want the same port; the logs are in the hosts' directories.
NO_LOG_SERVER = ("triggerer", "worker", "scheduler")
# Airflow 3.3.2 enters new assets into a table without a lock: of two schedulers that do so at once one ends with this.
DEFECT_OF_AIRFLOW = "asset_active_pkey"
MARK = "IMS_CLUSTER"  # in the environment of all that runs here


class Cluster(AirflowApi, Service):
    """
    The cluster; it is also the client of its REST API.

    :param home: for the hosts' directories and the logs of their processes; emptied first
    :param dags_folder: where DAGs are read from, on every host
    :param environment: on top of the file's settings
    :ivar started_again: the schedulers that :data:`DEFECT_OF_AIRFLOW` has ended
    """

    def __init__(self, home: Path, dags_folder: Path, environment: dict[str, str]) -> None:
        self.home = home.resolve()
        self.logs = self.home / "logs"
        self._programs = programs()
        listening = [name for name, program in self._programs.items() if program.port]
        self.ports = dict(zip(listening, free_ports(len(listening)), strict=True))
        super().__init__(f"http://{LOOPBACK}:{self.ports['api-server']}")
        self.simulator_url = f"http://{LOOPBACK}:{self.ports['simulator']}"
        self.s3_url = f"http://{LOOPBACK}:{self.ports['s3']}"
        self.mark = secrets.token_hex(8)
        self.started_again: list[str] = []
        self._dags_folder = dags_folder.resolve()
        self._environment = environment
        self._postgres = PostgresServer()
        self._processes = ProcessSet()
        self._program_of: dict[str, Program] = {}

    def start(self) -> None:
        """
        Start everything, and return when each scheduler, triggerer and worker has reported itself.

        :raises AirflowError: something is missing on this machine, ended, or did not report; with the tail of its log
        """
        if shutil.which("redis-server") is None:
            raise AirflowError(
                "redis-server is not there. On Debian: apt-get install --no-install-recommends redis-server"
            )
        shutil.rmtree(self.home, ignore_errors=True)
        self.logs.mkdir(parents=True)
        self._postgres.start()
        values = {
            "FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "JWT_SECRET": secrets.token_urlsafe(64),
            "SECRET_KEY": secrets.token_urlsafe(32),
        }
        self._local = Local(self.ports, self._postgres.url, values)
        shown = (self._postgres.directory, CHECKOUT, self._dags_folder, Path(sys.prefix), Path(sys.base_prefix))
        self.hosts = Hosts(self.home / "hosts", shown)
        for name in NOT_AIRFLOW:
            self._spawn(name, self._programs[name])
        self._wait(
            lambda: all(self._listens(name) for name in NOT_AIRFLOW), "redis, s3 or the simulator does not listen"
        )
        for name in ("bucket", "migrate"):
            self._spawn(name, self._programs[name])
            if self._processes.wait(name, START_SECONDS) != 0:
                raise self._failure(name, "did not succeed")
        hosts = {
            f"{name}-{number}" if self._programs[name].replicas > 1 else name: self._programs[name]
            for name in AIRFLOW
            for number in range(1, self._programs[name].replicas + 1)
        }
        began = datetime.now(UTC)
        for host in hosts:
            self.hosts.add(host)
        for host, program in hosts.items():
            self._spawn(host, program, host=host)
        self._wait(lambda: self._all_report(began), "one of Airflow's processes does not report itself")

    def stop(self) -> None:
        """Stop everything; harmless when that has been done."""
        self.close()
        self._processes.stop()
        self._postgres.stop()

    def kill(self, host: str) -> None:
        """Take a host's processes away with SIGKILL, with all that runs there."""
        self._processes.kill(host)

    def restart(self, host: str) -> None:
        """Start a killed host's process again."""
        self._spawn(host, self._program_of[host], host=host)

    def alike(self, name: str) -> list[str]:
        """Return the hosts of a service, the one with the most processes first."""
        hosts = [host for host in self._program_of if host.rstrip("-123456789") == name]
        return sorted(hosts, key=lambda host: -len(family([self._processes.pid(host)])))

    def check_alive(self) -> None:
        """
        Raise AirflowError with the tail of its log when a process has ended by itself.

        A scheduler that ended of :data:`DEFECT_OF_AIRFLOW` is started again, as the file says of all services.
        """
        for name in self._processes.dead():
            if not name.startswith("scheduler") or DEFECT_OF_AIRFLOW not in self._processes.log_tail(name):
                raise self._failure(name, "has ended by itself")
            self._processes.kill(name)
            self.started_again.append(name)
            # What the next one ends of is not to be read from the words of this one.
            (self.logs / f"{name}.log").rename(self.logs / f"{name}-until-{len(self.started_again)}.log")
            self.restart(name)

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        """Ask again what was only asked: on a busy machine an answer may take longer than the client waits."""
        for _ in range(ASK_AGAIN if method == "GET" else 0):
            with suppress(requests.Timeout):
                return super()._send(method, url, **options)
        return super()._send(method, url, **options)

    def _spawn(self, name: str, program: Program, *, host: str = "") -> None:
        command = self._local.command(program)
        if command[0] in ("airflow", "python"):
            command = [sys.executable, *(["-m"] if command[0] == "airflow" else []), *command[command[0] == "python" :]]
        environment = {**environment_without_airflow(), MARK: self.mark, "HOME": str(self.home)}
        environment |= {"TMPDIR": str(self.home), "AIRFLOW_HOME": str(self.home / "airflow")}
        environment |= self._local.environment(program)
        if "airflow" in program.command:
            environment |= {f"AIRFLOW__{option}": value for option, value in SETTINGS.items()}
            environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(self._dags_folder)
            environment["AIRFLOW__API__BASE_URL"] = self.url
            environment |= self._environment
        if host:
            self._program_of[host] = program
            environment |= self.hosts.environment(host)
            command += ["--skip-serve-logs"] * host.startswith(NO_LOG_SERVER)
            command = self.hosts.command(host, command)
        self._processes.spawn(name, command, env=environment, cwd=self.home, log=self.logs / f"{name}.log")

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not done():
            self.check_alive()
            if time.monotonic() > deadline:
                raise AirflowError(f"After {START_SECONDS} s {what}. The logs are in {self.logs}.")
            time.sleep(POLL_SECONDS)

    def _listens(self, name: str) -> bool:
        try:
            requests.get(f"http://{LOOPBACK}:{self.ports[name]}", timeout=5)
        except requests.ConnectionError as error:
            return "refused" not in str(error)  # Redis hangs up on a browser
        except requests.ReadTimeout:
            return False  # moto imports what it serves at its first request
        return True

    def _all_report(self, began: datetime) -> bool:
        try:
            if not self.task_api_answers():
                return False
            reported = all(self._jobs(name, began) >= self._programs[name].replicas for name in JOBS)
        except (requests.ConnectionError, requests.Timeout):
            return False
        logs = [self.logs / f"{host}.log" for host in self._program_of if host.startswith("worker")]
        return reported and all(WORKER_IS_READY in log.read_text(errors="replace") for log in logs)

    def _jobs(self, name: str, began: datetime) -> int:
        # That each has a fresh heartbeat at the same moment is too much to ask of a busy machine.
        jobs = self.get("jobs", job_type=JOBS[name], job_state="running", limit=100)["jobs"]
        return sum(datetime.fromisoformat(job["start_date"]) >= began for job in jobs if job["start_date"])

    def _failure(self, name: str, what: str) -> AirflowError:
        tail = self._processes.log_tail(name)
        return AirflowError(f"{name} {what}. The end of {self.logs / name}.log:\n{tail}")
