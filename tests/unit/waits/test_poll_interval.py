"""How often a task is asked about whose duration nobody knows."""

from __future__ import annotations

import pytest

from airflow_provider_ims.models import TaskStatus
from airflow_provider_ims.waits.poll_interval import FIRST, pause
from airflow_provider_ims.waits.watch import TaskWatch


def polls(duration: float, longest: float = 30.0) -> list[float]:
    """Return when a wait polls until it sees the end of a task that takes so long."""
    moments = [pause(0.0, longest)]
    while moments[-1] < duration:
        moments.append(moments[-1] + pause(moments[-1], longest))
    return moments


@pytest.mark.parametrize("duration", range(1, 300, 7))
def test_the_end_is_seen_a_few_seconds_or_a_quarter_late_and_never_more_than_the_longest_pause(duration):
    late = polls(duration)[-1] - duration
    assert 0 <= late <= min(30.0, max(FIRST, duration / 4))


def test_an_end_after_twenty_seconds_is_seen_within_five():
    assert polls(20.0)[-1] - 20.0 <= 5


def test_pauses_grow_from_the_first_to_the_longest():
    pauses = [pause(waited, 30.0) for waited in range(600)]
    assert pauses[0] == FIRST
    assert pauses == sorted(pauses)
    assert pauses[-1] == 30.0


def test_an_hour_costs_little_more_than_polling_at_the_longest_pause():
    assert len(polls(3600)) <= 3600 / 30 + 10


@pytest.mark.parametrize(("longest", "expected"), [(120.0, FIRST), (2.0, 2.0), (0.0, 0.0)])
def test_a_pause_is_never_longer_than_the_user_wants(longest, expected):
    assert pause(0.0, longest) == expected


def test_a_clock_that_went_back_is_as_the_start():
    assert pause(-1000.0, 30.0) == FIRST


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [
        (100.0, 50.0),  # half way to the end
        (40.0, 25.0),  # a quarter of what was waited, since that is later than half way
        (8.0, 8.0),  # at the end
        (1.0, FIRST),  # who is nearly there is not asked without end
        (0.0, FIRST),
        (1000.0, 60.0),  # a long way to go; still no longer than the user wants
    ],
)
def test_the_services_own_progress_says_when_to_ask(remaining, expected):
    assert pause(100.0, 60.0, remaining) == expected


class TestProgress:
    def watch(self, *jobs: tuple[int | None, int | None]) -> TaskWatch:
        watch = TaskWatch([f"r-{number}" for number in range(len(jobs))], 0.0, lambda: 60.0)
        for number, (total, pending) in enumerate(jobs):
            if total is not None or pending is not None:
                watch.note(
                    TaskStatus(reference_id=f"r-{number}", word="processing", jobs_total=total, jobs_pending=pending)
                )
        return watch

    @pytest.mark.parametrize(
        ("jobs", "remaining"),
        [
            ([(4, 1)], 20.0),
            ([(4, 2), (4, 1)], 60.0),  # the slowest decides
            ([(4, 0)], 0.0),
            ([(4, 4)], None),  # nothing is done, so nothing can be said
            ([(0, 0)], None),
            ([(4, 5)], None),
            ([(4, -1)], None),
            ([(-4, -5)], None),
            ([(None, 1)], None),
            ([(4, None)], None),
            ([(4, 1), (None, None)], None),  # one of them does not tell
        ],
    )
    def test_what_is_left_is_told_by_what_was_done(self, jobs, remaining):
        assert self.watch(*jobs).remaining == remaining

    def test_who_has_ended_needs_no_more_time(self):
        watch = self.watch((4, 1), (4, 2))
        watch.note(TaskStatus(reference_id="r-1", word="completed"))
        assert watch.remaining == 20.0
