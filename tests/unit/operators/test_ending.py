"""How a task ends, as the user decided, and what it says of the calendar before it begins."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.exceptions import GstnError, GstnInvalidRequest, GstnResetFailed, GstnResetPartial
from airflow_provider_ims.models.calendar import Calendar, period_of
from airflow_provider_ims.operators._ending import end_task, succeeds
from airflow_provider_ims.operators._window import look_at_the_calendar
from tests.unit.builders import RTIN

LOG = logging.getLogger("a task")
PARTIAL, FAILED = GstnResetPartial("some were refused"), GstnResetFailed("all were refused")


@pytest.mark.parametrize(
    ("error", "on_partial", "ends"),
    [
        (None, "fail", None),
        (PARTIAL, "fail", GstnResetPartial),
        (PARTIAL, "skip", AirflowSkipException),
        (PARTIAL, "warn", None),
        (FAILED, "fail", GstnResetFailed),
        (FAILED, "skip", GstnResetFailed),
        (FAILED, "warn", GstnResetFailed),
    ],
)
def test_what_is_told_of_an_end_is_how_the_task_ends(error: GstnError | None, on_partial: Any, ends: Any):
    pushed: list[Any] = []
    context: Any = {"ti": SimpleNamespace(xcom_push=lambda key, value: pushed.append(value))}
    summary = {"outcome": "x"}
    assert succeeds(error, on_partial) is (ends is None)
    if ends is None:
        assert end_task(context, summary, error, on_partial, LOG) == summary
    else:
        with pytest.raises(ends, match="refused"):
            end_task(context, summary, error, on_partial, LOG)
        assert pushed == [summary]


def a_calendar(days: int) -> Calendar:
    """One whose GSTR-3B is due in some days."""
    now = datetime.now(UTC)
    due = now.date() + timedelta(days=days)
    early = {
        name: date(2020, 1, number) for number, name in enumerate(("monthly_suppliers", "quarterly_suppliers"), start=1)
    }
    return Calendar(overrides={period_of(now): {**early, "draft_2b": date(2020, 1, 3), "due_3b": due}}, close_days=2)


class TestTheWindow:
    def test_that_closes_is_a_warning_and_what_was_said_comes_back(self, caplog):
        said = look_at_the_calendar(a_calendar(0), [RTIN], "warn", LOG, refusal="Nothing was sent.")
        assert any("GSTR-3B" in text for text in said)
        assert [record.getMessage() for record in caplog.records] == said

    def test_that_closes_ends_a_task_that_is_to_fail_then(self):
        with pytest.raises(GstnInvalidRequest, match="GSTR-3B") as caught:
            look_at_the_calendar(a_calendar(0), [RTIN], "fail", LOG, refusal="Nothing was sent.")
        assert str(caught.value).splitlines()[-1] == "Nothing was sent."

    def test_that_closes_ends_nothing_that_has_begun(self):
        assert look_at_the_calendar(a_calendar(0), [RTIN], "fail", LOG, refusal=None)

    def test_that_is_open_ends_nothing(self):
        look_at_the_calendar(a_calendar(20), [RTIN], "fail", LOG, refusal="Nothing was sent.")

    def test_is_not_looked_at_if_it_is_to_be_ignored(self, caplog):
        assert look_at_the_calendar(a_calendar(0), [RTIN], "ignore", LOG, refusal="Nothing was sent.") == []
        assert not caplog.records
