"""A worker may die anywhere: whatever goes on after it, every document ends at "no action", sent once, and known."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowException
from airflow_provider_ims.hooks import gstn
from airflow_provider_ims.operators import bulk as operator
from airflow_provider_ims.submissions import sent_records
from tests.contract.task_instance import RTIN, Killed, TaskInstance, bulk, held, outcomes, planned

NUMBERS = ["INV-1A", "INV-1B", "INV-2A", "INV-2B"]
MOST_CLEARS = 12


class Moments:
    """Every call and write of a task, before it and after it; the worker dies at the one that is counted out."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.passed = 0

    def pass_one(self) -> None:
        self.passed += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed

    def around(self, done: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            self.pass_one()
            value = done(*arguments, **more)
            self.pass_one()
            return value

        return call


class Sendings:
    """What was sent, and whether GSTN held a document of it at "no action" already."""

    def __init__(self, simulator: Any) -> None:
        self.twice: list[str] = []
        self._submit, self._simulator = simulator.gst.submit_reset, simulator
        simulator.gst.submit_reset = self

    def __call__(self, org: str, gstin: str, body: Any) -> str:
        before = held(self._simulator)
        reference_id = self._submit(org, gstin, body)
        sent = [document["inum"].upper() for section in body["invdata"].values() for document in section]
        self.twice += [number for number in sent if before.get(number) == "N"]
        return reference_id


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Moments:
    moments = Moments()
    monkeypatch.setattr(gstn, "send", moments.around(gstn.send))
    monkeypatch.setattr(sent_records, "write_whole", moments.around(sent_records.write_whole))
    return moments


@pytest.fixture
def sendings(simulator) -> Iterator[Callable[[], Sendings]]:
    yield lambda: Sendings(simulator)
    simulator.gst.__dict__.pop("submit_reset", None)


@pytest.fixture(autouse=True)
def one_clock(simulator, monkeypatch, no_jitter) -> Iterator[None]:
    monkeypatch.setattr(operator, "BulkReset", partial(operator.BulkReset, clock=simulator.gst.clock.now))
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    logging.disable()  # thousands of lines
    yield
    logging.disable(logging.NOTSET)


def started(simulator: Any, folder: Path, moments: Moments, **arguments: Any) -> TaskInstance:
    simulator.gst.__dict__.pop("submit_reset", None)
    simulator.gst.reset()
    simulator.gst.open_session(RTIN)
    task = bulk(simulator, planned(folder, [["INV-1a", "INV-1b"], ["INV-2a", "INV-2b"]]), **arguments)
    task.store.set = moments.around(task.store.set)
    return task


def brought_to_an_end(task: TaskInstance, *, by_clear: bool) -> int:
    """Go on as Airflow and a patient person do; return how often the person had to clear the task."""
    clears = 0
    while True:
        assert clears <= MOST_CLEARS, "it leads nowhere"
        if by_clear:
            clears += 1
            task.clear()
        try:
            summary = task.attempt()
        except AirflowException:
            # Failed for good, or for now with nobody but a person who looks after it.
            by_clear = True
            continue
        assert (summary["outcome"], summary["reset"]) == ("processed", len(NUMBERS))
        return clears


def everything_is_known(simulator: Any, folder: Path, sent: Sendings) -> None:
    assert {number: action for number, action in held(simulator).items() if number in NUMBERS} == dict.fromkeys(
        NUMBERS, "N"
    )
    assert outcomes(folder) == dict.fromkeys(NUMBERS, "reset")
    assert sent.twice == []


@pytest.mark.parametrize(
    ("on_ambiguous", "by_clear"), [("reconcile", False), ("fail", True)], ids=["then retried", "then cleared"]
)
def test_at_any_call_and_any_write(simulator, moments, sendings, tmp_path, on_ambiguous, by_clear):
    # Before a call or write for the one, after it for the other.
    deaths = int(by_clear)
    while True:
        folder = tmp_path / str(deaths)
        task = started(simulator, folder, moments, on_ambiguous=on_ambiguous)
        sent = sendings()
        moments.left = deaths
        try:
            task.attempt()
        except Killed:
            clears = brought_to_an_end(task, by_clear=by_clear)
            assert clears == by_clear, f"death {deaths}"
            everything_is_known(simulator, folder, sent)
            deaths += 2
            continue
        break
    assert deaths > 30
    everything_is_known(simulator, folder, sent)


def test_and_another_task_meets_what_it_left(simulator, moments, sendings, tmp_path):
    # The plan was cleared and the GSTIN has moved to another mapped task, which has a store of its own.
    for death in range(1, 1000, 4):
        folder = tmp_path / str(death)
        task = started(simulator, folder, moments)
        sent = sendings()
        moments.left = death
        try:
            task.attempt()
        except Killed:
            other = bulk(simulator, task.arguments["plan_entry"], map_index=1, on_ambiguous="fail")
            assert brought_to_an_end(other, by_clear=False) <= 1
            everything_is_known(simulator, folder, sent)
            continue
        break
    assert death > 30


@pytest.mark.parametrize("seed", range(8))
def test_any_schedule_of_deaths_and_faults_comes_to_an_end(simulator, moments, sendings, tmp_path, monkeypatch, seed):
    chance = random.Random(seed)  # noqa: S311 - the same each time
    policy = chance.choice(["fail", "resubmit", "reconcile"])
    task = started(simulator, tmp_path, moments, on_ambiguous=policy, on_failure=chance.choice(["stop", "continue"]))
    sent = sendings()
    faults: list[Callable[[], None]] = [
        lambda: setattr(moments, "left", chance.randrange(40)),
        lambda: simulator.fault("reset", "drop_before"),
        lambda: simulator.fault("reset", "drop_after", times=chance.randrange(1, 5)),
        lambda: simulator.fault("reset", "http", status=503),
        lambda: simulator.fault("result", "http", status=503, times=6),
        lambda: simulator.next_task(final_status="failed"),
        lambda: simulator.next_task(status_cd="ER", err_cd="IMSSAV0015"),
        lambda: simulator.next_task(status_cd="ER", err_cd="AUTH4033"),
        lambda: simulator.next_task(kind="download", final_status="failed"),
        lambda: fail_next_writes(task.store, chance.randrange(1, 4)),
        lambda: simulator.gst.advance(7 * 3600),  # the session ends
    ]
    for _ in range(8):
        chance.choice(faults)()
        if chance.random() < 0.5:
            task.clear()
        try:
            if task.attempt()["outcome"] == "processed":
                break
        except (Killed, AirflowException):
            simulator.gst.open_session(RTIN)
    moments.left = None
    task.store.before_each = lambda call: None
    simulator.gst.clear_faults()
    simulator.gst._next_tasks.clear()
    brought_to_an_end(task, by_clear=False)
    assert outcomes(tmp_path) == dict.fromkeys(NUMBERS, "reset")
    assert {number: held(simulator)[number] for number in NUMBERS} == dict.fromkeys(NUMBERS, "N")
    if policy != "resubmit":
        assert sent.twice == []


def fail_next_writes(store: Any, times: int) -> None:
    left = iter(range(times))

    def fail(call: str) -> None:
        if next(left, None) is not None:
            raise RuntimeError("the API server is down")

    store.before_each = fail
