"""Which of several tasks still run, how the others ended, and what is said of them meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ims.exceptions import GstnServiceUnavailable, GstnTaskFailed, GstnTaskNotFound
from airflow_provider_ims.hooks.gstn import DOWNLOAD
from airflow_provider_ims.models import TaskStatus
from airflow_provider_ims.waits.limits import FRAMEWORK_SLACK, safety_net
from airflow_provider_ims.waits.watch import TaskWatch, aask, abandoned_message, ask, ids_of, moved_message

NOW = 1_700_000_000.0


class Service:
    """Says of each task the next word of its script, and the last one again and again."""

    def __init__(self, **tasks: list[str | Exception]) -> None:
        self.tasks = {name.replace("_", "-"): words for name, words in tasks.items()}
        self.asked: list[str] = []

    def __call__(self, reference_id: str) -> TaskStatus:
        self.asked.append(reference_id)
        words = self.tasks[reference_id]
        word = words.pop(0) if len(words) > 1 else words[0]
        if isinstance(word, Exception):
            raise word
        return TaskStatus(reference_id=reference_id, word=word)

    async def later(self, reference_id: str) -> TaskStatus:
        return self(reference_id)


def asked_by_the_worker(watch: TaskWatch, service: Service) -> None:
    ask(watch, service)


def asked_by_the_trigger(watch: TaskWatch, service: Service) -> None:
    asyncio.run(aask(watch, service.later))


@pytest.fixture(params=[asked_by_the_worker, asked_by_the_trigger])
def poll(request: pytest.FixtureRequest) -> Callable[[TaskWatch, Service], None]:
    return request.param


def test_only_what_runs_is_asked_about_again(poll: Any):
    watch, service = TaskWatch(["a", "b", "a"], NOW), Service(a=["completed"], b=["queued", "completed"])
    poll(watch, service)
    assert (watch.pending, watch.is_over()) == (["b"], False)
    poll(watch, service)
    assert (service.asked, watch.is_over()) == (["a", "b", "b"], True)


def test_one_that_failed_is_told_when_all_have_ended(poll: Any):
    watch, service = TaskWatch(["a", "b"], NOW), Service(a=["errored"], b=["queued", "completed"])
    poll(watch, service)
    assert watch.is_over() is False
    poll(watch, service)
    with pytest.raises(GstnTaskFailed, match="Task a ended as 'errored'") as caught:
        watch.is_over()
    assert caught.value.code == "errored"


def test_several_that_failed_are_all_told_and_the_first_gives_the_kind(poll: Any):
    missing = GstnTaskNotFound("There is no b.", code="err-resource-not-found")
    watch, service = TaskWatch(["a", "b"], NOW, lambda: NOW + 300), Service(a=["failed"], b=[missing])
    poll(watch, service)
    with pytest.raises(GstnTaskFailed) as caught:
        watch.is_over()
    told = [line[:20] for line in str(caught.value).splitlines()]
    assert told == ["Task a ended as 'fai", "There is no b.", "Its documents may or"]


def test_one_that_is_not_found_has_two_minutes_to_come(poll: Any):
    now = NOW
    watch, service = TaskWatch(["a"], NOW, lambda: now), Service(a=[GstnTaskNotFound("There is no a.")])
    poll(watch, service)
    now = NOW + 119
    poll(watch, service)
    assert (watch.pending, watch.is_over()) == (["a"], False)
    now = NOW + 121
    poll(watch, service)
    with pytest.raises(GstnTaskNotFound, match="There is no a"):
        watch.is_over()


def test_one_that_is_not_there_yet_does_not_keep_the_others_from_being_asked_about(poll: Any):
    watch = TaskWatch(["a", "b"], NOW, lambda: NOW)
    poll(watch, Service(a=[GstnTaskNotFound("There is no a.")], b=["completed"]))
    assert watch.pending == ["a"]


def test_a_service_that_is_away_ends_the_poll_and_the_one_it_met_is_asked_about_last(poll: Any):
    away = GstnServiceUnavailable("503")
    watch, service = TaskWatch(["a", "b", "c"], NOW), Service(a=[away, "queued"], b=["queued"], c=["completed"])
    with pytest.raises(GstnServiceUnavailable, match="503"):
        poll(watch, service)
    assert (service.asked, watch.pending) == (["a"], ["b", "c", "a"])
    poll(watch, service)
    assert (service.asked[1:], watch.pending) == (["b", "c", "a"], ["b", "a"])


def test_a_word_that_nobody_knows_is_waited_on_and_warned_of_once(poll: Any, caplog: pytest.LogCaptureFixture):
    watch, service = TaskWatch(["a"], NOW), Service(a=["baking"])
    with caplog.at_level(logging.INFO):
        poll(watch, service)
        poll(watch, service)
    [warning] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "'baking'" in warning.getMessage()
    assert watch.is_over() is False


def test_what_a_task_says_is_logged_when_it_changes(poll: Any, caplog: pytest.LogCaptureFixture):
    watch, service = TaskWatch(["a"], NOW), Service(a=["queued", "queued", "processing", "completed"])
    with caplog.at_level(logging.INFO):
        for _ in range(4):
            poll(watch, service)
    said = [each.getMessage() for each in caplog.records if each.name.endswith("waits.watch")]
    assert said == ["Task a: queued", "Task a: processing", "Task a: completed"]


class TestWhatWasLastSeen:
    def test_is_the_last_word_of_each_that_runs(self):
        watch = TaskWatch(["a", "b", "c"], NOW)
        with pytest.raises(GstnServiceUnavailable):
            ask(watch, Service(a=["queued"], b=["completed"], c=[GstnServiceUnavailable("503")]))
        assert watch.last_seen == "a: queued, c: nothing yet"

    def test_is_cut_short_and_the_rest_is_counted(self):
        names = [f"r-{number}" for number in range(7)]
        shown = ", ".join(f"{name}: nothing yet" for name in names[:5])
        assert TaskWatch(names, NOW).last_seen == f"{shown}, and 2 more"
        assert TaskWatch(names[:5], NOW).last_seen == shown
        assert TaskWatch(names[:6], NOW).last_seen == f"{shown}, and 1 more"

    def test_counts_those_that_failed_and_tells_the_first(self):
        watch = TaskWatch(["a", "b", "c"], NOW)
        ask(watch, Service(a=["failed"], b=["errored"], c=["queued"]))
        assert watch.last_seen.startswith("c: queued; 2 failed, first: Task a ended as 'failed'")


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (" r-1\n", ["r-1"]),
        (["r-1", " r-2 "], ["r-1", "r-2"]),
        (("r-1",), ["r-1"]),
        ((each for each in ("r-1", "r-2")), ["r-1", "r-2"]),
        (17, ["17"]),
        ('"r-1"', ["r-1"]),
        ('"r-1', ['"r-1']),
        ([], []),
    ],
)
def test_reference_ids_come_alone_or_together(given: Any, ids: list[str]):
    assert ids_of(given) == ids


def test_whoever_ends_a_wait_is_told_what_goes_on_and_what_not_to_do():
    told = abandoned_message(["r-1", "r-2"])
    assert told.startswith("The wait for r-1, r-2 was ended from outside.")
    assert "do not send the reset again" in told


@pytest.mark.parametrize(("remaining", "seconds"), [(3600.0, 3600 + 2 * 30), (-50.0, 2 * 30), (0.0, 2 * 30)])
def test_airflow_gives_a_trigger_up_only_after_it_had_two_polls_to_report(remaining: float, seconds: float):
    assert safety_net(remaining, 30.0).total_seconds() == seconds + FRAMEWORK_SLACK


class TestADownload:
    def test_that_failed_is_not_told_as_a_reset(self):
        watch = TaskWatch(["d-1"], NOW, call=DOWNLOAD)
        ask(watch, Service(d_1=["failed"]))
        with pytest.raises(GstnTaskFailed) as caught:
            watch.is_over()
        assert "reset" not in str(caught.value)
        assert "The download changed nothing, and can be asked for again." in " ".join(str(caught.value).split())

    @pytest.mark.parametrize("message", [abandoned_message, moved_message])
    def test_for_which_nobody_waits_may_be_asked_for_again(self, message: Any):
        told = message("d-1", DOWNLOAD)
        assert told.startswith(
            "The wait for d-1 was ended from outside. The service has no cancel: it goes on with what"
        )
        assert "again" not in told
