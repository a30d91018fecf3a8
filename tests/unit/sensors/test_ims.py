"""The sensor says the same in both modes."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_ims._compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_provider_ims.exceptions import (
    GstnServiceUnavailable,
    GstnSessionExpired,
    GstnTaskFailed,
    GstnTaskNotFound,
    GstnThrottled,
)
from airflow_provider_ims.models import TaskStatus
from airflow_provider_ims.sensors import ims
from airflow_provider_ims.sensors.ims import ImsTaskSensor

NOW = 1_700_000_000.0


class Hook:
    """A scripted hook; the last answer is repeated."""

    def __init__(self) -> None:
        self.answers: list[str | Exception] = ["processing"]
        self.polls = 0

    def get_task_status(self, reference_id: str) -> TaskStatus:
        self.polls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return TaskStatus(reference_id=reference_id, word=answer)

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    hook = Hook()
    clock = SimpleNamespace(now=NOW)
    monkeypatch.setattr(ims, "GstnHook", lambda conn_id, read_attempts: hook)
    monkeypatch.setattr(ims.time, "time", lambda: clock.now)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    sensor_clock = SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep)
    monkeypatch.setattr("airflow.sdk.bases.sensor.time", sensor_clock)
    return hook


def sensor(**changes) -> ImsTaskSensor:
    return ImsTaskSensor(task_id="wait", reference_id="r-1", **changes)


def deferral(sensor: ImsTaskSensor) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({})
    return caught.value


def resume(sensor: ImsTaskSensor, event: dict | None) -> str:
    """Go on as Airflow does when the trigger's event is there."""
    return sensor.resume_execution("execute_complete", {"event": event}, {})


def completed(**changes) -> dict[str, str]:
    return {"status": "completed", "reference_id": "r-1", **changes}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_task_that_is_complete_already_ends_on_the_worker(hook, deferrable):
    hook.answers = ["completed"]
    assert sensor(deferrable=deferrable).execute({}) == "r-1"
    assert hook.polls == 1


def test_poke_mode_polls_until_complete(hook):
    hook.answers = ["queued", "processing", "archived", "completed"]
    assert sensor(deferrable=False, poke_interval=5).execute({}) == "r-1"
    assert hook.polls == 4


def test_everything_the_user_set_reaches_the_trigger(hook):
    waiting = deferral(
        sensor(
            deferrable=True,
            poke_interval=timedelta(seconds=45),
            exponential_backoff=True,
            max_wait=timedelta(minutes=7),
            timeout=timedelta(hours=2),
            gstn_conn_id="gstn_two",
        )
    )
    _, kwargs = waiting.trigger.serialize()
    assert kwargs == {
        "reference_id": "r-1",
        "gstn_conn_id": "gstn_two",
        "poll_interval": 45.0,
        "start_time": NOW,
        "end_time": NOW + 7200,
        "exponential_backoff": True,
        "max_wait": 420.0,
    }
    assert waiting.method_name == "execute_complete"


def test_airflows_own_timeout_comes_after_the_triggers(hook):
    assert deferral(sensor(deferrable=True, timeout=100, poke_interval=10)).timeout > timedelta(seconds=100 + 10)


@pytest.mark.parametrize(("timeout", "execution_timeout", "seconds"), [(100, 30, 30), (30, 100, 30)])
def test_the_deadline_is_the_sooner_of_timeout_and_execution_timeout(hook, timeout, execution_timeout, seconds):
    waiting = deferral(sensor(deferrable=True, timeout=timeout, execution_timeout=timedelta(seconds=execution_timeout)))
    assert waiting.trigger.end_time == NOW + seconds


@pytest.mark.parametrize("fault", [GstnServiceUnavailable("503"), GstnThrottled("429")])
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_fault_that_may_pass_is_ridden_out(hook, fault, deferrable):
    hook.answers = [fault, "completed"]
    if deferrable:
        deferral(sensor(deferrable=True))
    else:
        assert sensor(deferrable=False).execute({}) == "r-1"


def test_poke_mode_honours_retry_after(hook):
    hook.answers = [GstnThrottled("slow down", retry_after=95), "completed"]
    waiting = sensor(deferrable=False, poke_interval=10)
    waiting.execute({})
    assert hook.polls == 2
    assert ims.time.time() - NOW == 100


FAILURES = [
    ("failed", GstnTaskFailed),
    ("canceled", GstnTaskFailed),
    (GstnTaskNotFound("gone"), GstnTaskNotFound),
    (GstnSessionExpired("otp"), GstnSessionExpired),
]


def fail(mode: str, hook: Hook, answer: str | Exception, **changes) -> None:
    """Meet a failure in one of the places where it can be met."""
    if mode == "event":
        error = GstnTaskFailed(f"ended as {answer}") if isinstance(answer, str) else answer
        event = {"status": "error", "reference_id": "r-1", "error": type(error).__name__, "message": str(error)}
        resume(sensor(deferrable=True, **changes), event)
    else:
        hook.answers = [answer]
        sensor(deferrable=mode == "first poke", **changes).execute({})


@pytest.mark.parametrize(("answer", "expected"), FAILURES)
@pytest.mark.parametrize("mode", ["poke", "first poke", "event"])
class TestFailuresMeanTheSameInEveryMode:
    def test_permanent(self, hook, mode, answer, expected):
        with pytest.raises(expected) as caught:
            fail(mode, hook, answer)
        assert isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
    def test_skipped_if_asked(self, hook, mode, answer, expected, flag):
        with pytest.raises(AirflowSkipException, match=flag):
            fail(mode, hook, answer, **{flag: True})


def time_out(mode: str, **changes) -> None:
    if mode == "poke":
        sensor(deferrable=False, timeout=30, poke_interval=10, **changes).execute({})
    else:
        event = {"status": "timeout", "reference_id": "r-1", "message": "processing"}
        resume(sensor(deferrable=True, **changes), event)


@pytest.mark.parametrize("mode", ["poke", "event"])
class TestDeadline:
    def test_is_airflows_sensor_timeout_which_is_not_retried(self, hook, mode):
        with pytest.raises(AirflowSensorTimeout):
            time_out(mode)

    @pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
    def test_skips_if_asked(self, hook, mode, flag):
        with pytest.raises(AirflowSkipException):
            time_out(mode, **{flag: True})


def test_the_timeout_says_that_the_task_may_still_run(hook):
    with pytest.raises(AirflowSensorTimeout, match=r"r-1.*processing.*do not send the reset again"):
        time_out("event")


def test_a_complete_event_returns_the_reference_id(hook):
    assert sensor(deferrable=True).execute_complete({}, completed()) == "r-1"


@pytest.mark.parametrize("event", [None, {}, completed(reference_id="r-2"), completed(status="excellent")])
def test_an_event_that_is_not_ours_is_never_success(hook, event):
    with pytest.raises(AirflowFailException):
        sensor(deferrable=True).execute_complete({}, event)


def test_the_default_of_deferrable_is_airflows_setting():
    assert sensor().deferrable is False
