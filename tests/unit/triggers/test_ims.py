"""The wait in the triggerer, on a clock of its own."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_ims._compat import AirflowException
from airflow_provider_ims.exceptions import (
    GstnServiceUnavailable,
    GstnSessionExpired,
    GstnTaskNotFound,
    GstnThrottled,
    GstnUnreadableReply,
)
from airflow_provider_ims.models import TaskStatus
from airflow_provider_ims.triggers import ims
from airflow_provider_ims.triggers._poll_loop import Poll
from airflow_provider_ims.triggers.ims import ImsTaskStartTrigger, ImsTaskTrigger
from airflow_provider_ims.waits import watch

START = 1_700_000_000.0


class Service:
    """
    A scripted service on a clock that only sleeping moves, with one script for all tasks or one for each.

    The last answer is repeated.
    """

    is_rate_limited = False

    def __init__(self) -> None:
        self.opened: list[tuple[str, int]] = []
        self.now = START
        self.answers: list[str | Exception] = ["processing"]
        self.tasks: dict[str, list[str | Exception]] = {}
        self.asked: list[str] = []
        self.polls: list[float] = []
        self.entered = self.left = 0

    async def repeat(self, call: Poll, first: float) -> None:
        pause: float | None = first
        while pause is not None:
            self.now += pause
            pause = await call()

    async def get_task_status(self, reference_id: str) -> TaskStatus:
        self.polls.append(self.now - START)
        self.asked.append(reference_id)
        answers = self.tasks.get(reference_id, self.answers)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return TaskStatus(reference_id=reference_id, word=answer)

    async def __aenter__(self) -> Service:
        self.entered += 1
        return self

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        self.left += 1


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service()
    monkeypatch.setattr(ims, "repeat", service.repeat)
    for module in (ims, watch):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: service.now))

    def hook(conn_id: str, read_attempts: int) -> Service:
        service.opened.append((conn_id, read_attempts))
        return service

    monkeypatch.setattr(ims, "GstnAsyncHook", hook)
    # The first poll as late as it may come, the others as if there were no jitter.
    monkeypatch.setattr("random.uniform", lambda low, high: high if low == ims.SETTLING else (low + high) / 2)
    return service


def trigger(**changes) -> ImsTaskTrigger:
    kwargs = {
        "reference_id": "r-1",
        "gstn_conn_id": "gstn_default",
        "poll_interval": 10.0,
        "start_time": START,
        "end_time": START + 3600,
        **changes,
    }
    return ImsTaskTrigger(**kwargs)


async def events(trigger: ImsTaskTrigger) -> list[TriggerEvent]:
    return [event async for event in trigger.run()]


async def test_a_completed_task_ends_the_wait_with_its_reference_id(service):
    service.answers = ["queued", "processing", "completed"]
    assert await events(trigger()) == [TriggerEvent({"status": "completed", "reference_id": "r-1"})]
    assert service.polls == [10, 20, 30]
    assert (service.entered, service.left) == (1, 1)


@pytest.mark.parametrize("word", ["failed", "cancelled", "ABORTED", "expired"])
async def test_a_failed_task_is_never_success(service, word):
    service.answers = [word]
    [event] = await events(trigger())
    assert event.payload["code"] == word
    assert event.payload["status"] == "error"
    assert event.payload["error"] == "GstnTaskFailed"
    assert event.payload["reference_id"] == "r-1"


async def test_a_word_that_nobody_knows_is_waited_on_and_told_once(service, caplog):
    service.answers = ["archived", "archived", "archived", "completed"]
    [event] = await events(trigger())
    assert event.payload["status"] == "completed"
    assert [record.levelname for record in caplog.records if "archived" in record.getMessage()] == ["WARNING"]


async def test_at_the_deadline_it_asks_once_more_and_says_what_was_last_seen(service):
    service.answers = ["archived"]
    [event] = await events(trigger(end_time=START + 25))
    assert event.payload == {"status": "timeout", "reference_id": "r-1", "message": "r-1: archived"}
    assert service.polls == [10, 20, 25]


async def test_a_restart_after_the_deadline_asks_once_and_ends(service):
    service.now = START + 4000
    [event] = await events(trigger())
    assert event.payload["status"] == "timeout"
    assert len(service.polls) == 1


async def test_a_task_that_completed_while_nobody_looked_is_complete_even_after_the_deadline(service):
    service.now = START + 4000
    service.answers = ["completed"]
    [event] = await events(trigger())
    assert event.payload["status"] == "completed"


async def test_the_connection_is_the_users_and_a_poll_asks_once_since_the_next_one_comes(service):
    await events(trigger(gstn_conn_id="gstn_two", end_time=START + 30))
    assert service.opened == [("gstn_two", 1)]


async def test_a_fault_after_polls_that_worked_begins_with_the_shortest_pause(service):
    service.answers = [GstnServiceUnavailable("503"), "processing", GstnServiceUnavailable("503"), "completed"]
    await events(trigger())
    assert service.polls == [10, 15, 25, 30]


async def test_at_the_deadline_it_asks_exactly_then(service):
    await events(trigger(end_time=START + 20.5))
    assert service.polls == [10, 20, 20.5]


async def test_where_requests_are_limited_a_poll_has_until_the_deadline_to_get_its_turn(service, monkeypatch):
    given = []

    def timeout(seconds):
        given.append(seconds)
        return asyncio.timeout(None)

    monkeypatch.setattr(ims, "timeout", timeout)
    service.is_rate_limited = True
    service.answers = ["processing", TimeoutError()]
    [event] = await events(trigger(poll_interval=100, end_time=START + 300))
    assert (given[0], given[-1]) == (200, ims.LONGEST_POLL)
    assert event.payload["status"] == "timeout"
    assert "max_requests_per_second" in event.payload["message"]


async def test_where_requests_are_not_limited_no_timer_is_set(service, monkeypatch):
    given = []
    monkeypatch.setattr(ims, "timeout", lambda seconds: given.append(seconds) or asyncio.timeout(None))
    await events(trigger(end_time=START + 30))
    assert len(given) == 1, "the first poll opens the hook, and only then it is known"


async def test_the_poll_interval_of_the_user_is_kept(service):
    await events(trigger(poll_interval=120, end_time=START + 600))
    assert service.polls == [120, 240, 360, 480, 600]


async def test_an_exponential_wait_doubles_up_to_its_cap(service):
    await events(trigger(poll_interval=8, exponential_backoff=True, max_wait=60, end_time=START + 400))
    gaps = [later - earlier for earlier, later in zip([0, *service.polls], service.polls, strict=False)]
    assert gaps[:3] == [8, 16, 32]
    assert set(gaps[3:-1]) == {60}


async def test_a_restarted_exponential_wait_goes_on_where_it_was(service):
    service.now = START + 62
    await events(trigger(poll_interval=2, exponential_backoff=True, end_time=START + 200))
    assert service.polls[0] == 62 + 64


@pytest.mark.parametrize("fault", [GstnServiceUnavailable("503"), GstnUnreadableReply("page"), GstnThrottled("429")])
async def test_faults_that_may_pass_are_ridden_out_with_growing_capped_pauses(service, fault):
    service.answers = [fault] * 12 + ["completed"]
    [event] = await events(trigger(end_time=START + 86400))
    assert event.payload["status"] == "completed"
    gaps = [later - earlier for earlier, later in zip(service.polls, service.polls[1:], strict=False)]
    assert gaps[:4] == [5, 10, 20, 40]
    assert max(gaps) == ims.LONGEST_BACKOFF / 2


async def test_an_outage_to_the_deadline_is_a_timeout_that_tells_the_fault(service):
    service.answers = [GstnServiceUnavailable("HTTP 503 from the service")]
    [event] = await events(trigger(end_time=START + 500))
    assert event.payload["status"] == "timeout"
    assert "HTTP 503" in event.payload["message"]


async def test_retry_after_is_honoured(service):
    service.answers = [GstnThrottled("slow down", retry_after=200), "completed"]
    await events(trigger())
    assert service.polls == [10, 210]


@pytest.mark.parametrize("polls", [1, 11])
async def test_a_task_that_is_not_found_in_its_first_two_minutes_is_only_not_there_yet(service, polls):
    service.answers = [*[GstnTaskNotFound("gone")] * polls, "processing", "completed"]
    [event] = await events(trigger())
    assert event.payload["status"] == "completed"
    assert len(service.polls) == polls + 2


async def test_a_task_that_is_not_found_after_two_minutes_is_gone(service):
    service.answers = [GstnTaskNotFound("gone")]
    [event] = await events(trigger())
    assert event.payload["error"] == "GstnTaskNotFound"
    assert service.polls[-1] == 120


async def test_the_two_minutes_do_not_begin_anew_with_another_triggerer(service):
    service.now = START + 120
    service.answers = [GstnTaskNotFound("gone")]
    [event] = await events(trigger())
    assert event.payload["error"] == "GstnTaskNotFound"
    assert len(service.polls) == 1


@pytest.mark.parametrize("said", ["no such Variable \x00\ud800", "line\ntwo\x1b[31m"])
async def test_an_event_holds_nothing_that_a_database_does_not_take(service, said):
    service.answers = [AirflowException(said)]
    [event] = await events(trigger(end_time=START + 10))
    assert event.payload["status"] == "timeout"
    message = event.payload["message"]
    assert all(line.isprintable() for line in message.split("\n"))
    assert message.encode()
    assert "\ufffd" in message


@pytest.mark.parametrize("fault", [GstnSessionExpired("otp", code="AUTH4033")])
async def test_what_waiting_cannot_mend_ends_the_wait_at_once(service, fault):
    service.answers = [fault]
    [event] = await events(trigger())
    assert len(service.polls) == 1
    assert event.payload == {
        "status": "error",
        "reference_id": "r-1",
        "error": type(fault).__name__,
        "code": fault.code,
        "message": str(fault),
    }


async def test_waits_that_begin_together_do_not_poll_together(service, monkeypatch):
    monkeypatch.setattr("random.uniform", random.Random(1).uniform)  # noqa: S311
    first = []
    for _ in range(200):
        service.now, service.polls, service.answers = START, [], ["completed"]
        await events(trigger(poll_interval=30))
        first += service.polls
    assert min(first) >= ims.SETTLING
    # Every part of the first interval has its share of the polls.
    assert all(sum(low <= poll < low + 5 for poll in first) > 15 for low in (5, 10, 15, 20))


async def test_who_polls_early_sees_a_short_task_end_soon_and_asks_a_long_one_seldom(service):
    await events(trigger(poll_interval=30, poll_early=True, end_time=START + 200))
    gaps = [later - earlier for earlier, later in zip(service.polls, service.polls[1:], strict=False)]
    assert service.polls[0] == 7.5, "between 5 s and half as long again"
    assert gaps[:3] == [5, 5, 5]
    assert gaps[:-1] == sorted(gaps[:-1])
    assert max(gaps) == 30


async def test_who_polls_early_and_is_restarted_goes_on_at_the_pace_of_a_long_wait(service):
    service.now = START + 1000
    await events(trigger(poll_interval=30, poll_early=True, end_time=START + 1100))
    assert service.polls == [1030, 1060, 1090, 1100]


async def test_who_polls_early_asks_where_the_tasks_progress_says_that_it_ends(service, monkeypatch):
    async def get_task_status(reference_id: str) -> TaskStatus:
        service.polls.append(service.now - START)
        return TaskStatus(reference_id="r-1", word="processing", jobs_total=100, jobs_pending=80)

    monkeypatch.setattr(service, "get_task_status", get_task_status)
    await events(trigger(poll_interval=100, poll_early=True, end_time=START + 100))
    # A fifth is done after 7.5 s, so that 30 are left: half of it is waited, not the 5 s of one who knows nothing.
    assert service.polls[:2] == [7.5, 7.5 + 15]


@pytest.mark.parametrize("fault", [GstnServiceUnavailable("503"), GstnThrottled("429")])
async def test_who_polls_early_and_meets_a_fault_tries_again_early_too(service, fault):
    service.answers = [fault, fault, "completed"]
    await events(trigger(poll_interval=120, poll_early=True))
    assert service.polls == [7.5, 10, 15]


async def test_the_first_poll_leaves_airflow_time_to_see_the_deferral_through(service):
    await events(trigger(poll_interval=1, end_time=START + 8))
    assert service.polls == [5, 6, 7, 8]


async def test_a_poll_interval_of_nothing_does_not_spin(service):
    await events(trigger(poll_interval=0, end_time=START + 60))
    assert len(service.polls) <= 61


def test_a_trigger_survives_being_kept_and_brought_back():
    kept = trigger(exponential_backoff=True, max_wait=60.0)
    path, kwargs = kept.serialize()
    module, name = path.rsplit(".", 1)
    assert (module, name) == (ims.__name__, "ImsTaskTrigger")
    back = ImsTaskTrigger(**json.loads(json.dumps(kwargs)))
    assert back.serialize() == kept.serialize()
    assert {type(value) for value in kwargs.values()} <= {str, int, float, bool, type(None)}


def test_a_trigger_of_the_version_before_is_read_and_one_that_it_can_read_is_written():
    _, kwargs = trigger().serialize()
    assert "poll_early" not in kwargs
    _, kwargs = trigger(poll_early=True).serialize()
    assert ImsTaskTrigger(**kwargs).poll_early is True

    assert "call" not in kwargs
    _, kwargs = trigger(call="download").serialize()
    assert ImsTaskTrigger(**kwargs).call == "download"


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("download", "The download changed nothing"),
        ("reset", "may not be reset"),
        ("of a newer one", "may not be reset"),
    ],
)
async def test_a_failure_is_told_as_one_of_the_call_that_is_waited_for(service, call, told):
    service.answers = ["failed"]
    [event] = await events(trigger(call=call))
    assert told in " ".join(event.payload["message"].split())


async def test_nobody_is_told_not_to_ask_for_a_download_again(caplog):
    with caplog.at_level("INFO"):
        await trigger(call="download").on_kill()
    assert "it goes on with what was sent." in caplog.text
    assert "reset" not in caplog.text


async def test_airflow_may_set_its_own_task_id_on_the_trigger(service):
    service.answers = ["completed"]
    waiting = trigger()
    waiting.task_id = "wait"  # since Airflow 3.3 the triggerer does that
    [event] = await events(waiting)
    assert event.payload["reference_id"] == "r-1"


class TestSeveralTasks:
    async def test_end_in_one_event_with_the_list_that_was_given(self, service):
        service.answers = ["completed"]
        [event] = await events(trigger(reference_id=["r-2", "r-1"]))
        assert event.payload == {"status": "completed", "reference_id": ["r-2", "r-1"]}

    async def test_those_that_have_ended_are_not_asked_again(self, service):
        service.tasks = {
            "r-1": ["completed"],
            "r-2": ["queued", "processing", "completed"],
            "r-3": ["queued", "failed"],
        }
        await events(trigger(reference_id=["r-1", "r-2", "r-3"]))
        assert service.asked == ["r-1", "r-2", "r-3", "r-2", "r-3", "r-2"]

    async def test_one_that_failed_is_told_once_the_others_have_ended(self, service):
        service.tasks = {"r-1": ["failed"], "r-2": ["processing", "processing", "completed"]}
        [event] = await events(trigger(reference_id=["r-1", "r-2"]))
        assert service.polls[-1] == 30
        assert (event.payload["status"], event.payload["error"]) == ("error", "GstnTaskFailed")
        assert event.payload["reference_id"] == ["r-1", "r-2"]
        assert "r-1 ended as 'failed'" in event.payload["message"]
        assert "r-2" not in event.payload["message"]

    async def test_one_that_the_service_does_not_know_does_not_end_the_wait_for_the_others(self, service):
        gone = GstnTaskNotFound("r-1 is gone", code="err-resource-not-found")
        service.tasks = {"r-1": [gone], "r-2": ["processing", "completed"]}
        service.now = START + 120
        [event] = await events(trigger(reference_id=["r-1", "r-2"]))
        assert service.asked == ["r-1", "r-2", "r-2"]
        assert event.payload == {
            "status": "error",
            "reference_id": ["r-1", "r-2"],
            "error": "GstnTaskNotFound",
            "code": "err-resource-not-found",
            "message": "r-1 is gone",
        }

    async def test_a_fault_in_the_middle_is_ridden_out_and_costs_no_task_its_place(self, service):
        service.tasks = {
            "r-1": ["completed"],
            "r-2": [GstnServiceUnavailable("503"), "completed"],
            "r-3": ["completed"],
        }
        [event] = await events(trigger(reference_id=["r-1", "r-2", "r-3"]))
        assert event.payload["status"] == "completed"
        assert service.asked == ["r-1", "r-2", "r-3", "r-2"]

    async def test_at_the_deadline_those_that_still_run_are_named_and_the_list_stays_short(self, service):
        ids = [f"r-{number}" for number in range(1, 10)]
        service.tasks = {"r-1": ["completed"]}
        [event] = await events(trigger(reference_id=ids, end_time=START + 20))
        assert event.payload["status"] == "timeout"
        assert event.payload["message"] == (
            "r-2: processing, r-3: processing, r-4: processing, r-5: processing, r-6: processing, and 3 more"
        )

    @pytest.mark.parametrize(("running", "end"), [(5, "r-5: processing"), (6, "r-5: processing, and 1 more")])
    async def test_at_the_deadline_five_are_named(self, service, running, end):
        ids = [f"r-{number}" for number in range(1, running + 1)]
        [event] = await events(trigger(reference_id=ids, end_time=START + 20))
        assert event.payload["message"].endswith(end)

    async def test_that_failed_are_told_a_line_each(self, service):
        service.answers = ["failed"]
        [event] = await events(trigger(reference_id=["r-1", "r-2"]))
        first, second, both = event.payload["message"].split("\n")
        assert (first[:9], second[:9]) == ("Task r-1 ", "Task r-2 ")
        assert both.startswith("Its documents may or may not be reset")

    async def test_survive_being_kept_and_brought_back(self, service):
        kept = trigger(reference_id=["r-1", "r-2"])
        _, kwargs = kept.serialize()
        back = ImsTaskTrigger(**json.loads(json.dumps(kwargs)))
        assert back.serialize() == kept.serialize()
        service.answers = ["completed"]
        [event] = await events(back)
        assert event.payload["reference_id"] == ["r-1", "r-2"]


@pytest.mark.parametrize(("reference_id", "named"), [("r-1", "r-1"), (["r-1", "r-2"], "r-1, r-2")])
async def test_a_wait_that_a_person_ends_says_that_the_service_goes_on(service, caplog, reference_id, named):
    caplog.set_level("INFO")
    await trigger(reference_id=reference_id).on_kill()
    # Airflow calls it also when another triggerer takes over: then there is nothing to do, and no alarm.
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert "another triggerer" in caplog.text
    assert "clear" not in caplog.text.lower()
    assert f"The wait for {named} was ended from outside. The service has no cancel" in caplog.text
    assert "do not send the reset again" in caplog.text
    assert service.polls == []


async def test_a_task_that_cannot_be_asked_about_does_not_keep_the_others_waiting(service, monkeypatch):
    asked = []

    async def get_task_status(reference_id: str) -> TaskStatus:
        asked.append(reference_id)
        if reference_id == "r-1":
            raise GstnServiceUnavailable("503 for this one only")
        return TaskStatus(reference_id=reference_id, word="completed")

    monkeypatch.setattr(service, "get_task_status", get_task_status)
    [event] = await events(trigger(reference_id=["r-1", "r-2"], end_time=START + 100))
    assert "r-2" in asked
    assert event.payload["status"] == "timeout"


async def test_the_deadline_tells_of_those_that_failed_as_well(service, monkeypatch):
    async def get_task_status(reference_id: str) -> TaskStatus:
        return TaskStatus(reference_id=reference_id, word="failed" if reference_id == "r-1" else "processing")

    monkeypatch.setattr(service, "get_task_status", get_task_status)
    [event] = await events(trigger(reference_id=["r-1", "r-2"], end_time=START + 100))
    assert event.payload["status"] == "timeout"
    assert "r-2: processing" in event.payload["message"]
    assert "1 failed, first: Task r-1 ended as 'failed'" in event.payload["message"]


@pytest.mark.parametrize("where", ["connection", "store"])
async def test_an_airflow_that_cannot_be_asked_for_a_moment_is_ridden_out(service, monkeypatch, where):
    # Its API server restarts: neither connections nor Variables can be read.
    away = [AirflowException("the API server is away")] * 2

    async def enter(self) -> Service:
        if where == "connection" and away:
            raise away.pop()
        return self

    if where == "store":
        service.answers = [*away, "completed"]
    else:
        service.answers = ["completed"]
    monkeypatch.setattr(Service, "__aenter__", enter)
    [event] = await events(trigger())
    assert event.payload["status"] == "completed"


class TestStartedByTheScheduler:
    """The wait whose times follow from Airflow's own deadline, since no worker has seen its sensor."""

    def trigger(self, **changes) -> ImsTaskStartTrigger:
        kwargs = {"reference_id": "r-1", "gstn_conn_id": "gstn_default", "poll_interval": 10.0}
        given_up = changes.pop("timeout_after", datetime.fromtimestamp(START + 300, UTC))
        waiting = ImsTaskStartTrigger(**{**kwargs, "wait_seconds": 100.0, "airflow_seconds": 300.0, **changes})
        if given_up is not None:
            waiting.timeout_after = given_up  # as the triggerer does
        return waiting

    async def test_keeps_the_sensors_deadline(self, service):
        [event] = await events(self.trigger())
        assert event.payload["status"] == "timeout"
        assert service.polls[-1] == 100

    @pytest.mark.parametrize("zone", [UTC, None])
    async def test_keeps_it_in_another_triggerer(self, service, zone):
        service.now = START + 60
        given_up = datetime.fromtimestamp(START + 300, UTC).replace(tzinfo=zone)
        await events(self.trigger(timeout_after=given_up))
        assert service.polls[-1] == 100

    async def test_without_a_deadline_of_airflows_waits_from_now(self, service):
        service.now = START + 60
        await events(self.trigger(timeout_after=None))
        assert service.polls[-1] == 160

    async def test_ends_without_a_worker_and_leaves_the_reference_id(self, service):
        service.answers = ["processing", "completed"]
        [event] = await events(self.trigger(reference_id=" r-1 ", end_from_trigger=True))
        assert isinstance(event, TaskSuccessEvent)
        assert event.xcoms == {"return_value": "r-1"}

    @pytest.mark.parametrize("answer", ["failed", GstnSessionExpired("otp"), "archived"])
    async def test_leaves_what_is_no_success_to_the_worker(self, service, answer):
        service.answers = [answer]
        [event] = await events(self.trigger(end_from_trigger=True))
        assert type(event) is TriggerEvent
        assert event.payload["status"] in {"error", "timeout"}

    async def test_leaves_the_end_of_several_to_the_worker(self, service):
        service.answers = ["completed"]
        [event] = await events(self.trigger(reference_id=["r-1", "r-2"], end_from_trigger=True))
        assert type(event) is TriggerEvent
        assert event.payload == {"status": "completed", "reference_id": ["r-1", "r-2"]}

    @pytest.mark.parametrize(
        "rendered",
        ["None", "", "  ", "['r-1', 'r-2']", "LazyXComSequence(length=2)", "{'a': 1}", None, ["r-1", "None"]],
    )
    async def test_what_is_no_reference_id_is_never_asked_about(self, service, rendered):
        [event] = await events(self.trigger(reference_id=rendered, end_from_trigger=True))
        assert event.payload["status"] == "undecided"
        assert service.polls == []

    @pytest.mark.parametrize("rendered", ["None", "", "['one', 'two']", None])
    async def test_what_is_no_connection_id_is_never_asked_for(self, service, rendered):
        [event] = await events(self.trigger(gstn_conn_id=rendered, end_from_trigger=True))
        assert event.payload == {"status": "undecided", "reference_id": "r-1"}
        assert service.opened == []

    def test_survives_being_kept_and_brought_back(self):
        kept = self.trigger(poll_early=True, end_from_trigger=True, max_wait=60.0, call="download")
        path, kwargs = kept.serialize()
        assert path == f"{ims.__name__}.ImsTaskStartTrigger"
        back = ImsTaskStartTrigger(**json.loads(json.dumps(kwargs)))
        assert back.serialize() == kept.serialize()
        assert back.call == "download"


async def test_without_end_from_trigger_a_worker_ends_the_wait(service):
    service.answers = ["completed"]
    [event] = await events(trigger())
    assert type(event) is TriggerEvent


async def test_with_it_also_a_wait_that_a_worker_began_ends_in_the_triggerer(service):
    service.answers = ["completed"]
    [event] = await events(ImsTaskTrigger(**trigger(end_from_trigger=True).serialize()[1]))
    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms == {"return_value": "r-1"}
