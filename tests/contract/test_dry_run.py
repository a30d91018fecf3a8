"""``dry_run=True``: everything but the sending."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.exceptions import GstnInvalidPayload, GstnInvalidRequest, GstnPermanentError
from airflow_provider_ims.operators.ims import ImsResetOperator
from tests.contract.task_instance import RTIN, TaskInstance, bulk, three_requests


@pytest.fixture
def one(simulator: Any, sample: dict[str, Any]) -> TaskInstance:
    return TaskInstance(simulator, ImsResetOperator, task_id="reset", payload=sample, dry_run="True")


def tried(task: TaskInstance) -> dict[str, Any]:
    with pytest.raises(AirflowSkipException, match=r"^Dry run: .* Nothing was sent\.$"):
        task.attempt()
    assert isinstance(task.xcom, dict)
    return task.xcom


def test_nothing_is_sent_and_what_would_be_is_told(one: TaskInstance, simulator: Any, caplog: Any):
    simulator.gst.open_session(RTIN)
    found = tried(one)
    assert (simulator["resets"], simulator["downloads"], simulator["otp_requests"]) == (0, 0, 0)
    assert (found["outcome"], found["documents"], found["not_sent"], found["reset"]) == ("dry_run", 8, 8, 0)
    assert found["sections"]["b2ba"] == 1
    assert one.store.values == {}


def test_the_session_is_told_as_it_is(one: TaskInstance, hook: Any):
    assert tried(one)["session"] == "none"
    hook.verify_otp(RTIN, hook.request_otp(RTIN, "user"), "424242")
    found = tried(one)
    assert found["session"] == "good"
    assert found["session_until"].endswith("+00:00")


def test_a_service_that_cannot_be_used_fails_the_dry_run(one: TaskInstance, simulator: Any, monkeypatch: Any):
    wrong = f"http://nobody%40example.com:wrong@{simulator.url.removeprefix('http://')}"
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", f"gstn{wrong.removeprefix('http')}?auth_url={simulator.url}")
    with pytest.raises(GstnPermanentError, match=r"^Dry run of GSTIN .* Nothing was sent") as failed:
        one.attempt()
    assert "wrong" not in str(failed.value)


def test_faults_of_the_request_fail_it_as_they_would_fail_the_reset(simulator: Any, sample: dict[str, Any]):
    sample["invdata"]["b2b"][0]["pos"] = "99"
    with pytest.raises(GstnInvalidPayload, match="pos"):
        TaskInstance(simulator, ImsResetOperator, task_id="reset", payload=sample, dry_run=True).attempt()


def test_a_mistyped_word_is_no_yes_and_no_no(simulator: Any, sample: dict[str, Any]):
    task = TaskInstance(simulator, ImsResetOperator, task_id="reset", payload=sample, dry_run="ture")
    with pytest.raises(GstnInvalidRequest, match="dry_run"):
        task.attempt()
    assert simulator["resets"] == 0


def test_bulk_reads_every_request_and_sends_none(simulator: Any, tmp_path: Path):
    entry = three_requests(tmp_path)
    simulator.gst.open_session(RTIN)
    found = tried(bulk(simulator, entry, dry_run=True))
    assert (found["requests"], found["documents"], found["not_sent"]) == (3, 6, 6)
    assert simulator["resets"] == 0
    assert sorted(path.name for path in (tmp_path / RTIN).iterdir()) == ["0001.json", "0002.json", "0003.json"]
    Path(entry["chunks"][2]["path"]).write_text("{}")
    with pytest.raises(GstnInvalidRequest, match="0003.json"):
        bulk(simulator, entry, dry_run=True).attempt()


def test_it_says_what_the_companys_own_calendar_says(
    simulator: Any, sample: dict[str, Any], tmp_path: Path, monkeypatch: Any
):
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 11, 19, 12, tzinfo=UTC)

    monkeypatch.setattr("airflow_provider_ims.operators._dry_run.datetime", Clock)
    entry = three_requests(tmp_path)
    assert "GSTR-3B of October 2026 is due tomorrow" in tried(bulk(simulator, entry, dry_run=True))["notes"][0]
    quarterly: dict[str, Any] = {"dry_run": True, "calendar": {"filing": "quarterly"}}
    assert tried(bulk(simulator, entry, **quarterly))["notes"] == []
    one = {"task_id": "reset", "payload": sample}
    assert "is due tomorrow" in tried(TaskInstance(simulator, ImsResetOperator, **one, dry_run=True))["notes"][0]
    assert tried(TaskInstance(simulator, ImsResetOperator, **one, **quarterly))["notes"] == []


def test_what_was_sent_before_is_told(simulator: Any, tmp_path: Path, no_jitter: Any):
    entry = three_requests(tmp_path)
    simulator.gst.open_session(RTIN)
    bulk(simulator, entry).attempt()
    found = tried(bulk(simulator, entry, dry_run=True, run_id="run-2"))
    assert len(found["earlier"]) == 3
    assert all("was sent before as" in line for line in found["earlier"])
    assert simulator["resets"] == 3
