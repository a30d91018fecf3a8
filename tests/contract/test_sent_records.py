"""What was sent is kept beside the planned request: whoever meets the file knows."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowFailException
from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnBusy,
    GstnInvalidRequest,
    GstnPermanentError,
    GstnResetFailed,
    GstnTransientError,
)
from airflow_provider_ims.operators import bulk as operator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.storage import CannotRead, CannotWrite
from airflow_provider_ims.submissions import sent_records
from tests.contract.task_instance import (
    ALL,
    CHUNKS,
    RTIN,
    STIN,
    Killed,
    TaskInstance,
    bulk,
    held,
    outcomes,
    planned,
    record,
    rows,
    three_requests,
)
from tests.unit.builders import document, request

OTHER_RTIN = "27MAYAS0100J1ZX"


@pytest.fixture(autouse=True)
def one_clock(simulator, monkeypatch, no_jitter) -> None:
    monkeypatch.setattr(operator, "BulkReset", partial(operator.BulkReset, clock=simulator.gst.clock.now))
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    for rtin in (RTIN, OTHER_RTIN):
        simulator.gst.open_session(rtin)


@pytest.fixture
def entry(tmp_path: Path) -> dict[str, Any]:
    return three_requests(tmp_path)


@pytest.fixture
def sent(simulator, monkeypatch) -> list[list[str]]:
    """The documents of each reset."""
    requests: list[list[str]] = []
    submit = simulator.gst.submit_reset

    def note(org: str, gstin: str, body: Any) -> str:
        reference_id = submit(org, gstin, body)
        requests.append([invoice["inum"] for invoice in body["invdata"]["b2b"]])
        return reference_id

    monkeypatch.setattr(simulator.gst, "submit_reset", note)
    return requests


def test_a_record_says_what_was_sent_by_whom_and_what_came_of_it(simulator, entry, tmp_path):
    bulk(simulator, entry, map_index=4).attempt()
    told = record(tmp_path, 2)
    assert (told["phase"], told["bulk"]["sha256"]) == ("ended", entry["chunks"][1]["sha256"])
    assert told["who"] == {"dag_id": "ims", "run_id": "run-1", "task_id": "reset", "map_index": 4}
    assert told["reference_id"] == rows(tmp_path)[2]["reference_id"]
    assert len(told["fingerprint"]) == 64
    assert told["when"].startswith("20")


def test_it_is_there_before_the_request_goes_out(simulator, entry, tmp_path, monkeypatch):
    seen = []
    submit = simulator.gst.submit_reset

    def look(org: str, gstin: str, body: Any) -> str:
        seen.append(record(tmp_path, len(seen) + 1)["phase"])
        return submit(org, gstin, body)

    monkeypatch.setattr(simulator.gst, "submit_reset", look)
    bulk(simulator, entry).attempt()
    assert seen == ["intent"] * CHUNKS


class TestAnotherTaskInstance:
    """Its map index has shifted, it is of another run, or there is no task state at all."""

    @pytest.fixture(params=["shifted", "another run", "below 3.3"])
    def other(self, request, simulator, entry) -> TaskInstance:
        changes = {"shifted": {"map_index": 1}, "another run": {"run_id": "run-2"}, "below 3.3": {"store": None}}
        return bulk(simulator, entry, **changes[request.param])

    def test_reports_what_has_ended_as_it_was(self, simulator, entry, tmp_path, other):
        bulk(simulator, entry, map_index=0).attempt()
        before = rows(tmp_path)
        assert other.attempt()["outcome"] == "processed"
        assert (simulator["resets"], rows(tmp_path)) == (CHUNKS, before)

    def test_goes_on_with_what_runs(self, simulator, entry, tmp_path, other):
        first = bulk(simulator, entry, map_index=0)
        first.store.dies_at = ("after", f"ims_reset_{RTIN}_0002", "ended")
        with pytest.raises(Killed):
            first.attempt()
        told = record(tmp_path, 2)
        (tmp_path / RTIN / "0002.sent.json").write_text(
            json.dumps({**told, "phase": "submitted", "outcome": "", "bulk": {**told["bulk"], "counts": {}}})
        )
        assert other.attempt()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS

    def test_treats_what_may_have_been_sent_as_its_policy_says(self, simulator, entry, tmp_path, other):
        first = bulk(simulator, entry, map_index=0)
        simulator.fault("reset", "drop_after")
        with pytest.raises(GstnAmbiguousSubmission):
            first.attempt()
        with pytest.raises(GstnAmbiguousSubmission, match="Sent by: ims run-1 reset"):
            other.attempt()
        assert simulator["resets"] == 1
        assert other.attempt_after_a_clear()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS

    def test_tells_a_refusal_of_the_whole_once_more_and_goes_on_when_cleared(self, simulator, entry, tmp_path, other):
        simulator.next_task(status_cd="ER", err_cd="IMSSAV005")
        with pytest.raises(GstnResetFailed):
            bulk(simulator, entry, map_index=0).attempt()
        with pytest.raises(GstnResetFailed, match="IMSSAV005"):
            other.attempt()
        assert simulator["resets"] == 1
        with pytest.raises(GstnResetFailed, match="4 reset, 2 refused"):
            other.attempt_after_a_clear()
        assert simulator["resets"] == CHUNKS


def test_a_mapped_task_that_gets_another_gstin_does_not_mix_them_up(simulator, entry, tmp_path):
    task = bulk(simulator, entry, map_index=0)
    task.attempt()
    other = planned(tmp_path, [["INV-1a", "INV-9"]], rtin=OTHER_RTIN)
    task.arguments["plan_entry"] = other
    assert task.attempt_after_a_clear()["reset"] == 2
    assert (simulator["resets"], simulator["downloads"]) == (CHUNKS + 1, 0)


class TestAnotherPlanInTheSameFolder:
    def test_sends_only_what_is_not_at_no_action(self, simulator, entry, tmp_path, sent):
        task = bulk(simulator, entry)
        task.attempt()
        sent.clear()
        # The same documents in another order, and two new ones.
        again = planned(
            tmp_path, [["NEW-1", "INV-1a", "INV-1b"], ["INV-2a"], ["INV-2b", "INV-3a"], ["INV-3b", "NEW-2"]]
        )
        task.arguments["plan_entry"] = again
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert sent == [["NEW-1"], ["NEW-2"]]
        assert set(held(simulator).values()) == {"N"}
        assert set(outcomes(tmp_path)) == {*ALL, "NEW-1", "NEW-2"}

    @pytest.mark.parametrize("death", range(1, 30, 3))
    def test_also_if_the_worker_dies_on_the_way(self, simulator, tmp_path, sent, monkeypatch, death):
        bulk(simulator, planned(tmp_path, [["INV-1", "INV-2", "INV-3"]])).attempt()
        sent.clear()
        left = iter(range(death))
        write_whole = sent_records.write_whole

        def mortal(*arguments: Any) -> None:
            if next(left, None) is None:
                monkeypatch.setattr(sent_records, "write_whole", write_whole)
                raise Killed
            write_whole(*arguments)

        monkeypatch.setattr(sent_records, "write_whole", mortal)
        again = planned(tmp_path, [["INV-1"], ["INV-2"], ["INV-3", "NEW"]])
        task = bulk(simulator, again, map_index=7, on_ambiguous="reconcile")
        try:
            task.attempt()
        except Killed:
            task.attempt()
        assert sent == [["NEW"]]
        assert set(outcomes(tmp_path).values()) == {"reset"}

    def test_waits_for_what_is_still_in_flight(self, simulator, tmp_path, sent):
        task = bulk(simulator, planned(tmp_path, [["INV-1", "INV-2"]]))
        simulator.next_task(task_seconds=400)
        simulator.fault("reset", "drop_after")
        with pytest.raises(GstnAmbiguousSubmission):
            task.attempt()
        task.arguments["plan_entry"] = planned(tmp_path, [["INV-2"], ["INV-1", "INV-3"]])
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert sent == [["INV-1", "INV-2"], ["INV-3"]]

    def test_that_cannot_be_noted_calls_no_document_not_sent_that_the_one_before_has_sent(
        self, simulator, entry, tmp_path
    ):
        def fail(call: str) -> None:
            raise GstnTransientError("Airflow is away")

        task = bulk(simulator, entry)
        task.attempt()
        task.arguments["plan_entry"] = planned(tmp_path, [["INV-1a", "NEW-1"], ["INV-2a"]])
        task.store.before_each = fail
        task.max_tries = task.try_number
        with pytest.raises(GstnTransientError, match="3 unknown"):
            task.attempt()
        assert set(outcomes(tmp_path).values()) == {"unknown"}

    def test_a_record_that_cannot_be_read_is_looked_into(self, simulator, entry, tmp_path, sent):
        (tmp_path / RTIN / "0002.sent.json").write_text("{half")
        assert bulk(simulator, entry).attempt()["outcome"] == "processed"
        assert simulator["downloads"] >= CHUNKS

    def test_the_planner_leaves_the_records_and_a_plan_that_comes_out_the_same_is_not_sent_again(
        self, simulator, tmp_path
    ):
        source = tmp_path / "documents.json"
        source.write_text(json.dumps([{"rtin": RTIN, "section": "b2b", **document(stin=STIN, inum="INV-1")}]))

        def plan() -> dict[str, Any]:
            context: Any = {"ti": None}
            [entry] = ImsPlanOperator(task_id="plan", source=str(source), output_path=str(tmp_path / "plan")).execute(
                context
            )
            return entry

        bulk(simulator, plan()).attempt()
        assert bulk(simulator, plan(), map_index=3).attempt()["reset"] == 1
        assert simulator["resets"] == 1


class TestARecordThatCannotBeWritten:
    @pytest.mark.parametrize(
        ("fault", "expected"),
        [(PermissionError("no"), GstnInvalidRequest), (OSError("the disk is away"), GstnTransientError)],
    )
    def test_keeps_the_request_from_being_sent(self, simulator, entry, monkeypatch, fault, expected):
        def fail(path: Any, data: bytes) -> None:
            raise CannotWrite(path, fault)

        task = bulk(simulator, entry)
        with monkeypatch.context() as broken:
            broken.setattr(sent_records, "write_whole", fail)
            with pytest.raises(expected, match=r"0001\.sent\.json"):
                task.attempt()
        assert simulator["reset_calls"] == 0
        assert task.store.values == {}
        assert task.attempt_after_a_clear()["outcome"] == "processed"

    def test_after_the_request_is_written_at_the_next_chance(self, simulator, entry, tmp_path, monkeypatch):
        write_whole = sent_records.write_whole

        def fail(path: Any, data: bytes) -> None:
            if json.loads(data)["phase"] == "submitted":
                raise CannotWrite(path, OSError("the disk is away"))
            write_whole(path, data)

        monkeypatch.setattr(sent_records, "write_whole", fail)
        task = bulk(simulator, entry)
        assert task.attempt()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS
        assert record(tmp_path, 1)["phase"] == "ended"

    def test_that_cannot_be_read_is_not_taken_for_absent(self, simulator, entry, tmp_path, monkeypatch):
        bulk(simulator, entry).attempt()

        def fail(path: Any) -> Any:
            raise CannotRead(path, OSError("the store is away"))

        monkeypatch.setattr(sent_records, "_read", fail)
        with pytest.raises(GstnTransientError, match="sent"):
            bulk(simulator, entry, map_index=1).attempt()
        assert simulator["resets"] == CHUNKS


class TestBelowAirflow33:
    """Airflow keeps nothing for the next try, so that nothing may be raised after a PUT that Airflow would retry."""

    @pytest.fixture
    def task(self, simulator, entry) -> TaskInstance:
        return bulk(simulator, entry, store=None)

    def test_one_try_goes_from_request_to_request(self, simulator, task):
        assert task.attempt()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS

    def test_faults_are_counted_in_a_row(self, simulator, task, monkeypatch):
        monkeypatch.setattr(operator, "MOST_FAILURES", 4)
        for _ in range(CHUNKS):  # three in a row for each request, nine in all
            simulator.fault("result", "http", status=503, times=15)
            simulator.fault("result", "slow", seconds=0)
        assert task.attempt()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS

    @pytest.mark.parametrize("fault", ["service", "connection", "anything"])
    def test_too_many_in_a_row_fail_for_good_and_a_clear_goes_on(self, simulator, task, monkeypatch, fault):
        task.max_tries = 5
        with monkeypatch.context() as broken:
            if fault == "service":
                simulator.fault("result", "http", status=503, times=1000)
            else:
                error = RuntimeError("a defect") if fault == "anything" else GstnTransientError("Airflow is away")

                def fail(*arguments: Any, **more: Any) -> Any:
                    raise error

                broken.setattr("airflow_provider_ims.results.report.Report.fetch", fail)
            with pytest.raises(GstnPermanentError, match="Clear this task") as caught:
                task.attempt()
        assert isinstance(caught.value, AirflowFailException)
        assert simulator["resets"] == 1
        assert task.xcom["unknown"] == 2
        simulator.gst.clear_faults()
        simulator.gst.open_session(RTIN)
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS

    def test_gstn_that_is_busy_for_too_long_is_tried_again_as_nothing_was_sent(self, simulator, entry):
        task = bulk(simulator, entry, store=None, busy_timeout=0)
        other = request(RTIN, b2b=[document(stin=STIN, inum="OTHER")])
        simulator.gst.submit_reset(simulator.gst.options.org_id, RTIN, other)
        with pytest.raises(GstnBusy, match="6 not sent") as caught:
            task.attempt()
        assert not isinstance(caught.value, AirflowFailException)
        simulator.finish_tasks()
        assert task.attempt()["outcome"] == "processed"
        assert simulator["resets"] == 1 + CHUNKS

    def test_gstn_that_is_busy_for_too_long_after_a_request_was_sent_fails_for_good(self, simulator, entry):
        task = bulk(simulator, entry, store=None, busy_timeout=0)
        simulator.next_task()
        simulator.next_task(status_cd="ER", err_cd="IMSSAV0015")
        with pytest.raises(GstnPermanentError, match="Clear this task"):
            task.attempt()
        assert task.attempt_after_a_clear()["outcome"] == "processed"

    def test_a_summary_that_airflow_does_not_take_is_no_reason_to_try_again(self, simulator, task):
        simulator.fault("reset", "drop_after")
        task.takes_xcom = False
        with pytest.raises(GstnAmbiguousSubmission, match="2 unknown"):
            task.attempt()
        assert simulator["resets"] == 1

    def test_a_wait_that_airflow_gave_up_is_not_tried_again(self, simulator, task):
        context = task._context()
        resumed = task._make(**task.arguments)
        with pytest.raises(GstnPermanentError, match="gave up the wait"):
            resumed.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
