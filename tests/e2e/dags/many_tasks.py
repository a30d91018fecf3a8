"""Fifty tasks that call the service at the same moments, on as many hosts as the run says."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from airflow.sdk import DAG, Param, task

from airflow_provider_ims.hooks.gstn import GstnHook

TASKS = 50
ROUNDS = 2
MEETING_SECONDS = 600


@task(pool="many_tasks")
def call(number: int, *, params: dict[str, str]) -> None:
    """In each round wait for the others and for the test's word, then ask for the state of a task."""
    directory = Path(params["directory"])
    # A host is where processes share a folder for temporary files, and in it the lock of the session store.
    host = directory / f"host-{number % int(params['hosts'])}"
    host.mkdir(exist_ok=True)
    tempfile.tempdir = str(host)
    with GstnHook() as hook:
        for round_ in range(ROUNDS):
            meet(directory / f"round-{round_}", number)
            hook.get_task_status(params["reference_id"])


def meet(place: Path, number: int) -> None:
    """Say that this task is there, then wait until all others and the test have said so too."""
    (place / str(number)).touch()
    deadline = time.monotonic() + MEETING_SECONDS
    while (arrived := len(list(place.iterdir()))) < TASKS + 1:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{arrived} of {TASKS + 1} met at {place.name}")
        time.sleep(0.25)


# By default no more than 16 tasks of a DAG run at the same time.
with DAG(
    dag_id="many_tasks",
    schedule=None,
    params={"directory": "", "reference_id": "", "hosts": Param(1, type="integer")},
    max_active_tasks=TASKS,
):
    call.expand(number=list(range(TASKS)))
