"""The bulk reset against the simulator, driven as Airflow drives it: execute, defer, resume, in ever new processes."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_ims._compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_provider_ims.assets import IMS_ALIAS
from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnInvalidConnection,
    GstnInvalidRequest,
    GstnResetFailed,
    GstnResetPartial,
    GstnServiceUnavailable,
    GstnSessionExpired,
    GstnStorageUnavailable,
    GstnTaskFailed,
)
from airflow_provider_ims.operators import bulk as operator
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.storage import CannotRead, CannotWrite
from tests.contract.task_instance import (
    ALL,
    CHUNKS,
    RTIN,
    STIN,
    Killed,
    TaskInstance,
    bulk,
    hold,
    outcomes,
    planned,
    rows,
    three_requests,
)
from tests.unit.builders import document, request


@pytest.fixture
def entry(tmp_path: Path) -> dict[str, Any]:
    return three_requests(tmp_path)


@pytest.fixture(autouse=True)
def one_clock(simulator, monkeypatch) -> None:
    """Time passes here as it does at the service."""
    monkeypatch.setattr(operator, "BulkReset", partial(operator.BulkReset, clock=simulator.gst.clock.now))


@pytest.fixture
def task(simulator, entry, no_jitter) -> TaskInstance:
    simulator.gst.open_session(RTIN)
    return bulk(simulator, entry)


def test_all_requests_are_sent_one_after_another_and_every_document_is_told(task, simulator, tmp_path):
    began = simulator.gst.clock.now()
    summary = task.attempt()
    assert simulator["resets"] == CHUNKS
    assert len(task.deferrals) == CHUNKS
    counts = {"reset": 6, "refused": 0, "unknown": 0, "not_sent": 0}
    sent_at = datetime.fromisoformat(summary.pop("last_sent_at")).timestamp()
    assert int(began) < sent_at < simulator.gst.clock.now()
    assert summary == {
        **{"rtin": RTIN, "outcome": "processed", "documents": 6, "requests": 3, "requests_ended": 3, **counts},
        "csv_path": str(tmp_path / RTIN / "result.csv"),
        "result_path": str(tmp_path / RTIN / "result.json"),
        "xlsx_path": str(tmp_path / RTIN / "result.xlsx"),
    }
    assert outcomes(tmp_path) == dict.fromkeys(ALL, "reset")
    full = json.loads((tmp_path / RTIN / "result.json").read_text())
    assert [row["number"] for row in full["documents"]] == ALL
    assert [chunk["reset"] for chunk in full["chunks"]] == [2, 2, 2]
    assert len({row["reference_id"] for row in rows(tmp_path)}) == CHUNKS


@pytest.mark.parametrize("number", range(1, CHUNKS + 1))
@pytest.mark.parametrize(
    ("when", "phase"), [("before", "intent"), ("after", "submitted"), ("before", "ended"), ("after", "ended")]
)
def test_a_worker_may_die_at_any_write_of_any_request(task, simulator, tmp_path, number, when, phase):
    task.store.dies_at = (when, f"ims_reset_{RTIN}_{number:04d}", phase)
    with pytest.raises(Killed):
        task.attempt()
    assert task.attempt()["outcome"] == "processed"
    assert simulator["resets"] == CHUNKS
    assert outcomes(tmp_path) == dict.fromkeys(ALL, "reset")


@pytest.mark.parametrize("when", [("after", "intent"), ("before", "submitted")])
def test_a_worker_that_dies_while_sending_stops_the_gstin_and_says_what_was_not_sent(task, simulator, tmp_path, when):
    moment, phase = when
    task.store.dies_at = (moment, f"ims_reset_{RTIN}_0002", phase)
    with pytest.raises(Killed):
        task.attempt()
    with pytest.raises(GstnAmbiguousSubmission, match="2 reset, 2 unknown, 2 not sent"):
        task.attempt()
    assert [outcomes(tmp_path)[number] for number in ALL] == ["reset"] * 2 + ["unknown"] * 2 + ["not sent"] * 2
    assert task.xcom["outcome"] == "incomplete"


def test_an_unknown_fate_is_reconciled_if_asked(simulator, entry, tmp_path, no_jitter):
    simulator.gst.open_session(RTIN)
    task = bulk(simulator, entry, on_ambiguous="reconcile")
    simulator.fault("reset", "drop_after")
    assert task.attempt()["outcome"] == "processed"
    assert simulator["resets"] == CHUNKS
    assert outcomes(tmp_path) == dict.fromkeys(ALL, "reset")


def test_a_reset_sent_twice_is_read_together_with_what_gstn_holds(simulator, entry, tmp_path, no_jitter):
    simulator.gst.open_session(RTIN)
    task = bulk(simulator, entry, on_ambiguous="resubmit")
    simulator.fault("reset", "drop_after")
    assert task.attempt()["outcome"] == "processed"
    assert simulator["resets"] == CHUNKS + 1
    assert outcomes(tmp_path) == dict.fromkeys(ALL, "reset")


class TestARequestThatFails:
    @pytest.fixture
    def second_fails(self, simulator):
        simulator.next_task()
        simulator.next_task(final_status="failed")

    def test_stops_the_gstin(self, task, simulator, second_fails, tmp_path):
        with pytest.raises(GstnTaskFailed, match="2 reset, 2 unknown, 2 not sent"):
            task.attempt()
        assert simulator["resets"] == 2
        assert [outcomes(tmp_path)[number] for number in ALL] == ["reset"] * 2 + ["unknown"] * 2 + ["not sent"] * 2

    def test_does_not_stop_it_if_asked_and_the_task_still_fails(self, simulator, entry, second_fails, tmp_path):
        simulator.gst.open_session(RTIN)
        task = bulk(simulator, entry, on_failure="continue")
        with pytest.raises(GstnResetFailed, match="1 of 3 requests failed") as caught:
            task.attempt()
        assert isinstance(caught.value, AirflowFailException)
        assert simulator["resets"] == CHUNKS
        assert [outcomes(tmp_path)[number] for number in ALL] == ["reset"] * 2 + ["unknown"] * 2 + ["reset"] * 2

    def test_is_looked_into_and_sent_again_when_a_person_clears_the_task(
        self, simulator, entry, second_fails, tmp_path
    ):
        simulator.gst.open_session(RTIN)
        task = bulk(simulator, entry)
        with pytest.raises(GstnTaskFailed):
            task.attempt()
        hold(simulator, "N", "INV-2a")  # the failed task got as far as that
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert outcomes(tmp_path) == dict.fromkeys(ALL, "reset")
        assert simulator["resets"] == CHUNKS + 1
        assert simulator["downloads"] == 1, "the requests that ended well are not touched"

    def test_stops_the_gstin_again_if_it_fails_again(self, simulator, entry, second_fails, tmp_path):
        simulator.gst.open_session(RTIN)
        task = bulk(simulator, entry)
        with pytest.raises(GstnTaskFailed):
            task.attempt()
        simulator.next_task(final_status="failed")
        with pytest.raises(GstnTaskFailed, match="2 reset, 2 unknown, 2 not sent"):
            task.attempt_after_a_clear()
        assert task.attempt_after_a_clear()["outcome"] == "processed"


def test_a_refusal_of_the_whole_request_is_a_failure_of_it(task, simulator, tmp_path):
    simulator.next_task(status_cd="ER", err_cd="IMSSAV005", err_msg="schema")
    with pytest.raises(GstnResetFailed, match="IMSSAV005"):
        task.attempt()
    assert [outcomes(tmp_path)[number] for number in ALL] == ["refused"] * 2 + ["not sent"] * 4
    assert rows(tmp_path)[0]["code"] == "IMSSAV005"


def test_a_worker_that_dies_with_the_refusal_of_a_whole_request_does_not_go_on_with_the_next(task, simulator):
    simulator.next_task(status_cd="ER", err_cd="IMSSAV005", err_msg="schema")
    task.store.dies_at = ("after", f"ims_reset_{RTIN}_0001", "ended")
    with pytest.raises(Killed):
        task.attempt()
    with pytest.raises(GstnResetFailed, match="IMSSAV005"):
        task.attempt()
    assert simulator["resets"] == 1


class TestRefusedDocuments:
    @pytest.fixture(autouse=True)
    def held_otherwise(self, simulator):
        held = {"rtin": RTIN, "section": "b2b", "stin": STIN, "rtnprd": "012023", "status": "R"}
        simulator.gst.add_documents([{**held, "number": "INV-1a"}])

    def test_fail_the_task_after_all_requests(self, task, simulator, tmp_path):
        with pytest.raises(GstnResetPartial, match="5 reset, 1 refused"):
            task.attempt()
        assert simulator["resets"] == CHUNKS
        [refused] = [row for row in rows(tmp_path) if row["outcome"] == "refused"]
        assert (refused["number"], refused["code"]) == ("INV-1A", "IMSSAV0010")
        assert "Download the document" in refused["remedy"]
        assert task.xcom["outcome"] == "partial"

    @pytest.mark.parametrize("on_partial", ["warn", "skip"])
    def test_do_as_on_partial_says(self, simulator, entry, on_partial):
        simulator.gst.open_session(RTIN)
        task = bulk(simulator, entry, on_partial=on_partial)
        if on_partial == "warn":
            assert task.attempt()["refused"] == 1
        else:
            with pytest.raises(AirflowSkipException):
                task.attempt()


def test_a_missing_session_sends_nothing_and_the_rest_goes_on_once_it_is_open(simulator, entry, tmp_path, no_jitter):
    task = bulk(simulator, entry)
    with pytest.raises(GstnSessionExpired, match="6 not sent"):
        task.attempt()
    assert set(outcomes(tmp_path).values()) == {"not sent"}
    simulator.gst.open_session(RTIN)
    task.clear()
    assert task.attempt()["outcome"] == "processed"
    assert simulator["resets"] == CHUNKS


def test_an_outage_while_reading_is_left_to_the_retries(task, simulator, monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    simulator.fault("result", "http", status=503, times=4)
    with pytest.raises(GstnServiceUnavailable):
        task.attempt()
    assert task.attempt()["outcome"] == "processed"
    assert simulator["resets"] == CHUNKS


def test_a_busy_gstn_is_waited_for_without_a_worker(task, simulator):
    other = request(RTIN, b2b=[document(stin=STIN, inum="OTHER")])
    simulator.gst.submit_reset(simulator.gst.options.org_id, RTIN, other)
    assert task.attempt()["outcome"] == "processed"
    assert type(task.deferrals[0]).__name__ == "DateTimeTrigger"
    assert simulator["resets"] == 1 + CHUNKS


def test_a_request_that_runs_too_long_is_a_timeout_that_a_clear_waits_on(simulator, entry, tmp_path, no_jitter):
    simulator.gst.open_session(RTIN)
    simulator.next_task(task_seconds=10_000)
    task = bulk(simulator, entry, timeout=0)
    with pytest.raises(AirflowSensorTimeout, match="request 1 of 3"):
        task.attempt()
    assert [outcomes(tmp_path)[number] for number in ALL] == ["unknown"] * 2 + ["not sent"] * 4
    task.clear()
    # Waited for anew, and not only asked about once more.
    task.store.values[f"ims_reset_{RTIN}_0001"]["at"] -= 86_400
    task.arguments["timeout"] = 3600
    waits = len(task.deferrals)
    simulator.gst._tasks._tasks[task.store.values[f"ims_reset_{RTIN}_0001"]["reference_id"]].ready_at -= 9_960
    assert task.attempt()["outcome"] == "processed"
    assert len(task.deferrals) - waits == CHUNKS
    assert simulator["resets"] == CHUNKS


def test_a_request_file_that_was_changed_is_not_sent(task, simulator, entry, tmp_path):
    Path(entry["chunks"][1]["path"]).write_text(json.dumps(request(RTIN, b2b=[document(inum="ELSE")])))
    with pytest.raises(GstnInvalidRequest, match="not the file that was planned"):
        task.attempt()
    assert simulator["resets"] == 1


@pytest.mark.parametrize("damage", ["missing", "half", "another GSTIN"])
def test_a_request_file_that_cannot_be_trusted_is_not_sent(task, simulator, entry, damage):
    path = Path(entry["chunks"][0]["path"])
    if damage == "missing":
        path.unlink()
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:100])
    else:
        entry["rtin"] = "27AAPFU0939F1ZV"
    with pytest.raises(GstnInvalidRequest, match="Nothing of it was sent"):
        task.attempt()
    assert simulator["resets"] == 0


def test_a_forced_resend_that_is_refused_loses_nothing_of_what_was_done(task, simulator, tmp_path):
    task.attempt()
    simulator.gst.advance(7 * 3600)  # a session lives 6 hours
    task.clear()
    task.arguments["force_resubmit"] = True
    with pytest.raises(GstnSessionExpired, match="6 reset"):
        task.attempt()
    task.clear()
    task.arguments["force_resubmit"] = False
    assert task.attempt()["outcome"] == "processed"
    assert simulator["resets"] == CHUNKS


def test_a_worker_that_dies_after_a_failure_was_noted_does_not_go_on_with_the_next(task, simulator, monkeypatch):
    simulator.next_task(final_status="failed")

    def die(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr("airflow_provider_ims.bulk.outcomes.Outcomes.gather", die)
        with pytest.raises(Killed):
            task.attempt()
    with pytest.raises(GstnResetFailed, match="ended as 'failed'"):
        task.attempt()
    assert simulator["resets"] == 1


def test_a_request_that_is_complete_at_once_is_not_read_with_the_ids_of_the_one_before(task, simulator):
    simulator.next_task()
    simulator.next_task(task_seconds=0)
    assert task.attempt()["outcome"] == "processed"


def test_a_result_that_is_an_error_is_a_failure_of_that_request(simulator, entry, tmp_path, no_jitter):
    simulator.gst.open_session(RTIN)
    gstn = {"code": "IMS2B007", "message": "period is over"}
    simulator.next_task(error={"message": "err-gstn-returned", "type": "Gstn", "args": {"gstn-err": gstn}})
    task = bulk(simulator, entry, on_failure="continue")
    with pytest.raises(GstnResetFailed, match="IMS2B007"):
        task.attempt()
    assert [outcomes(tmp_path)[number] for number in ALL] == ["unknown"] * 2 + ["reset"] * 4


def test_a_triggerer_that_cannot_wait_ends_the_task_instead_of_being_asked_again_and_again(task, simulator):
    simulator.next_task(task_seconds=10_000)
    task.trigger_says = {"status": "error", "error": "GstnInvalidConnection", "message": "not defined here"}
    with pytest.raises(GstnInvalidConnection, match="not defined here"):
        task.attempt()
    assert len(task.deferrals) == 1


def test_a_missing_request_file_does_not_keep_the_others_from_being_told(task, entry, tmp_path):
    Path(entry["chunks"][1]["path"]).unlink()
    with pytest.raises(GstnInvalidRequest, match="cannot be read"):
        task.attempt()
    assert task.xcom["reset"] == 2
    assert [row["outcome"] for row in rows(tmp_path)] == ["reset", "reset", "not sent", "not sent", "not sent"]


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("bulk.plan_entry.read_whole", CannotRead),
        ("bulk.outcomes.write_whole", CannotWrite),
        ("bulk.outcomes.copy_whole", CannotWrite),
        ("bulk.outcomes.read_whole", CannotRead),
        ("submissions.audit.write_whole", CannotWrite),
    ],
)
def test_a_store_that_is_away_for_a_moment_costs_a_retry_and_nothing_else(
    simulator, entry, tmp_path, monkeypatch, no_jitter, place, error
):
    simulator.gst.open_session(RTIN)
    task = bulk(simulator, entry, audit_path=str(tmp_path / "audit"))

    def away(*arguments: Any) -> None:
        raise error("s3://bucket/x", TimeoutError("no answer"))

    with monkeypatch.context() as outage:
        outage.setattr(f"airflow_provider_ims.{place}", away)
        with pytest.raises(GstnStorageUnavailable, match="no answer"):
            task.attempt()
    assert task.attempt()["outcome"] == "processed"
    assert simulator["resets"] == CHUNKS
    assert {row["outcome"] for row in rows(tmp_path)} == {"reset"}


def test_each_request_leaves_its_audit_record(simulator, entry, tmp_path, no_jitter):
    simulator.gst.open_session(RTIN)
    task = bulk(simulator, entry, audit_path=str(tmp_path / "audit"))
    task.attempt()
    records = [json.loads(file.read_text()) for file in (tmp_path / "audit").iterdir()]
    assert len(records) == CHUNKS
    assert {record["outcome"] for record in records} == {"processed"}


@pytest.mark.parametrize(
    ("wrong", "says"), [({}, "rtin, chunks"), ({"rtin": RTIN, "chunks": [{"path": "x"}]}, "chunks.0.sha256")]
)
def test_what_is_no_plan_is_refused(simulator, wrong, says):
    with pytest.raises(GstnInvalidRequest, match=says):
        bulk(simulator, wrong).attempt()


@pytest.mark.parametrize("argument", ["on_failure", "on_partial", "on_ambiguous"])
def test_a_policy_that_does_not_exist_is_refused_when_the_dag_is_read(argument):
    with pytest.raises(ValueError, match=f"{argument} is 'sometimes'; it takes"):
        ImsBulkResetOperator(task_id="reset", plan_entry={}, **{argument: "sometimes"})


CLOCK = "airflow_provider_ims.operators._window.datetime"


def november(day: int) -> type[datetime]:
    """A clock that stands on a day of the month in which GSTR-3B of October is due, on the 20th."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 11, day, 12, tzinfo=UTC)

    return Clock


def test_close_to_the_due_date_it_warns_and_sends_or_fails_and_sends_nothing(simulator, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(CLOCK, november(19))
    monkeypatch.setattr(ImsBulkResetOperator, "log", logging.getLogger("task"))
    simulator.gst.open_session(RTIN)
    plan_entry = planned(tmp_path, [["INV-1"]])
    task = bulk(simulator, plan_entry, on_window="fail")
    with pytest.raises(GstnInvalidRequest, match="GSTR-3B of October 2026 is due tomorrow") as told:
        task.attempt()
    assert "Nothing was sent" in str(told.value)
    assert simulator["resets"] == 0
    extended = {"overrides": {"102026": {"due_3b": "2026-11-30", "draft_2b": "2026-11-25"}}}
    for arguments in ({"on_window": "fail", "calendar": extended}, {"on_window": "warn"}, {"on_window": "ignore"}):
        simulator.gst.reset()
        simulator.gst.open_session(RTIN)
        plan_entry = planned(tmp_path / arguments["on_window"], [["INV-1"]])
        caplog.clear()
        summary = bulk(simulator, plan_entry, **arguments).attempt()
        warns = arguments["on_window"] == "warn"
        assert (summary["reset"], "due tomorrow" in caplog.text) == (1, warns)
        assert ("GSTR-2B of October 2026 was drawn on 14 November 2026" in caplog.text) == warns


@pytest.mark.parametrize(("filing", "day"), [("quarterly", 15), ("quarterly", 29), ("monthly", 26)])
def test_between_two_due_dates_a_task_that_fails_close_to_one_sends(
    simulator, tmp_path, monkeypatch, filing: str, day: int
):
    monkeypatch.setattr(CLOCK, november(day))
    simulator.gst.open_session(RTIN)
    plan_entry = planned(tmp_path, [["INV-1"]])
    summary = bulk(simulator, plan_entry, on_window="fail", calendar={"filing": filing}).attempt()
    assert summary["reset"] == 1


def test_what_was_begun_before_the_window_is_brought_to_its_end(task, simulator, monkeypatch):
    task.arguments["on_window"] = "fail"
    monkeypatch.setattr(CLOCK, november(5))
    with monkeypatch.context() as patched:
        patched.setattr(task, "_wait", dies)
        with pytest.raises(Killed):
            task.attempt()
    assert simulator["resets"] == 1
    monkeypatch.setattr(CLOCK, november(19))
    assert task.attempt()["reset"] == len(ALL)
    assert simulator["resets"] == CHUNKS


def dies(*arguments: Any) -> None:
    raise Killed


def test_the_asset_event_of_a_gstin_has_counts_and_tax(task, monkeypatch):
    outlets = OutletEventAccessors()
    context = task._context
    monkeypatch.setattr(task, "_context", lambda: {**context(), "outlet_events": outlets})
    task.attempt()
    [event] = outlets[AssetAlias(IMS_ALIAS)].asset_alias_events
    each = sum(Decimal(str(document()[name])) for name in ("iamt", "camt", "samt", "cess"))
    assert event.dest_asset_key.uri == f"gstn://ims/{RTIN}"
    assert (event.extra["counts"]["reset"], event.extra["tax"]) == (6, {"reset": f"{6 * each:.2f}"})
