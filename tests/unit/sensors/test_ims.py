"""The sensor says the same in both modes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from airflow.models.trigger import Trigger
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG, Asset, BaseOperator, Param, task_group
from airflow.sdk.bases.operator import TriggerFailureReason

from airflow_provider_ims._compat import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    can_start_from_trigger,
)
from airflow_provider_ims.exceptions import (
    GstnServiceUnavailable,
    GstnSessionExpired,
    GstnTaskFailed,
    GstnTaskNotFound,
    GstnThrottled,
)
from airflow_provider_ims.hooks.gstn import DOWNLOAD
from airflow_provider_ims.models import TaskStatus
from airflow_provider_ims.sensors import ims
from airflow_provider_ims.sensors.ims import ImsTaskSensor
from airflow_provider_ims.triggers.ims import ImsTaskStartTrigger, ImsTaskTrigger

NOW = 1_700_000_000.0


class Hook:
    """A scripted hook, with one script for all tasks or one for each; the last answer is repeated."""

    def __init__(self) -> None:
        self.answers: list[str | BaseException] = ["processing"]
        self.tasks: dict[str, list[str | BaseException]] = {}
        self.asked: list[str] = []

    @property
    def polls(self) -> int:
        return len(self.asked)

    def get_task_status(self, reference_id: str) -> TaskStatus:
        self.asked.append(reference_id)
        answers = self.tasks.get(reference_id, self.answers)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
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
    return ImsTaskSensor(task_id="wait", **{"reference_id": "r-1", **changes})


def deferral(sensor: ImsTaskSensor, context: dict | None = None) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(context or {})
    return caught.value


def resume(sensor: ImsTaskSensor, event: dict | None) -> str:
    """Go on as Airflow does when the trigger's event is there."""
    return sensor.resume_execution("execute_complete", {"event": event}, {})


def resume_after_a_crash(sensor: ImsTaskSensor, error: object = TriggerFailureReason.TRIGGER_FAILURE) -> str:
    """Go on as Airflow does when the trigger raised, or did not report in Airflow's own time."""
    return sensor.resume_execution("__fail__", {"error": error}, {})


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


@pytest.mark.parametrize(
    ("given", "early", "interval"),
    [({}, True, 60.0), ({"poke_interval": 45}, False, 45.0), ({"exponential_backoff": True}, False, 60.0)],
)
def test_a_wait_polls_early_unless_the_user_says_how_often(hook, given, early, interval):
    trigger = deferral(sensor(deferrable=True, **given)).trigger
    assert (trigger.poll_early, trigger.poll_interval) == (early, interval)


def test_the_deadline_is_counted_from_the_start_of_the_try(hook):
    # A process that was restarted within a try does not start the wait anew.
    started = datetime.fromtimestamp(NOW - 3000, UTC)
    waiting = deferral(sensor(deferrable=True, timeout=7200), {"ti": SimpleNamespace(start_date=started)})
    assert (waiting.trigger.start_time, waiting.trigger.end_time) == (NOW - 3000, NOW - 3000 + 7200)
    assert timedelta(seconds=4200) < waiting.timeout < timedelta(seconds=4200 + 600)


def test_a_deadline_that_has_passed_still_leaves_the_trigger_time_to_report(hook):
    started = datetime.fromtimestamp(NOW - 9000, UTC)
    waiting = deferral(sensor(deferrable=True, timeout=7200), {"ti": SimpleNamespace(start_date=started)})
    assert waiting.timeout >= timedelta(seconds=60)


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


def since(start: float) -> dict:
    """The context of a try that began then."""
    return {"ti": SimpleNamespace(start_date=datetime.fromtimestamp(start, UTC))}


def fail(mode: str, hook: Hook, answer: str | Exception, **changes) -> None:
    """Meet a failure in one of the places where it can be met."""
    if mode == "event":
        error = GstnTaskFailed(f"ended as {answer}") if isinstance(answer, str) else answer
        event = {"status": "error", "reference_id": "r-1", "error": type(error).__name__, "message": str(error)}
        resume(sensor(deferrable=True, **changes), event)
    else:
        hook.answers = [answer]
        sensor(deferrable=mode == "first poke", **changes).execute(since(NOW - 120))


@pytest.mark.parametrize("found_after", [60, 110])
def test_a_task_that_is_not_found_in_its_first_two_minutes_is_only_not_there_yet(hook, found_after):
    missing = [GstnTaskNotFound("gone")] * (found_after // 10)
    hook.answers = [*missing, "processing", "completed"]
    assert sensor(poke_interval=10, deferrable=False).execute(since(NOW)) == "r-1"


def test_a_task_that_is_not_found_yet_is_handed_to_the_triggerer(hook):
    hook.answers = [GstnTaskNotFound("gone")]
    assert deferral(sensor(deferrable=True), since(NOW - 100)).trigger.start_time == NOW - 100


def test_a_task_that_is_not_found_after_two_minutes_is_gone(hook):
    hook.answers = [GstnTaskNotFound("gone")]
    with pytest.raises(GstnTaskNotFound):
        sensor(poke_interval=10, deferrable=False).execute(since(NOW))
    assert hook.polls == 13


def test_the_two_minutes_do_not_begin_anew_at_each_reschedule(hook):
    hook.answers = [GstnTaskNotFound("gone")]
    first = datetime.fromtimestamp(NOW - 120, UTC)
    ti = SimpleNamespace(
        start_date=datetime.fromtimestamp(NOW, UTC), get_first_reschedule_date=lambda context: first, try_number=1
    )
    with pytest.raises(GstnTaskNotFound):
        sensor(mode="reschedule", poke_interval=10, deferrable=False).execute({"ti": ti, "task_reschedule_count": 1})


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


UNEXPECTED = [
    ("poke", RuntimeError("a fault of ours")),
    ("first poke", RuntimeError("a fault of ours")),
    ("event", GstnServiceUnavailable("503")),  # no trigger reports that, but a retry may mend it
    ("crash", "TaskDeferralError"),
]


def meet_something_unexpected(mode: str, hook: Hook, answer: str | Exception, **changes) -> None:
    if mode == "crash":
        resume_after_a_crash(sensor(deferrable=True, **changes))
    else:
        fail(mode, hook, answer, **changes)


@pytest.mark.parametrize(("mode", "answer"), UNEXPECTED)
class TestWhatNobodyForesaw:
    @pytest.mark.parametrize("flags", [{}, {"soft_fail": True}])
    def test_fails_and_may_be_retried_with_soft_fail_as_well(self, hook, mode, answer, flags):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is asserted below
            meet_something_unexpected(mode, hook, answer, **flags)
        expected = answer if isinstance(answer, str) else type(answer).__name__
        assert type(caught.value).__name__ == expected
        assert not isinstance(caught.value, (AirflowSkipException, AirflowFailException))

    def test_is_skipped_with_never_fail(self, hook, mode, answer):
        with pytest.raises(AirflowSkipException):
            meet_something_unexpected(mode, hook, answer, never_fail=True)


def time_out(mode: str, hook: Hook, monkeypatch: pytest.MonkeyPatch, **changes) -> None:
    """Come to the end of the time in one of the ways in which it can end."""
    match mode:
        case "poke":
            sensor(deferrable=False, timeout=30, poke_interval=10, **changes).execute({})
        case "asleep":  # execution_timeout strikes between two polls

            def interrupted(seconds: float) -> None:
                raise AirflowTaskTimeout("Timeout")

            monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", interrupted)
            sensor(deferrable=False, **changes).execute({})
        case "asking" | "first poke":  # execution_timeout strikes during a poll
            hook.answers = [AirflowTaskTimeout("Timeout")]
            sensor(deferrable=mode == "first poke", **changes).execute({})
        case "event":
            event = {"status": "timeout", "reference_id": "r-1", "message": "processing"}
            resume(sensor(deferrable=True, **changes), event)
        case "Airflow's own":
            resume_after_a_crash(sensor(deferrable=True, **changes), TriggerFailureReason.TRIGGER_TIMEOUT)


@pytest.mark.parametrize("mode", ["poke", "asleep", "asking", "first poke", "event", "Airflow's own"])
class TestDeadline:
    def test_is_airflows_sensor_timeout_which_is_not_retried(self, hook, mode, monkeypatch):
        with pytest.raises(AirflowSensorTimeout, match="(?s)r-1 was not complete.*do not send the reset again"):
            time_out(mode, hook, monkeypatch)

    @pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
    def test_skips_if_asked(self, hook, mode, flag, monkeypatch):
        with pytest.raises(AirflowSkipException):
            time_out(mode, hook, monkeypatch, **{flag: True})


def test_airflows_own_timeout_asks_whether_a_triggerer_runs(hook, monkeypatch):
    with pytest.raises(AirflowSensorTimeout, match="is a triggerer running"):
        time_out("Airflow's own", hook, monkeypatch)


def test_the_timeout_says_that_the_task_may_still_run(hook, monkeypatch):
    with pytest.raises(AirflowSensorTimeout, match="(?s)r-1.*processing.*do not send the reset again"):
        time_out("event", hook, monkeypatch)


def test_a_complete_event_returns_the_reference_id(hook):
    assert sensor(deferrable=True).execute_complete({}, completed()) == "r-1"


@pytest.mark.parametrize("event", [None, {}, completed(reference_id="r-2"), completed(status="excellent")])
def test_an_event_that_is_not_ours_is_never_success(hook, event):
    with pytest.raises(AirflowFailException):
        sensor(deferrable=True).execute_complete({}, event)


def test_the_default_of_deferrable_is_airflows_setting():
    assert sensor().deferrable is False


def rescheduled_since(first_poke: datetime | None) -> dict:
    ti = SimpleNamespace(get_first_reschedule_date=lambda context: first_poke, start_date=datetime.now(UTC))
    return {"ti": ti}


@pytest.mark.parametrize("flags", [{}, {"soft_fail": True}, {"never_fail": True}])
class TestRescheduleMode:
    def test_gives_the_slot_back_between_polls(self, hook, flags):
        with pytest.raises(AirflowRescheduleException) as caught:
            sensor(deferrable=False, mode="reschedule", poke_interval=90, **flags).execute(rescheduled_since(None))
        assert caught.value.reschedule_date > datetime.now(UTC)
        assert hook.polls == 1

    def test_counts_its_timeout_from_the_first_poll(self, hook, flags):
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        with pytest.raises(AirflowSkipException if flags else AirflowSensorTimeout):
            sensor(deferrable=False, mode="reschedule", timeout=1800, **flags).execute(rescheduled_since(an_hour_ago))


class MappedOutput(Sequence):
    """What the output of a mapped task is at run time: a sequence, but no list."""

    def __init__(self, *values: str) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index):
        return self._values[index]


class TestSeveralTasks:
    @pytest.fixture
    def several(self):
        def build(*reference_ids: str, **changes) -> ImsTaskSensor:
            return sensor(reference_id=list(reference_ids), **changes)

        return build

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_that_are_complete_come_back_as_the_list_that_was_given(self, hook, several, deferrable):
        hook.answers = ["completed"]
        assert several("r-2", "r-1", deferrable=deferrable).execute({}) == ["r-2", "r-1"]

    def test_are_polled_until_the_last_has_ended_and_those_that_have_are_not_asked_again(self, hook, several):
        hook.tasks = {
            "r-1": ["processing", "completed"],
            "r-2": ["completed"],
            "r-3": ["queued", "queued", "completed"],
        }
        assert several("r-1", "r-2", "r-3", deferrable=False).execute({}) == ["r-1", "r-2", "r-3"]
        assert hook.asked == ["r-1", "r-2", "r-3", "r-1", "r-3", "r-3"]

    def test_one_that_failed_is_told_once_the_others_have_ended(self, hook, several):
        hook.tasks = {"r-1": ["failed"], "r-2": ["processing", "processing", "completed"]}
        with pytest.raises(GstnTaskFailed, match="r-1 ended as 'failed'") as caught:
            several("r-1", "r-2", deferrable=False).execute({})
        assert hook.asked == ["r-1", "r-2", "r-2", "r-2"]
        assert "r-2" not in str(caught.value)

    def test_all_that_failed_are_named(self, hook, several):
        hook.tasks = {"r-1": ["failed"], "r-2": ["completed"], "r-3": ["aborted"]}
        with pytest.raises(GstnTaskFailed, match=r"(?s)r-1.*r-3"):
            several("r-1", "r-2", "r-3", deferrable=False).execute({})

    def test_one_that_the_service_does_not_know_does_not_end_the_wait_for_the_others(self, hook, several):
        hook.tasks = {"r-1": [GstnTaskNotFound("r-1 is not known")], "r-2": ["processing", "completed"]}
        with pytest.raises(GstnTaskNotFound, match="r-1 is not known"):
            several("r-1", "r-2", deferrable=False).execute(since(NOW - 120))
        assert hook.asked == ["r-1", "r-2", "r-2"]

    def test_a_fault_that_may_pass_costs_no_task_its_place(self, hook, several):
        hook.tasks = {"r-1": ["completed"], "r-2": [GstnServiceUnavailable("503"), "completed"], "r-3": ["completed"]}
        assert several("r-1", "r-2", "r-3", deferrable=False).execute({}) == ["r-1", "r-2", "r-3"]
        assert sorted(set(hook.asked)) == ["r-1", "r-2", "r-3"]
        assert hook.asked.count("r-1") == 1

    def test_at_the_deadline_those_that_still_run_are_named(self, hook, several):
        hook.tasks = {"r-1": ["completed"], "r-2": ["queued"]}
        with pytest.raises(AirflowSensorTimeout, match=r"Last seen: r-2: queued\."):
            several("r-1", "r-2", deferrable=False, timeout=30, poke_interval=10).execute({})

    def test_are_waited_for_by_one_trigger(self, hook, several):
        waiting = deferral(several("r-1", "r-2", deferrable=True))
        assert waiting.trigger.reference_id == ["r-1", "r-2"]

    def test_end_together_with_the_triggers_event(self, hook, several):
        waiting = several("r-1", "r-2", deferrable=True)
        assert resume(waiting, completed(reference_id=["r-1", "r-2"])) == ["r-1", "r-2"]

    @pytest.mark.parametrize("told", ["r-1", ["r-1"], ["r-1", "r-3"], ["r-1", "r-2", "r-3"]])
    def test_an_event_about_others_is_never_success(self, hook, several, told):
        with pytest.raises(AirflowFailException, match="this task waits for 'r-1, r-2'"):
            resume(several("r-1", "r-2", deferrable=True), completed(reference_id=told))

    def test_the_output_of_a_mapped_task_is_such_a_list(self, hook):
        hook.answers = ["completed"]
        output = MappedOutput("r-1", "r-2")
        assert sensor(reference_id=output, deferrable=False).execute({}) == ["r-1", "r-2"]
        assert resume(sensor(reference_id=output, deferrable=True), completed(reference_id=["r-1", "r-2"]))
        hook.answers = ["processing"]
        _, kwargs = deferral(sensor(reference_id=output, deferrable=True)).trigger.serialize()
        assert json.loads(json.dumps(kwargs))["reference_id"] == ["r-1", "r-2"]

    def test_none_at_all_are_complete(self, hook, several):
        assert several(deferrable=False).execute({}) == []
        assert hook.polls == 0


@pytest.mark.parametrize("reference_id", ["r-1", ["r-1", "r-2"]])
def test_a_sensor_that_is_killed_says_that_the_service_goes_on(hook, capsys, reference_id):
    sensor(reference_id=reference_id).on_kill()
    told = capsys.readouterr().out
    assert "The wait for r-1" in told
    assert "no cancel" in told
    assert "do not send the reset again" in told


class TestWithoutAWorker:
    """
    The wait that the scheduler starts in the triggerer, and that ends there.

    What the sensor gives to Airflow is the same on each; that an older one is refused is a test of its own.
    """

    @pytest.fixture(autouse=True)
    def _an_airflow_that_can(self, monkeypatch):
        monkeypatch.setattr(ims, "CAN_START_FROM_TRIGGER", True)

    def wait(self, **changes) -> ImsTaskSensor:
        with DAG("d", schedule=None):
            before = BaseOperator(task_id="reset")
            return sensor(
                **{"reference_id": before.output, "start_from_trigger": True, "end_from_trigger": True, **changes}
            )

    def started(self, wait: ImsTaskSensor) -> ImsTaskStartTrigger:
        """Return the trigger as the triggerer builds it: where it can, of the DAG that the scheduler has."""
        task, read = wait, dict
        if can_start_from_trigger():
            from airflow.serialization.decoders import smart_decode_trigger_kwargs
            from airflow.serialization.serialized_objects import DagSerialization

            task = DagSerialization.from_dict(DagSerialization.to_dict(wait.dag)).get_task("wait")

            def read(kwargs):
                kept = Trigger._decrypt_kwargs(Trigger.encrypt_kwargs(kwargs))
                return {key: smart_decode_trigger_kwargs(value) for key, value in kept.items()}

        assert task.start_from_trigger is True
        args = task.start_trigger_args
        assert args.next_method == "execute_complete"
        module, _, name = args.trigger_cls.rpartition(".")
        trigger = getattr(import_module(module), name)(**read(args.trigger_kwargs))
        assert trigger.airflow_seconds == args.timeout.total_seconds()
        return trigger

    def test_the_scheduler_starts_it_with_a_template_and_the_users_numbers(self, hook):
        wait = self.wait(timeout=600, poke_interval=20, gstn_conn_id="gstn_two")
        assert wait.deferrable
        trigger = self.started(wait)
        assert trigger.reference_id == (
            "{{ task_instance.xcom_pull(task_ids='reset', key='return_value', map_indexes=-1) }}"
        )
        assert (trigger.gstn_conn_id, trigger.poll_interval, trigger.poll_early) == ("gstn_two", 20.0, False)
        assert (trigger.wait_seconds, trigger.end_from_trigger) == (600.0, True)
        assert trigger.airflow_seconds > 600 + 2 * 20

    def test_several_tasks_are_several_templates(self, hook):
        with DAG("d", schedule=None):
            outputs = [BaseOperator(task_id=f"reset_{number}").output for number in (1, 2)]
            wait = sensor(reference_id=[*outputs, "r-3"], start_from_trigger=True)
        first, second, third = self.started(wait).reference_id
        assert "task_ids='reset_1'" in first
        assert "task_ids='reset_2'" in second
        assert third == "r-3"

    def test_the_task_before_it_is_still_before_it(self, hook):
        assert self.wait().upstream_task_ids == {"reset"}

    def test_airflows_own_deadline_is_known_where_an_execution_timeout_is_set(self, hook):
        trigger = self.started(self.wait(timeout=600, execution_timeout=timedelta(seconds=300)))
        assert (trigger.wait_seconds, trigger.airflow_seconds) == (300, 300)

    @pytest.mark.parametrize("event", ["success", {"status": "undecided", "reference_id": "['r-1']"}])
    def test_what_the_triggerer_cannot_say_a_worker_asks_the_service(self, hook, event):
        hook.answers = ["completed"]
        assert resume(sensor(start_from_trigger=True, end_from_trigger=True), event) == "r-1"
        assert hook.asked == ["r-1"]

    @pytest.mark.parametrize("event", ["success", {"status": "undecided", "reference_id": "['r-1']"}])
    def test_and_waits_on_if_it_has_not_ended(self, hook, event):
        waiting = sensor(start_from_trigger=True, end_from_trigger=True)
        with pytest.raises(TaskDeferred) as caught:
            resume(waiting, event)
        assert type(caught.value.trigger) is ImsTaskTrigger
        assert caught.value.trigger.end_from_trigger is True
        assert hook.asked == ["r-1"]

    @pytest.mark.parametrize(("kwargs", "error"), [({}, GstnTaskFailed), ({"soft_fail": True}, AirflowSkipException)])
    def test_a_failure_is_decided_by_the_sensors_rules(self, hook, kwargs, error):
        event = {"status": "error", "error": "GstnTaskFailed", "message": "no", "code": "", "reference_id": "r-1"}
        with pytest.raises(error):
            resume(sensor(start_from_trigger=True, end_from_trigger=True, **kwargs), event)

    def test_without_it_nothing_is_started_in_the_triggerer(self, hook):
        waiting = sensor(deferrable=True)
        assert (waiting.start_from_trigger, waiting.start_trigger_args) == (False, None)
        assert deferral(waiting).trigger.end_from_trigger is False

    @pytest.mark.parametrize("name", ["start_from_trigger", "end_from_trigger"])
    def test_a_mapped_task_is_refused_when_the_dag_is_parsed(self, name):
        with pytest.raises(ValueError, match=f"wait: {name} does not work for mapped tasks"):
            ImsTaskSensor.partial(task_id="wait", **{name: True})

    def test_a_mapped_task_without_it_is_as_before(self):
        with DAG("d", schedule=None) as dag:
            ImsTaskSensor.partial(task_id="wait", deferrable=True).expand(reference_id=["r-1", "r-2"])
        assert dag.get_task("wait").is_mapped

    @pytest.mark.parametrize("name", ["start_from_trigger", "end_from_trigger"])
    def test_a_task_of_a_mapped_group_is_refused(self, name):
        @task_group
        def each(reference_id):
            sensor(reference_id=reference_id, **{name: True})

        with DAG("d", schedule=None), pytest.raises(ValueError, match=f"{name} does not work for mapped tasks"):
            each.expand(reference_id=["r-1", "r-2"])

    def test_an_airflow_that_cannot_is_named(self, monkeypatch):
        monkeypatch.setattr(ims, "CAN_START_FROM_TRIGGER", False)
        with pytest.raises(ValueError, match=r"start_from_trigger needs Airflow 3\.3\.1"):
            sensor(start_from_trigger=True)

    @pytest.mark.parametrize(
        ("kwargs", "named"), [({"outlets": [Asset("a_report")]}, "outlets"), ({"do_xcom_push": False}, "do_xcom")]
    )
    def test_what_only_a_worker_does_is_refused(self, kwargs, named):
        with pytest.raises(ValueError, match=f"end_from_trigger does not go with {named}"):
            sensor(end_from_trigger=True, **kwargs)
        sensor(start_from_trigger=True, **kwargs)

    @pytest.mark.parametrize("param", [Param(type="string", minLength=1), Param("", type="string", minLength=1)])
    def test_a_param_without_a_valid_default_is_refused_since_it_would_end_the_triggerer(self, param):
        with DAG("d", schedule=None, params={"payload": param, "fine": Param("x", type="string")}):
            sensor(deferrable=True)
            with pytest.raises(ValueError, match="without a valid default: payload"):
                ImsTaskSensor(task_id="other", reference_id="r-1", start_from_trigger=True)

    @pytest.mark.parametrize(
        "reference_id",
        ["{{ ti.xcom_pull('reset') }}", "{{ task_instance.xcom_pull(task_ids='reset') }}", ["{{ ti.xcom_pull('a') }}"]],
    )
    def test_a_template_that_the_triggerer_never_answers_is_refused(self, reference_id):
        with pytest.raises(ValueError, match="map_indexes=-1"):
            sensor(reference_id=reference_id, start_from_trigger=True)
        sensor(reference_id=reference_id, deferrable=True)

    def test_a_connection_id_is_a_template_as_well(self, hook):
        with DAG("d", schedule=None):
            choice = BaseOperator(task_id="choose").output
            wait = sensor(gstn_conn_id=choice, start_from_trigger=True)
        assert self.started(wait).gstn_conn_id == (
            "{{ task_instance.xcom_pull(task_ids='choose', key='return_value', map_indexes=-1) }}"
        )
        assert wait.upstream_task_ids == {"choose"}
        with pytest.raises(ValueError, match="map_indexes=-1"):
            sensor(gstn_conn_id="{{ ti.xcom_pull('choose') }}", start_from_trigger=True)

    def test_an_output_that_is_worked_on_is_refused(self):
        with DAG("d", schedule=None):
            output = BaseOperator(task_id="reset").output.map(str)
            with pytest.raises(ValueError, match="start_from_trigger cannot read"):
                sensor(reference_id=output, start_from_trigger=True)

    @pytest.mark.parametrize("reference_id", ["r-1", "{{ params.id }}", "{{ ti.xcom_pull('a', map_indexes=-1) }}"])
    def test_other_templates_are_taken_as_they_are(self, reference_id):
        wait = sensor(reference_id=reference_id, start_from_trigger=True)
        assert wait.start_trigger_args.trigger_kwargs["reference_id"] == reference_id


class DownloadSensor(ImsTaskSensor):
    """A sensor of another call, as docs/adding-a-call.md has it."""

    call = DOWNLOAD


class TestAnotherCall:
    @staticmethod
    def sensor(**changes) -> DownloadSensor:
        return DownloadSensor(task_id="wait", **{"reference_id": "d-1", **changes})

    def test_is_named_to_the_trigger(self, hook):
        _, kwargs = deferral(self.sensor(deferrable=True)).trigger.serialize()
        assert ImsTaskTrigger(**kwargs).call == "download"

    def test_is_what_a_failure_and_the_deadline_are_told_of(self, hook):
        with pytest.raises(AirflowSensorTimeout) as late:
            resume(self.sensor(), {"status": "timeout", "reference_id": "d-1", "message": "d-1: processing"})
        hook.answers = ["failed"]
        with pytest.raises(GstnTaskFailed) as failed:
            self.sensor(deferrable=False).execute({})
        assert "download" in str(late.value)
        assert "reset" not in f"{late.value} {failed.value}"

    def test_is_what_a_person_is_told_of_who_ends_the_wait(self, hook, capsys):
        self.sensor().on_kill()
        told = "".join(capsys.readouterr())
        assert "The wait for d-1 was ended from outside." in told
        assert "reset" not in told
