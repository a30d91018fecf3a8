"""Where a submission waits, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import GstnServiceUnavailable, GstnTaskFailed, GstnTaskNotFound
from airflow_provider_ims.models import TaskStatus
from airflow_provider_ims.operators import _deferral
from airflow_provider_ims.operators._deferral import trigger_for
from airflow_provider_ims.waits import on_worker, watch
from airflow_provider_ims.waits.limits import LONGEST_LOOK, LONGEST_POLL_INTERVAL, SETTLING
from airflow_provider_ims.waits.on_worker import wait_here
from airflow_provider_ims.waits.steps import AwaitMoment, AwaitTasks

NOW = 1_700_000_000.0


class Hook:
    """Scripted answers for each task, on a clock that only sleeping moves; the last answer is repeated."""

    def __init__(self) -> None:
        self.now = NOW
        self.pauses: list[float] = []
        self.asked: list[str] = []
        self.tasks: dict[str, list[str | Exception]] = {}

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def get_task_status(self, reference_id: str) -> TaskStatus:
        self.asked.append(reference_id)
        answers = self.tasks[reference_id]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return TaskStatus(reference_id=reference_id, word=answer)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    hook = Hook()
    clock = SimpleNamespace(time=lambda: hook.now, sleep=hook.sleep)
    for module in (_deferral, on_worker, watch):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("random.uniform", lambda low, high: 1.0)
    return hook


class TestInTheTriggerer:
    @pytest.mark.parametrize(("moment", "fires"), [(NOW + 60, NOW + 60), (NOW - 60, NOW + SETTLING)])
    def test_a_moment_is_never_sooner_than_airflow_can_bear(self, hook, moment, fires):
        trigger, timeout = trigger_for(AwaitMoment(moment), "gstn_default")
        assert isinstance(trigger, DateTimeTrigger)
        assert trigger.moment == datetime.fromtimestamp(fires, UTC)
        assert timeout is None

    def test_tasks_are_waited_for_by_one_trigger_with_a_deadline_that_comes_before_airflows(self, hook):
        trigger, timeout = trigger_for(AwaitTasks(["d-1", "d-2"]), "gstn_two")
        _, kwargs = trigger.serialize()
        assert kwargs["reference_id"] == ["d-1", "d-2"]
        assert kwargs["gstn_conn_id"] == "gstn_two"
        assert (kwargs["start_time"], kwargs["end_time"]) == (NOW, NOW + LONGEST_LOOK)
        assert timeout.total_seconds() > LONGEST_LOOK + LONGEST_POLL_INTERVAL
        assert (kwargs["poll_early"], kwargs["poll_interval"]) == (True, LONGEST_POLL_INTERVAL)

    def test_a_request_is_asked_about_early_and_no_less_often_than_the_user_says(self, hook):
        trigger, _ = trigger_for(AwaitTasks(["r-1"], until=NOW + 600, kind="reset"), "gstn_default", 30.0)
        _, kwargs = trigger.serialize()
        assert (kwargs["poll_early"], kwargs["poll_interval"], kwargs["end_time"]) == (True, 30.0, NOW + 600)

    @pytest.mark.parametrize(
        ("kind", "call"), [("request", "reset"), ("reconcile", "download"), ("account", "download")]
    )
    def test_the_trigger_knows_whether_it_waits_for_downloads(self, hook, kind, call):
        trigger, _ = trigger_for(AwaitTasks(["r-1"], kind=kind), "gstn_default")
        assert trigger.call == call


class TestOnTheWorker:
    @pytest.mark.parametrize(("moment", "pause"), [(NOW + 60, 60), (NOW - 60, 0)])
    def test_a_moment_is_slept_to(self, hook, moment, pause):
        assert wait_here(hook, AwaitMoment(moment)) is None
        assert hook.pauses == [pause]

    def test_tasks_are_polled_until_all_have_ended_and_those_that_have_are_not_asked_again(self, hook):
        hook.tasks = {"d-1": ["completed"], "d-2": ["queued", "processing", "completed"]}
        assert wait_here(hook, AwaitTasks(["d-1", "d-2"])) == AwaitTasks(["d-1", "d-2"])
        assert hook.asked == ["d-1", "d-2", "d-2", "d-2"]

    def test_a_fault_that_may_pass_is_ridden_out(self, hook):
        hook.tasks = {"d-1": [GstnServiceUnavailable("503"), "completed"]}
        assert wait_here(hook, AwaitTasks(["d-1"])) == AwaitTasks(["d-1"])

    def test_a_reset_that_takes_too_long_is_left_to_the_one_who_sent_it(self, hook):
        hook.tasks = {"r-1": ["processing"]}
        assert wait_here(hook, AwaitTasks(["r-1"], until=NOW + 600, kind="request")) is None
        assert NOW + 600 <= hook.now <= NOW + 600 + LONGEST_POLL_INTERVAL

    def test_one_that_is_not_found_yet_is_waited_for(self, hook):
        hook.tasks = {"d-1": [GstnTaskNotFound("d-1"), "completed"]}
        assert wait_here(hook, AwaitTasks(["d-1"])) == AwaitTasks(["d-1"])

    def test_one_that_is_not_found_for_two_minutes_is_gone(self, hook):
        hook.tasks = {"d-1": [GstnTaskNotFound("no d-1")]}
        with pytest.raises(GstnTaskNotFound, match="no d-1"):
            wait_here(hook, AwaitTasks(["d-1"]))
        assert 120 <= hook.now - NOW < 240

    def test_one_that_failed_is_told_once_the_others_have_ended(self, hook):
        hook.tasks = {"d-1": ["failed"], "d-2": ["processing", "completed"]}
        with pytest.raises(GstnTaskFailed, match="d-1"):
            wait_here(hook, AwaitTasks(["d-1", "d-2"]))
        assert hook.asked == ["d-1", "d-2", "d-2"]

    @pytest.mark.parametrize("kind", ["reconcile", "account"])
    def test_a_download_that_failed_is_not_told_as_a_reset(self, hook, kind):
        hook.tasks = {"d-1": ["failed"]}
        with pytest.raises(GstnTaskFailed, match="changed nothing") as caught:
            wait_here(hook, AwaitTasks(["d-1"], kind=kind))
        assert "reset" not in str(caught.value)

    def test_a_request_that_failed_may_have_been_done(self, hook):
        hook.tasks = {"r-1": ["failed"]}
        with pytest.raises(GstnTaskFailed, match="may or may not be reset"):
            wait_here(hook, AwaitTasks(["r-1"], until=NOW + 600, kind="request"))

    def test_the_pauses_grow_to_a_cap_and_the_wait_has_an_end(self, hook):
        hook.tasks = {"d-1": ["completed"], "d-2": ["processing"]}
        with pytest.raises(AirflowSensorTimeout, match="d-2: processing"):
            wait_here(hook, AwaitTasks(["d-1", "d-2"]))
        assert hook.pauses == sorted(hook.pauses)
        assert hook.pauses[0] < 10
        assert hook.pauses[-1] == LONGEST_POLL_INTERVAL
        assert LONGEST_LOOK <= hook.now - NOW <= LONGEST_LOOK + LONGEST_POLL_INTERVAL

    def test_tasks_of_many_workers_do_not_poll_in_step_nor_grow_apart(self, hook, monkeypatch):
        pauses = {}
        for name, choose in (("short", min), ("middle", lambda low, high: (low + high) / 2), ("long", max)):
            monkeypatch.setattr("random.uniform", lambda low, high, choose=choose: choose(low, high))
            hook.tasks, hook.pauses, hook.now = {"d-1": ["queued"] * 8 + ["completed"]}, [], NOW
            wait_here(hook, AwaitTasks(["d-1"]))
            pauses[name] = hook.pauses
        for short, middle, long in zip(*pauses.values(), strict=True):
            assert 0.9 * middle == pytest.approx(short)
            assert 1.1 * middle == pytest.approx(long)
        middle = pauses["middle"]
        assert all(after <= 2 * before for before, after in pairwise(middle))
