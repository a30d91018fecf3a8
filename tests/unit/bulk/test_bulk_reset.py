"""How one GSTIN's requests are taken to the service one after another, and what is told of each."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims._metadata import TaskState
from airflow_provider_ims.bulk.bulk_reset import BulkReset, records_of
from airflow_provider_ims.bulk.outcomes import ChunkOutcome, Outcomes
from airflow_provider_ims.bulk.plan_entry import plan_of
from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnBusy,
    GstnError,
    GstnRefused,
    GstnResetFailed,
    GstnServiceUnavailable,
    GstnSessionExpired,
    GstnTaskFailed,
    GstnTaskNotFound,
)
from airflow_provider_ims.models import ResetPayload, ResetResult, TaskStatus
from airflow_provider_ims.models.plan import GstinPlan
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.submissions.audit import AuditTrail
from airflow_provider_ims.submissions.journal import Attempt, Journal
from airflow_provider_ims.submissions.policy import Policy
from airflow_provider_ims.waits.steps import AwaitMoment, AwaitTasks
from tests.unit.builders import RTIN, STIN, document, numbered, payload

NOW = 1_700_000_000.0
TIMEOUT = 600.0
LOST = GstnAmbiguousSubmission("The reply was lost.")
EXPIRED = GstnSessionExpired("Open a session.", code="AUTH4033")
REFUSED_WHOLE = {"status_cd": "ER", "err_cd": "IMSSAV005", "err_msg": "schema"}


class Store:
    """Airflow's task state store."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        del self.values[key]


class Hook:
    """Takes requests under the ids r-1, r-2 ...; all goes well at once, unless it is told else."""

    is_simulator = False

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.faults: dict[int, Exception] = {}
        self.words: dict[str, str | GstnError] = {}
        self.results: dict[str, dict[str, Any] | GstnError] = {}
        self.held: dict[str, str] = {}
        self.looks = 0
        self.store = MemorySessionStore()

    def submit(self, call: Any, payload: ResetPayload, *, before_sending: Callable[[], None]) -> str:
        fault = self.faults.get(len(self.sent) + 1)
        if fault is EXPIRED:
            raise fault  # found before anything is sent
        before_sending()
        self.sent.append([key.number for key, _ in payload.documents()])
        if fault is not None:
            raise fault
        return f"r-{len(self.sent)}"

    def get_task_status(self, reference_id: str) -> TaskStatus:
        word = self.words.get(reference_id, "completed")
        if isinstance(word, GstnError):
            raise word
        return TaskStatus(reference_id=reference_id, word=word)

    def get_task_result(self, reference_id: str, call: Any = None) -> ResetResult:
        result = self.results.get(reference_id, {"status_cd": "P"})
        if isinstance(result, GstnError):
            raise result
        return ResetResult.parse(result)

    def find_sent_request(self, reference_id: str) -> None:
        return None

    def submit_download(self, gstin: str, section: str) -> str:
        self.looks += 1
        return f"d-{self.looks}"

    def get_task_pages(self, reference_id: str) -> list[dict[str, Any]]:
        return [{"b2b": [{**document(inum=number), "action": action} for number, action in self.held.items()]}]


class Bulk:
    """The bulk reset of one GSTIN by one task instance, each time in a new process."""

    def __init__(self, folder: Path, hook: Hook) -> None:
        self.hook, self.store, self.folder = hook, Store(), folder
        self.now = NOW
        self.plan = self.planned([["1", "2"], ["3", "4"], ["5"]])
        self.attempt = Attempt(1, 2)
        self.bulk: BulkReset
        self.arguments: dict[str, Any] = {"policy": Policy()}

    def planned(self, requests: list[list[str]]) -> GstinPlan:
        chunks = []
        for number, names in enumerate(requests, 1):
            body = payload(b2b=numbered("b2b", *names)).body()
            path = self.folder / "out" / f"{number:04d}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(body)
            digest = hashlib.sha256(body).hexdigest()
            chunks.append({"path": str(path), "documents": len(names), "bytes": len(body), "sha256": digest})
        return plan_of({"rtin": RTIN, "chunks": chunks})

    def go(self, ended: AwaitTasks | None = None, **arguments: Any) -> AwaitTasks | AwaitMoment | None:
        """Do what can be done, in the try at hand."""
        journal, records, hook = Journal(TaskState(self.store)), records_of(self.plan), self.hook
        journal.also_in(records)
        taker: Any = hook
        given = {"attempt": self.attempt, "timeout": TIMEOUT, "clock": lambda: self.now} | self.arguments | arguments
        self.bulk = BulkReset(taker, journal, self.plan, Outcomes(self.plan), records, **given)
        return self.bulk.advance(ended)

    def go_on(self) -> AwaitTasks | AwaitMoment | None:
        """Do what can be done, now and in two minutes."""
        if self.go() is None:
            return None
        self.now += 121
        return self.go()

    def retry(self) -> None:
        """Let this be the next try that Airflow makes by itself."""
        self.attempt = self.attempt._replace(try_number=self.attempt.try_number + 1)

    def clear(self) -> None:
        """Let this be the next try, after a person has cleared the task."""
        self.attempt = Attempt(self.attempt.try_number + 1, self.attempt.try_number + 2)

    def states(self) -> list[tuple[str, str, str]]:
        """How far each request got, under which id, and why it failed."""
        return [(each.state, each.reference_id, each.failure.partition("\n")[0]) for each in self.bulk.done()]

    def rows(self) -> dict[str, tuple[str, str]]:
        """Each document: what became of it, and the reset."""
        Outcomes(self.plan).gather(self.bulk.done())
        with (self.folder / "out" / "result.csv").open(newline="") as file:
            return {row["number"]: (row["outcome"], row["reference_id"]) for row in csv.DictReader(file)}


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def bulk(tmp_path: Path, hook: Hook) -> Bulk:
    return Bulk(tmp_path, hook)


def test_each_request_ends_with_its_id_and_its_counts(bulk: Bulk, hook: Hook):
    assert bulk.go() is None
    assert hook.sent == [["1", "2"], ["3", "4"], ["5"]]
    counts = [{"reset": count, "refused": 0, "unknown": 0} for count in (2, 2, 1)]
    ended = zip(bulk.plan.chunks, ["r-1", "r-2", "r-3"], counts, strict=True)
    assert bulk.bulk.done() == [ChunkOutcome(chunk, "ended", name, count, sent_at=NOW) for chunk, name, count in ended]
    assert bulk.rows() == {"1": ("reset", "r-1")} | {"2": ("reset", "r-1")} | {
        "3": ("reset", "r-2"),
        "4": ("reset", "r-2"),
        "5": ("reset", "r-3"),
    }


def test_the_next_is_sent_only_when_the_one_before_has_ended(bulk: Bulk, hook: Hook):
    hook.words["r-1"] = "processing"
    step = bulk.go()
    assert step == AwaitTasks(["r-1"], NOW + TIMEOUT, "request", f"ims_reset_{RTIN}_0001")
    assert bulk.states() == [("unknown", "r-1", ""), ("not sent", "", ""), ("not sent", "", "")]
    hook.words.clear()
    assert bulk.go(step) is None
    assert len(hook.sent) == 3


def test_one_that_runs_too_long_is_named_by_its_place(bulk: Bulk, hook: Hook):
    hook.words["r-2"] = "processing"
    bulk.go()
    bulk.now += TIMEOUT
    with pytest.raises(AirflowSensorTimeout, match=f"GSTIN {RTIN}, request 2 of 3: task r-2 was not complete 600 s"):
        bulk.go()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (GstnTaskFailed("r-2 ended as 'failed'.", code="failed"), "failed"),
        (GstnTaskNotFound("There is no r-2."), "no r-2"),
    ],
)
class TestATaskThatFails:
    @pytest.fixture
    def second_fails(self, hook: Hook, fault: GstnError) -> None:
        hook.words["r-2"] = "failed" if isinstance(fault, GstnTaskFailed) else fault

    def test_leaves_its_documents_unknown_under_its_id_and_the_rest_unsent(
        self, bulk: Bulk, hook: Hook, second_fails: None, fault: GstnError, says: str
    ):
        with pytest.raises(type(fault), match=says):
            bulk.go_on()
        [first, (state, reference_id, failure), last] = bulk.states()
        assert (first, last) == (("ended", "r-1", ""), ("not sent", "", ""))
        assert (state, reference_id, says in failure) == ("unknown", "r-2", True)
        assert bulk.rows()["3"] == ("unknown", "r-2")

    def test_is_told_once_more_by_a_retry_that_sends_nothing(
        self, bulk: Bulk, hook: Hook, second_fails: None, fault: GstnError, says: str
    ):
        with pytest.raises(type(fault)):
            bulk.go_on()
        bulk.retry()
        with pytest.raises(GstnResetFailed, match=says):
            bulk.go()
        assert len(hook.sent) == 2

    def test_is_passed_over_if_asked_and_its_failure_stays(
        self, bulk: Bulk, hook: Hook, second_fails: None, fault: GstnError, says: str
    ):
        bulk.arguments["on_failure"] = "continue"
        assert bulk.go_on() is None
        assert [each[:2] for each in bulk.states()] == [("ended", "r-1"), ("unknown", "r-2"), ("ended", "r-3")]
        bulk.retry()
        assert bulk.go() is None
        assert says in bulk.states()[1][2]
        assert len(hook.sent) == 3


class TestALostReply:
    @pytest.fixture(autouse=True)
    def lost(self, hook: Hook) -> None:
        hook.faults[2] = LOST

    def test_leaves_its_documents_unknown_and_a_retry_says_so_again(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnAmbiguousSubmission, match="not known whether"):
            bulk.go()
        [_, (state, reference_id, failure), last] = bulk.states()
        assert (state, reference_id, last) == ("unknown", "", ("not sent", "", ""))
        assert "not known whether" in failure
        bulk.retry()
        with pytest.raises(GstnAmbiguousSubmission, match="not known whether"):
            bulk.go()
        assert len(hook.sent) == 2

    def test_is_looked_into_when_cleared_and_what_was_found_is_not_sent(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnAmbiguousSubmission):
            bulk.go()
        bulk.clear()
        bulk.now += 3600
        hook.held = {"3": "N", "4": "A"}
        hook.faults.clear()
        step = bulk.go()
        assert isinstance(step, AwaitTasks)
        assert step.kind == "reconcile"
        hook.words["r-3"] = "processing"
        assert isinstance(bulk.go(step), AwaitTasks)
        assert hook.sent[2:] == [["4"]]
        [_, second, _] = bulk.bulk.done()
        assert second.counts() == {"reset": 1, "refused": 0, "unknown": 1, "not_sent": 0}
        assert bulk.rows() | {"1": ("", "")} == {
            "1": ("", ""),
            "2": ("reset", "r-1"),
            "3": ("reset", "r-3"),
            "4": ("unknown", "r-3"),
            "5": ("not sent", ""),
        }

    def test_is_not_sent_again_before_it_had_time_to_be_done(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnAmbiguousSubmission):
            bulk.go()
        bulk.clear()
        hook.held = {"3": "A", "4": "A"}
        assert isinstance(bulk.go(bulk.go()), AwaitMoment)
        assert len(hook.sent) == 2


class TestARefusalOfTheWhole:
    @pytest.fixture(autouse=True)
    def refused(self, hook: Hook) -> None:
        hook.results["r-1"] = REFUSED_WHOLE

    def test_counts_its_documents_as_refused(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnResetFailed, match="IMSSAV005"):
            bulk.go()
        [first, *rest] = bulk.bulk.done()
        assert (first.state, first.reference_id) == ("ended", "r-1")
        assert first.ended_as == {"reset": 0, "refused": 2, "unknown": 0}
        assert "IMSSAV005" in first.failure
        assert [each.state for each in rest] == ["not sent"] * 2

    def test_is_told_once_more_by_a_retry(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnResetFailed):
            bulk.go()
        bulk.retry()
        with pytest.raises(GstnResetFailed, match="IMSSAV005"):
            bulk.go()
        assert len(hook.sent) == 1

    def test_stays_as_it_is_when_the_task_is_cleared_and_the_others_go_on(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnResetFailed):
            bulk.go()
        bulk.clear()
        assert bulk.go() is None
        assert (hook.sent, hook.looks) == ([["1", "2"], ["3", "4"], ["5"]], 0)
        assert bulk.bulk.done()[0].ended_as["refused"] == 2

    @pytest.mark.parametrize("force", ["failed", True])
    def test_is_looked_into_and_sent_again_if_a_person_asks_for_that(self, bulk: Bulk, hook: Hook, force: Any):
        with pytest.raises(GstnResetFailed):
            bulk.go()
        bulk.clear()
        bulk.arguments["policy"] = Policy(force=force)
        hook.held = {"1": "R", "2": "N"}
        assert bulk.go(bulk.go()) is None
        assert hook.sent[1] == ["1"]
        assert bulk.rows()["1"] == ("reset", "r-2")

    def test_is_sent_again_once_for_each_time_that_a_person_asks(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnResetFailed):
            bulk.go()
        bulk.clear()
        bulk.arguments["policy"] = Policy(force="failed")
        hook.held = {"1": "R", "2": "R"}
        hook.results["r-2"] = REFUSED_WHOLE
        # What the second refusal means, only a look at GSTN's documents tells: the first may have been done.
        account = bulk.go(bulk.go())
        assert isinstance(account, AwaitTasks)
        assert account.kind == "account"
        with pytest.raises(GstnResetFailed):
            bulk.go(account)
        bulk.retry()
        with pytest.raises(GstnResetFailed):
            bulk.go()
        assert hook.sent == [["1", "2"]] * 2


def test_what_went_well_stays_untouched_by_failed_and_is_looked_at_by_true(bulk: Bulk, hook: Hook):
    bulk.go()
    bulk.clear()
    assert bulk.go(policy=Policy(force="failed")) is None
    assert hook.looks == 0
    bulk.clear()
    assert isinstance(bulk.go(policy=Policy(force=True)), AwaitTasks)


def test_what_a_person_wants_is_decided_once_for_each_clear(bulk: Bulk, hook: Hook):
    hook.results["r-1"] = REFUSED_WHOLE
    with pytest.raises(GstnResetFailed):
        bulk.go()
    bulk.clear()
    assert bulk.go() is None
    bulk.retry()
    bulk.arguments["policy"] = Policy(force=True)  # the DAG was changed meanwhile, and nobody cleared the task
    assert bulk.go() is None
    assert (len(hook.sent), hook.looks) == (3, 0)


class TestAResultThatIsAnError:
    """All that is known then is that the service refused: of the documents nothing is."""

    @pytest.fixture(autouse=True)
    def error(self, hook: Hook) -> None:
        hook.results["r-1"] = GstnRefused("GSTN says IMS2B007.", code="IMS2B007")

    def test_leaves_its_documents_unknown_under_its_id(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnResetFailed, match="IMS2B007"):
            bulk.go()
        assert bulk.states()[0][:2] == ("unknown", "r-1")
        assert "IMS2B007" in bulk.states()[0][2]
        assert bulk.rows()["1"] == ("unknown", "r-1")

    def test_is_known_for_good_a_retry_does_not_ask_again(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnResetFailed):
            bulk.go()
        hook.results.clear()
        bulk.retry()
        with pytest.raises(GstnResetFailed, match="IMS2B007"):
            bulk.go()
        assert hook.sent == [["1", "2"]]

    def test_is_passed_by_when_the_task_is_cleared_and_sent_again_if_a_person_asks(self, bulk: Bulk, hook: Hook):
        with pytest.raises(GstnResetFailed):
            bulk.go()
        bulk.clear()
        assert bulk.go() is None
        assert hook.looks == 0
        bulk.clear()
        hook.held = {"1": "A", "2": "A"}
        assert bulk.go(bulk.go(policy=Policy(force="failed")), policy=Policy(force="failed")) is None
        assert hook.sent[3:] == [["1", "2"]]
        assert {each[0] for each in bulk.states()} == {"ended"}


def test_what_ended_is_looked_into_without_asking_what_came_of_it(bulk: Bulk, hook: Hook):
    assert bulk.go() is None
    hook.words = dict.fromkeys(["r-1", "r-2", "r-3"], GstnServiceUnavailable("The service has forgotten it."))
    hook.held = {"1": "A", "2": "A"}
    bulk.clear()
    bulk.arguments["policy"] = Policy(force=True, settle_time=7200)
    step = bulk.go()
    assert step == AwaitTasks(["d-1"], kind="reconcile", key=f"ims_reset_{RTIN}_0001")
    entry = bulk.store.values[step.key]
    assert (entry["phase"], entry["in_flight_since"]) == ("ended", 0)
    bulk.go(step)
    assert hook.sent[3:] == [["1", "2"]]


class TestDocumentsThatAreRefused:
    @pytest.fixture(autouse=True)
    def refused(self, hook: Hook) -> None:
        inv = [{"inum": "1", "rtnprd": "012023"}]
        refusal = {"stin": STIN, "error_cd": "IMSSAV0010", "error_msg": "edited", "inv": inv}
        hook.results["r-1"] = {"status_cd": "PE", "proc_cnt": 1, "err_cnt": 1, "error_report": {"b2b": [refusal]}}

    def test_stop_nothing_and_are_warned_of(self, bulk: Bulk, hook: Hook, caplog: pytest.LogCaptureFixture):
        assert bulk.go() is None
        assert len(hook.sent) == 3
        first = bulk.bulk.done()[0]
        assert first.ended_as == {"reset": 1, "refused": 1, "unknown": 0}
        assert first.failure == ""
        assert "IMSSAV0010" in caplog.text

    def test_are_in_the_audit_record_of_their_reset(self, bulk: Bulk, hook: Hook):
        trail = AuditTrail(str(bulk.folder / "audit"), {"dag_id": "ims", "run_id": "r", "map_index": 0})
        bulk.go(audit=trail)
        record = json.loads((bulk.folder / "audit" / "r-1.jsonl").read_text())
        assert (record["outcome"], record["processed"], record["errors"]) == ("partial", 1, 1)
        assert [row["number"] for row in record["refused"]] == ["1"]
        assert record["unknown"] == []


def test_documents_that_a_result_leaves_open_are_in_the_audit_record(bulk: Bulk, hook: Hook):
    hook.results["r-1"] = {"status_cd": "PE", "proc_cnt": 1, "err_cnt": 1}
    bulk.go(audit=AuditTrail(str(bulk.folder / "audit"), {"dag_id": "ims", "run_id": "r", "map_index": 0}))
    record = json.loads((bulk.folder / "audit" / "r-1.jsonl").read_text())
    assert [key["number"] for key in record["unknown"]] == ["1", "2"]


def test_a_session_that_is_missing_sends_nothing_more_and_the_rest_stays_unsent(bulk: Bulk, hook: Hook):
    hook.faults[2] = EXPIRED
    with pytest.raises(GstnSessionExpired):
        bulk.go()
    assert bulk.states() == [("ended", "r-1", ""), ("not sent", "", ""), ("not sent", "", "")]


def test_nothing_of_a_request_for_which_gstn_was_busy_is_called_sent(bulk: Bulk, hook: Hook):
    hook.faults[1] = GstnBusy("IMSSAV0015")
    step = bulk.go()
    assert isinstance(step, AwaitMoment)
    assert NOW < step.moment <= NOW + 60
    assert bulk.states() == [("not sent", "", "")] * 3


@pytest.mark.parametrize(("code", "state"), [("IMSSAV0015", "not sent"), ("IMSSAV005", "ended")])
def test_a_request_of_which_nothing_was_done_is_called_not_sent_when_a_person_clears_the_task(
    bulk: Bulk, hook: Hook, code: str, state: str
):
    hook.words["r-1"] = "processing"
    bulk.go()
    bulk.clear()
    hook.words.clear()
    hook.results["r-1"] = {"status_cd": "ER", "err_cd": code}
    with suppress(GstnResetFailed):
        bulk.go()
    assert bulk.bulk.done()[0].state == state
    assert len(hook.sent) == 1


class TestAnotherPlanInItsPlace:
    def test_is_looked_at_before_anything_of_it_is_sent_and_none_is_called_not_sent(self, bulk: Bulk, hook: Hook):
        hook.faults[1] = LOST
        with pytest.raises(GstnAmbiguousSubmission):
            bulk.go()
        hook.faults.clear()
        bulk.plan = bulk.planned([["2", "9"], ["1"]])
        bulk.clear()
        hook.held = {"1": "A", "2": "N", "9": "A"}
        step = bulk.go()
        assert isinstance(step, AwaitTasks)
        assert [each[0] for each in bulk.states()] == ["unknown", "unknown"]
        # The lost one may still be done: nothing is sent until it had the time.
        assert isinstance(bulk.go(step), AwaitMoment)
        bulk.now += 700
        hook.held = {"1": "N", "2": "N", "9": "A"}
        step = bulk.go(bulk.go())
        assert step == AwaitTasks(["d-3"], None, "reconcile", f"ims_reset_{RTIN}_0002")
        assert bulk.go(step) is None
        assert hook.sent[1:] == [["9"]]
        assert {said for said, _ in bulk.rows().values()} == {"reset"}

    def test_whose_requests_have_ended_needs_no_time_to_settle(self, bulk: Bulk, hook: Hook):
        bulk.go()
        bulk.plan = bulk.planned([["1", "9"]])
        bulk.clear()
        hook.held = {"1": "N", "9": "A"}
        step = bulk.go()
        assert bulk.go(step) is None
        assert hook.sent[3:] == [["9"]]

    def test_of_which_nobody_can_read_what_was_sent_is_given_that_time(self, bulk: Bulk, hook: Hook):
        record = bulk.folder / "out" / "0002.sent.json"
        record.write_text("{half")
        hook.held = dict.fromkeys("12345", "A")
        assert isinstance(bulk.go(bulk.go()), AwaitMoment)
        assert hook.sent == []

    def test_of_which_nothing_was_sent_is_sent_without_a_look(self, bulk: Bulk, hook: Hook):
        hook.faults[1] = GstnBusy("IMSSAV0015")
        bulk.go()
        hook.faults.clear()
        bulk.plan = bulk.planned([["2", "9"], ["1"]])
        bulk.clear()
        assert bulk.go() is None
        assert (hook.sent[1:], hook.looks) == ([["2", "9"], ["1"]], 0)

    def test_is_sent_three_times_at_most_while_its_replies_are_lost(self, bulk: Bulk, hook: Hook):
        bulk.go()
        bulk.plan = bulk.planned([["9"]])
        bulk.clear()
        bulk.arguments["policy"] = Policy(on_ambiguous="resubmit")
        hook.held = {"9": "A"}
        hook.faults = dict.fromkeys(range(4, 20), LOST)
        step = bulk.go()
        with pytest.raises(GstnAmbiguousSubmission):
            bulk.go(step)
        assert hook.sent[3:] == [["9"]] * 3

    def test_that_kept_a_request_does_not_look_at_that_one_again(self, bulk: Bulk, hook: Hook):
        bulk.go()
        bulk.plan = bulk.planned([["1", "2"], ["3", "7"]])
        bulk.clear()
        hook.held = {"3": "N", "7": "A"}
        step = bulk.go()
        assert step == AwaitTasks(["d-1"], None, "reconcile", f"ims_reset_{RTIN}_0002")
        assert bulk.go(step) is None
        assert hook.sent[3:] == [["7"]]
