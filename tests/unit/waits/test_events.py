"""What a trigger's event says, written and read back, as it goes through Airflow's database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import GstnPermanentError, GstnServiceUnavailable, GstnTaskFailed
from airflow_provider_ims.hooks.gstn import DOWNLOAD
from airflow_provider_ims.waits.events import COMPLETED, event_about, failed, failure_of, read_event, timed_out
from airflow_provider_ims.waits.steps import AwaitTasks

FAILURE = GstnTaskFailed("r-1 ended as 'failed'.", code="failed")


def carried(event: dict[str, Any]) -> dict[str, Any]:
    """As Airflow hands it to the next process."""
    return json.loads(json.dumps(event))


@pytest.mark.parametrize("reference_id", ["r-1", ["r-1", "r-2"]])
def test_what_is_complete_is_no_error(reference_id: str | list[str]):
    waited_for = [reference_id] if isinstance(reference_id, str) else reference_id
    event = carried(event_about(reference_id, COMPLETED))
    assert event == {"status": "completed", "reference_id": reference_id}
    read_event(event, waited_for)


def test_a_failure_arrives_as_it_was_raised():
    event = carried(event_about(["r-1"], failed(FAILURE)))
    assert event["status"] == "error"
    with pytest.raises(GstnTaskFailed, match="r-1 ended as 'failed'") as caught:
        read_event(event, ["r-1"])
    assert caught.value.code == "failed"


def test_one_that_may_pass_stays_one_that_may_pass():
    error = failure_of(carried(event_about("r-1", failed(GstnServiceUnavailable("503 of the service", code="x")))))
    assert (type(error), str(error), error.code) == (GstnServiceUnavailable, "503 of the service", "x")


def test_an_error_that_says_nothing_of_itself_is_permanent():
    error = failure_of({"status": "error"})
    assert (type(error), str(error), error.code) == (GstnPermanentError, "", "")


def test_the_deadline_is_a_timeout_that_says_what_was_last_seen_and_what_to_do():
    event = carried(event_about(["r-1", "r-2"], timed_out("r-2: processing")))
    with pytest.raises(AirflowSensorTimeout) as caught:
        read_event(event, ["r-1", "r-2"])
    assert str(caught.value).startswith(
        "Task r-1, r-2 was not complete at the deadline.\nLast seen: r-2: processing.\n"
    )
    assert "do not send the reset again" in str(caught.value)


@pytest.mark.parametrize("status", ["done", "", None])
def test_a_word_that_nobody_knows_is_never_success(status: Any):
    with pytest.raises(GstnPermanentError, match=f"event for r-1 has the status {status!r}"):
        read_event({"status": status, "reference_id": "r-1"}, ["r-1"])


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (None, "''"),
        ({}, "''"),
        ({"status": "completed"}, "''"),
        ({"status": "completed", "reference_id": "r-2"}, "'r-2'"),
        ({"status": "completed", "reference_id": ["r-1"]}, "'r-1'"),
        ({"status": "completed", "reference_id": ["r-2", "r-1"]}, "'r-2, r-1'"),
    ],
)
def test_an_event_about_anything_else_is_never_success(event: Any, told: str):
    with pytest.raises(GstnPermanentError, match=f"reports on {told}, but this task waits for 'r-1, r-2'"):
        read_event(event, ["r-1", "r-2"])


def test_what_would_end_the_triggerer_is_not_in_an_event():
    event = event_about("r-1", {"status": "error", "message": "one\x00\ntwo"})
    assert "\x00" not in json.dumps(event["message"])
    assert event["message"].endswith("\ntwo")


class TestTheNextProcess:
    STEP = AwaitTasks(["r-1", "r-2"], 1_700_000_600.0, "request", "ims_reset_0001")

    def test_knows_what_was_waited_for_once_it_has_ended(self):
        event = carried(event_about(["r-1", "r-2"], COMPLETED))
        assert AwaitTasks.of_event(carried(self.STEP.to_json()), event) == self.STEP

    @pytest.mark.parametrize(
        "event",
        [
            None,
            "completed",
            {"reference_id": ["r-1", "r-2"]},
            {"status": "completed"},
            {"status": "timeout", "reference_id": ["r-1", "r-2"]},
            {"status": "completed", "reference_id": ["r-1"]},
            {"status": "completed", "reference_id": ["r-2", "r-1"]},
        ],
    )
    def test_does_not_take_anything_else_for_its_end(self, event: Any):
        assert AwaitTasks.of_event(self.STEP.to_json(), event) is None

    @pytest.mark.parametrize("awaited", [None, {}])
    def test_that_waited_for_nothing_has_nothing_that_ended(self, awaited: Any):
        assert AwaitTasks.of_event(awaited, event_about([""], COMPLETED)) is None

    def test_waits_for_downloads_of_a_single_reset_unless_it_is_told_else(self):
        assert AwaitTasks(["d-1"]) == (["d-1"], None, "reconcile", "ims_reset")


def test_a_download_that_comes_too_late_is_not_told_as_a_reset():
    event = carried(event_about(["d-1"], timed_out("d-1: processing")))
    with pytest.raises(AirflowSensorTimeout) as caught:
        read_event(event, ["d-1"], DOWNLOAD)
    assert "Last seen: d-1: processing." in str(caught.value)
    assert "clear this task to have the download after all" in str(caught.value)
    assert "reset" not in str(caught.value)
