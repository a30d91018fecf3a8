from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ims.simulator.errors import ServiceError
from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import NextTask

DAY = 86400
Submit = Callable[[], str]


@pytest.fixture
def submit(gst: Gst, rtin: str, record: Callable[..., Any], payload: Callable[..., Any]) -> Submit:
    gst.open_session(rtin)
    return lambda: gst.submit_reset(gst.options.org_id, rtin, payload(b2b=[record()]))


def status(gst: Gst, task_id: str) -> str:
    return str(gst.task_status(gst.options.org_id, task_id)["status"])


def result(gst: Gst, task_id: str) -> Any:
    return gst.task_result(gst.options.org_id, task_id)


def refusal(call: Callable[..., Any], *args: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        call(*args)
    return caught.value


def test_a_task_runs_its_time_and_works_at_its_end(gst: Gst, submit: Submit):
    task_id = submit()
    org = gst.options.org_id
    jobs = {"total": 1, "pending": 1}
    assert gst.task_status(org, task_id) == {"id": task_id, "status": "processing", "jobs": jobs}
    assert refusal(result, gst, task_id).code == "err-task-not-completed"
    assert gst.state()["documents"] == []
    gst.advance(3)
    jobs = {"total": 1, "pending": 0}
    assert gst.task_status(org, task_id) == {"id": task_id, "status": "completed", "jobs": jobs}
    assert [document["status"] for document in gst.state()["documents"]] == ["N"]
    assert result(gst, task_id)[0]["status_cd"] == "P"


def test_the_other_status_shape(gst: Gst, submit: Submit):
    gst.options.status_shape = "nested"
    task_id = submit()
    assert gst.task_status(gst.options.org_id, task_id) == {"task": {"id": task_id, "status": "processing"}}


def test_one_reset_at_a_time_for_a_gstin(gst: Gst, submit: Submit):
    submit()
    assert refusal(submit).details["gstn-err"]["code"] == "IMSSAV0015"
    gst.advance(3)
    submit()
    assert gst.counters()["resets"] == 2


def test_tasks_are_kept_seven_days(gst: Gst, submit: Submit):
    task_id = submit()
    gst.advance(7 * DAY - 10)
    assert status(gst, task_id) == "completed"
    gst.advance(10)
    gone = refusal(status, gst, task_id)
    assert (gone.status, gone.code, gone.details) == (404, "err-resource-not-found", {"task-id": task_id})
    assert refusal(result, gst, task_id).status == 404


def test_a_task_belongs_to_its_organisation(gst: Gst, submit: Submit):
    assert refusal(gst.task_status, "other-org", submit()).status == 404


def test_a_gstn_logout_fails_the_running_task(gst: Gst, rtin: str, submit: Submit):
    org = gst.options.org_id
    task_id = submit()
    otp_id = gst.authenticate(org, "v0.2", "OTPREQUEST", {"gstin": rtin, "username": "u"})["otp-request-id"]
    body = {"otp-request-id": otp_id, "otp": gst.last_otp(rtin)}
    session = gst.authenticate(org, "v0.2", "AUTHTOKEN", body)
    assert status(gst, task_id) == "processing"
    gst.authenticate(org, "v0.2", "LOGOUT", session)
    gst.advance(3)
    assert status(gst, task_id) == "failed"
    assert gst.state()["documents"] == []
    assert refusal(submit).details["gstn-err"]["code"] == "AUTH4033"


def test_a_reset_needs_a_session_for_its_gstin(gst: Gst, submit: Submit):
    gst.advance(6 * 3600)
    assert refusal(submit).details["gstn-err"]["code"] == "AUTH4033"
    gst.options.require_session = False
    submit()


@pytest.mark.parametrize("word", ["failed", "cancelled", "archived"])
def test_a_task_may_end_with_another_word(gst: Gst, submit: Submit, word: str):
    gst.add_next_task(NextTask(final_status=word))
    task_id = submit()
    gst.advance(3)
    assert status(gst, task_id) == word
    gst.advance(DAY)
    assert status(gst, task_id) == word
    assert refusal(result, gst, task_id).status == 400
    assert gst.state()["documents"] == []


def test_a_result_may_be_replaced(gst: Gst, submit: Submit):
    gst.add_next_task(NextTask(status_cd="ER", err_cd="GEN5001", err_msg="missing", task_seconds=0))
    expected = {"status_cd": "ER", "transTypCd": "SAV", "err_cd": "GEN5001", "err_msg": "missing"}
    assert result(gst, submit()) == (expected, None)
    assert gst.state()["documents"] == []


def test_a_result_may_not_be_ready_yet(gst: Gst, submit: Submit):
    gst.add_next_task(NextTask(ip_results=2, task_seconds=0))
    task_id = submit()
    assert [result(gst, task_id)[0]["status_cd"] for _ in range(4)] == ["IP", "IP", "P", "P"]


def test_a_result_may_be_an_error(gst: Gst, submit: Submit):
    gst.add_next_task(NextTask(error={"message": "err-gstn-returned"}, task_seconds=0))
    assert result(gst, submit()) == (None, {"message": "err-gstn-returned"})


def test_a_plan_is_used_as_often_as_it_says_and_for_its_gstin(gst: Gst, submit: Submit):
    gst.add_next_task(NextTask(gstin="24MAYAS0100J1JD", final_status="other"))
    gst.add_next_task(NextTask(times=2, final_status="failed", task_seconds=0))
    assert [status(gst, submit()) for _ in range(2)] == ["failed", "failed"]
    task_id = submit()
    gst.advance(3)
    assert status(gst, task_id) == "completed"
