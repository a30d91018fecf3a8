"""A complete task whose result says that GSTN did not begin: busy, down, or without a session for the GSTIN."""

from __future__ import annotations

import json
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowFailException
from airflow_provider_ims.exceptions import GstnResetFailed, GstnResetNotDone, GstnResetPartial, GstnSessionExpired
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.operators import _deferral
from airflow_provider_ims.operators import bulk as operator
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.waits import on_worker
from tests.contract.task_instance import (
    ALL,
    CHUNKS,
    RTIN,
    STIN,
    TaskInstance,
    bulk,
    held,
    hold,
    outcomes,
    record,
    rows,
    three_requests,
)
from tests.unit.builders import document, request

BUSY, DOWN, NO_SESSION = "IMSSAV0015", "GEN4004", "AUTH4033"


@pytest.fixture(autouse=True)
def one_clock(simulator, monkeypatch, no_jitter) -> None:
    monkeypatch.setattr(operator, "BulkReset", partial(operator.BulkReset, clock=simulator.gst.clock.now))
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    simulator.gst.open_session(RTIN)


@pytest.fixture(params=["result", "envelope"])
def nothing_done(request, simulator):
    """Let the next reset come to nothing: ``nothing_done(code)``."""

    def plan(code: str, **more: Any) -> None:
        gstn = {"code": code, "message": "says GSTN"}
        error = {"message": "err-gstn-returned", "type": "Gstn", "args": {"gstn-err": gstn}}
        said = {"status_cd": "ER", "err_cd": code} if request.param == "result" else {"error": error}
        simulator.next_task(**said, **more)

    return plan


class TestInBulk:
    @pytest.mark.parametrize("code", [BUSY, DOWN])
    def test_is_waited_for_and_sent_again(self, simulator, tmp_path, nothing_done, code):
        simulator.next_task()
        nothing_done(code, times=2)
        task = bulk(simulator, three_requests(tmp_path))
        assert task.attempt()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS + 2
        assert outcomes(tmp_path) == dict.fromkeys(ALL, "reset")
        assert [type(trigger).__name__ for trigger in task.deferrals].count("DateTimeTrigger") == 2

    def test_is_waited_for_no_longer_than_busy_timeout(self, simulator, tmp_path, nothing_done):
        nothing_done(BUSY, times=20)
        task = bulk(simulator, three_requests(tmp_path), busy_timeout=600)
        task.max_tries = 0  # the last try
        with pytest.raises(Exception, match=r"(?s)6 not sent.*IMSSAV0015"):
            task.attempt()
        assert simulator["resets"] < 12
        simulator.gst._next_tasks.clear()
        assert task.attempt_after_a_clear()["outcome"] == "processed"

    def test_a_lost_session_fails_at_once_names_the_gstin_and_a_clear_goes_on(self, simulator, tmp_path, nothing_done):
        simulator.next_task()
        nothing_done(NO_SESSION)
        task = bulk(simulator, three_requests(tmp_path), on_failure="continue")
        with pytest.raises(GstnSessionExpired, match="2 reset, 4 not sent") as caught:
            task.attempt()
        assert isinstance(caught.value, AirflowFailException)
        for word in (RTIN, NO_SESSION, "gstn_session", "clear this task"):
            assert word in str(caught.value)
        first = (tmp_path / RTIN / "0001.result.csv").read_bytes()
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS + 1, "only what was not done is sent again"
        assert (tmp_path / RTIN / "0001.result.csv").read_bytes() == first

    def test_with_a_refused_document_named_is_a_refusal(self, simulator, tmp_path):
        # Something was done then, whatever the code of the whole says.
        report = {"b2b": [{"stin": STIN, "error_cd": BUSY, "inv": [{"inum": "INV-1a", "rtnprd": "012023"}]}]}
        data = {"status_cd": "ER", "err_cd": BUSY, "err_cnt": "1", "error_report": report}
        gst = simulator.gst
        gst_result = gst.task_result
        gst.task_result = lambda org, task_id: (data, None)
        try:
            with pytest.raises(GstnResetFailed, match="INV|did not succeed"):
                bulk(simulator, three_requests(tmp_path)).attempt()
        finally:
            gst.task_result = gst_result
        assert simulator["resets"] == 1


class TestForcedInBulk:
    @pytest.fixture
    def ended(self, simulator, tmp_path) -> TaskInstance:
        """All sent; GSTN refused one document of the second request, and the third as a whole."""
        hold(simulator, "R", "INV-2a")
        simulator.next_task(times=2)
        simulator.next_task(status_cd="ER", err_cd="IMSSAV005")
        task = bulk(simulator, three_requests(tmp_path))
        with pytest.raises(GstnResetFailed):
            task.attempt()
        assert simulator["resets"] == CHUNKS
        return task

    def test_a_plain_clear_leaves_what_gstn_refused(self, simulator, ended, tmp_path):
        with pytest.raises(GstnResetFailed, match="force_resubmit='failed'"):
            ended.attempt_after_a_clear()
        assert (simulator["resets"], simulator["downloads"]) == (CHUNKS, 0)

    def test_failed_sends_what_gstn_refused_and_is_not_at_no_action(self, simulator, ended, tmp_path):
        hold(simulator, "A", "INV-2a")  # as the request says
        hold(simulator, "N", "INV-3a")  # by somebody on the portal
        sent = []
        submit = simulator.gst.submit_reset
        simulator.gst.submit_reset = lambda org, gstin, body: (sent.append(body), submit(org, gstin, body))[1]
        try:
            ended.arguments["force_resubmit"] = "failed"
            assert ended.attempt_after_a_clear()["outcome"] == "processed"
        finally:
            del simulator.gst.submit_reset
        numbers = [[invoice["inum"] for invoice in body["invdata"]["b2b"]] for body in sent]
        assert numbers == [["INV-2a"], ["INV-3b"]]
        assert outcomes(tmp_path) == dict.fromkeys(ALL, "reset")

    def test_a_plain_clear_looks_into_what_the_result_left_open(self, simulator, tmp_path):
        simulator.next_task(status_cd="??")  # nobody knows the word, and GSTN did nothing
        task = bulk(simulator, three_requests(tmp_path))
        with pytest.raises(GstnResetFailed, match="2 unknown"):
            task.attempt()
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS + 1
        assert outcomes(tmp_path) == dict.fromkeys(ALL, "reset")

    def test_true_looks_at_all_and_touches_nothing_that_is_well(self, simulator, tmp_path):
        task = bulk(simulator, three_requests(tmp_path))
        task.attempt()
        before = rows(tmp_path)
        task.arguments["force_resubmit"] = True
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert (simulator["resets"], simulator["downloads"]) == (CHUNKS, CHUNKS)
        assert rows(tmp_path) == before
        hold(simulator, "A", "INV-1b")  # accepted once more on the portal
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert simulator["resets"] == CHUNKS + 1
        assert set(held(simulator).values()) == {"N"}

    def test_a_forced_sending_that_is_refused_keeps_the_better_outcomes(self, simulator, tmp_path):
        task = bulk(simulator, three_requests(tmp_path))
        task.attempt()
        hold(simulator, "R", "INV-1b")
        task.arguments["force_resubmit"] = "true"
        with pytest.raises(GstnResetPartial, match="5 reset, 1 refused"):
            task.attempt_after_a_clear()
        assert outcomes(tmp_path) == {**dict.fromkeys(ALL, "reset"), "INV-1B": "refused"}

    def test_a_forced_sending_whose_fate_is_unknown_leaves_the_others_as_they_were(self, simulator, tmp_path):
        task = bulk(simulator, three_requests(tmp_path))
        task.attempt()
        hold(simulator, "A", "INV-1b")
        simulator.fault("reset", "drop_before")
        task.arguments["force_resubmit"] = "true"
        with pytest.raises(AirflowFailException, match="5 reset, 1 unknown"):
            task.attempt_after_a_clear()
        assert outcomes(tmp_path) == {**dict.fromkeys(ALL, "reset"), "INV-1B": "unknown"}
        task.arguments["force_resubmit"] = False
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert record(tmp_path, 1)["phase"] == "ended"


class TestInTheThreeTasks:
    PAYLOAD = request(RTIN, b2b=[document(stin=STIN, inum="INV-1"), document(stin=STIN, inum="INV-2")])

    @pytest.fixture
    def reset(self, simulator) -> TaskInstance:
        return TaskInstance(simulator, ImsResetOperator, task_id="reset", payload=self.PAYLOAD, deferrable=True)

    def result(self, simulator: Any, reference_id: str, **arguments: Any) -> TaskInstance:
        arguments = {"payload": self.PAYLOAD, "deferrable": True, **arguments}
        return TaskInstance(simulator, ImsResultOperator, task_id="result", reference_id=reference_id, **arguments)

    @pytest.fixture
    def ended(self, simulator, reset, nothing_done):
        """A reset that came to nothing: ``ended(code)`` returns its reference id."""

        def run(code: str, **more: Any) -> str:
            nothing_done(code, **more)
            reference_id = reset.attempt()
            simulator.finish_tasks()
            return reference_id

        return run

    @pytest.mark.parametrize("code", [BUSY, DOWN])
    @pytest.mark.parametrize("deferrable", [True, False])
    def test_the_result_task_waits_and_sends_it_again(self, simulator, ended, code, deferrable, monkeypatch, tmp_path):
        gst = simulator.gst
        clock = SimpleNamespace(time=gst.clock.now, sleep=lambda seconds: gst.advance(max(10, seconds)))
        for module in (_deferral, on_worker):
            monkeypatch.setattr(module, "time", clock)
        reference_id = ended(code)
        task = self.result(simulator, reference_id, deferrable=deferrable, audit_path=str(tmp_path))
        summary = task.attempt()
        assert (summary["outcome"], summary["sections"]["b2b"]["reset"]) == ("processed", 2)
        assert summary["reference_id"] != reference_id
        assert simulator["resets"] == 2
        told = {path.stem: json.loads(path.read_text())["outcome"] for path in tmp_path.glob("*.jsonl")}
        assert told == {reference_id: "nothing done", summary["reference_id"]: "processed"}

    @pytest.mark.parametrize("arguments", [{"payload": None}, {"busy_timeout": 0}])
    def test_without_payload_or_time_it_says_what_to_clear(self, simulator, ended, arguments):
        task = self.result(simulator, ended(BUSY), **arguments)
        with pytest.raises(GstnResetNotDone, match="together with those after it") as caught:
            task.attempt()
        assert isinstance(caught.value, AirflowFailException)
        assert simulator["resets"] == 1

    @pytest.mark.parametrize("code", [BUSY, DOWN, NO_SESSION])
    def test_the_reset_task_cleared_sends_it(self, simulator, ended, reset, code):
        reference_id = ended(code)
        again = reset.attempt_after_a_clear()
        assert again != reference_id
        assert (simulator["resets"], simulator["downloads"]) == (2, 1)
        simulator.finish_tasks()
        assert self.result(simulator, again).attempt()["outcome"] == "processed"

    def test_a_lost_session_fails_at_once_and_the_result_task_cleared_goes_on(self, simulator, ended):
        task = self.result(simulator, ended(NO_SESSION))
        with pytest.raises(GstnSessionExpired, match=RTIN):
            task.attempt()
        assert simulator["resets"] == 1
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert simulator["resets"] == 2

    @pytest.mark.parametrize("form", [1, 3, None])
    def test_a_journal_in_another_form_is_no_reason_to_send_it_once_more(self, simulator, ended, form):
        task = self.result(simulator, ended(BUSY))
        task.attempt()
        task.store.values["ims_reset"]["version"] = form
        assert task.attempt()["outcome"] == "processed"
        assert simulator["resets"] == 2

    def test_both_cleared_send_it_once(self, simulator, ended, reset):
        task = self.result(simulator, ended(BUSY))
        task.attempt()
        task.arguments["reference_id"] = reset.attempt_after_a_clear()
        assert task.attempt_after_a_clear()["outcome"] == "processed"
        assert simulator["resets"] == 2

    def test_a_code_that_a_gateway_may_have_answered_is_followed_by_a_look(self, simulator, reset, monkeypatch):
        # The reset was done; an outage in between answers for its result, with a code of the table.
        reference_id = reset.attempt()
        simulator.finish_tasks()
        result = GstnHook.get_task_result
        down = ResetPayload.parse(self.PAYLOAD)

        def first_down(hook: GstnHook, asked: str, *call: Any) -> Any:
            if asked == reference_id:
                from airflow_provider_ims.exceptions import GstnServiceUnavailable

                raise GstnServiceUnavailable("down", code=DOWN, http_status=502)
            return result(hook, asked, *call)

        monkeypatch.setattr(GstnHook, "get_task_result", first_down)
        summary = self.result(simulator, reference_id).attempt()
        assert (summary["outcome"], summary["found_at_no_action"]) == ("processed", down.count())
        assert simulator["resets"] == 1
