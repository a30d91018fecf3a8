"""Three days of hourly runs on a clock that the test moves: one one-time password, no failed run."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_ims.hooks._base import GstnBaseHook
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.operators import ims, session
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.operators.session import GstnRefreshSessionOperator

HOURS = 72


@pytest.fixture
def day_job(simulator, shared_store, monkeypatch):
    """One Airflow: every task a process of its own, all with one session store and the simulator's clock."""
    monkeypatch.setattr(GstnBaseHook, "_clock", staticmethod(simulator.gst.clock.now))
    # A login waits a moment for others' claims: on the same clock.
    monkeypatch.setattr("airflow_provider_ims.hooks._runner.time.sleep", simulator.gst.advance)

    def hook_of_a_new_process(conn_id, **kwargs):
        return GstnHook(conn_id, store=shared_store, **kwargs)

    monkeypatch.setattr(ims, "GstnHook", hook_of_a_new_process)
    monkeypatch.setattr(session, "GstnHook", hook_of_a_new_process)
    return hook_of_a_new_process


def test_three_days_take_one_otp_and_one_login_an_hour(simulator, day_job, sample):
    rtin = sample["rtin"]
    with day_job("gstn_default") as hook:
        hook.verify_otp(rtin, hook.request_otp(rtin, "portal.user"), "424242")
    document = sample["invdata"]["b2b"][0]
    for hour in range(HOURS):
        simulator.gst.advance(45 * 60)
        GstnRefreshSessionOperator(task_id="refresh", gstin=rtin, min_age=timedelta(hours=3)).execute({})
        payload = {**sample, "invdata": {"b2b": [{**document, "inum": f"H{hour}"}]}}
        reference_id = ImsResetOperator(task_id="reset", payload=payload).execute({})
        simulator.gst.advance(15 * 60)
        summary = ImsResultOperator(task_id="result", reference_id=reference_id, payload=payload).execute({})
        assert summary["outcome"] == "processed"
    assert simulator["otp_requests"] == 1
    assert simulator["resets"] == HOURS
    assert 0 < simulator["gstn_refreshes"] <= HOURS // 3
    # A token of 20 minutes has ended by the next hour; within an hour all tasks share one.
    assert simulator["logins"] == HOURS + 1
    assert simulator["most_live_tokens"] <= 2
