"""deploy/compose.yaml and what `make cluster` makes of it."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import psutil
import pytest
import yaml
from airflow.cli.cli_parser import get_parser

from airflow_provider_ims.simulator.__main__ import _parser as simulator_parser
from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.api import AirflowError
from local_airflow.cluster import AIRFLOW, DEFECT_OF_AIRFLOW, JOBS, NOT_AIRFLOW, Cluster
from local_airflow.hosts import LOCAL_SETTINGS
from local_airflow.recipe import COMPOSE, Local, programs

VALUES = {"FERNET_KEY": "a-key", "JWT_SECRET": "a-secret", "SECRET_KEY": "another"}
DATABASE = "postgresql+psycopg2://airflow@/postgres?host=/tmp/postgres-1"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
NAMES = "|".join(SERVICES)


@pytest.fixture
def local() -> Local:
    listening = [name for name, program in programs().items() if program.port]
    return Local({name: 21_000 + number for number, name in enumerate(listening)}, DATABASE, VALUES)


def test_the_cluster_starts_every_service():
    # PostgreSQL comes from a wheel here; the other two end by themselves.
    assert {*AIRFLOW, *NOT_AIRFLOW, "postgres", "bucket", "migrate"} == set(programs())
    replicas = {name: program.replicas for name, program in programs().items() if program.replicas > 1}
    assert replicas == {"scheduler": 2, "triggerer": 2, "worker": 3}


def test_every_service_waits_for_services_that_are_there_and_can_be_waited_for():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], other
            else:
                assert SERVICES[other].get("restart", "no") == "no", other


def test_a_folder_of_airflow_s_home_is_not_left_to_docker_which_would_make_it_root_s():
    dockerfile = (COMPOSE.parent / "Dockerfile").read_text()
    made = re.findall(r"^RUN mkdir --parents \"\$AIRFLOW_HOME/(.+)\"$", dockerfile.partition("USER airflow")[2], re.M)
    homes = [re.search(r":/home/airflow/airflow/(.+?):", volume) for volume in SERVICES["worker"]["volumes"]]
    assert {str(Path(home[1]).parent) for home in homes if home} == set(made) == {"config"}


def test_every_command_of_airflow_is_one(monkeypatch: pytest.MonkeyPatch):
    for name in (*AIRFLOW, "migrate"):
        command = programs()[name].command
        assert command[0] == "airflow"
        if command[1] == "celery":  # its provider is not among the packages of these tests
            continue
        assert get_parser().parse_args(command[1:]).func


def test_the_simulator_is_started_as_its_command_line_says_and_the_connection_leads_to_it():
    program = programs()["simulator"]
    assert simulator_parser("x").parse_args(program.command[3:]).task_seconds == 10
    server = SimulatorServer(host="simulator", port=int(program.port or 0))
    given = json.loads(programs()["worker"].environment["AIRFLOW_CONN_GSTN_DEFAULT"])
    assert given == server.connection


def test_no_address_of_a_container_is_left_on_one_machine(local: Local):
    for name, program in programs().items():
        texts = [*local.command(program), *local.environment(program).values()]
        if name == "postgres":
            continue
        for text in texts:
            assert "0.0.0.0" not in text  # noqa: S104
            assert "${" not in text
            assert not re.search(rf"(//|@)({NAMES})\b[:/]", text), f"{name}: {text}"


def test_ports_keys_and_the_database_are_this_machine_s(local: Local):
    worker = local.environment(programs()["worker"])
    redis = 21_000 + [name for name, program in programs().items() if program.port].index("redis")
    assert worker["AIRFLOW__CELERY__BROKER_URL"] == f"redis://127.0.0.1:{redis}/0"
    assert local.command(programs()["redis"])[:5] == ["redis-server", "--bind", "127.0.0.1", "--port", str(redis)]
    assert worker["AIRFLOW__CELERY__RESULT_BACKEND"] == f"db+{DATABASE}"
    assert worker["AIRFLOW__CORE__FERNET_KEY"] == "a-key"


def test_all_of_airflow_has_the_same_settings():
    settings = [programs()[name].environment for name in AIRFLOW]
    assert all(each == settings[0] for each in settings)
    assert set(JOBS) < set(AIRFLOW)


def test_what_is_mounted_and_built_is_there():
    mounts = {mount.split(":")[0] for name in AIRFLOW for mount in SERVICES[name]["volumes"]}
    assert LOCAL_SETTINGS.name in {Path(mount).name for mount in mounts}
    assert all((COMPOSE.parent / mount).exists() for mount in mounts)
    built = [service["build"] for service in SERVICES.values() if "build" in service]
    assert all((COMPOSE.parent / build["context"] / build["dockerfile"]).exists() for build in built)


def test_the_modules_that_a_worker_imports_first_are_there():
    modules = re.findall(r"^    import ((?:airflow_provider_ims|airflow\.sdk)\S+)", LOCAL_SETTINGS.read_text(), re.M)
    assert len(modules) == 6
    assert all(importlib.util.find_spec(module) for module in modules)


def test_a_scheduler_that_airflow_itself_ends_is_started_again_and_anything_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cluster = Cluster(tmp_path, tmp_path, {})
    cluster.logs.mkdir()
    processes = cluster._processes

    def say(name: str, words: str) -> None:
        command = ["/bin/sh", "-c", f"echo {words}; exit 1"]
        processes.spawn(name, command, env={}, cwd=tmp_path, log=cluster.logs / f"{name}.log")
        psutil.Process(processes.pid(name)).wait(120)

    defect = f"duplicate key value violates {DEFECT_OF_AIRFLOW}"
    with processes:
        monkeypatch.setattr(cluster, "restart", lambda name: say(name, "something else"))
        say("scheduler-2", defect)
        cluster.check_alive()
        assert cluster.started_again == ["scheduler-2"]
        with pytest.raises(AirflowError, match="scheduler-2 has ended by itself"):
            cluster.check_alive()
        processes.kill("scheduler-2")
        say("worker-1", defect)
        with pytest.raises(AirflowError, match="worker-1 has ended by itself"):
            cluster.check_alive()
