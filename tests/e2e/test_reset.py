"""The main job on a real Airflow: scheduler, triggerer, API server, DAG processor, and the simulator over HTTP."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import InjectedFault, NextTask
from airflow_provider_ims.simulator.server import SimulatorServer
from airflow_provider_ims.waits.watch import ids_of
from local_airflow.stack import AirflowStack
from tests.conftest import SAMPLE_FILE
from tests.e2e.conftest import folder_of, forget_sessions, wait_until
from tests.e2e.stories import Story, finish_tasks

RTIN = "20MAYAS0100J1ZX"
SUPPLIER = "24MAYAS0100J1JD"


@pytest.fixture
def gst(airflow: AirflowStack, simulator: SimulatorServer):
    """GST with a live session of the sample's recipient, and an Airflow that has not logged in yet."""
    forget_sessions(airflow)
    simulator.gst.open_session(RTIN)
    return simulator.gst


def with_a_session(story: Story) -> Gst:
    story.gst.open_session(RTIN)
    return story.gst


def start(airflow: AirflowStack, dag_id: str = "ims_reset", **conf: str) -> str:
    payload = SAMPLE_FILE.name if dag_id == "ims_reset" else str(SAMPLE_FILE)
    return airflow.trigger_dag(dag_id, {"payload": payload, **conf})


def states(airflow: AirflowStack, dag_id: str, run_id: str) -> dict[str, tuple[str, int]]:
    """Return each task's final state and number of tries."""
    return {task["task_id"]: (task["state"], task["try_number"]) for task in airflow.task_instances(dag_id, run_id)}


def test_one_reset_is_sent_waited_for_without_a_worker_and_accounted_for(alone, airflow, gst):
    gst.change_options({"task_seconds": 600})
    run_id = start(airflow)
    airflow.wait_for_state("ims_reset", run_id, "wait", "deferred")
    pool = airflow.get("pools/default_pool")
    assert (pool["deferred_slots"], pool["running_slots"], pool["queued_slots"]) == (1, 0, 0)

    # The triggerer's first call may be refused, with a token from before: it is the log that tells what it has heard.
    reference_id = airflow.xcom("ims_reset", run_id, "reset")
    wait_until(lambda: f"Task {reference_id}: processing" in airflow.task_log("ims_reset", run_id, "wait"))
    finish_tasks(gst)
    assert airflow.wait_for_run("ims_reset", run_id) == "success"

    summary = airflow.xcom("ims_reset", run_id, "result")
    assert (summary["outcome"], summary["processed"], summary["errors"]) == ("processed", 8, 0)
    assert [summary["reference_id"]] == ids_of(airflow.xcom("ims_reset", run_id, "wait")) == [reference_id]
    assert {name: count["reset"] for name, count in summary["sections"].items()} == dict.fromkeys(
        json.loads(SAMPLE_FILE.read_text())["invdata"], 1
    )
    full = json.loads(Path(summary["result_path"]).read_text())
    assert full["result"]["status_cd"] == "P"
    assert len(full["documents"]) == 8

    counters = gst.counters()
    assert (counters["resets"], counters["reset_calls"]) == (1, 1)
    # Reset, trigger and result share one token.
    assert counters["logins"] == 1

    for task_id in ("reset", "wait", "result"):
        assert "simulator-password" not in airflow.task_log("ims_reset", run_id, task_id)


def test_the_waiting_half_logs_in_once_however_often_it_polls(story: Story):
    airflow, gst = story.airflow, with_a_session(story)
    gst.change_options({"task_seconds": 600})
    run_id = story.trigger("steady_wait", payload=str(SAMPLE_FILE))
    airflow.wait_for_state("steady_wait", run_id, "wait", "deferred")
    wait_until(lambda: gst.counters()["status_calls"] >= 6)
    gst.advance(600)
    assert airflow.wait_for_run("steady_wait", run_id) == "success"
    assert gst.counters()["logins"] == 1


def test_a_token_that_dies_while_waiting_is_renewed_in_the_triggerer_without_blocking_it(story: Story):
    with Story("other", story.airflow, story.folder) as other:
        one_renews_its_token_while_the_other_polls(story, other)


def one_renews_its_token_while_the_other_polls(story: Story, other_story: Story) -> None:
    airflow, gst, other = story.airflow, with_a_session(story), with_a_session(other_story)
    runs = []
    for one in (story, other_story):
        service = one.gst
        service.change_options({"task_seconds": 600})
        runs.append(one.trigger("steady_wait", payload=str(SAMPLE_FILE)))
        airflow.wait_for_state("steady_wait", runs[-1], "wait", "deferred")
        wait_until(lambda polled=service: polled.counters()["status_calls"] >= 2)

    logins = gst.counters()["logins"]
    gst.add_fault(InjectedFault(call="login", kind="slow", seconds=30))
    gst.add_fault(InjectedFault(call="status", kind="expire_token"))
    wait_until(lambda: not gst._faults)  # the trigger of the first run waits for the reply to its login
    polls = other.counters()["status_calls"]
    wait_until(lambda: other.counters()["status_calls"] >= polls + 3)
    assert gst.counters()["logins"] == logins, "the other trigger went on only after the login"

    wait_until(lambda: gst.counters()["logins"] == logins + 1)
    for service, run_id in zip((gst, other), runs, strict=True):
        service.advance(600)
        assert airflow.wait_for_run("steady_wait", run_id) == "success"
    # The triggerer put the new token into the store: the worker that ends the task does not log in.
    assert gst.counters()["logins"] == logins + 1


def test_a_partial_result_names_the_refused_documents_and_is_not_retried(airflow, gst):
    held = {"rtin": RTIN, "stin": SUPPLIER, "number": "dn2", "rtnprd": "012023", "status": "R"}
    gst.add_documents([{**held, "section": "b2bcn"}, {**held, "section": "b2bdn"}])
    run_id = start(airflow)
    assert airflow.wait_for_run("ims_reset", run_id) == "failed"
    assert states(airflow, "ims_reset", run_id)["result"] == ("failed", 1)
    assert airflow.task_error("ims_reset", run_id, "result").startswith("GstnResetPartial")
    summary = airflow.xcom("ims_reset", run_id, "result")
    assert (summary["outcome"], summary["processed"], summary["errors"]) == ("partial", 6, 2)
    with Path(summary["refused_path"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["section"], row["number"], row["code"]) for row in rows} == {
        ("b2bcn", "dn2", "IMSSAV0010"),
        ("b2bdn", "dn2", "IMSSAV0010"),
    }


def test_a_failed_task_fails_the_wait_without_a_retry(airflow, gst):
    gst.add_next_task(NextTask(final_status="failed", task_seconds=4))
    run_id = start(airflow)
    assert airflow.wait_for_run("ims_reset", run_id) == "failed"
    ended = states(airflow, "ims_reset", run_id)
    assert ended["reset"] == ("success", 1)
    assert ended["wait"] == ("failed", 1)
    assert ended["result"][0] == "upstream_failed"
    assert airflow.task_error("ims_reset", run_id, "wait").startswith("GstnTaskFailed")
    assert gst.counters()["resets"] == 1


def test_a_wait_that_times_out_is_not_retried_and_sends_nothing_again(story: Story):
    airflow, gst = story.airflow, with_a_session(story)
    gst.change_options({"task_seconds": 600})
    run_id = story.trigger("short_wait", payload=str(SAMPLE_FILE))
    assert airflow.wait_for_run("short_wait", run_id) == "failed"
    assert states(airflow, "short_wait", run_id)["wait"] == ("failed", 1)
    error = airflow.task_error("short_wait", run_id, "wait")
    assert error.startswith("AirflowSensorTimeout")
    assert airflow.xcom("short_wait", run_id, "reset") in error
    assert gst.counters()["resets"] == 1


def test_a_burst_of_503_while_waiting_is_ridden_out_in_the_triggerer(story: Story):
    airflow, gst = story.airflow, with_a_session(story)
    gst.add_fault(InjectedFault(call="status", kind="http", status=503, times=3))
    run_id = story.trigger("steady_wait", payload=str(SAMPLE_FILE))
    assert airflow.wait_for_run("steady_wait", run_id) == "success"
    assert states(airflow, "steady_wait", run_id)["wait"] == ("success", 1)
    assert gst.counters()["status_calls"] >= 4


def test_without_a_gstn_session_nothing_is_sent_and_no_retry_is_spent(airflow, simulator):
    run_id = start(airflow)
    assert airflow.wait_for_run("ims_reset", run_id) == "failed"
    assert states(airflow, "ims_reset", run_id)["reset"] == ("failed", 1)
    assert RTIN in airflow.task_error("ims_reset", run_id, "reset")
    assert simulator.gst.counters()["resets"] == 0


def test_who_triggers_names_no_file_outside_the_folder(airflow, gst, tmp_path):
    secret = tmp_path / "s3cret.json"
    secret.write_text("root:s3cret-content")
    folder = folder_of(airflow)
    (folder / "unreadable.json").write_text("root:s3cret-content")
    for name in (str(secret), f"../{secret.name}", f"file://{secret}", "unreadable.json"):
        run_id = start(airflow, payload=name)
        assert airflow.wait_for_run("ims_reset", run_id) == "failed"
        assert states(airflow, "ims_reset", run_id)["reset"] == ("failed", 1), "no retry is spent"
        error = airflow.task_error("ims_reset", run_id, "reset")
        expected = "valid JSON" if name == "unreadable.json" else "is not the name of a file in the DAG's folder"
        assert expected in error
        assert "s3cret-content" not in airflow.task_log("ims_reset", run_id, "reset")
    assert gst.counters()["logins"] == 0


def test_a_bad_payload_fails_before_any_call(airflow, gst, sample):
    sample["invdata"]["b2b"][0]["idt"] = "2023-01-23"
    (folder_of(airflow) / "bad.json").write_text(json.dumps(sample))
    run_id = start(airflow, payload="bad.json")
    assert airflow.wait_for_run("ims_reset", run_id) == "failed"
    assert "invdata.b2b[0].idt" in airflow.task_error("ims_reset", run_id, "reset")
    assert gst.counters()["logins"] == 0
