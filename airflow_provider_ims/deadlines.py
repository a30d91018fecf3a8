"""The dates of a return period as Airflow's deadline references: told when a run is late for GSTR-3B."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_ims._compat import BaseDeadlineReference
from airflow_provider_ims.models.calendar import INDIA, LATE_DAYS, Calendar, Filing, Overrides, period_dates
from airflow_provider_ims.models.choices import check_choice

__all__ = ["PeriodDate", "ReturnPeriodDeadline"]

PeriodDate = Literal["monthly_suppliers", "quarterly_suppliers", "draft_2b", "due_3b"]
"""The dates of :class:`~airflow_provider_ims.models.calendar.PeriodDates`."""

_TYPE: Final = "reference_type"  # the name that Airflow reads


class ReturnPeriodDeadline(BaseDeadlineReference):
    """
    The end of a day that matters for the return period in preparation when a run begins, in India.

    For ``DeadlineAlert(reference=ReturnPeriodDeadline("due_3b"), interval=timedelta(days=-2), callback=...)``: Airflow
    calls back if the run has not succeeded two days before GSTR-3B is due. Airflow 3.2 and newer.

    :param which: ``due_3b``, ``draft_2b``, ``monthly_suppliers`` or ``quarterly_suppliers``
    :param filing: how often the company files GSTR-3B: ``monthly`` or ``quarterly``
    :param gstin: the company's GSTIN, or the first two digits of it; needed for quarterly filers only
    :param overrides: days that GSTN has moved; see :data:`~airflow_provider_ims.models.calendar.Overrides`
    :param late_days: how many days after its due date a period is still the one in preparation: a run that begins then
        is late already, and one that begins later has until the next period's date
    :raises RuntimeError: below Airflow 3.2, which cannot keep a reference of others
    :raises ValueError: when an argument is wrong
    """

    required_kwargs: Final = {"dag_id", "run_id"}  # what Airflow gives to _evaluate_with

    def __init__(
        self,
        which: PeriodDate = "due_3b",
        *,
        filing: Filing = "monthly",
        gstin: str | None = None,
        overrides: Overrides | None = None,
        late_days: int = LATE_DAYS,
    ) -> None:
        if BaseDeadlineReference is object:
            raise RuntimeError("ReturnPeriodDeadline needs Airflow 3.2 or newer: an older one keeps only its own.")
        check_choice("which", which, PeriodDate)
        self.which = which
        self.filing = filing
        self.gstin = gstin
        self.overrides = _as_text(overrides)
        self.late_days = late_days
        self._calendar = Calendar(filing, self.overrides, late_days=late_days)
        for period in {"032026", *self.overrides}:  # a wrong argument is told when the DAG is read
            period_dates(period, filing=filing, state=gstin, overrides=self.overrides)

    def at(self, begun: datetime) -> datetime:
        """
        Return the deadline of a run: the end of the day.

        :param begun: when the run begins, a time with its zone
        """
        day: date = getattr(self._calendar.dates(self.gstin or "", begun), self.which)
        return datetime.combine(day + timedelta(days=1), time(), INDIA).astimezone(UTC)

    def serialize_reference(self) -> dict[str, Any]:
        """Return what Airflow keeps of it."""
        return {
            _TYPE: type(self).__name__,
            "which": self.which,
            "filing": self.filing,
            "gstin": self.gstin,
            "overrides": self.overrides,
            "late_days": self.late_days,
        }

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> ReturnPeriodDeadline:
        """Make it of what Airflow has kept."""
        return cls(
            reference_data["which"],
            filing=reference_data["filing"],
            gstin=reference_data["gstin"],
            overrides=reference_data["overrides"],
            late_days=reference_data.get("late_days", LATE_DAYS),  # what an earlier version kept has none
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReturnPeriodDeadline) and self.serialize_reference() == other.serialize_reference()

    def __hash__(self) -> int:
        return hash((self.which, self.filing, self.gstin))

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str, **_: Any) -> datetime:
        # Only Airflow's scheduler and API server call this; they have the tables.
        from airflow.models import DagRun

        begun = session.query(DagRun.run_after).filter_by(dag_id=dag_id, run_id=run_id).scalar()
        return self.at(begun or datetime.now(UTC))


class GstDeadlines(AirflowPlugin):
    """Tells Airflow 3.3 and newer that the reference may be kept with a DAG."""

    name = "gst_deadlines"
    deadline_references = [ReturnPeriodDeadline]  # noqa: RUF012  Airflow's own spelling


def _as_text(overrides: Overrides | None) -> dict[str, dict[str, str]]:
    def text(value: object) -> str:
        return value.isoformat() if isinstance(value, date) else str(value)

    if not isinstance(overrides, Mapping | None):
        raise ValueError(f"overrides is {overrides!r}; it takes return period -> date -> day")
    return {period: {name: text(value) for name, value in days.items()} for period, days in (overrides or {}).items()}
