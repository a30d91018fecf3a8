"""
Stories that are told to the little Airflow and to a real one, to see whether both make the same of them.

    python -m tests.days.told [NAME]    tell one or all to the little Airflow; prints what is recorded of each, as JSON

tests/e2e/test_little_airflow.py compares. Only what does not hang on how fast a machine is belongs into a record.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RTIN = "20MAYAS0100J1ZX"
SETTLE_TIME, RETRIES = 45.0, 2

Record = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """
    A story: three tasks, ``reset``, ``wait`` and ``result``, and what happens to them.

    :param steps: one after another. ``deferred TASK``: wait until the triggerer works on it; ``finish``: the service
        ends all its tasks; ``end``: wait for the run's end; ``clear TASK``; ``mark TASK STATE``; ``accept``: the
        taxpayer accepts one of the documents on the portal
    :param goes_wrong: what happens to the first request: ``dies before``, ``dies after`` or ``lost after``
    :param task_seconds: how long the first reset takes; all else takes no time
    """

    steps: tuple[str, ...]
    on_ambiguous: str = "fail"
    force: bool = False
    goes_wrong: str = ""
    task_seconds: float = 3600.0


_WAITED = ("deferred wait", "finish", "end")

STORIES = {
    "nothing goes wrong": Told(_WAITED),
    "cleared": Told((*_WAITED, "clear reset", "end")),
    "cleared with force": Told((*_WAITED, "accept", "clear reset", "end"), force=True),
    "wait marked failed": Told(("deferred wait", "mark wait failed", "end", "finish", "clear wait", "end")),
    "wait marked success": Told(("deferred wait", "mark wait success", "end", "finish", "clear wait", "end")),
    "worker dies before the request": Told(("end", "clear reset", *_WAITED), goes_wrong="dies before"),
    "worker dies after the request": Told(
        ("end",), on_ambiguous="reconcile", goes_wrong="dies after", task_seconds=0.0
    ),
    "reply lost": Told(("end",), on_ambiguous="reconcile", goes_wrong="lost after", task_seconds=0.0),
    "reply lost, left to a person": Told(("end", "clear reset", "end"), goes_wrong="lost after", task_seconds=0.0),
}


def record(
    tasks: dict[str, tuple[str, int, int, list[int]]], counters: dict[str, int], summary: dict[str, Any] | None
) -> Record:
    """
    Return what is compared.

    :param tasks: task -> its state, its tries, the last that Airflow would make by itself, those in which it deferred
    :param counters: what the service was sent
    :param summary: what the result task returned
    """
    return {
        "tasks": {name: list(tasks[name]) for name in ("reset", "wait", "result")},
        "service": {name: counters.get(name, 0) for name in ("resets", "reset_calls")},
        # How often hangs on how soon Airflow notices a death: until settle_time is over it looks once more.
        "has looked": counters.get("downloads", 0) > 0,
        "summary": {name: (summary or {}).get(name) for name in ("outcome", "processed", "found_at_no_action")},
    }


def on_the_little_airflow(told: Told) -> list[Record]:
    """Tell a story; return what is recorded at each ``end``."""
    from tests.unit.builders import NUMBER_FIELD

    from .days import day  # which gives Airflow a home of its own
    from .mishaps import Mishap
    from .plan import DayPlan, Flow, Wanted

    wanted = tuple(Wanted(section, "24MAYAS0100J1JD", "D-0", "092026", "01-09-2026", "A") for section in NUMBER_FIELD)
    flow = Flow(
        **{"run_id": "run", "kind": "single", "rtin": RTIN, "at": 0.0, "requests": (wanted,), "retries": RETRIES},
        on_ambiguous=told.on_ambiguous,
        settle_time=SETTLE_TIME,
    )
    mishaps = (Mishap("PUT", told.goes_wrong, 1),) if told.goes_wrong else ()
    plan = DayPlan(0, (flow,), mishaps, options={"task_seconds": 0.0})
    with day.laboratory(), day.world_of(plan) as world:
        return _Telling(world, day.begin_flows(world, plan)[0], told).tell()


class _Telling:
    def __init__(self, world: Any, flow: Any, told: Told) -> None:
        from airflow_provider_ims.simulator.options import NextTask

        self._world, self._flow, self._told = world, flow, told
        self._tasks = {each.task_id: each for each in flow.instances}
        self._tasks["reset"].force = told.force
        world.service.add_next_task(NextTask(gstin=RTIN, task_seconds=told.task_seconds))

    def tell(self) -> list[Record]:
        records = []
        for step in self._told.steps:
            what, *rest = step.split()
            match what:
                case "deferred":
                    self._until(lambda task=self._tasks[rest[0]]: task.state == "deferred" and self._polls(task))
                case "finish":
                    for task in self._world.service._tasks._tasks.values():
                        task.ready_at = 0.0
                case "end":
                    self._until(lambda: self._flow.is_over)
                    records.append(self._record())
                case "clear":
                    self._world.airflow.clear(self._tasks[rest[0]])
                case "mark":
                    self._world.airflow.mark(self._tasks[rest[0]], rest[1])
                case "accept":
                    self._world.service.change(self._flow.docs[0], "A", "the taxpayer")
        return records

    def _polls(self, task: Any) -> bool:
        return task in self._world.airflow.triggerer._tasks

    def _until(self, done: Callable[[], bool]) -> None:
        kernel = self._world.kernel
        while not done():
            following = kernel.next_event()
            assert following is not None, "nothing will happen any more"
            kernel.run(following)

    def _record(self) -> Record:
        tasks = {
            name: (task.state, task.try_number, task.max_tries, sorted(task.deferred_in))
            for name, task in self._tasks.items()
        }
        summary = self._world.airflow.xcom_of(self._tasks["result"])
        return record(tasks, self._world.service.counters(RTIN), summary)


def main() -> int:
    names = sys.argv[1:] or list(STORIES)
    print(json.dumps({name: on_the_little_airflow(STORIES[name]) for name in names}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
