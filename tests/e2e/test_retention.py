"""What Airflow deletes while a reset is under way, and what becomes of the reset: its files know."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from airflow.utils.db_cleanup import config_dict

from tests.e2e.runs import Case, Runs
from tests.e2e.stories import Story, finish_tasks

NAME = "forgotten"


def begun(story: Story) -> Runs:
    """A reset that the service works on."""
    runs = Runs.of(story)
    story.gst.change_options({"task_seconds": 0})
    runs.start(NAME, Case("durable_fail", task_seconds=600))
    runs.wait_for(NAME, "wait", "deferred")
    return runs


def ends_well(story: Story, runs: Runs) -> None:
    finish_tasks(story.gst)
    assert runs.end(NAME) == "success", runs.story(NAME)
    assert runs.resets(NAME) == 1
    assert runs.reset_documents(NAME) == runs.summary(NAME)["processed"] == 8


def test_a_run_that_is_deleted_and_made_again_goes_on_with_what_was_sent(story: Story):
    runs = begun(story)
    dag_id, run_id, _ = runs.of_airflow(NAME)
    path = f"dags/{dag_id}/dagRuns"
    conf = story.airflow.get(f"{path}/{run_id}")["conf"]
    story.airflow.patch(f"{path}/{run_id}", {"state": "failed"})  # Airflow deletes no run that is running
    story.airflow.delete(f"{path}/{run_id}")
    story.airflow.post(path, {"dag_run_id": run_id, "logical_date": None, "conf": conf})
    ends_well(story, runs)
    assert "NOT sent again" in runs.log(NAME, "reset")


def test_a_task_state_that_is_cleaned_or_deleted_costs_no_second_reset(story: Story):
    runs = begun(story)
    dag_id, run_id, _ = runs.of_airflow(NAME)
    if "task_state_store" in config_dict:  # Airflow 3.3 and newer
        clean_what_has_expired(story, "task_state_store")
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/reset/state-store"
        assert story.airflow.get(path)["total_entries"] == 1, "what is kept has no date of expiry"
        story.airflow.delete(path)
        assert story.airflow.get(path)["total_entries"] == 0
    runs.clear(NAME, "reset")
    ends_well(story, runs)


def clean_what_has_expired(story: Story, table: str) -> None:
    """Do what an administrator does every night."""
    command = ["db", "clean", "--tables", table, "--clean-before-timestamp", datetime.now(UTC).isoformat()]
    command = [sys.executable, "-m", "airflow", *command, "--skip-archive", "--yes"]
    subprocess.run(command, env=story.airflow.environment, cwd=story.airflow.home, capture_output=True, check=True)  # noqa: S603
