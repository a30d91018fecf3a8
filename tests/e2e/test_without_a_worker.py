"""Waits that the scheduler starts in the triggerer, and what a worker is needed for all the same."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ims.sensors.ims import CAN_START_FROM_TRIGGER
from airflow_provider_ims.simulator.options import NextTask
from airflow_provider_ims.waits.watch import ids_of
from tests.conftest import SAMPLE_FILE
from tests.e2e.stories import Story, finish_tasks

RTIN = "20MAYAS0100J1ZX"

if not CAN_START_FROM_TRIGGER:
    pytest.skip("This Airflow fills no templates in the triggerer.", allow_module_level=True)


def begin(story: Story, dag_id: str) -> str:
    story.gst.open_session(RTIN)
    return story.trigger(dag_id, payload=str(SAMPLE_FILE))


def the_wait(story: Story, dag_id: str, run_id: str) -> dict[str, Any]:
    [wait] = [task for task in story.airflow.task_instances(dag_id, run_id) if task["task_id"] == "wait"]
    return wait


def test_a_wait_begins_and_ends_without_a_worker_and_leaves_the_reference_id(story: Story):
    airflow = story.airflow
    story.gst.change_options({"task_seconds": 600})
    run_id = begin(story, "without_a_worker")
    airflow.wait_for_state("without_a_worker", run_id, "wait", "deferred")
    finish_tasks(story.gst)
    assert airflow.wait_for_run("without_a_worker", run_id) == "success"
    wait = the_wait(story, "without_a_worker", run_id)
    assert (wait["state"], wait["try_number"], wait["pid"]) == ("success", 1, None)
    reference_id = airflow.xcom("without_a_worker", run_id, "reset")
    # Airflow 3.3.2 keeps what the triggerer pushes as JSON within JSON; the package's own tasks read it all the same.
    assert ids_of(airflow.xcom("without_a_worker", run_id, "wait")) == [reference_id]
    assert airflow.xcom("without_a_worker", run_id, "result")["reference_id"] == reference_id
    assert story.gst.counters()["logins"] == 1


def test_a_task_that_failed_fails_the_sensor_on_a_worker_without_a_retry(story: Story):
    airflow = story.airflow
    story.gst.add_next_task(NextTask(final_status="failed", task_seconds=1))
    run_id = begin(story, "without_a_worker")
    assert airflow.wait_for_run("without_a_worker", run_id) == "failed"
    wait = the_wait(story, "without_a_worker", run_id)
    assert (wait["state"], wait["try_number"]) == ("failed", 1)
    assert wait["pid"] is not None
    assert airflow.task_error("without_a_worker", run_id, "wait").startswith("GstnTaskFailed")


def test_the_deadline_is_the_sensors_and_is_not_retried(story: Story):
    airflow = story.airflow
    story.gst.change_options({"task_seconds": 600})
    run_id = begin(story, "without_a_worker_short")
    assert airflow.wait_for_run("without_a_worker_short", run_id) == "failed"
    wait = the_wait(story, "without_a_worker_short", run_id)
    assert (wait["state"], wait["try_number"]) == ("failed", 1)
    error = airflow.task_error("without_a_worker_short", run_id, "wait")
    assert error.startswith("AirflowSensorTimeout")
    assert airflow.xcom("without_a_worker_short", run_id, "reset") in error


def test_several_tasks_are_waited_for_with_a_worker(story: Story):
    airflow = story.airflow
    story.gst.change_options({"task_seconds": 2})
    run_id = begin(story, "without_a_worker_several")
    assert airflow.wait_for_run("without_a_worker_several", run_id) == "success"
    [reset] = [task for task in story.gst.counters().items() if task[0] == "resets"]
    assert reset == ("resets", 1)
    assert len(airflow.xcom("without_a_worker_several", run_id, "wait")) == 1
