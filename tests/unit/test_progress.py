"""A line every few seconds, and not more."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_ims.progress import ProgressLog, span


def test_a_line_every_few_seconds_with_a_rate(caplog: pytest.LogCaptureFixture):
    now = [0.0]
    progress = ProgressLog(logging.getLogger("a task"), "rows of erp.csv", lambda: now[0])
    with caplog.at_level(logging.INFO):
        for second in range(1, 31):
            now[0] = float(second)
            progress.reached(second * 1000)
    assert [record.getMessage() for record in caplog.records] == [
        f"{count:,} rows of erp.csv so far, 1,000 a second." for count in (10_000, 20_000, 30_000)
    ]


def test_what_is_short_says_nothing(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        ProgressLog(logging.getLogger("a task"), "rows").reached(5)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (45.4, "45 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_a_time_in_words(seconds: float, words: str):
    assert span(seconds) == words
