"""The dates of a return period as deadlines of a run, through Airflow's own keeping of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_ims.deadlines import ReturnPeriodDeadline
from airflow_provider_ims.models.calendar import INDIA

# [START howto_deadline]
from datetime import timedelta  # isort: skip

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert  # isort: skip


async def tell_the_tax_team(**context: Any) -> None:
    """Write a mail, a message ... to those who can still act."""


dag = DAG(
    dag_id="ims_reconciliation_in_time",
    deadline=DeadlineAlert(
        reference=ReturnPeriodDeadline("due_3b", overrides={"102026": {"due_3b": "2026-11-25"}}),
        interval=timedelta(days=-2),  # two days before the end of that day, in India
        callback=AsyncCallback(tell_the_tax_team),
    ),
)
# [END howto_deadline]

BEGUN = datetime(2026, 11, 5, 20, tzinfo=INDIA)
EARLIER = datetime(2026, 10, 5, 20, tzinfo=INDIA)


class Session:
    """Airflow's tables, of which one run is asked for."""

    def __init__(self, run_after: datetime | None) -> None:
        self.run_after = run_after

    def query(self, column: Any) -> Session:
        assert str(column) == "DagRun.run_after"
        return self

    def filter_by(self, **named: str) -> Session:
        assert named == {"dag_id": "dag", "run_id": "run"}
        return self

    def scalar(self) -> datetime | None:
        return self.run_after


def kept(reference: ReturnPeriodDeadline) -> Any:
    """The reference as the scheduler has it: written with the DAG, and read by another process."""
    from airflow.serialization.decoders import decode_deadline_reference
    from airflow.serialization.encoders import encode_deadline_reference

    return decode_deadline_reference(encode_deadline_reference(reference))


def test_airflow_keeps_the_example_and_works_out_when_it_is_late():
    [alert] = dag.deadline
    at = kept(alert.reference).evaluate_with(
        session=Session(BEGUN), interval=alert.interval, dag_id="dag", run_id="run"
    )
    assert at == datetime(2026, 11, 24, tzinfo=INDIA)


@pytest.mark.parametrize(
    ("reference", "begun", "at"),
    [
        (ReturnPeriodDeadline(), BEGUN, datetime(2026, 11, 21, tzinfo=INDIA)),
        (ReturnPeriodDeadline("draft_2b"), BEGUN, datetime(2026, 11, 15, tzinfo=INDIA)),
        (ReturnPeriodDeadline(), datetime(2026, 11, 25, 18, 29, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=INDIA)),
        (ReturnPeriodDeadline(), datetime(2026, 11, 25, 18, 30, tzinfo=UTC), datetime(2026, 12, 21, tzinfo=INDIA)),
        (ReturnPeriodDeadline(late_days=0), datetime(2026, 11, 21, tzinfo=INDIA), datetime(2026, 12, 21, tzinfo=INDIA)),
        (ReturnPeriodDeadline(filing="quarterly", gstin="27"), EARLIER, datetime(2026, 10, 23, tzinfo=INDIA)),
        (ReturnPeriodDeadline(filing="quarterly", gstin="09"), EARLIER, datetime(2026, 10, 25, tzinfo=INDIA)),
        (ReturnPeriodDeadline(filing="quarterly", gstin="27"), BEGUN, datetime(2027, 1, 23, tzinfo=INDIA)),
    ],
)
def test_it_is_the_end_of_the_day_in_india(reference: ReturnPeriodDeadline, begun: datetime, at: datetime):
    assert kept(reference).evaluate_with(
        session=Session(begun), interval=timedelta(0), dag_id="dag", run_id="run"
    ) == at.astimezone(UTC)


def test_a_run_that_is_not_in_the_tables_begins_now():
    found = kept(ReturnPeriodDeadline()).evaluate_with(
        session=Session(None), interval=timedelta(0), dag_id="dag", run_id="run"
    )
    assert found == ReturnPeriodDeadline().at(datetime.now(UTC))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"which": "tomorrow"}, "which is"),
        ({"filing": "yearly"}, "monthly or quarterly"),
        ({"filing": "quarterly"}, "first two digits"),
        ({"overrides": {"102026": {"due_3b": "25-11-2026"}}}, "a day such as"),
        ({"overrides": ["102026"]}, "overrides is"),
        ({"late_days": -1}, "late_days is -1"),
    ],
)
def test_a_wrong_argument_is_told_when_the_dag_is_read(arguments: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        ReturnPeriodDeadline(**arguments)


def test_what_an_earlier_version_kept_is_read():
    of_now = ReturnPeriodDeadline("draft_2b").serialize_reference()
    of_then = {name: value for name, value in of_now.items() if name != "late_days"}
    assert ReturnPeriodDeadline.deserialize_reference(of_then) == ReturnPeriodDeadline("draft_2b")


def test_equal_references_are_equal():
    overrides = {"102026": {"due_3b": datetime(2026, 11, 25).date()}}  # noqa: DTZ001
    one, other = (
        ReturnPeriodDeadline(overrides=overrides),
        ReturnPeriodDeadline(overrides={"102026": {"due_3b": "2026-11-25"}}),
    )
    assert (one, hash(one)) == (other, hash(other))
    assert one != ReturnPeriodDeadline()
