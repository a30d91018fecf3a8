"""How long one reset is waited for, and since when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import GstnError, GstnServiceUnavailable, GstnTaskNotFound
from airflow_provider_ims.models import ResetPayload, ResetResult, TaskStatus
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.submissions.journal import Attempt, Journal
from airflow_provider_ims.submissions.single import SingleReset
from airflow_provider_ims.submissions.submission import Submission
from airflow_provider_ims.waits.steps import AwaitTasks
from tests.unit.builders import numbered, payload

NOW = 1_700_000_000.0
TIMEOUT = 600.0


class Hook:
    """Takes a reset, and says of its task what it is told to say."""

    is_simulator = False

    def __init__(self) -> None:
        self.says: str | GstnError = "processing"
        self.store = MemorySessionStore()

    def submit(self, call: Any, payload: ResetPayload, *, before_sending: Callable[[], None]) -> str:
        before_sending()
        return "r-1"

    def get_task_status(self, reference_id: str) -> TaskStatus:
        if isinstance(self.says, GstnError):
            raise self.says
        return TaskStatus(reference_id=reference_id, word=self.says)

    def get_task_result(self, reference_id: str, call: Any = None) -> ResetResult:
        return ResetResult.parse({"status_cd": "P"})

    def find_sent_request(self, reference_id: str) -> None:
        return None


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def advance(hook: Hook) -> Callable[..., Any]:
    """Go on in a new process: ``advance(now, max_tries=...)``."""
    carried: dict[str, Any] = {}

    def go_on(now: float, max_tries: int = 2) -> Any:
        journal = Journal(None, carried)
        taker: Any = hook
        submission = Submission(
            taker,
            journal,
            payload(b2b=numbered("b2b", "1")),
            attempt=Attempt(1, max_tries),
            key="k",
            clock=lambda: now,
        )
        try:
            return SingleReset(submission, timeout=TIMEOUT).advance()
        finally:
            carried.update(journal.carried)

    return go_on


def until(moment: float) -> AwaitTasks:
    return AwaitTasks(["r-1"], moment, "request", "k")


def test_a_reset_is_waited_for_since_it_was_sent_whoever_asks_and_when(advance):
    assert advance(NOW) == until(NOW + TIMEOUT)
    assert advance(NOW + 500) == until(NOW + TIMEOUT)


def test_at_the_deadline_it_is_a_timeout_that_says_to_clear_the_task(advance):
    advance(NOW)
    with pytest.raises(
        AirflowSensorTimeout, match=r"r-1 was not complete 600 s after it was sent.*\n.*clear this task"
    ):
        advance(NOW + TIMEOUT)


def test_a_person_who_clears_the_task_has_it_waited_for_anew(advance):
    advance(NOW)
    assert advance(NOW + 700, max_tries=4) == until(NOW + 700 + TIMEOUT)
    assert advance(NOW + 900, max_tries=4) == until(NOW + 700 + TIMEOUT)


def test_a_reset_that_ended_is_read_even_after_the_deadline(advance, hook):
    advance(NOW)
    hook.says = "completed"
    report = advance(NOW + 10 * TIMEOUT)
    assert isinstance(report, Report)
    assert (report.reference_id, report.outcome) == ("r-1", "processed")


def test_a_poll_that_fails_for_now_is_waited_out(advance, hook):
    advance(NOW)
    hook.says = GstnServiceUnavailable("503")
    assert advance(NOW + 60) == until(NOW + TIMEOUT)


def test_a_reset_that_is_not_found_is_gone_two_minutes_after_it_was_sent(advance, hook):
    hook.says = GstnTaskNotFound("no r-1")
    assert advance(NOW) == until(NOW + TIMEOUT)
    assert advance(NOW + 119) == until(NOW + TIMEOUT)
    with pytest.raises(GstnTaskNotFound, match="no r-1"):
        advance(NOW + 121)
