"""GSTN sessions on a real Airflow; a robot answers Airflow's page as a person does, through the REST API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_airflow.stack import AirflowStack
from tests.conftest import SAMPLE_FILE
from tests.e2e.conftest import forget_sessions, wait_until
from tests.e2e.stories import Story, heard_of

RTIN = "20MAYAS0100J1ZX"
DAG = "session_and_reset"


def start(story: Story, payload: Path = SAMPLE_FILE) -> str:
    return story.trigger(DAG, payload=str(payload), gstin=RTIN)


class Page:
    """Airflow's page of a task that waits for a one-time password, used by a robot."""

    def __init__(self, airflow: AirflowStack, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> None:
        self.airflow = airflow
        self.dag_id, self.run_id, self.task_id, self.map_index = dag_id, run_id, task_id, map_index
        self.path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/{map_index}/hitlDetails"
        self.answered = 0
        self._parked = self._read = 0

    def answer(self, otp: str) -> None:
        """Type a one-time password as soon as the page asks for it."""
        self.choose("OK", otp_token=otp)

    def choose(self, option: str, **typed: str) -> None:
        """Answer as soon as the page asks."""
        self.wait()
        self.airflow.patch(self.path, {"chosen_options": [option], "params_input": typed})
        self.answered += 1

    def begin_anew(self) -> None:
        """The run has ended and is cleared now: what the scheduler has heard until now says nothing of what follows."""
        self.answered = self._has_parked()

    def wait(self) -> None:
        """Wait until the page asks."""
        try:
            wait_until(self.asks)
        except AssertionError:
            found = errors(self.airflow, self.dag_id, self.run_id)
            raise AssertionError(
                f"{self.task_id} does not ask; {states(self.airflow, self.dag_id, self.run_id)}, {found}"
            ) from None

    def asks(self) -> bool:
        # A person takes longer than the process of the task that parks: until the scheduler has heard of its end,
        # Airflow takes an answer for a task that ended without a word, and fails it.
        if self._has_parked() <= self.answered:
            return False
        states_of_tasks = {
            (task["task_id"], task["map_index"]): task["state"]
            for task in self.airflow.task_instances(self.dag_id, self.run_id)
        }
        state = states_of_tasks.get((self.task_id, self.map_index))
        return state in ("awaiting_input", "deferred")  # deferred before Airflow 3.3

    def _has_parked(self) -> int:
        """How often, or ended after its last answer, as far as the scheduler has heard; only what is new is read."""
        with (self.airflow.logs / "scheduler.log").open("rb") as log:
            log.seek(self._read)
            new = log.read()
        lines = new[: new.rfind(b"\n") + 1]
        self._read += len(lines)
        self._parked += sum(
            heard_of(self.dag_id, self.run_id, self.task_id) in line and f"map_index={self.map_index})" in line
            for line in lines.decode().splitlines()
        )
        return self._parked


def errors(airflow: AirflowStack, dag_id: str, run_id: str) -> dict[str, str | None]:
    """Return what ended the failed tasks of a run."""
    return {
        task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else ""): airflow.task_error(
            dag_id, run_id, task["task_id"], task["try_number"], map_index=task["map_index"]
        )
        for task in airflow.task_instances(dag_id, run_id)
        if task["state"] == "failed"
    }


def states(airflow: AirflowStack, dag_id: str, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in airflow.task_instances(dag_id, run_id)}


@pytest.fixture
def gst(airflow: AirflowStack, simulator):
    """GST without any session, and an Airflow that knows of none."""
    forget_sessions(airflow)
    simulator.gst.change_options({"task_seconds": 1})
    return simulator.gst


def test_a_wrong_password_is_asked_for_again_and_a_second_run_needs_none(story: Story):
    airflow, gst = story.airflow, story.gst
    gst.change_options({"task_seconds": 1})
    run_id = start(story)
    page = Page(airflow, DAG, run_id, "verify_otp")
    page.answer("000000")
    page.answer(gst.last_otp(RTIN))
    assert airflow.wait_for_run(DAG, run_id) == "success", errors(airflow, DAG, run_id)
    assert airflow.xcom(DAG, run_id, "result")["outcome"] == "processed"
    assert gst.counters()["otp_requests"] == 1
    # One token for all tasks and the trigger.
    assert gst.counters()["logins"] == 1

    another = story.folder / "another.json"
    sample = json.loads(SAMPLE_FILE.read_text())
    sample["invdata"] = {"b2b": [{**sample["invdata"]["b2b"][0], "inum": "another"}]}
    another.write_text(json.dumps(sample))
    second = start(story, another)
    assert airflow.wait_for_run(DAG, second) == "success", errors(airflow, DAG, second)
    ended = states(airflow, DAG, second)
    assert (ended["request_otp"], ended["verify_otp"], ended["result"]) == ("skipped", "skipped", "success")
    assert gst.counters()["otp_requests"] == 1
    assert gst.counters()["gstn_refreshes"] == 1
    assert gst.counters()["logins"] == 1


def test_the_example_opens_and_keeps_sessions_and_one_taxpayer_stops_no_other(airflow, gst):
    closed = "27AAPFU0939F1ZV"
    gst.change_options({"api_access_off": {closed}})
    taxpayers = [{"gstin": gstin, "username": "portal.user"} for gstin in (closed, RTIN)]
    run_id = airflow.trigger_dag("gstn_session", {"taxpayers": taxpayers})
    page = Page(airflow, "gstn_session", run_id, "session.verify_otp", map_index=1)
    wait_until(lambda: gst.last_otp(RTIN) is not None)
    page.answer(gst.last_otp(RTIN))
    assert airflow.wait_for_run("gstn_session", run_id) == "failed"
    ended = {
        (task["task_id"], task["map_index"]): task["state"] for task in airflow.task_instances("gstn_session", run_id)
    }
    assert ended["session.verify_otp", 1] == "success"
    assert (ended["session.request_otp", 0], ended["session.verify_otp", 0]) == ("failed", "upstream_failed")

    opened = gst.state()["sessions"]
    refreshed = airflow.trigger_dag("gstn_refresh")
    assert airflow.wait_for_run("gstn_refresh", refreshed) == "success", errors(airflow, "gstn_refresh", refreshed)
    assert gst.state()["sessions"] == opened  # too young to be extended
    assert gst.counters()["otp_requests"] == 1
