"""
Nothing lost, nothing sent twice: faults on a real Airflow with PostgreSQL.

The runs of :data:`CASES` are started together, each with a taxpayer of its own, and go on while the first test has the
service down for two minutes; the tests then look at how each ended. What was sent is read from the simulator's
counters, which count by taxpayer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import Fault, NextTask
from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.stack import AirflowStack
from tests.conftest import SAMPLE_FILE
from tests.e2e.conftest import forget_sessions, wait_until

DOCUMENTS = 8  # in the sample
OUTAGE_SECONDS = 120


@dataclass
class Case:
    """A run and the faults that it meets."""

    dag_id: str = "durable_fail"
    conf: dict[str, Any] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)
    task_seconds: float = 6


LOST_REPLY = [{"call": "reset", "kind": "drop_after"}]

CASES = {
    "killed before the intent": Case(conf={"dies": "before the intent"}),
    "killed before the request, fail": Case(conf={"dies": "before the request"}),
    "killed before the request, reconcile": Case("durable_reconcile", conf={"dies": "before the request"}),
    "killed after the request, fail": Case(conf={"dies": "after the request"}),
    "killed after the request, reconcile": Case("durable_reconcile", conf={"dies": "after the request"}),
    "killed after the reference id": Case(conf={"dies": "after the reference id"}),
    "lost reply, fail": Case(faults=LOST_REPLY),
    "lost reply, resubmit": Case("durable_resubmit", faults=LOST_REPLY),
    "lost reply, reconcile": Case("durable_reconcile", faults=LOST_REPLY),
    "lost reply, reconcile while it runs": Case("durable_reconcile", faults=LOST_REPLY, task_seconds=25),
    "503 while sending, fail": Case(faults=[{"call": "reset", "kind": "http"}]),
    "503 while sending, reconcile": Case("durable_reconcile", faults=[{"call": "reset", "kind": "http", "times": 2}]),
    "503 while waiting and reading": Case(
        faults=[{"call": "status", "kind": "http", "times": 4}, {"call": "result", "kind": "http", "times": 2}]
    ),
    "deadline": Case("durable_deadline", task_seconds=3600),
    "marked failed": Case(task_seconds=3600),
    "marked success": Case(task_seconds=3600),
    "cleared": Case(task_seconds=40),
    "forced": Case(conf={"force": True}),
}
IN_THE_WAY, BUSY = "in the way", "busy"


class Runs:
    """The runs of all cases, and what the tests ask about them."""

    def __init__(self, airflow: AirflowStack, gst: Gst, folder: Path) -> None:
        self.airflow = airflow
        self.gst = gst
        self.folder = folder
        self.audit = folder / "audit"
        self._runs: dict[str, tuple[str, str, str]] = {}

    def start(self, name: str, case: Case, rtin: str | None = None, **conf: Any) -> None:
        rtin = rtin or f"{len(self._runs) + 1:02d}MAYAS0100J1ZX"
        number = len(self._runs)
        payload = json.loads(SAMPLE_FILE.read_text())
        payload["rtin"] = rtin
        for section in payload["invdata"].values():
            for document in section:
                document["nt_num" if "nt_num" in document else "inum"] = f"D-{number}"
        file = self.folder / f"{number}.json"
        file.write_text(json.dumps(payload))
        self.gst.open_session(rtin)
        self.gst.add_next_task(NextTask(gstin=rtin, task_seconds=case.task_seconds))
        for fault in case.faults:
            self.gst.add_fault(Fault(gstin=rtin, **fault))
        conf = {"payload": str(file), "audit_path": str(self.audit), **case.conf, **conf}
        self._runs[name] = case.dag_id, self.airflow.trigger_dag(case.dag_id, conf), rtin

    def rtin(self, name: str) -> str:
        return self._runs[name][2]

    def resets(self, name: str) -> int:
        """How many resets of the taxpayer the service accepted."""
        return self.gst.counters(self.rtin(name))["resets"]

    def end(self, name: str) -> str:
        dag_id, run_id, _ = self._runs[name]
        return self.airflow.wait_for_run(dag_id, run_id, timeout=240)

    def states(self, name: str) -> dict[str, tuple[str, int]]:
        """Each task's state and number of tries."""
        dag_id, run_id, _ = self._runs[name]
        return {
            task["task_id"]: (task["state"], task["try_number"]) for task in self.airflow.task_instances(dag_id, run_id)
        }

    def error(self, name: str, task_id: str, try_number: int = 1) -> str:
        return str(self.airflow.task_error(*self._runs[name][:2], task_id, try_number))

    def log(self, name: str, task_id: str, try_number: int = 1) -> str:
        return self.airflow.task_log(*self._runs[name][:2], task_id, try_number)

    def story(self, name: str) -> str:
        """What went wrong in each try of each task that failed."""
        tries = ((task, number) for task, (_, last) in self.states(name).items() for number in range(1, last + 1))
        return "\n".join(f"{task}, try {number}: {self.error(name, task, number)}" for task, number in tries)

    def summary(self, name: str) -> dict[str, Any]:
        return self.airflow.xcom(*self._runs[name][:2], "result")

    def reset_documents(self, name: str) -> int:
        """How many documents of the taxpayer GSTN holds at no action."""
        documents = self.gst.state()["documents"]
        return sum(1 for document in documents if (document["rtin"], document["status"]) == (self.rtin(name), "N"))

    def wait_for(self, name: str, task_id: str, state: str) -> None:
        self.airflow.wait_for_state(*self._runs[name][:2], task_id, state, timeout=120)

    def set_state(self, name: str, task_id: str, state: str) -> None:
        dag_id, run_id, _ = self._runs[name]
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.airflow.patch(path, {"new_state": state})

    def clear(self, name: str, *task_ids: str) -> None:
        dag_id, run_id, _ = self._runs[name]
        order = {"dry_run": False, "dag_run_id": run_id, "task_ids": task_ids, "include_downstream": True}
        order |= {"only_failed": False, "reset_dag_runs": True}
        self.airflow.post(f"dags/{dag_id}/clearTaskInstances", order)

    def everything_is_known(self, name: str) -> None:
        """Assert that the run ended well and says of each document that it is reset, which GSTN confirms."""
        assert self.end(name) == "success", self.story(name)
        summary = self.summary(name)
        assert summary["outcome"] == "processed"
        assert sum(count["reset"] for count in summary["sections"].values()) == DOCUMENTS
        assert self.reset_documents(name) == DOCUMENTS

    def is_left_to_a_person(self, name: str, try_number: int = 1) -> None:
        """Assert that the reset task failed at once, sent nothing more, and named what to check."""
        assert self.end(name) == "failed"
        assert self.states(name)["reset"] == ("failed", try_number)
        error = self.error(name, "reset", try_number)
        assert error.startswith("GstnAmbiguousSubmission")
        assert self.rtin(name) in error


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorServer]:
    """A service of its own that will be down for a while."""
    server = SimulatorServer()
    with server:
        yield server


@pytest.fixture(scope="module")
def runs(busy_airflow: AirflowStack, _busy_server: SimulatorServer, outage: SimulatorServer, tmp_path_factory) -> Runs:
    gst = _busy_server.gst
    gst.reset()
    forget_sessions(busy_airflow)
    connection = outage.connection
    busy_airflow.post(
        "connections", {**connection, "connection_id": "gstn_outage", "extra": json.dumps(connection["extra"])}
    )
    runs = Runs(busy_airflow, gst, tmp_path_factory.mktemp("faults"))
    for name, case in CASES.items():
        runs.start(name, case)
    runs.start(IN_THE_WAY, Case(task_seconds=30))
    runs.start(BUSY, Case(task_seconds=30), rtin=runs.rtin(IN_THE_WAY))
    return runs


def test_the_service_is_down_for_two_minutes_while_tasks_wait(runs, outage, busy_airflow):
    # The time is real: that the tasks get over two minutes is what the reader of this wants to know. Meanwhile the
    # other cases run.
    other = Runs(busy_airflow, outage.gst, runs.folder)
    names = ["outage 1", "outage 2", "outage 3"]
    for name in names:
        other.start(name, Case(task_seconds=60), gstn_conn_id="gstn_outage")
    for name in names:
        other.wait_for(name, "wait", "deferred")
    # Left and entered again: down, with all that it knows, then up on the same port.
    outage.__exit__(None, None, None)
    time.sleep(OUTAGE_SECONDS)
    outage.__enter__()
    for name in names:
        other.everything_is_known(name)
        assert other.resets(name) == 1
        assert other.states(name)["wait"] == ("success", 1)
    assert "GstnServiceUnavailable" not in other.error(names[0], "wait")


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


def test_a_token_revoked_while_waiting_is_renewed(runs):
    name = "token revoked"
    runs.start(name, Case(task_seconds=20))
    runs.wait_for(name, "wait", "deferred")
    logins = runs.gst.counters()["logins"]
    runs.gst.add_fault(Fault(gstin=runs.rtin(name), call="status", kind="expire_token"))
    runs.everything_is_known(name)
    assert runs.gst.counters()["logins"] > logins
    assert (runs.resets(name), runs.states(name)["wait"]) == (1, ("success", 1))


def test_odd_text_of_the_service_ends_one_wait_and_no_triggerer(runs):
    # NUL and half a surrogate pair in a trigger's event: PostgreSQL takes neither, and the triggerer would die of it.
    name = "odd text"
    runs.start(name, Case(task_seconds=3600))
    runs.wait_for(name, "wait", "deferred")
    runs.gst.add_fault(Fault(gstin=runs.rtin(name), call="status", kind="odd_text", code="AUTH4033"))
    assert runs.end(name) == "failed"
    assert runs.states(name)["wait"] == ("failed", 1)
    error = runs.error(name, "wait")
    assert error.startswith("GstnSessionExpired")
    assert "refused\ufffd" in error
    finish_tasks_of(runs, name)
    runs.clear(name, "wait")
    runs.everything_is_known(name)
    assert runs.resets(name) == 1


def test_a_deadline_reached_with_retries_left_is_not_tried_again(runs):
    name = "deadline"
    assert runs.end(name) == "failed"
    assert runs.states(name)["wait"] == ("failed", 1)
    assert runs.error(name, "wait").startswith("AirflowSensorTimeout")
    assert runs.resets(name) == 1


def test_a_wait_marked_failed_names_the_task_and_can_be_cleared(runs):
    name = "marked failed"
    runs.wait_for(name, "wait", "deferred")
    runs.set_state(name, "wait", "failed")
    assert runs.end(name) == "failed"
    wait_until(lambda: "no cancel" in runs.log(name, "wait"))
    finish_tasks_of(runs, name)
    runs.clear(name, "wait")
    runs.everything_is_known(name)
    assert runs.resets(name) == 1


def test_a_wait_marked_success_leaves_the_result_to_a_cleared_wait(runs):
    name = "marked success"
    runs.wait_for(name, "wait", "deferred")
    runs.set_state(name, "wait", "success")
    assert runs.end(name) == "failed"
    assert "reference id is empty" in runs.error(name, "result")
    finish_tasks_of(runs, name)
    runs.clear(name, "wait")
    runs.everything_is_known(name)
    assert runs.resets(name) == 1


def finish_tasks_of(runs: Runs, name: str) -> None:
    for task in runs.gst._tasks._tasks.values():
        if task.gstin == runs.rtin(name):
            task.ready_at = 0


def test_a_cleared_reset_is_not_sent_again_and_says_so(runs):
    name = "cleared"
    assert runs.end(name) == "success"
    runs.clear(name, "reset")
    runs.everything_is_known(name)
    assert (runs.resets(name), runs.states(name)["reset"]) == (1, ("success", 2))
    assert "This task was cleared, but its reset is NOT sent again" in runs.log(name, "reset", 2)


def test_a_cleared_reset_sends_what_is_not_at_no_action_if_a_person_forces_it(runs):
    name = "forced"
    runs.everything_is_known(name)
    assert runs.resets(name) == 1
    gst = runs.gst
    [one, *_] = [each for each in gst.state()["documents"] if each["rtin"] == runs.rtin(name)]
    gst.add_documents([{**one, "status": "A"}])  # accepted once more on the portal
    runs.clear(name, "reset")
    runs.everything_is_known(name)
    assert runs.resets(name) == 2
    assert runs.summary(name)["found_at_no_action"] == DOCUMENTS - 1


def test_two_runs_for_one_taxpayer_take_turns(runs):
    assert {runs.end(IN_THE_WAY), runs.end(BUSY)} == {"success"}
    assert {runs.summary(name)["outcome"] for name in (IN_THE_WAY, BUSY)} == {"processed"}
    calls = runs.gst.counters(runs.rtin(BUSY))
    assert calls["resets"] == 2
    assert calls["reset_calls"] > 2, "one of them was refused while the other ran"
    assert {runs.states(name)["reset"] for name in (IN_THE_WAY, BUSY)} == {("success", 1)}


def test_each_accepted_reset_has_one_audit_record_with_its_outcome(runs):
    records = {}
    for file in runs.audit.glob("*.jsonl"):
        [line] = file.read_text().splitlines()
        record = json.loads(line)
        records.setdefault(record["rtin"], []).append((file.name, record))
    for name in ("killed after the reference id", "503 while waiting and reading", "token revoked"):
        [(file, record)] = records[runs.rtin(name)]
        assert file == f"{record['reference_id']}.jsonl"
        assert (record["outcome"], record["documents"]) == ("processed", DOCUMENTS)
    [(file, record)] = records[runs.rtin("lost reply, fail")]
    assert file.endswith(".sending.jsonl")
    assert record["outcome"] == "unknown"
    everything = "".join(file.read_text() for file in runs.audit.iterdir())
    assert "simulator-password" not in everything


class TestTwentyWaits:
    @pytest.fixture
    def twenty(self, busy_airflow: AirflowStack, busy_simulator: SimulatorServer, tmp_path: Path) -> Runs:
        forget_sessions(busy_airflow)
        runs = Runs(busy_airflow, busy_simulator.gst, tmp_path)
        for number in range(20):
            runs.start(f"wait {number}", Case(task_seconds=3600))
        for number in range(20):
            runs.wait_for(f"wait {number}", "wait", "deferred")
        return runs

    def test_survive_the_death_of_the_triggerer_and_of_the_scheduler(self, twenty, busy_airflow):
        polls = twenty.gst.counters()["status_calls"]
        busy_airflow.kill("triggerer")
        busy_airflow.start("triggerer")
        wait_until(lambda: twenty.gst.counters()["status_calls"] >= polls + 20, seconds=120)
        busy_airflow.kill("scheduler")
        twenty.gst.advance(3600)
        busy_airflow.start("scheduler")
        for number in range(20):
            name = f"wait {number}"
            twenty.everything_is_known(name)
            assert twenty.resets(name) == 1
            assert twenty.states(name)["wait"] == ("success", 1)
