"""How long one reset is waited for, and since when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnBusy,
    GstnError,
    GstnServiceUnavailable,
    GstnTaskFailed,
    GstnTaskNotFound,
)
from airflow_provider_ims.models import ResetPayload, ResetResult, TaskStatus
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.submissions.journal import Attempt, Entry, Journal
from airflow_provider_ims.submissions.policy import Policy
from airflow_provider_ims.submissions.single import SingleRequest
from airflow_provider_ims.submissions.submission import Submission
from airflow_provider_ims.waits.steps import AwaitMoment, AwaitTasks
from tests.unit.builders import document, numbered, payload

NOW = 1_700_000_000.0
TIMEOUT = 600.0


class Hook:
    """Takes a reset, and says of its task what it is told to say."""

    is_simulator = False

    def __init__(self) -> None:
        self.says: str | GstnError = "processing"
        self.result: dict[str, Any] = {"status_cd": "P"}
        self.answers: list[str | GstnError] = ["r-1"]
        self.held: dict[str, str] = {}
        self.sent: list[list[str]] = []
        self.store = MemorySessionStore()

    def submit(self, call: Any, payload: ResetPayload, *, before_sending: Callable[[], None]) -> str:
        before_sending()
        self.sent.append([key.number for key, _ in payload.documents()])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, GstnError):
            raise answer
        return answer

    def submit_download(self, gstin: str, section: str) -> str:
        return f"d-{section}"

    def get_task_pages(self, reference_id: str) -> list[dict[str, Any]]:
        return [{"b2b": [{**document(inum=number), "action": action} for number, action in self.held.items()]}]

    def get_task_status(self, reference_id: str) -> TaskStatus:
        if isinstance(self.says, GstnError):
            raise self.says
        return TaskStatus(reference_id=reference_id, word=self.says)

    def get_task_result(self, reference_id: str, call: Any = None) -> ResetResult:
        return ResetResult.parse(self.result)

    def find_sent_request(self, reference_id: str) -> None:
        return None


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def advance(hook: Hook) -> Callable[..., Any]:
    """Go on in a new process: ``advance(now, max_tries=..., ended=...)``."""
    carried: dict[str, Any] = {}

    def go_on(now: float, max_tries: int = 2, ended: AwaitTasks | None = None, **policy: Any) -> Any:
        journal = Journal(None, carried)
        taker: Any = hook
        submission = Submission(
            taker,
            journal,
            payload(b2b=numbered("b2b", "1", "2")),
            attempt=Attempt(1, max_tries),
            policy=Policy(**policy),
            key="k",
            clock=lambda: now,
        )
        try:
            return SingleRequest(submission, timeout=TIMEOUT).advance(ended)
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


def test_a_reset_whose_task_failed_is_told_as_such(advance, hook):
    advance(NOW)
    hook.says = "failed"
    with pytest.raises(GstnTaskFailed, match="r-1 ended as 'failed'"):
        advance(NOW + 60)


def test_a_busy_gstn_is_waited_for(advance, hook):
    hook.answers = [GstnBusy("IMSSAV0015"), "r-1"]
    step = advance(NOW)
    assert isinstance(step, AwaitMoment)
    assert NOW < step.moment < NOW + 60
    assert advance(step.moment) == until(step.moment + TIMEOUT)


def test_a_result_by_which_nothing_was_done_is_waited_out_and_sent_again(advance, hook):
    advance(NOW)
    hook.says = "completed"
    hook.result = {"status_cd": "ER", "err_cd": "IMSSAV0015"}
    step = advance(NOW + 60)
    assert isinstance(step, AwaitMoment)
    hook.answers, hook.result = ["r-2"], {"status_cd": "P"}
    report = advance(step.moment)
    assert (report.reference_id, report.outcome, hook.sent) == ("r-2", "processed", [["1", "2"]] * 2)


def test_what_is_at_no_action_after_a_lost_reply_is_told_with_what_was_sent(advance, hook):
    hook.answers = [GstnAmbiguousSubmission("The reply was lost."), "r-2"]
    look = advance(NOW, on_ambiguous="reconcile", settle_time=0)
    assert look == AwaitTasks(["d-b2b"], None, "reconcile", "k")
    hook.held = {"1": "N", "2": "A"}
    assert advance(NOW, ended=look, on_ambiguous="reconcile", settle_time=0) == AwaitTasks(
        ["r-2"], NOW + TIMEOUT, "request", "k"
    )
    hook.says = "completed"
    report = advance(NOW + 60, on_ambiguous="reconcile", settle_time=0)
    assert (report.outcome, report.counts()) == ("processed", {"reset": 2, "refused": 0, "unknown": 0})
    assert hook.sent == [["1", "2"], ["2"]]


def test_what_the_second_reset_was_refused_may_be_done_by_the_first_and_is_looked_up(advance, hook):
    hook.answers = [GstnAmbiguousSubmission("The reply was lost."), "r-2"]
    hook.says = "completed"
    hook.result = {"status_cd": "ER", "err_cd": "IMSSAV005"}
    account = advance(NOW, on_ambiguous="resubmit")
    assert account == AwaitTasks(["d-b2b"], None, "account", "k")
    hook.held = {"1": "N", "2": "A"}
    report = advance(NOW + 60, ended=account, on_ambiguous="resubmit")
    assert (report.outcome, report.counts()) == ("partial", {"reset": 1, "refused": 1, "unknown": 0})


def test_what_was_all_found_at_no_action_is_told_without_a_reset(advance, hook):
    hook.answers = [GstnAmbiguousSubmission("The reply was lost.")]
    look = advance(NOW, on_ambiguous="reconcile")
    hook.held = {"1": "N", "2": "N"}
    hook.says = GstnTaskNotFound("A download is no reset, and is not asked about.")
    report = advance(NOW + 60, ended=look, on_ambiguous="reconcile")
    assert (report.outcome, report.counts()["reset"], len(hook.sent)) == ("processed", 2, 1)


def test_a_request_that_has_ended_is_not_waited_for_and_not_read_again(hook):
    journal = Journal(None)
    attempt = Attempt(1, 2)
    request = payload(b2b=numbered("b2b", "1"))
    journal.write("k", Entry(phase="ended", fingerprint=request.fingerprint(), at=NOW, attempt=attempt))
    taker: Any = hook
    assert SingleRequest(Submission(taker, journal, request, attempt=attempt, key="k")).advance() is None
    assert hook.sent == []
