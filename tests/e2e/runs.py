"""Resets that meet faults, and what became of them; read by tests/e2e/test_faults.py."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import InjectedFault, NextTask
from local_airflow.stack import AirflowStack
from tests.conftest import SAMPLE_FILE
from tests.e2e.stories import Story, heard_of, wait_until

DOCUMENTS = 8  # in the sample
LOG_TAIL = 1500  # characters of a try that ended without an exception


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
        faults=[{"call": "status", "kind": "http", "times": 4}, {"call": "result", "kind": "http", "times": 2}],
        task_seconds=25,  # so that a busy scheduler has heard in time that the wait has deferred
    ),
    "deadline": Case("durable_deadline", task_seconds=3600),
}


class Runs:
    """Some runs, each with a taxpayer of its own, and what the tests ask about them."""

    def __init__(self, airflow: AirflowStack, gst: Gst, folder: Path, conn_id: str = "gstn_default") -> None:
        self.airflow = airflow
        self.gst = gst
        self.folder = folder
        self.conn_id = conn_id
        self.audit = folder / "audit"
        self._runs: dict[str, tuple[str, str, str]] = {}

    @classmethod
    def of(cls, story: Story) -> Runs:
        """Return the runs of a story, none so far."""
        return cls(story.airflow, story.gst, story.folder, story.conn_id)

    @classmethod
    def of_all_cases(cls, story: Story) -> Runs:
        """Start the runs of all cases."""
        runs = cls.of(story)
        for name, case in CASES.items():
            runs.start(name, case)
        return runs

    def start(self, name: str, case: Case, rtin: str | None = None) -> None:
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
            self.gst.add_fault(InjectedFault(gstin=rtin, **fault))
        conf = {"payload": str(file), "audit_path": str(self.audit), "gstn_conn_id": self.conn_id, **case.conf}
        self._runs[name] = case.dag_id, self.airflow.trigger_dag(case.dag_id, conf), rtin

    def of_airflow(self, name: str) -> tuple[str, str, str]:
        """Return the ids of the DAG and of the run, and the taxpayer."""
        return self._runs[name]

    def rtin(self, name: str) -> str:
        return self._runs[name][2]

    def resets(self, name: str) -> int:
        """How many resets of the taxpayer the service accepted."""
        return self.gst.counters(self.rtin(name))["resets"]

    def end(self, name: str) -> str:
        dag_id, run_id, _ = self._runs[name]
        return self.airflow.wait_for_run(dag_id, run_id)

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
        """How each task ended, what each try said at its end, and what Airflow's components say of the run."""
        dag_id, run_id, _ = self._runs[name]
        lines = []
        for task, (state, last) in self.states(name).items():
            lines.append(f"{task}: {state}")
            for number in range(1, last + 1):
                said = self.error(name, task, number) or self.log(name, task, number)[-LOG_TAIL:]
                lines.append(f"{task}, try {number}: {said}")
        lines += self.airflow.component_log_lines(run_id)
        events = self.airflow.get("eventLogs", dag_id=dag_id, run_id=run_id)["event_logs"]
        lines += [f"{event['when']} {event['event']} {event['task_id']}: {event['extra']}" for event in events]
        return "\n".join(lines)

    def summary(self, name: str) -> dict[str, Any]:
        return self.airflow.xcom(*self._runs[name][:2], "result")

    def reset_documents(self, name: str) -> int:
        """How many documents of the taxpayer GSTN holds at no action."""
        documents = self.gst.state()["documents"]
        return sum(1 for document in documents if (document["rtin"], document["status"]) == (self.rtin(name), "N"))

    def wait_for(self, name: str, task_id: str, state: str) -> None:
        dag_id, run_id, _ = self._runs[name]
        self.airflow.wait_for_state(dag_id, run_id, task_id, state)
        if state == "deferred":  # what goes on before the scheduler has heard of it, Airflow takes for lost
            heard = heard_of(dag_id, run_id, task_id)
            wait_until(lambda: bool(self.airflow.component_log_lines(heard, limit=1)))

    def set_state(self, name: str, task_id: str, state: str) -> None:
        dag_id, run_id, _ = self._runs[name]
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.airflow.patch(path, {"new_state": state})

    def clear(self, name: str, *task_ids: str) -> None:
        dag_id, run_id, _ = self._runs[name]
        order = {"dry_run": False, "dag_run_id": run_id, "task_ids": task_ids, "include_downstream": True}
        order |= {"only_failed": False, "reset_dag_runs": True}
        self.airflow.post(f"dags/{dag_id}/clearTaskInstances", order)

    def audit_records(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """Each audit record of the taxpayer, with the name of its file."""
        records = []
        for file in self.audit.glob("*.jsonl"):
            [line] = file.read_text().splitlines()
            if (record := json.loads(line))["rtin"] == self.rtin(name):
                records.append((file.name, record))
        return records

    def has_one_audit_record(self, name: str) -> None:
        """Assert that the taxpayer has one audit record, with the outcome of the reset."""
        [(file, record)] = self.audit_records(name)
        assert file == f"{record['reference_id']}.jsonl"
        assert (record["outcome"], record["documents"]) == ("processed", DOCUMENTS)

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
