"""What tests/days assumes of Airflow, held against a real one: both are told the same stories."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from local_airflow.stack import environment_without_airflow
from tests.days.told import STORIES, Record, Told, record
from tests.e2e.runs import Case, Runs
from tests.e2e.stories import Story, finish_tasks, wait_until

NAME = "told"
ROOT = Path(__file__).parents[2]
_one_at_a_time = threading.Lock()


@pytest.mark.parametrize("name", STORIES)
def test_the_little_airflow_does_what_a_real_one_does(story: Story, name: str):
    assert on_the_little_airflow(name) == on_a_real_airflow(story, STORIES[name])


def on_the_little_airflow(name: str) -> list[Record]:
    """Return what the little Airflow made of a story."""
    with _one_at_a_time:
        return _told_to_the_little_airflow()[name]


@cache
def _told_to_the_little_airflow() -> dict[str, list[Record]]:
    """Tell all stories in a process of their own, whose clock and network are the day's; it takes seconds to start."""
    command = [sys.executable, "-m", "tests.days.told"]
    environment = environment_without_airflow()
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    records: dict[str, list[Record]] = json.loads(told.stdout.splitlines()[-1])
    return records


def on_a_real_airflow(story: Story, told: Told) -> list[Record]:
    runs = Runs.of(story)
    story.gst.change_options({"task_seconds": 0})
    dies = {"dies before": "before the request", "dies after": "after the request"}.get(told.goes_wrong, "")
    faults = [{"call": "reset", "kind": "drop_after"}] if told.goes_wrong == "lost after" else []
    conf = {"dies": dies, "force": told.force}
    runs.start(NAME, Case(f"durable_{told.on_ambiguous}", conf, faults, told.task_seconds))
    records = []
    for step in told.steps:
        what, *rest = step.split()
        match what:
            case "deferred":
                runs.wait_for(NAME, rest[0], "deferred")
                wait_until(_polls_once_more(runs))
            case "finish":
                finish_tasks(runs.gst)
            case "end":
                runs.end(NAME)
                records.append(_record(runs))
            case "clear":
                runs.clear(NAME, rest[0])
            case "mark":
                runs.set_state(NAME, rest[0], rest[1])
            case "accept":
                document = runs.gst.state()["documents"][0]
                runs.gst.add_documents([{**document, "status": "A"}])
    return records


def _polls_once_more(runs: Runs) -> Callable[[], bool]:
    polls = runs.gst.counters(runs.rtin(NAME))["status_calls"]
    return lambda: runs.gst.counters(runs.rtin(NAME))["status_calls"] > polls


def _record(runs: Runs) -> Record:
    dag_id, run_id, rtin = runs.of_airflow(NAME)
    instances = {task["task_id"]: task for task in runs.airflow.task_instances(dag_id, run_id)}
    tasks = {
        name: (task["state"], task["try_number"], task["max_tries"], _deferred_in(runs, name, task["try_number"]))
        for name, task in instances.items()
    }
    has_result = instances["result"]["state"] == "success"
    return record(tasks, runs.gst.counters(rtin), runs.summary(NAME) if has_result else None)


def _deferred_in(runs: Runs, task_id: str, tries: int) -> list[int]:
    return [number for number in range(1, tries + 1) if "Pausing task as DEFERRED" in runs.log(NAME, task_id, number)]
