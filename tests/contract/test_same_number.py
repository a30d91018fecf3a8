"""Documents of one supplier, number and period that differ in their date alone, over real HTTP."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims._compat import TaskDeferred
from airflow_provider_ims.exceptions import GstnResetPartial
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from tests.unit.builders import document, request

RTIN = "20MAYAS0100J1ZX"
STIN = "24MAYAS0100J1JD"
MARCH, APRIL = "20-03-2025", "05-04-2025"
REQUEST = request(RTIN, b2b=[document(stin=STIN, rtnprd="042025", idt=day) for day in (MARCH, APRIL)])


class Store(dict):
    """Airflow's task state store."""

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        del self[key]


@pytest.fixture
def hold(simulator):
    """What GSTN holds for the two documents, or for one of them."""
    simulator.gst.open_session(RTIN)

    def add(**statuses: str) -> None:
        held = {"rtin": RTIN, "section": "b2b", "stin": STIN, "number": "INV-1", "rtnprd": "042025"}
        days = {"march": MARCH, "april": APRIL}
        simulator.gst.add_documents([{**held, "date": days[day], "status": status} for day, status in statuses.items()])

    return add


@pytest.fixture
def run_exchange(simulator):
    """Run an operator as Airflow does: each process its own, each wait in the triggerer."""
    store, xcom = Store(), {}

    def push(key: str, value: Any) -> None:
        xcom.update(value)

    def run(operator: type, **arguments: Any) -> Any:
        context = {"ti": SimpleNamespace(try_number=1, max_tries=0, xcom_push=push), "task_state_store": store}
        method, kwargs = "execute", {}
        while True:
            task = operator(task_id="task", deferrable=True, **arguments)
            try:
                return getattr(task, method)(context, **kwargs)
            except GstnResetPartial as error:
                return str(error), xcom
            except TaskDeferred as waiting:
                _, trigger = waiting.trigger.serialize()
                simulator.finish_tasks()
                event = {"status": "completed", "reference_id": trigger.get("reference_id", "")}
                method, kwargs = waiting.method_name, {**waiting.kwargs, "event": event}

    return run


def held(simulator: Any) -> dict[str, str]:
    return {each["date"]: each["status"] for each in simulator.gst.state()["documents"]}


def reset(run_exchange: Any, simulator: Any, **arguments: Any) -> str:
    reference_id: str = run_exchange(ImsResetOperator, payload=REQUEST, **arguments)
    simulator.finish_tasks()
    return reference_id


def test_are_both_reset_in_one_request(simulator, hold, run_exchange):
    hold(march="A", april="A")
    summary = run_exchange(ImsResultOperator, reference_id=reset(run_exchange, simulator), payload=REQUEST)
    assert summary["sections"]["b2b"] == {"sent": 2, "reset": 2, "refused": 0, "unknown": 0}
    assert held(simulator) == {MARCH: "N", APRIL: "N"}


def test_the_one_at_no_action_does_not_stand_for_the_other(simulator, hold, run_exchange):
    hold(march="N", april="A")
    simulator.fault("reset", "drop_before")
    reference_id = reset(run_exchange, simulator, on_ambiguous="reconcile", settle_time=0)
    assert simulator["resets"] == 1
    assert held(simulator) == {MARCH: "N", APRIL: "N"}
    summary = run_exchange(ImsResultOperator, reference_id=reference_id, payload=REQUEST)
    assert (summary["outcome"], summary["found_at_no_action"], summary["processed"]) == ("processed", 1, 1)


def test_are_both_unknown_if_one_is_refused(simulator, hold, run_exchange, tmp_path: Path):
    hold(march="R", april="A")
    paths = {"output_path": str(tmp_path / "out"), "audit_path": str(tmp_path / "audit")}
    reference_id = reset(run_exchange, simulator, audit_path=paths["audit_path"])
    _, summary = run_exchange(ImsResultOperator, reference_id=reference_id, payload=REQUEST, **paths)
    assert summary["sections"]["b2b"] == {"sent": 2, "reset": 0, "refused": 0, "unknown": 2}
    [row] = csv.DictReader(Path(summary["refused_path"]).read_text().splitlines())
    assert (row["number"], row["date"], row["rtnprd"]) == ("INV-1", "", "042025")
    record = json.loads((tmp_path / "audit" / f"{reference_id}.jsonl").read_text())
    assert {each["date"] for each in record["unknown"]} == {MARCH, APRIL}
    assert (summary["simulator"], record["simulator"]) == (True, True)


def test_are_both_refused_if_both_are(simulator, hold, run_exchange, tmp_path: Path):
    hold(march="R", april="R")
    reference_id = reset(run_exchange, simulator)
    _, summary = run_exchange(
        ImsResultOperator, reference_id=reference_id, payload=REQUEST, output_path=str(tmp_path), on_partial="fail"
    )
    assert summary["sections"]["b2b"] == {"sent": 2, "reset": 0, "refused": 2, "unknown": 0}
    rows = list(csv.DictReader(Path(summary["refused_path"]).read_text().splitlines()))
    assert [row["date"] for row in rows] == [MARCH, APRIL]
