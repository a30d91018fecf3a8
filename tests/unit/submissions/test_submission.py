"""What a retry does, whatever the try before it came to. The hook is scripted and the store is a dictionary."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_ims._compat import NEVER_EXPIRE, AirflowFailException
from airflow_provider_ims._metadata import TaskState
from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnBusy,
    GstnError,
    GstnInvalidRequest,
    GstnNoDocuments,
    GstnRefused,
    GstnResetNotDone,
    GstnServiceUnavailable,
    GstnSessionExpired,
    GstnTaskNotFound,
    GstnTransientError,
)
from airflow_provider_ims.hooks.gstn import RESET
from airflow_provider_ims.models import ResetPayload, ResetResult, TaskStatus
from airflow_provider_ims.models.reconciliation import Reconciliation
from airflow_provider_ims.results.reconciliations import Reconciliations
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.submissions import submission as module
from airflow_provider_ims.submissions.audit import AuditTrail
from airflow_provider_ims.submissions.journal import Attempt, Journal
from airflow_provider_ims.submissions.policy import SETTLE_TIME, Policy
from airflow_provider_ims.submissions.submission import Sent, Submission
from airflow_provider_ims.waits.steps import AwaitMoment, AwaitTasks
from tests.unit.builders import RTIN, STIN, document, numbered, payload

NOW = 1_700_000_000.0
LOST = GstnAmbiguousSubmission("The reply was lost.")
BUSY = GstnBusy("IMSSAV0015")


class Killed(BaseException):
    """A worker that dies: nothing after it runs."""


class Store:
    """Airflow's task state store."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.dies_at_phase: str | None = None

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        assert retention is NEVER_EXPIRE
        if value["phase"] == self.dies_at_phase:
            raise Killed
        self.values[key] = value

    def delete(self, key: str) -> None:
        del self.values[key]


class Hook:
    """Takes resets, each with the next of the given answers; the last is repeated."""

    is_simulator = False

    def __init__(self) -> None:
        self.answers: list[str | BaseException] = ["r-1"]
        self.sent: list[ResetPayload] = []
        self.downloads: dict[str, str] = {}
        self.held: dict[str, str] = {}
        self.store = MemorySessionStore()
        self.words: dict[str, str] = {}
        self.results: dict[str, dict[str, Any] | GstnError] = {}

    def get_task_status(self, reference_id: str) -> TaskStatus:
        word = self.words.get(reference_id, "completed")
        if word == "not found":
            raise GstnTaskNotFound(reference_id)
        return TaskStatus(reference_id=reference_id, word=word)

    def get_task_result(self, reference_id: str, call: object) -> ResetResult:
        assert call is RESET
        result = self.results.get(reference_id, {"status_cd": "P"})
        if isinstance(result, GstnError):
            raise result
        return ResetResult.parse(result)

    def find_sent_request(self, reference_id: str) -> None:
        return None

    def submit(self, call: object, payload: ResetPayload, *, before_sending: Callable[[], None]) -> str:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, GstnSessionExpired):
            raise answer  # found before anything is sent
        assert call is RESET
        before_sending()
        self.sent.append(payload)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def submit_download(self, gstin: str, section: str) -> str:
        reference_id = f"d-{len(self.downloads) + 1}"
        self.downloads[reference_id] = section
        return reference_id

    def get_task_pages(self, reference_id: str) -> list[dict[str, Any]]:
        return [
            {self.downloads[reference_id]: [{**document(inum=number), "action": action}]}
            for number, action in self.held.items()
        ]

    def found(self, reference_id: str) -> Reconciliation | None:
        """What is kept for the task that reads the result."""
        return Reconciliations(self.store).find(reference_id)


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def three() -> ResetPayload:
    return payload(b2b=numbered("b2b", "INV-1", "INV-2", "INV-3"))


@pytest.fixture
def go(hook, store, three, monkeypatch):
    """Start or go on with a try: ``go(try_number, clears, now=..., downloads=..., **arguments)``."""
    monkeypatch.setattr(module.random, "uniform", lambda low, high: 1.0)

    def run(try_number: int = 1, clears: int = 2, *, now: float = NOW, downloads=(), request=three, **arguments):
        return Submission(
            hook,
            Journal(TaskState(store)),
            request,
            attempt=Attempt(try_number, clears),
            clock=lambda: now,
            policy=Policy(**arguments),
        ).advance(downloads)

    return run


def numbers(payload: ResetPayload) -> list[str]:
    return [document.number for _, document in payload.documents()]


class TestARetry:
    def test_goes_on_with_the_reset_that_was_sent(self, go, hook, caplog):
        assert go(1) == Sent("r-1")
        assert go(2) == Sent("r-1")
        assert len(hook.sent) == 1
        assert "tried again, but its reset is NOT sent again" in caplog.text
        assert "r-1" in caplog.text

    def test_sends_if_the_try_before_died_before_its_intent(self, go, hook, store):
        store.dies_at_phase = "intent"
        with pytest.raises(Killed):
            go(1)
        store.dies_at_phase = None
        assert go(2) == Sent("r-1")
        assert len(hook.sent) == 1

    @pytest.mark.parametrize("died", ["while sending", "before the reference id was kept"])
    def test_sends_nothing_if_the_try_before_may_have_sent(self, go, hook, store, died):
        if died == "while sending":
            hook.answers = [Killed()]
        else:
            store.dies_at_phase = "submitted"
        with pytest.raises(Killed):
            go(1)
        store.dies_at_phase = None
        with pytest.raises(GstnAmbiguousSubmission) as caught:
            go(2)
        assert len(hook.sent) == 1
        assert isinstance(caught.value, AirflowFailException)
        assert "The worker died while it was being sent." in str(caught.value).splitlines()
        for word in (RTIN, "3 b2b", "INV-1", STIN, "by try 1 at 2023-11-14", "Clear this task", "reconcile"):
            assert word in str(caught.value)

    @pytest.mark.parametrize("refusal", [GstnSessionExpired("otp"), GstnServiceUnavailable("refused connection")])
    def test_sends_if_the_try_before_was_refused(self, go, hook, store, refusal):
        hook.answers = [refusal, "r-1"]
        with pytest.raises(type(refusal)):
            go(1)
        assert store.values == {}
        assert go(2) == Sent("r-1")

    def test_looks_before_it_sends_another_request_if_the_payload_was_changed(self, go, hook):
        go(1)
        hook.answers = ["r-2"]
        changed = payload(b2b=numbered("b2b", "INV-1", "INV-9"))
        assert go(2, request=changed) == AwaitTasks(["d-1"])
        hook.held = {"INV-1": "N", "INV-9": "A"}
        assert go(2, request=changed, downloads=["d-1"], settle_time=0) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-9"]

    def test_does_not_take_what_was_downloaded_for_the_one_before_for_a_look_at_the_changed_one(self, go, hook):
        hook.answers = [LOST]
        assert go(1, on_ambiguous="reconcile") == AwaitTasks(["d-1"])
        hook.held = dict.fromkeys(["INV-1", "INV-2", "INV-3"], "N")
        assert go(1, on_ambiguous="reconcile", downloads=["d-1"]) == Sent("d-1")
        hook.answers = ["r-2"]
        changed = payload(b2b=numbered("b2b", "INV-1"), b2bcn=[document("b2bcn")])
        assert go(1, request=changed, downloads=["d-1"], settle_time=0) == AwaitTasks(["d-2", "d-3"])
        assert len(hook.sent) == 1

    def test_keeps_of_a_changed_request_that_it_is_about_this_one(self, go, hook, store):
        go(1)
        changed = payload(b2b=numbered("b2b", "INV-1", "INV-9"))
        go(2, request=changed)
        submission = Submission(hook, Journal(TaskState(store)), changed, attempt=Attempt(2, 2))
        assert submission.entry.fingerprint == changed.fingerprint()
        assert submission.entry.must_reconcile
        before = Submission(
            hook, Journal(TaskState(store)), payload(b2b=numbered("b2b", "INV-1")), attempt=Attempt(2, 2)
        )
        assert before.entry is None, "the journal is about another request"

    def test_knows_the_request_again_whatever_order_its_documents_come_in(self, go, hook):
        go(1)
        assert go(2, request=payload(b2b=numbered("b2b", "INV-3", "INV-1", "INV-2"))) == Sent("r-1")
        assert len(hook.sent) == 1

    def test_tells_payloads_apart_that_differ_in_an_amount(self, go, hook):
        go(1, request=payload(b2b=[document(val=1180)]))
        assert go(2, request=payload(b2b=[document(val=1181)])) == AwaitTasks(["d-1"])

    def test_looks_before_it_sends_if_what_is_kept_cannot_be_read(self, go, hook, store):
        store.values["ims_reset"] = {"phase": "a word of another version"}
        assert go(1, settle_time=0) == AwaitTasks(["d-1"])
        hook.held = {"INV-1": "N"}
        assert go(1, downloads=["d-1"], settle_time=0) == Sent("r-1")
        assert numbers(hook.sent[0]) == ["INV-2", "INV-3"]


class TestAChangedPayload:
    """While the fate of a request is unknown, another one is not sent in its place."""

    OTHER = payload(b2b=numbered("b2b", "INV-1", "INV-9"))

    @pytest.fixture
    def unknown(self, go, hook):
        hook.answers = [LOST, "r-2"]
        with pytest.raises(GstnAmbiguousSubmission):
            go(1)

    @pytest.mark.parametrize("try_", [(2, 2), (2, 4)], ids=["retried", "cleared"])
    def test_is_refused_by_name(self, go, hook, unknown, try_):
        with pytest.raises(GstnInvalidRequest, match="payload was changed") as caught:
            go(*try_, request=self.OTHER)
        for word in (RTIN, "Nothing was sent", "by try 1 at 2023-11-14", "force_resubmit"):
            assert word in str(caught.value)
        assert len(hook.sent) == 1

    def test_is_sent_after_a_look_if_a_person_forces_it(self, go, hook, unknown):
        assert go(2, 4, request=self.OTHER, force=True) == AwaitTasks(["d-1"])
        hook.held = {"INV-1": "N", "INV-9": "A"}
        assert go(2, 4, request=self.OTHER, downloads=["d-1"], now=NOW + SETTLE_TIME, force=True) == AwaitMoment(
            NOW + SETTLE_TIME
        )
        late = NOW + SETTLE_TIME + 1
        assert go(2, 4, request=self.OTHER, now=late, force=True) == AwaitTasks(["d-2"])
        assert go(2, 4, request=self.OTHER, downloads=["d-2"], now=late, force=True) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-9"]

    def test_is_sent_after_a_look_once_the_first_one_is_known(self, go, hook, unknown):
        go(2, 4)
        hook.held = dict.fromkeys(["INV-1", "INV-2", "INV-3"], "N")
        assert go(2, 4, downloads=["d-1"]) == Sent("d-1")
        assert go(3, 6, request=self.OTHER) == AwaitTasks(["d-2"])
        assert go(3, 6, request=self.OTHER, downloads=["d-2"]) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-9"]

    def test_is_sent_after_a_look_once_the_first_one_has_ended(self, go, hook, store):
        go(1)
        store.values["ims_reset"]["phase"] = "ended"
        assert go(2, 4, request=self.OTHER) == AwaitTasks(["d-1"])

    def test_is_not_taken_for_refused_where_the_first_one_may_have_done_it(self, go, hook, unknown):
        go(2, 4, request=self.OTHER, force=True, settle_time=0)
        hook.held = {"INV-1": "A", "INV-9": "A"}
        assert go(2, 4, request=self.OTHER, force=True, downloads=["d-1"], settle_time=0) == Sent("r-2")
        assert hook.found("r-2").sent, "whoever reads a refusal looks at GSTN's documents"

    def test_goes_out_three_times_at_most_while_its_replies_are_lost(self, go, hook, unknown):
        again = {"request": self.OTHER, "force": True, "settle_time": 0, "on_ambiguous": "resubmit"}
        go(2, 4, **again)
        hook.answers, hook.held = [LOST], {"INV-1": "A", "INV-9": "A"}
        with pytest.raises(GstnAmbiguousSubmission):
            go(2, 4, downloads=["d-1"], **again)
        assert len(hook.sent) == 1 + module.MOST_SENDS


class TestAStoreThatFails:
    @pytest.fixture
    def away(self, store, monkeypatch):
        """Let the writes of some phases fail; returns the phases."""
        phases: set[str] = set()
        kept = store.set

        def set_(key, value, *, retention):
            if value["phase"] in phases:
                raise RuntimeError("the API server is down")
            kept(key, value, retention=retention)

        monkeypatch.setattr(store, "set", set_)
        return phases

    def test_before_the_request_keeps_it_from_being_sent(self, go, hook, away):
        away.add("intent")
        with pytest.raises(GstnTransientError, match="task state"):
            go(1)
        assert hook.sent == []
        away.clear()
        assert go(2) == Sent("r-1")

    def test_when_it_is_read_is_not_taken_for_nothing_sent(self, go, hook, store, monkeypatch):
        go(1)

        def get(key):
            raise RuntimeError("the API server is down")

        with monkeypatch.context() as down:
            down.setattr(store, "get", get)
            with pytest.raises(GstnTransientError, match="task state"):
                go(2)
        assert go(2) == Sent("r-1")
        assert len(hook.sent) == 1

    def test_after_the_request_leaves_the_reference_id_to_the_deferral(self, hook, store, three, away):
        away.add("submitted")
        first = Journal(TaskState(store))
        assert Submission(hook, first, three, attempt=Attempt(1, 2)).advance() == Sent("r-1")
        assert store.values["ims_reset"]["phase"] == "intent"
        second = Journal(TaskState(store), json.loads(json.dumps(first.carried)))
        assert Submission(hook, second, three, attempt=Attempt(1, 2)).advance() == Sent("r-1")
        away.clear()
        third = Journal(TaskState(store), json.loads(json.dumps(second.carried)))
        assert third.read("ims_reset").reference_id == "r-1"
        assert store.values["ims_reset"]["reference_id"] == "r-1", "written at the next chance"
        assert third.carried == {}
        assert len(hook.sent) == 1

    def test_what_was_carried_does_not_hold_against_what_was_written_later(self, go, hook, store, three):
        go(1)
        old = store.values["ims_reset"]
        store.values["ims_reset"] = {**old, "phase": "ended", "revision": old["revision"] + 1}
        assert Journal(TaskState(store), {"ims_reset": old}).read("ims_reset").phase == "ended"


HELD = {"INV-1": "A", "INV-2": "N"}  # and of INV-3 nothing is known


class TestAPersonWhoClearsTheTask:
    @pytest.fixture
    def clear(self, go, hook):
        """Go on after a clear, through the look if there is one."""
        count = iter(range(2, 20))

        def run(**arguments):
            number = next(count)
            step = go(number, 2 + number, settle_time=0, **arguments)
            if not isinstance(step, AwaitTasks):
                return step
            return go(number, 2 + number, settle_time=0, downloads=step.reference_ids, **arguments)

        return run

    def test_gets_the_reset_that_was_sent_and_is_told_so(self, go, clear, hook, caplog):
        go(1)
        assert clear() == Sent("r-1")
        assert len(hook.sent) == 1
        assert "This task was cleared, but its reset is NOT sent again" in caplog.text
        assert "set force_resubmit" in caplog.text

    @pytest.mark.parametrize("on_ambiguous", ["fail", "resubmit", "reconcile"])
    def test_has_a_request_of_unknown_fate_looked_into_whatever_on_ambiguous_says(self, go, clear, hook, on_ambiguous):
        hook.answers = [LOST, "r-2"]
        with pytest.raises(GstnAmbiguousSubmission):
            go(1)
        hook.held = HELD
        assert clear(on_ambiguous=on_ambiguous) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-1", "INV-3"]

    @pytest.mark.parametrize("on_ambiguous", ["resubmit", "reconcile"])
    def test_begins_to_count_the_sends_anew(self, go, clear, hook, on_ambiguous):
        hook.answers = [LOST]

        def send_on() -> None:
            while True:
                step = go(1, settle_time=0, on_ambiguous=on_ambiguous)
                go(1, settle_time=0, on_ambiguous=on_ambiguous, downloads=step.reference_ids)

        with pytest.raises(GstnAmbiguousSubmission):
            send_on()
        assert len(hook.sent) == module.MOST_SENDS
        hook.answers = ["r-9"]
        assert clear(on_ambiguous=on_ambiguous) == Sent("r-9")

    def test_has_it_sent_as_often_again_while_the_replies_are_lost(self, go, clear, hook):
        hook.answers = [LOST]
        with pytest.raises(GstnAmbiguousSubmission):
            go(1, on_ambiguous="resubmit")
        with pytest.raises(GstnAmbiguousSubmission):
            clear(on_ambiguous="resubmit")
        assert len(hook.sent) == 2 * module.MOST_SENDS

    def test_has_what_is_in_flight_settled_first(self, go, hook):
        hook.answers = [LOST, "r-2"]
        with pytest.raises(GstnAmbiguousSubmission):
            go(1)
        assert go(2, 4, now=NOW + 60) == AwaitTasks(["d-1"])
        assert isinstance(go(2, 4, now=NOW + 70, downloads=["d-1"]), AwaitMoment)
        assert len(hook.sent) == 1

    @pytest.mark.parametrize("state", ["failed", "not found"])
    def test_has_a_reset_that_failed_looked_into(self, go, clear, hook, state):
        hook.answers = ["r-1", "r-2"]
        go(1)
        hook.words["r-1"] = state
        hook.held = HELD
        assert clear(now=NOW + 3600) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-1", "INV-3"]

    def test_goes_on_with_one_that_still_runs_even_if_forced(self, go, clear, hook):
        go(1)
        hook.words["r-1"] = "processing"
        assert clear(force=True) == Sent("r-1")
        assert (len(hook.sent), hook.downloads) == (1, {})

    @pytest.mark.parametrize("force", [False, "failed"])
    def test_goes_on_with_one_whose_state_nobody_knows(self, go, clear, hook, force):
        go(1)
        hook.words["r-1"] = "baking"
        assert clear(force=force) == Sent("r-1")
        assert (len(hook.sent), hook.downloads) == (1, {})

    def test_can_have_one_whose_state_nobody_knows_looked_into(self, go, clear, hook):
        hook.answers = ["r-1", "r-2"]
        go(1)
        hook.words["r-1"] = "baking"
        hook.held = HELD
        assert clear(force=True) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-1", "INV-3"]

    def test_goes_on_with_one_that_is_not_found_yet(self, go, clear, hook):
        go(1)
        hook.words["r-1"] = "not found"
        assert clear(now=NOW + 60, force=True) == Sent("r-1")
        assert (len(hook.sent), hook.downloads) == (1, {})

    def test_goes_on_with_one_on_which_gstn_still_works(self, go, clear, hook, monkeypatch):
        monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
        go(1)
        hook.results["r-1"] = {"status_cd": "IP"}
        assert clear(force=True) == Sent("r-1")
        assert (len(hook.sent), hook.downloads) == (1, {})

    def test_can_have_one_looked_into_whose_result_is_an_error(self, go, clear, hook):
        hook.answers = ["r-1", "r-2"]
        go(1)
        hook.results["r-1"] = GstnRefused("GSTN says IMS2B007.", code="IMS2B007")
        assert clear() == Sent("r-1"), "it is known for good"
        hook.held = HELD
        assert clear(force="failed") == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-1", "INV-3"]

    def test_has_no_time_to_wait_for_a_reset_that_has_ended(self, go, hook):
        """What ended is done or not: nothing of it is in flight that a look could come too early for."""
        hook.answers = ["r-1", "r-2"]
        go(1)
        hook.results["r-1"] = {"status_cd": "ER", "err_cd": "IMSSAV005"}
        hook.held = HELD
        assert go(2, 4, now=NOW + 5, force="failed") == AwaitTasks(["d-1"])
        assert go(2, 4, now=NOW + 5, force="failed", downloads=["d-1"]) == Sent("r-2")

    @pytest.mark.parametrize("ended", ["failed", "not found", "busy", "a gateway's word", "failed result"])
    def test_has_no_time_to_wait_for_a_reset_of_which_nothing_is_in_flight(self, go, hook, store, ended):
        hook.answers = ["r-1", "r-2"]
        go(1)
        results: dict[str, GstnError | dict[str, Any]] = {
            "busy": {"status_cd": "ER", "err_cd": "IMSSAV0015"},
            "a gateway's word": GstnServiceUnavailable("gateway", code="GEN4004", http_status=502),
            "failed result": GstnRefused("GSTN says IMS2B007.", code="IMS2B007"),
        }
        if ended in results:
            hook.results["r-1"] = results[ended]
        else:
            hook.words["r-1"] = ended
        hook.held = HELD
        now = NOW + (3600 if ended == "not found" else 5)
        assert go(2, 4, now=now, force="failed", settle_time=7200) == AwaitTasks(["d-1"])
        kept = store.values["ims_reset"]
        phases = {"busy": "unsent", "failed result": "submitted"}
        assert (kept["phase"], kept["in_flight_since"]) == (phases.get(ended, "intent"), 0)
        assert kept["outcome"] == ("failed" if ended == "failed result" else "")
        assert go(2, 4, now=now, force="failed", settle_time=7200, downloads=["d-1"]) == Sent("r-2")

    def test_keeps_the_result_of_a_reset_that_did_it_all(self, go, clear, hook):
        """Not the download's id, which would tell less of it: what ended well stays what it was."""
        go(1)
        hook.held = dict.fromkeys(["INV-1", "INV-2", "INV-3"], "N")
        assert clear(force=True) == Sent("r-1")
        assert go(3, 4, force=True) == Sent("r-1"), "a retry has no need to look again"
        assert clear() == Sent("r-1")
        assert (len(hook.sent), len(hook.downloads)) == (1, 1)

    def test_gets_a_refused_reset_settled_by_what_gstn_holds_by_now(self, go, clear, hook, three):
        go(1)
        hook.results["r-1"] = {"status_cd": "ER", "err_cd": "IMSSAV005"}
        hook.held = dict.fromkeys(["INV-1", "INV-2", "INV-3"], "N")
        assert clear(force="failed") == Sent("d-1")
        assert len(hook.sent) == 1
        found = hook.found("d-1")
        assert (found.sent, found.keys(three)) == (False, {key for key, _ in three.documents()})
        assert go(3, 4, force="failed") == Sent("d-1"), "a retry has no need to look again"
        assert len(hook.downloads) == 1

    def test_can_have_what_was_found_looked_at_again(self, go, clear, hook):
        hook.answers = [LOST, "r-2"]
        with pytest.raises(GstnAmbiguousSubmission):
            go(1)
        hook.held = dict.fromkeys(["INV-1", "INV-2", "INV-3"], "N")
        assert clear() == Sent("d-1")
        hook.held["INV-2"] = "A"  # its supplier has changed it
        assert clear(force="failed") == Sent("d-1")
        assert clear(force=True) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-2"]

    @pytest.mark.parametrize("code", ["IMSSAV0015", "AUTH4033", "GEN4004"])
    @pytest.mark.parametrize("shape", ["result", "envelope"])
    def test_has_a_reset_sent_of_which_nothing_was_done(self, go, clear, hook, code, shape):
        hook.answers = ["r-1", "r-2"]
        go(1)
        result = {"status_cd": "ER", "err_cd": code}
        hook.results["r-1"] = result if shape == "result" else GstnServiceUnavailable("gstn", code=code)
        assert clear() == Sent("r-2")
        assert hook.downloads, "after a look"

    def test_gets_a_refusal_told_once_more_and_can_have_the_rest_sent(self, go, clear, hook):
        hook.answers = ["r-1", "r-2"]
        go(1)
        hook.results["r-1"] = {"status_cd": "ER", "err_cd": "IMSSAV005"}
        assert clear() == Sent("r-1")
        hook.held = HELD
        assert clear(force="failed") == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-1", "INV-3"]

    def test_can_force_what_is_not_at_no_action(self, go, clear, hook):
        hook.answers = ["r-1", "r-2"]
        go(1)
        hook.held = HELD
        assert clear(force="failed") == Sent("r-1"), "GSTN refused nothing"
        assert clear(force=True) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-1", "INV-3"]

    def test_sends_nothing_by_force_if_all_is_at_no_action(self, go, clear, hook):
        go(1)
        hook.held = dict.fromkeys(["INV-1", "INV-2", "INV-3"], "N")
        assert clear(force=True) == Sent("r-1"), "the reset that did it"
        assert len(hook.sent) == 1

    def test_forces_it_once_and_not_at_each_retry(self, go, hook):
        hook.answers = ["r-1", "r-2"]
        go(1)
        go(2, 4, force=True)
        assert go(2, 4, force=True, downloads=["d-1"]) == Sent("r-2")
        assert go(3, 4, force=True) == Sent("r-2")
        assert len(hook.sent) == 2

    @pytest.mark.parametrize("refusal", [GstnSessionExpired("otp"), GstnServiceUnavailable("refused connection"), BUSY])
    def test_does_not_lose_the_first_reset_if_the_forced_one_is_refused(self, go, clear, hook, refusal):
        go(1)
        hook.answers = [refusal]
        with suppress(type(refusal)):
            clear(force=True)
        assert clear() == Sent("r-1")

    def test_waits_for_a_busy_gstn_with_the_forced_one(self, go, hook):
        hook.answers = ["r-1", BUSY, BUSY, "r-2"]
        go(1)
        now, pauses = NOW, []
        for number in (1, 2, 3):
            assert go(2, 4, force=True, now=now) == AwaitTasks([f"d-{number}"])
            step = go(2, 4, force=True, now=now, downloads=[f"d-{number}"])
            if number < 3:
                pauses.append(step.moment - now)
                now = step.moment
        assert (pauses, step) == ([15, 15], Sent("r-2"))

    def test_a_first_run_with_force_set_is_sent_once(self, go, hook):
        go(1, force=True)
        go(2, force=True)
        assert len(hook.sent) == 1

    def test_never_gets_a_download_that_stands_for_a_reset_taken_for_one(self, go, clear, hook):
        hook.answers = [LOST]
        with pytest.raises(GstnAmbiguousSubmission):
            go(1)
        hook.held = dict.fromkeys(["INV-1", "INV-2", "INV-3"], "N")
        assert clear() == Sent("d-1")
        hook.words["d-1"] = "not found"
        assert clear(now=NOW + 7 * 86400) == Sent("d-1")
        assert (len(hook.sent), len(hook.downloads)) == (1, 1)

    def test_sends_all_if_gstn_lists_nothing(self, go, clear, hook, monkeypatch):
        hook.answers = [LOST, "r-2"]
        with pytest.raises(GstnAmbiguousSubmission):
            go(1)

        def none(gstin: str, section: str) -> str:
            raise GstnNoDocuments("RET11416")

        monkeypatch.setattr(hook, "submit_download", none)
        assert clear() == Sent("r-2")


class TestARequestThatTheServiceHasAlready:
    @pytest.fixture
    def submission(self, hook, store, three) -> Submission:
        return Submission(hook, Journal(TaskState(store)), three, attempt=Attempt(1, 2), clock=lambda: NOW)

    def test_is_gone_on_with_and_not_sent(self, submission, hook, caplog):
        hook.words["r-9"] = "processing"
        submission.attach("r-9")
        assert "goes on with r-9, which is running" in caplog.text
        assert submission.advance() == Sent("r-9")
        assert hook.sent == []

    def test_is_kept_as_if_this_try_had_sent_it(self, submission, three):
        submission.attach("r-9")
        entry = submission.entry
        assert (entry.phase, entry.reference_id, entry.fingerprint) == ("submitted", "r-9", three.fingerprint())
        assert (entry.at, entry.attempt, entry.sends, entry.sent) == (NOW, Attempt(1, 2), 1, True)

    def test_is_gone_on_with_by_a_retry(self, submission, go, hook):
        submission.attach("r-9")
        assert go(2) == Sent("r-9")
        assert hook.sent == []

    def test_is_refused_if_the_service_does_not_know_it(self, submission, hook, store):
        hook.words["r-9"] = "not found"
        with pytest.raises(GstnInvalidRequest, match="the service knows no task 'r-9'. Nothing was sent"):
            submission.attach("r-9")
        assert store.values == {}

    def test_is_refused_if_its_record_tells_of_another_request(self, hook, store, three, tmp_path):
        audit = AuditTrail(str(tmp_path), {"dag_id": "ims"})
        other = payload(b2b=numbered("b2b", "INV-7"))
        audit.sending(other)
        audit.accepted(other, "r-9")
        attempt = Attempt(1, 2)
        submission = Submission(hook, Journal(TaskState(store)), three, attempt=attempt, audit=audit)
        with pytest.raises(GstnInvalidRequest, match="'r-9' is another reset than the payload"):
            submission.attach("r-9")
        same = Submission(hook, Journal(TaskState(store)), other, attempt=attempt, audit=audit)
        same.attach("r-9")
        assert same.advance() == Sent("r-9")

    def test_is_passed_over_once_something_was_sent(self, submission, hook, caplog):
        caplog.set_level("INFO")
        assert submission.advance() == Sent("r-1")
        submission.attach("r-9")
        assert "attach_to (r-9) is not needed" in caplog.text
        assert submission.entry.reference_id == "r-1"


class TestALostReply:
    def test_fails_by_default_and_says_what_to_check(self, go, hook):
        hook.answers = [LOST]
        with pytest.raises(GstnAmbiguousSubmission, match=r"(?s)not known whether .*\nThe reply was lost") as caught:
            go(1)
        assert len(hook.sent) == 1
        assert "Sent by" not in str(caught.value), "nobody knows who"

    def test_names_what_it_is_about_and_who_sent_it(self, hook, store):
        hook.answers = [LOST]
        who = {"dag_id": "gst", "run_id": "manual", "task_id": "reset", "map_index": 3}
        mixed = payload(b2b=numbered("b2b", "INV-1", "INV-2"), b2bcn=[document("b2bcn")])
        submission = Submission(
            hook, Journal(TaskState(store), who=who), mixed, attempt=Attempt(1, 2), clock=lambda: NOW
        )
        with pytest.raises(GstnAmbiguousSubmission) as caught:
            submission.advance()
        assert "Documents: 2 b2b, 1 b2bcn, such as INV-1 of" in str(caught.value)
        with pytest.raises(
            GstnAmbiguousSubmission, match=r"by try 1 at 2023-11-14 22:13:20\+00:00(.|\n)*Sent by: gst manual reset"
        ):
            submission.advance()

    def test_resubmit_sends_again(self, go, hook):
        hook.answers = [LOST, "r-2"]
        assert go(1, on_ambiguous="resubmit") == Sent("r-2")
        assert len(hook.sent) == 2

    def test_resubmit_gives_up_after_three(self, go, hook):
        hook.answers = [LOST]
        with pytest.raises(GstnAmbiguousSubmission):
            go(1, on_ambiguous="resubmit")
        assert len(hook.sent) == module.MOST_SENDS

    def test_of_the_second_is_the_one_that_is_told(self, go, hook):
        hook.answers = [LOST, LOST, GstnAmbiguousSubmission("The gateway hung up.", code="err-gateway")]
        with pytest.raises(GstnAmbiguousSubmission, match="The gateway hung up") as caught:
            go(1, on_ambiguous="resubmit")
        assert caught.value.code == "err-gateway"
        assert "The reply was lost" not in str(caught.value)

    def test_a_refusal_of_the_second_does_not_make_the_first_forgotten(self, go, hook):
        hook.answers = [LOST, GstnSessionExpired("otp"), "r-1"]
        with pytest.raises(GstnSessionExpired):
            go(1, on_ambiguous="resubmit")
        with pytest.raises(GstnAmbiguousSubmission):
            go(2)


class TestReconciling:
    @pytest.fixture
    def look(self, go, hook):
        """A lost reply, and then what the download shows."""

        def run(held: dict[str, str], *answers: str | BaseException):
            hook.answers = [LOST, *(answers or ("r-2",))]
            step = go(1, on_ambiguous="reconcile")
            assert step == AwaitTasks(["d-1"])
            hook.held = held
            return go(1, on_ambiguous="reconcile", downloads=step.reference_ids, settle_time=0)

        return run

    def test_downloads_each_section_of_the_request(self, go, hook):
        hook.answers = [LOST]
        both = payload(b2b=[document()], b2bcn=[document("b2bcn")])
        assert go(1, on_ambiguous="reconcile", request=both) == AwaitTasks(["d-1", "d-2"])
        assert list(hook.downloads.values()) == ["b2b", "b2bcn"]

    def test_a_worker_that_died_while_sending_is_looked_into_as_well(self, go, hook):
        hook.answers = [Killed()]
        with pytest.raises(Killed):
            go(1, on_ambiguous="reconcile")
        assert go(2, on_ambiguous="reconcile") == AwaitTasks(["d-1"])

    def test_sends_nothing_if_all_is_at_no_action(self, look, hook, three):
        assert look({"INV-1": "N", "INV-2": "N", "INV-3": "N"}) == Sent("d-1")
        assert len(hook.sent) == 1
        found = hook.found("d-1")
        assert not found.sent
        assert found.keys(three) == {key for key, _ in three.documents()}

    def test_sends_only_what_is_not_at_no_action(self, look, hook, three):
        assert look({"INV-1": "A", "INV-2": "N"}) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-1", "INV-3"]  # INV-3 is not listed, so nothing is known of it
        found = hook.found("r-2")
        assert found.sent
        assert {key.number for key in found.keys(three)} == {"INV-2"}

    def test_counts_what_was_found_at_no_action_as_reset(self, look, hook, store, three):
        look({"INV-1": "A", "INV-2": "N"})
        hook.store.kept.clear()  # the journal knows it as well
        submission = Submission(hook, Journal(TaskState(store)), three, attempt=Attempt(1, 2))
        hook.results["r-2"] = {"status_cd": "ER", "err_cd": "IMSSAV005"}
        report = submission.fetch_report(submission.entry)
        assert report.counts() == {"reset": 1, "refused": 2, "unknown": 0}

    def test_sends_all_if_nothing_was_done(self, look, hook):
        assert look({"INV-1": "A", "INV-2": "A", "INV-3": "R"}) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-1", "INV-2", "INV-3"]
        assert hook.found("r-2").already_reset == ""

    def test_sends_nothing_again_before_the_first_had_time_to_be_done(self, go, hook):
        hook.answers = [LOST, "r-2"]
        go(1, on_ambiguous="reconcile")
        hook.held = {"INV-1": "A", "INV-2": "A", "INV-3": "A"}
        looks = []
        now = NOW
        while isinstance(step := go(1, on_ambiguous="reconcile", downloads=["d-1"], now=now), AwaitMoment):
            assert len(hook.sent) == 1
            assert isinstance(go(1, on_ambiguous="reconcile", now=step.moment), AwaitTasks)
            now = step.moment
            looks.append(now - NOW)
        assert step == Sent("r-2")
        assert looks == [15, 30, 60, 120, 240, 480, 600]

    @pytest.mark.parametrize("jitter", [min, max])
    def test_many_tasks_do_not_look_in_step(self, go, hook, monkeypatch, jitter):
        hook.answers = [LOST]
        go(1, on_ambiguous="reconcile")
        hook.held = {"INV-1": "A"}
        monkeypatch.setattr(module.random, "uniform", jitter)
        step = go(1, on_ambiguous="reconcile", downloads=["d-1"])
        assert step.moment - NOW == pytest.approx(15 * jitter(0.9, 1.1))

    def test_a_look_that_is_read_late_counts_from_when_it_began(self, go, hook):
        hook.answers = [LOST, "r-2"]
        go(1, on_ambiguous="reconcile")
        hook.held = {"INV-1": "A", "INV-2": "A", "INV-3": "A"}
        late = NOW + SETTLE_TIME + 60
        assert go(1, on_ambiguous="reconcile", downloads=["d-1"], now=late) == AwaitMoment(late)
        assert len(hook.sent) == 1

    def test_ends_the_looking_as_soon_as_all_is_at_no_action(self, go, hook):
        hook.answers = [LOST]
        go(1, on_ambiguous="reconcile")
        hook.held = {"INV-1": "A", "INV-2": "N", "INV-3": "N"}
        assert isinstance(go(1, on_ambiguous="reconcile", downloads=["d-1"]), AwaitMoment)
        hook.held["INV-1"] = "N"
        assert go(1, on_ambiguous="reconcile", downloads=["d-1"], now=NOW + 15) == Sent("d-1")
        assert len(hook.sent) == 1

    def test_a_retry_goes_on_with_the_rest_that_was_sent(self, look, go, hook):
        look({"INV-1": "A", "INV-2": "N"})
        hook.store.kept.clear()  # as if the worker had died right after sending
        assert go(2, on_ambiguous="reconcile") == Sent("r-2")
        assert len(hook.sent) == 2
        assert hook.found("r-2").sent

    def test_the_reference_id_reaches_the_caller_even_if_what_was_found_cannot_be_kept(
        self, look, hook, monkeypatch, caplog
    ):
        def refuse(key: str, value: str) -> None:
            raise RuntimeError("the API server is down")

        monkeypatch.setattr(hook.store, "set", refuse)
        assert look({"INV-1": "A", "INV-2": "N"}) == Sent("r-2")
        assert "the API server is down" in caplog.text

    def test_looks_again_if_gstn_still_works_on_the_first(self, look, go, hook):
        step = look({"INV-1": "A", "INV-2": "A", "INV-3": "A"}, BUSY, "r-2")
        assert isinstance(step, AwaitMoment)

        assert go(1, on_ambiguous="reconcile", now=step.moment) == AwaitTasks(["d-2"])
        hook.held = dict.fromkeys(hook.held, "N")
        assert go(1, on_ambiguous="reconcile", downloads=["d-2"]) == Sent("d-2")

    def test_a_reconciliation_of_another_request_tells_nothing(self, three):
        found = Reconciliation(fingerprint="of another", already_reset="0-2", sent=False)
        assert found.keys(three) == set()


@pytest.mark.parametrize("form", [1, 3, None])
@pytest.mark.parametrize("try_number", [1, 2])
def test_of_a_journal_in_another_form_nothing_is_believed_and_nothing_sent_before_a_look(
    go, hook, store, form, try_number
):
    go(1)
    store.values["ims_reset"] |= {"version": form}
    assert go(try_number) == AwaitTasks(["d-1"])
    hook.held = {"INV-1": "A", "INV-2": "N", "INV-3": "N"}
    hook.answers = ["r-2"]
    settled = go(try_number, downloads=["d-1"], now=NOW + SETTLE_TIME).moment
    assert go(try_number, now=settled) == AwaitTasks(["d-2"])
    hook.held["INV-3"] = "N"
    assert go(try_number, downloads=["d-2"], now=settled) == Sent("r-2")
    assert [numbers(each) for each in hook.sent] == [["INV-1", "INV-2", "INV-3"], ["INV-1"]]


def test_a_journal_that_cannot_be_read_counts_from_the_clear_on(go, hook, store):
    store.values["ims_reset"] = {"phase": "a word of another version"}
    assert go(2, 4, now=NOW + 100) == AwaitTasks(["d-1"])
    kept = store.values["ims_reset"]
    assert (kept["at"], kept["in_flight_since"], kept["cleared_at"]) == (NOW + 100, NOW + 100, NOW + 100)
    hook.held = {"INV-1": "A"}
    assert isinstance(go(2, 4, now=NOW + 130, downloads=["d-1"]), AwaitMoment), "it may be in flight"


def test_what_is_kept_of_a_forced_sending_is_about_that_one(go, hook, store):
    hook.answers = ["r-1", LOST]
    go(1)
    go(2, 4, force=True)
    with pytest.raises(GstnAmbiguousSubmission):
        go(2, 4, force=True, downloads=["d-1"], settle_time=0)
    kept = store.values["ims_reset"]
    assert (kept["phase"], kept["reference_id"], kept["sent"], kept["sends"]) == ("intent", "", True, 2)


def test_a_sending_after_a_download_stood_for_the_reset_is_a_reset(go, hook, store):
    hook.answers = [LOST, "r-2"]
    go(1, on_ambiguous="reconcile")
    hook.held = dict.fromkeys(["INV-1", "INV-2", "INV-3"], "N")
    assert go(1, on_ambiguous="reconcile", downloads=["d-1"]) == Sent("d-1")
    hook.held["INV-2"] = "A"
    go(2, 4, force=True)
    assert go(2, 4, force=True, downloads=["d-2"], settle_time=0) == Sent("r-2")
    assert store.values["ims_reset"]["sent"] is True


def test_the_time_of_a_reset_is_when_it_was_accepted(hook, store, three):
    ticks = iter(range(100))
    Submission(hook, Journal(TaskState(store)), three, attempt=Attempt(1, 2), clock=lambda: NOW + next(ticks)).advance()
    kept = store.values["ims_reset"]
    assert kept["in_flight_since"] < kept["at"] == NOW + next(ticks) - 1


class TestAResultByWhichNothingWasDone:
    @pytest.fixture
    def submission(self, hook, store, three, tmp_path, monkeypatch):
        monkeypatch.setattr(module.random, "uniform", lambda low, high: 1.0)

        def of(try_number: int = 1, clears: int = 2, now: float = NOW, **arguments):
            return Submission(
                hook,
                Journal(TaskState(store)),
                three,
                attempt=Attempt(try_number, clears),
                clock=lambda: now,
                policy=Policy(**arguments),
                audit=AuditTrail(str(tmp_path), {"dag_id": "ims"}),
            )

        assert of().advance() == Sent("r-1")
        hook.answers = ["r-2"]
        return of

    def test_since_gstn_was_busy_is_waited_out_and_sent_again_without_a_look(self, submission, hook):
        nothing_done = GstnResetNotDone("Nothing was done.", cause=BUSY)
        assert submission().not_done(submission().entry, nothing_done) == AwaitMoment(NOW + 15)
        assert submission(now=NOW + 15).advance() == Sent("r-2")
        assert hook.downloads == {}

    def test_that_may_be_a_gateways_word_is_followed_by_a_look(self, submission, hook):
        down = GstnServiceUnavailable("502", code="GEN4004")
        nothing_done = GstnResetNotDone("Nothing was done.", cause=down, is_certain=False)
        assert submission().not_done(submission().entry, nothing_done) == AwaitMoment(NOW + 15)
        assert submission(now=NOW + 15).advance() == AwaitTasks(["d-1"])
        hook.held = {"INV-1": "N"}
        assert submission(now=NOW + 15).advance(["d-1"]) == Sent("r-2")
        assert numbers(hook.sent[1]) == ["INV-2", "INV-3"]

    def test_is_kept_as_not_sent_and_not_in_flight(self, submission, store):
        submission().not_done(submission().entry, GstnResetNotDone("Nothing was done.", cause=BUSY))
        kept = store.values["ims_reset"]
        assert (kept["phase"], kept["in_flight_since"], kept["sends"], kept["sends_before"]) == ("unsent", 0, 1, 1)

    def test_is_sent_again_without_what_a_look_had_found_before(self, submission, hook, tmp_path):
        down = GstnServiceUnavailable("502", code="GEN4004")
        submission().not_done(submission().entry, GstnResetNotDone("Nothing was done.", cause=down, is_certain=False))
        submission(now=NOW + 15).advance()
        hook.held = {"INV-1": "N"}
        assert submission(now=NOW + 15).advance(["d-1"]) == Sent("r-2")
        record = json.loads((tmp_path / "r-2.jsonl").read_text())
        assert (record["documents"], record["outcome"]) == (2, "sent")
        (tmp_path / "r-2.jsonl").unlink()  # as if the worker had died before it was written
        assert submission(2, now=NOW + 20).advance() == Sent("r-2")
        assert json.loads((tmp_path / "r-2.jsonl").read_text())["documents"] == 2, "a retry records what was sent"
        submission(2, now=NOW + 20).not_done(submission(2).entry, GstnResetNotDone("Nothing was done.", cause=BUSY))
        hook.answers = ["r-3"]
        assert submission(2, now=NOW + 40).advance() == Sent("r-3")
        assert [numbers(each) for each in hook.sent[1:]] == [["INV-2", "INV-3"]] * 2
        assert submission(2).entry.sends == 3

    def test_for_longer_than_the_limit_is_the_services_error(self, submission, hook):
        nothing_done = GstnResetNotDone("Nothing was done.", cause=BUSY)
        submission().not_done(submission().entry, nothing_done)
        hook.answers = [BUSY]
        with pytest.raises(GstnBusy):
            submission(now=NOW + 3600).advance()

    def test_since_there_was_no_session_tells_the_gstin_and_a_clear_sends_it_again(
        self, submission, hook, tmp_path, caplog
    ):
        expired = GstnSessionExpired("Open a GSTN session.", code="AUTH4033")
        with pytest.raises(GstnSessionExpired) as caught:
            submission().not_done(submission().entry, GstnResetNotDone("Nothing was done.", cause=expired))
        text = str(caught.value)
        assert text.startswith(f"GSTIN {RTIN}: nothing of reset r-1 was done, as GSTN had no session.")
        assert "Open a GSTN session." in text
        assert text.endswith("Then clear this task: it sends the request again.")
        assert caught.value.code == "AUTH4033"
        record = json.loads((tmp_path / "r-1.jsonl").read_text())
        told = {"outcome": "nothing done", "processed": 0, "errors": 0, "status_cd": "", "code": "AUTH4033"}
        assert told | {"refused": [], "unknown": []} == {name: record[name] for name in (*told, "refused", "unknown")}
        step = submission(2, 4, NOW + 60).advance()
        assert isinstance(step, AwaitTasks), "a look, as after any clear of what was sent"
        assert "Before: not sent by try 1 at 2023-11-14 22:13:20+00:00, since GSTN did not take it." in caplog.text
        assert submission(2, 4, NOW + 60).advance(step.reference_ids) == Sent("r-2")

    def test_is_counted_no_more_among_the_replies_that_were_lost(self, submission, hook):
        submission().not_done(submission().entry, GstnResetNotDone("Nothing was done.", cause=BUSY))
        hook.answers = [LOST]
        with pytest.raises(GstnAmbiguousSubmission):
            submission(now=NOW + 15, on_ambiguous="resubmit").advance()
        assert len(hook.sent) == 1 + module.MOST_SENDS


class TestABusyGstn:
    def test_is_waited_for_with_growing_capped_pauses(self, go, hook):
        hook.answers = [BUSY]
        now, pauses = NOW, []
        for _ in range(9):
            step = go(1, now=now)
            pauses.append(step.moment - now)
            now = step.moment
        assert pauses == [15, 15, 30, 60, 120, 240, 300, 300, 300]

    def test_up_to_the_limit(self, go, hook):
        hook.answers = [BUSY]
        now = NOW
        for _ in range(4):
            now = go(1, now=now, busy_timeout=100).moment
        assert now == NOW + 100
        with pytest.raises(GstnBusy):
            go(1, now=now, busy_timeout=100)

    def test_is_asked_a_last_time_a_second_later_at_the_soonest(self, go, hook):
        hook.answers = [BUSY]
        go(1, busy_timeout=20)
        assert go(1, now=NOW + 19.5, busy_timeout=20) == AwaitMoment(NOW + 20.5)

    def test_is_asked_without_a_look_after_a_clear_as_nothing_was_sent(self, go, hook):
        hook.answers = [BUSY, "r-1"]
        go(1)
        assert go(2, 4) == Sent("r-1")
        assert hook.downloads == {}

    def test_a_retry_waits_anew_and_a_reset_that_was_not_sent_is_sent(self, go, hook):
        hook.answers = [BUSY, "r-1"]
        go(1)
        assert go(2, now=NOW + 86400) == Sent("r-1")

    def test_that_refuses_the_forced_one_for_too_long_leaves_the_first_as_it_was(self, go, hook, store):
        hook.answers = ["r-1", BUSY]
        go(1)
        go(2, 4, force=True)
        step = go(2, 4, force=True, downloads=["d-1"], settle_time=0, busy_timeout=10)
        go(2, 4, force=True, now=step.moment)
        with pytest.raises(GstnBusy):
            go(2, 4, force=True, downloads=["d-2"], settle_time=0, busy_timeout=10, now=step.moment)
        kept = store.values["ims_reset"]
        assert (kept["phase"], kept["reference_id"]) == ("submitted", "r-1")

    def test_is_not_ambiguous_after_the_limit(self, go, hook):
        hook.answers = [BUSY, BUSY, "r-1"]
        step = go(1, busy_timeout=5)
        with pytest.raises(GstnBusy):
            go(1, now=step.moment, busy_timeout=5)
        assert go(2) == Sent("r-1")

    def test_retry_after_is_honoured(self, go, hook):
        hook.answers = [GstnBusy("busy", retry_after=77)]
        assert go(1).moment == NOW + 77


def test_without_a_store_the_entries_travel_with_the_deferral(hook, three):
    hook.answers = [BUSY, "r-1"]
    first = Journal(None)
    Submission(hook, first, three, attempt=Attempt(1, 0), clock=lambda: NOW).advance()
    second = Journal(None, first.carried)
    assert second.read("ims_reset").busy_since == NOW
    assert Submission(hook, second, three, attempt=Attempt(1, 0)).advance() == Sent("r-1")


def test_nothing_secret_is_kept(go, store):
    go(1)
    assert set(store.values["ims_reset"]) == {
        *("phase", "fingerprint", "at", "attempt", "sends", "reference_id", "already_reset", "sent", "busy_since"),
        *("busy_for", "reconciled_at", "bulk", "outcome", "who", "cleared", "cleared_at", "sends_before"),
        *("in_flight_since", "origin", "must_reconcile", "revision", "version"),
    }
