"""The dates that matter for a return period: when suppliers file, GSTR-2B is drawn and GSTR-3B is due."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final, Literal

from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.models.printable import counted

__all__ = ["Calendar", "period_dates", "period_of"]

INDIA: Final = timezone(timedelta(hours=5, minutes=30), "IST")
"""India's time: one zone, no summer time."""

LATE_DAYS: Final = 5
"""
How many days after its due date a period is still the one in preparation.

Who has missed the date files within days, since interest and a late fee run by the day, and until then a reset counts:
so a person is warned. Five days hold a week-end and the working days around it. Who filed in time waits no longer than
that for a task that fails with a warning.
"""

Filing = Literal["monthly", "quarterly"]

OnWindow = Literal["warn", "fail", "ignore"]
"""What is done when GSTR-3B is due shortly or was due: warn before sending, fail and send nothing, or go on."""

# The states whose quarterly GSTR-3B is due on the 22nd; all others file until the 24th (notification 46/2020 with
# rule 61, as commonly cited). Codes as a GSTIN begins: Chhattisgarh, Madhya Pradesh, Gujarat, Daman and Diu, Dadra and
# Nagar Haveli, Maharashtra, Karnataka, Goa, Lakshadweep, Kerala, Tamil Nadu, Puducherry, Andaman and Nicobar,
# Telangana, Andhra Pradesh (inferred: due-dates; override it where it is wrong).
_DUE_22: Final = frozenset(str(code) for code in range(22, 38))

_DUE_LAST: Final = "07"
"""Any state of those whose date is the later one."""

_PERIOD: Final = re.compile(r"(0[1-9]|1[0-2])(20[0-9]{2})")


@dataclass(frozen=True)
class PeriodDates:
    """
    The dates of one return period, each the last or the only day, in India.

    :param period: MMYYYY
    :param monthly_suppliers: last day on which a monthly supplier's GSTR-1 enters this period's GSTR-2B: the 11th
    :param quarterly_suppliers: the same for invoices that quarterly suppliers furnish (IFF, GSTR-5): the 13th
    :param draft_2b: day on which GSTR-2B is drawn: the 14th. After it a reset shows there only once it is recomputed
    :param due_3b: last day for GSTR-3B; filing it ends all actions of the period
    """

    period: str
    monthly_suppliers: date
    quarterly_suppliers: date
    draft_2b: date
    due_3b: date

    def __post_init__(self) -> None:
        if not self.monthly_suppliers <= self.quarterly_suppliers < self.draft_2b <= self.due_3b:
            shown = ", ".join(f"{field.name} {getattr(self, field.name)}" for field in fields(self))
            raise ValueError(f"The dates of a period follow one another; these do not: {shown}")

    def is_drawn(self, at: datetime) -> bool:
        """Say whether GSTR-2B has been drawn, so that it has to be recomputed to see a reset."""
        return day_in_india(at) >= self.draft_2b

    def days_left(self, at: datetime) -> int:
        """Return the days until GSTR-3B is due: 0 on the last one, negative after it."""
        return (self.due_3b - day_in_india(at)).days


Overrides = Mapping[str, Mapping[str, "date | str"]]
"""Return period (MMYYYY) -> date of :class:`PeriodDates` -> day, since GSTN extends dates: ``{"102026": {"due_3b":
"2026-11-25"}}``."""


def period_dates(
    period: str, *, filing: Filing = "monthly", state: str | None = None, overrides: Overrides | None = None
) -> PeriodDates:
    """
    Return the dates of a return period.

    Sources: suppliers' cut-off and the 14th, GSTN's advisories on GSTR-2B; the 20th, and the 22nd or 24th for quarterly
    filers by state, rule 61.

    :param period: MMYYYY; for a quarterly filer the last month of a quarter
    :param filing: how often the recipient files GSTR-3B
    :param state: a GSTIN or its first two digits; only needed for quarterly filers
    :param overrides: days that are not the usual ones
    :raises ValueError: when the period, the state or an override is none
    """
    month, year = _month(period)
    check_choice("filing", filing, Filing)
    if filing == "quarterly" and month % 3:
        raise ValueError(f"{period} ends no quarter; a quarterly filer's GSTR-3B is for 03, 06, 09 and 12")
    following = date(year + month // 12, month % 12 + 1, 1)
    due = 20 if filing == "monthly" else _quarterly_due(state)
    usual = {"monthly_suppliers": 11, "quarterly_suppliers": 13, "draft_2b": 14, "due_3b": due}
    days = {name: following.replace(day=day) for name, day in usual.items()}
    for name, value in (overrides or {}).get(period, {}).items():
        if name not in days:
            raise ValueError(f"{period}: {name!r} is no date of a period; there are {', '.join(days)}")
        days[name] = _day(period, name, value)
    return PeriodDates(period, **days)


def period_of(
    at: datetime,
    *,
    filing: Filing = "monthly",
    state: str | None = None,
    overrides: Overrides | None = None,
    late_days: int = LATE_DAYS,
) -> str:
    """
    Return the return period whose GSTR-3B is being prepared: the first one that is due, or was due some days ago only.

    That is the month before, or the quarter that ended last, until its GSTR-3B was due and ``late_days`` have gone by;
    from then on the month, or the quarter, that runs.

    :param at: a time with its zone
    :param filing: how often the recipient files GSTR-3B
    :param state: a GSTIN or its first two digits, for quarterly filers; without it the later of their dates counts
    :param overrides: days that are not the usual ones
    :param late_days: how many days after its due date a period is still the one in preparation
    :raises ValueError: when an argument is wrong
    """
    _check_days("late_days", late_days)
    day = day_in_india(at)

    def is_open(period: str) -> bool:
        dates = period_dates(period, filing=filing, state=state or _DUE_LAST, overrides=overrides)
        return day <= dates.due_3b + timedelta(days=late_days)

    length = _length(filing)
    month = day.month - 1 - (day.month - 1) % length
    period = f"{month or 12:02}{day.year - (not month)}"
    while is_open(earlier := _later(period, -length)):
        period = earlier
    while not is_open(period):
        period = _later(period, length)
    return period


def pending_until(period: str, *, filing: Filing = "monthly", state: str | None = None) -> date:
    """
    Return the last day on which a credit note, or another document that may be pending once only, may be pending.

    That is when GSTR-3B is due for the tax period after the one in whose GSTR-2B it came (GSTN's advisory of October
    2025 with its FAQ: a note of October 2025 until 20 December 2025). A hint: what GSTN says of the document decides.

    :param period: MMYYYY, the period in whose GSTR-2B it came
    """
    return period_dates(_later(period, _length(filing)), filing=filing, state=state).due_3b


@dataclass(frozen=True)
class Calendar:
    """
    How a company files, so that the dates that matter can be told for each of its GSTINs.

    :param filing: how often GSTR-3B is filed
    :param overrides: days that are not the usual ones
    :param close_days: how many days before the due date a person is warned
    :param late_days: how many days after the due date a person is warned; then the next period is in preparation
    """

    filing: Filing = "monthly"
    overrides: Overrides | None = None
    close_days: int = 2
    late_days: int = LATE_DAYS

    @classmethod
    def of(cls, given: Calendar | Mapping[str, Any] | None) -> Calendar:
        """
        Read what a user gives: one, the arguments of one, or nothing.

        :raises ValueError: when it is none
        """
        if given is None or isinstance(given, Calendar):
            return given or cls()
        if unknown := sorted(set(given) - {field.name for field in fields(cls)}):
            known = ", ".join(field.name for field in fields(cls))
            raise ValueError(f"calendar names {', '.join(unknown)}; it takes {known}")
        return cls(**given)

    def __post_init__(self) -> None:
        check_choice("filing", self.filing, Filing)
        _check_days("late_days", self.late_days)
        moved = self.overrides or {}
        if not isinstance(moved, Mapping) or not all(isinstance(days, Mapping) for days in moved.values()):
            raise ValueError(f"overrides is {self.overrides!r}; it takes return period -> date -> day")
        for period in moved:
            state = "27" if self.filing == "quarterly" else None
            if self.filing == "monthly" or _month(period)[0] % 3 == 0:
                period_dates(period, filing=self.filing, state=state, overrides=self.overrides)

    def of_gstins(self, gstins: Iterable[str], at: datetime) -> dict[PeriodDates, list[str]]:
        """
        Return the dates of the period whose GSTR-3B is being prepared, with the GSTINs for which they hold.

        :param gstins: own GSTINs
        :param at: a time with its zone
        """
        found: dict[PeriodDates, list[str]] = {}
        for gstin in sorted(set(gstins)):
            found.setdefault(self.dates(gstin, at), []).append(gstin)
        return found

    def dates(self, gstin: str, at: datetime) -> PeriodDates:
        """
        Return the dates of the period whose GSTR-3B is being prepared.

        :param gstin: own GSTIN
        :param at: a time with its zone
        """
        period = self.period(at, gstin)
        return period_dates(period, filing=self.filing, state=gstin, overrides=self.overrides)

    def period(self, at: datetime, gstin: str | None = None) -> str:
        """
        Return the return period whose GSTR-3B is being prepared, MMYYYY; see :func:`period_of`.

        :param at: a time with its zone
        :param gstin: own GSTIN, or the first two digits of it; matters for quarterly filers only
        """
        return period_of(at, filing=self.filing, state=gstin, overrides=self.overrides, late_days=self.late_days)

    def notes(self, gstins: Iterable[str], at: datetime) -> list[str]:
        """
        Say what a person who resets documents now has to do so that the resets count.

        :param gstins: own GSTINs of the documents
        :param at: a time with its zone
        """
        of_dates = self.of_gstins(gstins, at)
        return [
            f"GSTR-2B of {_spelt(dates.period)} was drawn on {_day_spelt(dates.draft_2b)}. It does not show what is"
            f" reset now: compute it again on the GST portal before GSTR-3B is filed{_for(own, of_dates)}."
            for dates, own in of_dates.items()
            if dates.is_drawn(at) and dates.days_left(at) >= 0
        ]

    def warnings(self, gstins: Iterable[str], at: datetime) -> list[str]:
        """
        Say that GSTR-3B is due shortly, or was due already; nothing if there is time.

        :param gstins: own GSTINs of the documents
        :param at: a time with its zone
        """
        of_dates = self.of_gstins(gstins, at)
        told = []
        for dates, own in of_dates.items():
            period = _spelt(dates.period)
            left, due = dates.days_left(at), f"{_day_spelt(dates.due_3b)}{_for(own, of_dates)}"
            if left < 0:
                told.append(
                    f"GSTR-3B of {period} was due on {due}, {counted(-left, 'day')} ago. Once it is filed, GSTN takes"
                    " no action on the documents of its period. If it is not, compute GSTR-2B again before it is."
                )
            elif left <= self.close_days:
                when = "today" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
                told.append(
                    f"GSTR-3B of {period} is due {when}, on {due}. What is reset now and is not looked at again before"
                    " it is filed is deemed accepted."
                )
        return told


def _spelt(period: str) -> str:
    return date(int(period[2:]), int(period[:2]), 1).strftime("%B %Y")


def _day_spelt(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _for(gstins: Sequence[str], of_dates: Mapping[PeriodDates, object]) -> str:
    return "" if len(of_dates) == 1 else f" (for {', '.join(gstins)})"


def day_in_india(at: datetime) -> date:
    """
    Return the day that it is in India.

    :param at: a time with its zone
    :raises ValueError: when it has none: nobody knows which day it is then
    """
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).astimezone(INDIA).date()


def _month(period: str) -> tuple[int, int]:
    found = _PERIOD.fullmatch(period)
    if not found:
        raise ValueError(f"{period!r} is no return period; it is written MMYYYY, such as 102026")
    return int(found[1]), int(found[2])


def _length(filing: Filing) -> int:
    return 1 if filing == "monthly" else 3


def _later(period: str, months: int) -> str:
    month, year = _month(period)
    years, month = divmod(month - 1 + months, 12)
    return f"{month + 1:02}{year + years}"


def _check_days(name: str, days: object) -> None:
    if not isinstance(days, int) or isinstance(days, bool) or days < 0:
        raise ValueError(f"{name} is {days!r}; it takes a number of days: 0 or more")


def _quarterly_due(state: str | None) -> int:
    code = (state or "")[:2]
    if not re.fullmatch("0[1-9]|[1-9][0-9]", code):
        raise ValueError(f"state is {state!r}; a quarterly filer's date depends on the first two digits of the GSTIN")
    return 22 if code in _DUE_22 else 24


def _day(period: str, name: str, value: date | str) -> date:
    if isinstance(value, datetime):
        raise ValueError(f"{period}: {name} is {value!r}; it takes a day without a time")
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (ValueError, TypeError):
        raise ValueError(f"{period}: {name} is {value!r}; it takes a day such as 2026-11-25") from None
