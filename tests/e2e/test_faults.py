"""
Nothing lost, nothing sent twice: faults on a real Airflow with PostgreSQL.

The runs of :data:`tests.e2e.runs.CASES` are started together at the beginning of the session, each with a taxpayer of
its own; the tests look at how each ended. What was sent is read from the simulator's counters, which count by taxpayer.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_provider_ims.simulator.options import InjectedFault
from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.api import StateChange
from local_airflow.stack import AirflowStack
from tests.e2e.conftest import forget_sessions, wait_until
from tests.e2e.runs import CASES, DOCUMENTS, Case, Runs
from tests.e2e.stories import Story, finish_tasks

OUTAGE_SECONDS = 120


@pytest.mark.takes_long
def test_the_service_is_down_for_two_minutes_while_tasks_wait(story: Story):
    # The time is real: that the tasks get over two minutes is what the reader of this wants to know.
    runs = Runs.of(story)
    names = ["outage 1", "outage 2", "outage 3"]
    for name in names:
        runs.start(name, Case(task_seconds=3600))
    for name in names:
        runs.wait_for(name, "wait", "deferred")
    # Stopped and started: down, with all that it knows, then up on the same port.
    story.simulator.stop()
    finish_tasks(runs.gst)
    time.sleep(OUTAGE_SECONDS)
    story.simulator.start()
    for name in names:
        runs.everything_is_known(name)
        assert runs.resets(name) == 1
        assert runs.states(name)["wait"] == ("success", 1)
    assert "GstnServiceUnavailable" not in runs.error(names[0], "wait")


def test_a_worker_killed_before_the_intent_is_tried_again(runs):
    name = "killed before the intent"
    runs.everything_is_known(name)
    assert (runs.resets(name), runs.states(name)["reset"]) == (1, ("success", 2))


def test_a_worker_killed_before_the_request_leaves_it_to_a_person(runs):
    runs.is_left_to_a_person("killed before the request, fail", try_number=2)
    assert runs.resets("killed before the request, fail") == 0


def test_a_worker_killed_before_the_request_is_reconciled_by_sending(runs):
    name = "killed before the request, reconcile"
    runs.everything_is_known(name)
    assert runs.resets(name) == 1


def test_a_worker_killed_after_the_request_leaves_it_to_a_person(runs):
    runs.is_left_to_a_person("killed after the request, fail", try_number=2)
    assert runs.resets("killed after the request, fail") == 1


def test_a_worker_killed_after_the_request_is_reconciled_without_sending(runs):
    name = "killed after the request, reconcile"
    runs.everything_is_known(name)
    assert runs.resets(name) == 1


def test_a_worker_killed_after_the_reference_id_was_kept_goes_on_with_it(runs):
    name = "killed after the reference id"
    runs.everything_is_known(name)
    assert (runs.resets(name), runs.states(name)["reset"]) == (1, ("success", 2))
    assert "NOT sent again" in runs.log(name, "reset", 2)


def test_a_lost_reply_is_left_to_a_person_and_spends_no_retry(runs):
    runs.is_left_to_a_person("lost reply, fail")
    assert runs.resets("lost reply, fail") == 1


def test_a_lost_reply_is_resubmitted_if_the_user_says_so(runs):
    # Two resets, as asked. GSTN refuses in the second what the first has done; the result task looks at what it holds.
    name = "lost reply, resubmit"
    runs.everything_is_known(name)
    assert runs.resets(name) == 2


@pytest.mark.parametrize("name", ["lost reply, reconcile", "lost reply, reconcile while it runs"])
def test_a_lost_reply_is_reconciled_without_sending(runs, name):
    runs.everything_is_known(name)
    assert runs.resets(name) == 1
    assert runs.summary(name)["found_at_no_action"] == DOCUMENTS


def test_a_503_while_sending_is_left_to_a_person(runs):
    # A gateway that answers 503 may have passed the request on.
    runs.is_left_to_a_person("503 while sending, fail")
    assert runs.resets("503 while sending, fail") == 0


def test_503s_while_sending_are_reconciled(runs):
    name = "503 while sending, reconcile"
    runs.everything_is_known(name)
    assert runs.resets(name) == 1


def test_503s_while_waiting_and_reading_are_ridden_out(runs):
    name = "503 while waiting and reading"
    runs.everything_is_known(name)
    assert runs.resets(name) == 1
    assert {tries for _, tries in runs.states(name).values()} == {1}


def test_a_token_revoked_while_waiting_is_renewed(story: Story):
    runs, name = Runs.of(story), "token revoked"
    runs.start(name, Case(task_seconds=3600))
    runs.wait_for(name, "wait", "deferred")
    logins = runs.gst.counters()["logins"]
    runs.gst.add_fault(InjectedFault(gstin=runs.rtin(name), call="status", kind="expire_token"))
    wait_until(lambda: runs.gst.counters()["logins"] > logins)
    finish_tasks(runs.gst)
    runs.everything_is_known(name)
    assert (runs.resets(name), runs.states(name)["wait"]) == (1, ("success", 1))
    runs.has_one_audit_record(name)


def test_odd_text_of_the_service_ends_one_wait_and_no_triggerer(story: Story):
    # NUL and half a surrogate pair in a trigger's event: PostgreSQL takes neither, and the triggerer would die of it.
    runs, name = Runs.of(story), "odd text"
    runs.start(name, Case(task_seconds=3600))
    runs.wait_for(name, "wait", "deferred")
    runs.gst.add_fault(InjectedFault(gstin=runs.rtin(name), call="status", kind="odd_text", code="AUTH4033"))
    assert runs.end(name) == "failed"
    assert runs.states(name)["wait"] == ("failed", 1)
    error = runs.error(name, "wait")
    assert error.startswith("GstnSessionExpired")
    assert "refused\ufffd" in error
    finish_tasks(runs.gst)
    runs.clear(name, "wait")
    runs.everything_is_known(name)
    assert runs.resets(name) == 1


def test_a_deadline_reached_with_retries_left_is_not_tried_again(runs):
    name = "deadline"
    assert runs.end(name) == "failed"
    assert runs.states(name)["wait"] == ("failed", 1)
    assert runs.error(name, "wait").startswith("AirflowSensorTimeout")
    assert runs.resets(name) == 1


def is_in_the_triggerer(runs: Runs, name: str) -> None:
    """Wait until the wait has been deferred and its trigger runs, which is a moment later."""
    runs.wait_for(name, "wait", "deferred")
    polls = runs.gst.counters(runs.rtin(name))["status_calls"]
    wait_until(lambda: runs.gst.counters(runs.rtin(name))["status_calls"] > polls)


def test_a_wait_marked_failed_names_the_task_and_can_be_cleared(story: Story):
    runs, name = Runs.of(story), "marked failed"
    runs.start(name, Case(task_seconds=3600))
    is_in_the_triggerer(runs, name)
    runs.set_state(name, "wait", "failed")
    assert runs.end(name) == "failed"
    wait_until(lambda: "no cancel" in runs.log(name, "wait"))
    finish_tasks(runs.gst)
    runs.clear(name, "wait")
    runs.everything_is_known(name)
    assert runs.resets(name) == 1


def test_a_wait_marked_success_leaves_the_result_to_a_cleared_wait(story: Story):
    runs, name = Runs.of(story), "marked success"
    runs.start(name, Case(task_seconds=3600))
    is_in_the_triggerer(runs, name)
    runs.set_state(name, "wait", "success")
    assert runs.end(name) == "failed"
    assert "reference id is empty" in runs.error(name, "result")
    finish_tasks(runs.gst)
    runs.clear(name, "wait")
    runs.everything_is_known(name)
    assert runs.resets(name) == 1


def test_a_cleared_reset_is_not_sent_again_and_says_so(story: Story):
    runs, name = Runs.of(story), "cleared"
    runs.start(name, Case(task_seconds=3600))
    runs.wait_for(name, "wait", "deferred")
    finish_tasks(runs.gst)
    assert runs.end(name) == "success"
    runs.clear(name, "reset")
    runs.everything_is_known(name)
    assert (runs.resets(name), runs.states(name)["reset"]) == (1, ("success", 2))
    assert "This task was cleared, but its reset is NOT sent again" in runs.log(name, "reset", 2)


def test_a_cleared_reset_sends_what_is_not_at_no_action_if_a_person_forces_it(story: Story):
    runs, name = Runs.of(story), "forced"
    runs.start(name, Case(conf={"force": True}))
    runs.everything_is_known(name)
    assert runs.resets(name) == 1
    gst = runs.gst
    [one, *_] = [each for each in gst.state()["documents"] if each["rtin"] == runs.rtin(name)]
    gst.add_documents([{**one, "status": "A"}])  # accepted once more on the portal
    runs.clear(name, "reset")
    runs.everything_is_known(name)
    assert runs.resets(name) == 2
    assert runs.summary(name)["found_at_no_action"] == DOCUMENTS - 1


def test_two_runs_for_one_taxpayer_take_turns(story: Story):
    runs, names = Runs.of(story), ("one", "other")
    runs.start("one", Case(task_seconds=3600))
    rtin = runs.rtin("one")
    runs.start("other", Case(), rtin=rtin)
    both = [runs.of_airflow(name)[:2] for name in names]
    deferred = StateChange("reset", -1, "deferred")
    wait_until(lambda: any(deferred in story.airflow.task_states(*run) for run in both))
    assert runs.gst.counters(rtin)["reset_calls"] > 1
    assert runs.resets("one") == 1, "the other was refused while it ran"
    finish_tasks(runs.gst)
    assert {runs.end(name) for name in names} == {"success"}
    assert {runs.summary(name)["outcome"] for name in names} == {"processed"}
    assert runs.resets("one") == 2
    assert {runs.states(name)["reset"] for name in names} == {("success", 1)}


def test_each_accepted_reset_has_one_audit_record_with_its_outcome(runs):
    for name in CASES:
        runs.end(name)
    for name in ("killed after the reference id", "503 while waiting and reading"):
        runs.has_one_audit_record(name)
    [(file, record)] = runs.audit_records("lost reply, fail")
    assert file.endswith(".sending.jsonl")
    assert record["outcome"] == "unknown"
    everything = "".join(file.read_text() for file in runs.audit.rglob("*") if file.is_file())
    assert "simulator-password" not in everything


class TestTwentyWaits:
    @pytest.fixture
    def twenty(self, quiet: None, airflow: AirflowStack, simulator: SimulatorServer, tmp_path: Path) -> Runs:
        forget_sessions(airflow)
        runs = Runs(airflow, simulator.gst, tmp_path)
        for number in range(20):
            runs.start(f"wait {number}", Case(task_seconds=3600))
        for number in range(20):
            runs.wait_for(f"wait {number}", "wait", "deferred")
        return runs

    def test_survive_the_death_of_the_triggerer_and_of_the_scheduler(self, twenty, airflow):
        polls = twenty.gst.counters()["status_calls"]
        airflow.kill("triggerer")
        airflow.start("triggerer")
        wait_until(lambda: twenty.gst.counters()["status_calls"] >= polls + 20)
        airflow.kill("scheduler")
        twenty.gst.advance(3600)
        airflow.start("scheduler")
        for number in range(20):
            name = f"wait {number}"
            twenty.everything_is_known(name)
            assert twenty.resets(name) == 1
            assert twenty.states(name)["wait"] == ("success", 1)
