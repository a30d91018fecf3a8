"""How the reset operator waits, goes on after a deferral, and what its flags do. The hook is scripted."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from airflow_provider_ims._compat import AirflowFailException, AirflowSensorTimeout
from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnBusy,
    GstnInvalidRequest,
    GstnTaskFailed,
    GstnTaskNotFound,
)
from airflow_provider_ims.models import ResetPayload, ResetResult, TaskStatus
from airflow_provider_ims.operators import _deferral, ims
from airflow_provider_ims.operators.ims import ImsResetOperator
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.triggers.ims import ImsTaskTrigger
from airflow_provider_ims.waits import on_worker
from tests.unit.builders import document, numbered, request

NOW = 1_700_000_000.0
BUSY = GstnBusy("IMSSAV0015")
LOST = GstnAmbiguousSubmission("The reply was lost.")


class Hook:
    """Takes resets on a clock that only sleeping moves, each with the next of the answers; the last is repeated."""

    is_simulator = False

    def __init__(self) -> None:
        self.now = NOW
        self.answers: list[str | Exception] = ["r-1"]
        self.sent: list[ResetPayload] = []
        self.downloads: list[str] = []
        self.download_words = ["completed"]
        self.held: dict[str, str] = {}
        self.store = MemorySessionStore()

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def submit(self, call: object, payload: ResetPayload, *, before_sending: Callable[[], None]) -> str:
        before_sending()
        self.sent.append(payload)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def submit_download(self, gstin: str, section: str) -> str:
        assert len(self.downloads) < 10, "looks without end"
        self.downloads.append(section)
        return self.known_downloads[-1]

    @property
    def known_downloads(self) -> list[str]:
        return [f"d-{number}" for number, _ in enumerate(self.downloads, 1)]

    def get_task_status(self, reference_id: str) -> TaskStatus:
        words = self.download_words
        return TaskStatus(reference_id=reference_id, word=words.pop(0) if len(words) > 1 else words[0])

    def get_task_pages(self, reference_id: str) -> list[dict[str, Any]]:
        if reference_id not in self.known_downloads:
            raise GstnTaskNotFound(f"No such task: {reference_id!r}")
        return [{"b2b": [{**document(inum=number), "action": action} for number, action in self.held.items()]}]

    def get_task_result(self, reference_id: str, call: object) -> ResetResult:
        return ResetResult(status_cd="P", processed=3, errors=0)

    def find_sent_request(self, reference_id: str) -> None:
        return None


class Store:
    """Airflow's task state store."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        self.values[key] = value

    def delete(self, key: str) -> None:
        del self.values[key]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    hook = Hook()
    monkeypatch.setattr(ims, "GstnHook", lambda conn_id, gstin=None: hook)
    monkeypatch.setattr(ims, "Submission", functools.partial(ims.Submission, clock=lambda: hook.now))
    clock = SimpleNamespace(time=lambda: hook.now, sleep=hook.sleep)
    for module in (_deferral, on_worker):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("random.uniform", lambda low, high: 1.0)
    return hook


@pytest.fixture
def context() -> dict[str, Any]:
    """The first try of a task on Airflow 3.3 and newer."""
    return {"ti": SimpleNamespace(try_number=1, max_tries=2), "task_state_store": Store()}


def cleared(context: dict[str, Any]) -> dict[str, Any]:
    """The next try of the same task, after a person cleared it."""
    ti = context["ti"]
    return {**context, "ti": SimpleNamespace(try_number=ti.try_number + 1, max_tries=ti.max_tries + 1)}


def without_store(context: dict[str, Any]) -> dict[str, Any]:
    """The same task below Airflow 3.3."""
    return {"ti": context["ti"]}


def reset(**changes) -> ImsResetOperator:
    payload = request(b2b=numbered("b2b", "INV-1", "INV-2", "INV-3"))
    return ImsResetOperator(task_id="reset", **{"payload": payload, **changes})


def deferral(operator: ImsResetOperator, context: dict[str, Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return caught.value


def resume(operator: ImsResetOperator, waiting: TaskDeferred, context: dict[str, Any], event: object = None) -> str:
    """Go on in another process, as Airflow does: the arguments went through its database."""
    carried = json.loads(json.dumps(waiting.kwargs))
    return operator.resume_execution(waiting.method_name, {**carried, "event": event}, context)


def numbers(payload: ResetPayload) -> list[str]:
    return [document.number for _, document in payload.documents()]


class TestABusyGstn:
    def test_is_waited_for_in_the_triggerer(self, hook, context):
        hook.answers = [BUSY]
        step = deferral(reset(deferrable=True), context)
        assert isinstance(step.trigger, DateTimeTrigger)
        assert step.trigger.moment == datetime.fromtimestamp(NOW + 15, UTC)
        assert step.method_name == "send_again"
        assert step.kwargs == {"carried": {}}
        assert hook.now == NOW  # nothing waited here

    def test_is_tried_again_afterwards(self, hook, context):
        hook.answers = [BUSY, "r-1"]
        step = deferral(reset(deferrable=True), context)
        assert resume(reset(deferrable=True), step, context) == "r-1"
        assert len(hook.sent) == 2

    def test_is_waited_for_up_to_the_limit_over_all_deferrals(self, hook, context):
        hook.answers = [BUSY]
        operator = reset(deferrable=True, busy_timeout=40)
        step = deferral(operator, context)
        for _ in range(2):
            hook.now = step.trigger.moment.timestamp()
            with pytest.raises(TaskDeferred) as caught:
                resume(operator, step, context)
            step = caught.value
        hook.now = step.trigger.moment.timestamp()
        assert hook.now == NOW + 40
        with pytest.raises(GstnBusy):
            resume(operator, step, context)

    def test_is_waited_for_up_to_the_limit_below_airflow_3_3_as_well(self, hook, context):
        hook.answers = [BUSY]
        context = without_store(context)
        step = deferral(reset(deferrable=True, busy_timeout=40), context)
        assert step.kwargs["carried"]["ims_reset"]["busy_since"] == NOW
        hook.now = NOW + 40
        with pytest.raises(GstnBusy):
            resume(reset(deferrable=True, busy_timeout=40), step, context)

    def test_is_waited_for_on_the_worker_if_the_task_is_not_deferrable(self, hook, context):
        hook.answers = [BUSY, BUSY, BUSY, "r-1"]
        assert reset(deferrable=False).execute(context) == "r-1"
        assert hook.now == NOW + 15 + 15 + 30

    @pytest.mark.parametrize("busy_timeout", [timedelta(minutes=10), 600, 600.0])
    @pytest.mark.parametrize(
        ("execution_timeout", "waits"), [(None, 600), (timedelta(minutes=2), 120), (timedelta(hours=2), 600)]
    )
    def test_is_waited_for_no_longer_than_either_limit(self, hook, context, busy_timeout, execution_timeout, waits):
        hook.answers = [BUSY]
        with pytest.raises(GstnBusy):
            reset(deferrable=False, busy_timeout=busy_timeout, execution_timeout=execution_timeout).execute(context)
        assert hook.now == NOW + waits


class TestALostReplyThatIsReconciled:
    @pytest.fixture
    def lost(self, hook):
        hook.answers = [LOST, "r-2"]
        hook.held = {"INV-1": "A", "INV-2": "N"}
        return lambda **changes: reset(on_ambiguous="reconcile", settle_time=0, **changes)

    def test_has_its_downloads_waited_for_in_the_triggerer(self, hook, lost, context):
        payload = request(b2b=[document()], b2bcn=[document("b2bcn")])
        step = deferral(lost(deferrable=True, payload=payload, gstn_conn_id="gstn_two"), context)
        assert isinstance(step.trigger, ImsTaskTrigger)
        assert step.trigger.reference_id == ["d-1", "d-2"]
        assert step.trigger.gstn_conn_id == "gstn_two"
        assert step.trigger.end_time > NOW
        assert step.timeout.total_seconds() > step.trigger.end_time - NOW  # the trigger's own deadline comes first
        assert step.method_name == "execute_complete"
        assert hook.downloads == ["b2b", "b2bcn"]

    @pytest.mark.parametrize("airflow", ["3.3", "older"])
    def test_has_the_rest_sent_once_they_have_ended(self, hook, lost, context, airflow):
        if airflow == "older":
            context = without_store(context)
        step = deferral(lost(deferrable=True), context)
        event = {"status": "completed", "reference_id": ["d-1"]}
        assert resume(lost(deferrable=True), step, context, event) == "r-2"
        assert [numbers(sent) for sent in hook.sent] == [["INV-1", "INV-2", "INV-3"], ["INV-1", "INV-3"]]

    def test_has_nothing_sent_again_if_all_is_done(self, hook, lost, context):
        hook.held = dict.fromkeys(["INV-1", "INV-2", "INV-3"], "N")
        step = deferral(lost(deferrable=True), context)
        event = {"status": "completed", "reference_id": ["d-1"]}
        assert resume(lost(deferrable=True), step, context, event) == "d-1"
        assert len(hook.sent) == 1

    def test_has_its_downloads_waited_for_on_the_worker_if_the_task_is_not_deferrable(self, hook, lost, context):
        hook.download_words = ["queued", "processing", "completed"]
        assert lost(deferrable=False).execute(context) == "r-2"
        assert numbers(hook.sent[1]) == ["INV-1", "INV-3"]
        assert hook.now > NOW

    @pytest.mark.parametrize(
        ("event", "expected"),
        [
            ({"status": "error", "error": "GstnTaskFailed", "message": "d-1 ended as failed"}, GstnTaskFailed),
            ({"status": "timeout", "message": "d-1: processing"}, AirflowSensorTimeout),
        ],
    )
    def test_has_nothing_sent_if_the_downloads_do_not_come(self, hook, lost, context, event, expected):
        step = deferral(lost(deferrable=True), context)
        with pytest.raises(expected, match="d-1"):
            resume(lost(deferrable=True), step, context, {**event, "reference_id": ["d-1"]})
        assert len(hook.sent) == 1

    @pytest.mark.parametrize("event", [None, {}, {"status": "completed"}, {"status": "good", "reference_id": ["d-1"]}])
    def test_has_nothing_sent_for_an_event_that_is_not_ours(self, hook, lost, context, event):
        step = deferral(lost(deferrable=True), context)
        with pytest.raises(AirflowFailException):
            resume(lost(deferrable=True), step, context, event)
        assert len(hook.sent) == 1

    def test_may_find_gstn_busy_and_is_looked_into_again_then(self, hook, lost, context):
        hook.answers = [LOST, BUSY, "r-2"]
        step = deferral(lost(deferrable=True), context)
        with pytest.raises(TaskDeferred) as busy:
            resume(lost(deferrable=True), step, context, {"status": "completed", "reference_id": ["d-1"]})
        assert busy.value.method_name == "send_again"
        with pytest.raises(TaskDeferred) as look:
            resume(lost(deferrable=True), busy.value, context)
        assert look.value.trigger.reference_id == ["d-2"]


class TestForceResubmit:
    @pytest.fixture
    def sent_before(self, hook, context):
        """A task that has sent its reset, and was cleared."""
        hook.answers = ["r-1", "r-2"]
        assert reset().execute(context) == "r-1"
        return cleared(context)

    @pytest.mark.parametrize("flag", [True, "True", "true", " TRUE ", "yes", "1"])
    def test_sends_what_is_not_at_no_action(self, hook, sent_before, flag):
        hook.held = {"INV-1": "N"}
        assert reset(force_resubmit=flag).execute(sent_before) == "r-2"
        assert numbers(hook.sent[1]) == ["INV-2", "INV-3"]

    @pytest.mark.parametrize("flag", [False, "False", "false", "", "None", None, "no", "0", "failed", " Failed"])
    def test_does_not_unless_it_is_set_and_there_is_something_to_send(self, hook, sent_before, flag):
        assert reset(force_resubmit=flag).execute(sent_before) == "r-1"
        assert len(hook.sent) == 1

    @pytest.mark.parametrize("flag", ["maybe", "{{ params.force }}", "ture", 2])
    def test_that_is_neither_is_refused_before_anything_is_sent(self, hook, sent_before, flag):
        with pytest.raises(GstnInvalidRequest, match="force_resubmit is .*true, false or failed"):
            reset(force_resubmit=flag).execute(sent_before)
        assert len(hook.sent) == 1


def test_on_ambiguous_is_checked_when_the_dag_is_parsed():
    with pytest.raises(ValueError, match="'retry'; it takes fail, resubmit or reconcile"):
        reset(on_ambiguous="retry")


class TestBelowAirflow33:
    WARNING = "keeps no task state"

    def test_one_warning_says_that_a_retry_sends_again(self, hook, context, capsys):
        hook.answers = [BUSY, "r-1"]
        context = without_store(context)
        step = deferral(reset(deferrable=True), context)
        resume(reset(deferrable=True), step, context)
        told = capsys.readouterr().out
        assert told.count(self.WARNING) == 1
        assert "retries=0" in told

    def test_there_is_none_where_the_state_is_kept(self, hook, context, capsys):
        reset().execute(context)
        assert self.WARNING not in capsys.readouterr().out


def test_a_reset_that_is_killed_says_that_the_service_goes_on(hook, capsys):
    reset().on_kill()
    told = capsys.readouterr().out
    assert "no cancel" in told
    assert "not sent again" in told
