"""The dates of a return period."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from airflow_provider_ims.models.calendar import (
    INDIA,
    Calendar,
    PeriodDates,
    day_in_india,
    pending_until,
    period_dates,
    period_of,
)


def test_the_usual_dates_are_in_the_month_after():
    assert period_dates("102026") == PeriodDates(
        "102026", date(2026, 11, 11), date(2026, 11, 13), date(2026, 11, 14), date(2026, 11, 20)
    )
    assert period_dates("122026").due_3b == date(2027, 1, 20)


@pytest.mark.parametrize(
    ("state", "day"), [("27AAPFU0939F1ZV", 22), ("29", 22), ("37", 22), ("07", 24), ("09", 24), ("38", 24)]
)
def test_a_quarterly_filers_date_depends_on_the_state(state: str, day: int):
    assert period_dates("092026", filing="quarterly", state=state).due_3b == date(2026, 10, day)


def test_gstn_extends_dates_of_one_period():
    extended = {"102026": {"due_3b": "2026-11-25"}, "112026": {"draft_2b": date(2026, 12, 16)}}
    assert period_dates("102026", overrides=extended).due_3b == date(2026, 11, 25)
    assert period_dates("112026", overrides=extended).draft_2b == date(2026, 12, 16)
    assert period_dates("122026", overrides=extended).due_3b == date(2027, 1, 20)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"period": "132026"}, "no return period"),
        ({"period": "2026-10"}, "no return period"),
        ({"period": "102026", "filing": "yearly"}, "monthly or quarterly"),
        ({"period": "102026", "filing": "quarterly", "state": "27"}, "ends no quarter"),
        ({"period": "092026", "filing": "quarterly"}, "first two digits"),
        ({"period": "102026", "overrides": {"102026": {"due": "2026-11-25"}}}, "no date of a period"),
        ({"period": "102026", "overrides": {"102026": {"due_3b": "25-11-2026"}}}, "a day such as"),
        (
            {"period": "102026", "overrides": {"102026": {"due_3b": datetime(2026, 11, 25, tzinfo=UTC)}}},
            "without a time",
        ),
        ({"period": "102026", "overrides": {"102026": {"due_3b": "2026-11-10"}}}, "follow one another"),
    ],
)
def test_what_is_no_period_and_no_date_is_told(arguments: dict, text: str):
    with pytest.raises(ValueError, match=text):
        period_dates(**arguments)


def test_a_day_is_indias():
    last_minute = datetime(2026, 11, 20, 18, 29, tzinfo=UTC)
    dates = period_dates("102026")
    assert dates.days_left(last_minute) == 0
    assert dates.days_left(last_minute.replace(minute=30)) == -1
    assert day_in_india(datetime(2026, 11, 20, 23, 59, tzinfo=INDIA)) == date(2026, 11, 20)
    with pytest.raises(ValueError, match="no time zone"):
        day_in_india(datetime(2026, 11, 20))  # noqa: DTZ001


def test_gstr_2b_is_drawn_on_the_fourteenth():
    dates = period_dates("102026")
    assert not dates.is_drawn(datetime(2026, 11, 13, 23, 59, tzinfo=INDIA))
    assert dates.is_drawn(datetime(2026, 11, 14, tzinfo=INDIA))


def test_the_period_in_preparation():
    assert period_of(datetime(2026, 11, 16, tzinfo=INDIA)) == "102026"
    assert period_of(datetime(2027, 1, 1, tzinfo=INDIA)) == "122026"
    assert period_of(datetime(2026, 12, 31, 20, tzinfo=UTC)) == "122026"
    assert period_of(datetime(2026, 10, 1, tzinfo=INDIA), filing="quarterly") == "092026"
    assert period_of(datetime(2027, 1, 1, tzinfo=INDIA), filing="quarterly") == "122026"


EXTENDED = {"102026": {"due_3b": "2026-12-03"}}


@pytest.mark.parametrize(
    ("last", "now", "then", "arguments"),
    [
        (date(2026, 11, 25), "102026", "112026", {}),
        (date(2026, 12, 25), "112026", "122026", {}),
        (date(2026, 10, 27), "092026", "122026", {"filing": "quarterly", "state": "27"}),
        (date(2026, 10, 29), "092026", "122026", {"filing": "quarterly", "state": "09"}),
        (date(2026, 10, 29), "092026", "122026", {"filing": "quarterly"}),
        (date(2027, 1, 27), "122026", "032027", {"filing": "quarterly", "state": "27"}),
        (date(2026, 12, 8), "102026", "112026", {"overrides": EXTENDED}),
        (date(2026, 11, 20), "102026", "112026", {"late_days": 0}),
        (date(2026, 12, 5), "102026", "112026", {"late_days": 15}),
    ],
)
def test_the_next_period_is_in_preparation_some_days_after_the_due_date(
    last: date, now: str, then: str, arguments: dict
):
    end = datetime(last.year, last.month, last.day, 23, 59, tzinfo=INDIA)
    assert (period_of(end, **arguments), period_of(end + timedelta(minutes=1), **arguments)) == (now, then)


def test_a_credit_note_may_be_pending_for_one_more_period():
    assert pending_until("102025") == date(2025, 12, 20)
    assert pending_until("122025") == date(2026, 2, 20)
    assert pending_until("092025", filing="quarterly", state="27") == date(2026, 1, 22)


GSTINS = ["27AAPFU0939F1ZV", "09AAPFU0939F1ZX"]


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (17, None),
        (18, "due in 2 days, on 20 November 2026"),
        (19, "due tomorrow, on 20 November 2026"),
        (20, "due today"),
        (21, "was due on 20 November 2026, 1 day ago. Once it is filed"),
        (25, "was due on 20 November 2026, 5 days ago. Once it is filed"),
        (26, None),
        (30, None),
    ],
)
def test_a_person_is_warned_close_to_the_due_date_and_after_it(day: int, words: str | None):
    told = Calendar().warnings(GSTINS, datetime(2026, 11, day, 12, tzinfo=INDIA))
    assert len(told) == (words is not None)
    assert not told or f"GSTR-3B of October 2026 {words}" in told[0].replace("is due", "due"), told


def test_the_note_to_recompute_stands_from_the_fourteenth_to_the_due_date():
    said = [bool(Calendar().notes(GSTINS, datetime(2026, 11, day, 12, tzinfo=INDIA))) for day in (13, 14, 20, 21)]
    assert said == [False, True, True, False]


def test_quarterly_filers_of_several_states_have_a_date_each():
    told = Calendar(filing="quarterly").warnings(GSTINS, datetime(2026, 10, 22, 12, tzinfo=INDIA))
    assert [[gstin for gstin in GSTINS if gstin in text] for text in sorted(told)] in (
        [[GSTINS[0]], [GSTINS[1]]],
        [[GSTINS[1]], [GSTINS[0]]],
    )


@pytest.mark.parametrize("day", [date(2026, 11, 15), date(2026, 11, 29), date(2026, 12, 2), date(2027, 1, 19)])
def test_a_quarterly_filer_has_time_until_its_next_due_date(day: date):
    calendar, at = Calendar(filing="quarterly"), datetime(day.year, day.month, day.day, 12, tzinfo=INDIA)
    assert calendar.warnings(GSTINS, at) == []
    assert {(dates.period, dates.due_3b.day) for dates in calendar.of_gstins(GSTINS, at)} == {
        ("122026", 22),
        ("122026", 24),
    }


def test_states_that_are_due_on_different_days_may_be_in_different_periods():
    at = datetime(2026, 10, 28, 12, tzinfo=INDIA)
    calendar = Calendar(filing="quarterly")
    assert {dates.period: own for dates, own in calendar.of_gstins(GSTINS, at).items()} == {
        "122026": [GSTINS[0]],
        "092026": [GSTINS[1]],
    }
    [told] = calendar.warnings(GSTINS, at)
    assert told.startswith(f"GSTR-3B of September 2026 was due on 24 October 2026 (for {GSTINS[1]}), 4 days ago.")


def test_how_long_a_person_is_warned_is_the_users():
    at = datetime(2026, 11, 21, 12, tzinfo=INDIA)
    assert Calendar.of({"late_days": 0}).warnings(GSTINS, at) == []
    assert Calendar.of({"late_days": 0}).dates(GSTINS[0], at).period == "112026"
    assert "15 days ago" in Calendar.of({"late_days": 15}).warnings(GSTINS, at + timedelta(days=14))[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"filling": "monthly"}, "calendar names filling"),
        ({"filing": "yearly"}, "monthly or quarterly"),
        ({"overrides": {"102026": {"due": "2026-11-25"}}}, "no date of a period"),
        ({"overrides": {"102026": "2026-11-25"}}, "return period -> date -> day"),
        ({"late_days": -1}, "late_days is -1; it takes a number of days"),
        ({"late_days": "5"}, "late_days is '5'"),
    ],
)
def test_a_calendar_that_is_none(given: dict, words: str):
    with pytest.raises(ValueError, match=words):
        Calendar.of(given)
