"""What a person approves is what is planned, whatever is found or cleared meanwhile."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowSkipException, TaskAwaitingInput
from airflow_provider_ims.exceptions import GstnInvalidPayload, GstnInvalidRequest
from airflow_provider_ims.operators.approval import ImsApprovalOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from tests.unit.matching.builders import RTIN, booking, document, matched

WHEN = datetime(2026, 11, 16, 12, tzinfo=UTC)


class Person:
    """Somebody who answers Airflow's page; what the task pushed to XCom outlives its wait, as in Airflow."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.xcom: dict[str, Any] = {}

    def ask(self, found: Any, **arguments: Any) -> None:
        with pytest.raises(TaskAwaitingInput):
            self._task(found, **arguments).execute(self._context())

    def answer(self, choice: str, found: Any = None, map_index: int = 0) -> Any:
        user = {"id": "7", "name": "meera"}
        event = {"chosen_options": [choice], "params_input": {}, "responded_at": WHEN, "responded_by_user": user}
        return self._task(found).execute_complete(self._context(map_index), event)

    def approve(self, found: Any) -> Any:
        self.ask(found)
        return self.answer("Approve", found)

    @staticmethod
    def _task(found: Any, **arguments: Any) -> ImsApprovalOperator:
        return ImsApprovalOperator(task_id="approve", reconciliation=found, **arguments)

    def _context(self, map_index: int = -1) -> Any:
        instance = SimpleNamespace(
            id="ti-1",
            map_index=map_index,
            xcom_push=lambda key, value: self.xcom.update({key: value}),
            xcom_pull=lambda key, **which: self.xcom.get(key),
        )
        return {"ti": instance, "task_instance": instance, "task": SimpleNamespace()}


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Person:
    person = Person()
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **shown: person.shown.append(shown)
    )
    return person


def reconciled(folder: Path, *numbers: str, taken_at: datetime | None = None) -> dict[str, Any]:
    """What a reconciliation returns whose resets are these documents; one that was there before is gone."""
    folder.mkdir(exist_ok=True)
    result = matched(folder, list(map(document, numbers)), list(map(booking, numbers)))
    paths = {"resets_path": str(result.folder / "resets.parquet"), "review_path": "review.csv"}
    return {**result.summary, **paths, "taken_at": (taken_at or datetime.now(UTC)).isoformat()}


def plan(source: Any, folder: Path, **arguments: Any) -> list[dict[str, Any]]:
    return ImsPlanOperator(task_id="plan", source=source, output_path=str(folder / "plan"), **arguments).execute({})


def test_what_was_approved_is_planned_and_who_approved_it_is_in_the_log(person, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(ImsPlanOperator, "log", logging.getLogger("task"))
    caplog.set_level(logging.INFO)
    found = reconciled(tmp_path / "one", "INV/1", "INV/2")
    approved = person.approve(found)
    [shown] = person.shown
    assert shown["subject"].startswith("IMS: put 2 documents")
    assert found["resets_digest"][:12] in shown["body"]
    assert [entry["documents"] for entry in plan(approved, tmp_path)] == [2]
    assert f"Approved by meera, {WHEN}: {found['resets_path']}" in caplog.text


def test_resets_that_were_found_anew_after_the_approval_are_not_planned(person, tmp_path):
    folder = tmp_path / "one"
    approved = person.approve(reconciled(folder, "INV/1"))
    reconciled(folder, "INV/1", "INV/2")
    with pytest.raises(GstnInvalidPayload, match="is not the one that was decided on") as told:
        plan(approved, tmp_path)
    assert "Clear the task that source comes from (an approval is asked for again)" in str(told.value)
    assert not (tmp_path / "plan" / "plan.json").exists()
    # The same again is the same.
    reconciled(folder, "INV/1")
    assert plan(approved, tmp_path)[0]["documents"] == 1


def test_an_answer_is_to_what_was_shown_and_not_to_what_was_found_since(person, tmp_path):
    folder = tmp_path / "one"
    person.ask(reconciled(folder, "INV/1"))
    # The reconciliation alone is cleared while the person reads.
    approved = person.answer("Approve", reconciled(folder, "INV/1", "INV/2"))
    with pytest.raises(GstnInvalidPayload, match="is not the one that was decided on"):
        plan(approved, tmp_path)


def test_what_a_reconciliation_returned_is_planned_without_an_approval_and_no_other(tmp_path):
    folder = tmp_path / "one"
    found = reconciled(folder, "INV/1")
    assert plan(found, tmp_path)[0]["documents"] == 1
    reconciled(folder, "INV/2")
    with pytest.raises(GstnInvalidPayload, match="is not the one that was decided on"):
        plan(found, tmp_path)


def test_of_several_approvals_those_that_were_rejected_are_left_out(person, tmp_path):
    answers = []
    for number, choice in (("INV/1", "Approve"), ("INV/2", "Reject"), ("INV/3", "Approve")):
        found = reconciled(tmp_path / number[-1], number)
        person.ask(found)
        # Of a mapped task, Airflow's own operator skips nothing that is not mapped.
        answers.append({**person.answer("Approve", found), "chosen_options": [choice]})
    [entry] = plan(answers, tmp_path)
    assert (entry["rtin"], entry["documents"]) == (RTIN, 2)
    with pytest.raises(AirflowSkipException, match="All of it was rejected"):
        plan([answers[1]], tmp_path)


@pytest.mark.parametrize("returned", [None, {}, [{"path": "x"}], {"chosen_options": ["Approve"]}, ["a.parquet", None]])
def test_an_approval_whose_success_was_set_by_hand_approves_nothing(returned, tmp_path):
    task = ImsPlanOperator(task_id="plan", source="{{ of a task }}", output_path=str(tmp_path / "plan"))
    task.source = returned
    with pytest.raises(GstnInvalidRequest, match="source is not what a reconciliation or an approval returned"):
        task.execute({})


def test_nobody_is_asked_about_what_is_no_reconciliation(person):
    for nothing in (None, {"counts": []}, "reconciliation.json"):
        with pytest.raises(GstnInvalidRequest, match="reconciliation is not what"):
            Person._task(nothing).execute({})
    assert not person.shown


def test_an_answer_to_something_that_airflow_has_lost_approves_nothing(person, tmp_path):
    person.ask(reconciled(tmp_path / "one", "INV/1"))
    person.xcom.clear()
    with pytest.raises(GstnInvalidRequest, match="nobody knows what was answered"):
        person.answer("Approve")


def test_fields_of_a_users_own_are_asked_for_as_airflow_does(person, tmp_path):
    person.ask(reconciled(tmp_path / "one", "INV/1"), params={"why": "because"})
    assert "why" in person.shown[0]["params"]


def test_what_was_found_long_ago_is_not_planned_when_somebody_clears_all_that_ever_failed(person, tmp_path):
    old = reconciled(tmp_path / "old", "INV/1", taken_at=datetime.now(UTC) - timedelta(hours=50))
    new = reconciled(tmp_path / "new", "INV/2", taken_at=datetime.now(UTC) - timedelta(hours=40))
    approved = person.approve([new, old])
    with pytest.raises(
        GstnInvalidRequest, match=r"found 2\.1 days ago, and at most 2\.0 days is allowed \(max_age\)"
    ) as told:
        plan(approved, tmp_path)
    assert old["resets_path"] in str(told.value)
    assert plan(new, tmp_path)[0]["documents"] == 1
    assert plan(approved, tmp_path, max_age=None)[0]["documents"] == 2
