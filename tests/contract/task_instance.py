"""A task instance, driven as Airflow drives it: execute, defer, resume, retry, clear, in ever new processes."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_provider_ims._compat import TaskDeferred
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from tests.unit.builders import document, request

RTIN = "20MAYAS0100J1ZX"
STIN = "24MAYAS0100J1JD"
CHUNKS, DOCUMENTS = 3, 2
ALL = [f"INV-{number}{letter.upper()}" for number in (1, 2, 3) for letter in "ab"]


class Killed(BaseException):
    """A worker that dies."""


class Store:
    """Airflow's task state store; a worker dies at the write that ``dies_at`` names, before or after it."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.dies_at: tuple[str, str, str] | None = None
        self.before_each: Callable[[str], None] = lambda call: None

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        self.before_each("set")
        if self.dies_at == ("before", key, value.get("phase")):
            self.dies_at = None
            raise Killed
        self.values[key] = json.loads(json.dumps(value))
        if self.dies_at == ("after", key, value.get("phase")):
            self.dies_at = None
            raise Killed

    def delete(self, key: str) -> None:
        self.before_each("delete")
        del self.values[key]


class TaskInstance:
    """
    One task instance, tried, cleared and resumed as Airflow does it.

    :param operator: makes the operator, anew for each process
    """

    def __init__(
        self,
        simulator: Any,
        operator: Callable[..., Any],
        *,
        store: Any = True,
        run_id: str = "run-1",
        map_index: int = -1,
        **arguments: Any,
    ) -> None:
        self.simulator = simulator
        self.arguments = arguments
        self.store = Store() if store is True else store
        self.try_number, self.max_tries = 0, 2
        self.run_id, self.map_index = run_id, map_index
        self.xcom: Any = None
        self.takes_xcom = True
        self.deferrals: list[Any] = []
        self.trigger_says = {"status": "completed"}
        self._make = operator

    def attempt(self) -> Any:
        """Make one try, to its end."""
        self.try_number += 1
        method, kwargs = "execute", {}
        while True:
            try:
                return getattr(self._make(**self.arguments), method)(self._context(), **kwargs)
            except TaskDeferred as waiting:
                self.deferrals.append(waiting.trigger)
                method, kwargs = self._wait(waiting)

    def clear(self) -> None:
        self.max_tries = self.try_number + 2

    def attempt_after_a_clear(self) -> Any:
        self.clear()
        return self.attempt()

    def _wait(self, waiting: TaskDeferred) -> tuple[str, dict[str, Any]]:
        _, trigger = waiting.trigger.serialize()
        json.dumps(trigger.get("reference_id"))
        moment = getattr(waiting.trigger, "moment", None)
        self.simulator.gst.advance(max(60.0, moment.timestamp() - self.simulator.gst.clock.now() if moment else 0.0))
        event = {**self.trigger_says, "reference_id": trigger["reference_id"]} if "reference_id" in trigger else None
        return waiting.method_name, {**json.loads(json.dumps(waiting.kwargs, sort_keys=True)), "event": event}

    def _context(self) -> Any:
        def push(key: str, value: Any) -> None:
            if not self.takes_xcom:
                raise RuntimeError("the API server is away")
            self.xcom = value

        instance = SimpleNamespace(
            **{"try_number": self.try_number, "max_tries": self.max_tries, "xcom_push": push, "dag_id": "ims"},
            **{"run_id": self.run_id, "task_id": "reset", "map_index": self.map_index},
        )
        return {"ti": instance} | ({} if self.store is None else {"task_state_store": self.store})


def bulk(simulator: Any, entry: dict[str, Any], **arguments: Any) -> TaskInstance:
    """Return one mapped task instance of the bulk reset."""
    return TaskInstance(simulator, ImsBulkResetOperator, task_id="reset", plan_entry=entry, **arguments)


def planned(folder: Path, requests: list[list[str]], rtin: str = RTIN) -> dict[str, Any]:
    """Write the plan of one GSTIN: for each request the numbers of its documents."""
    chunks = []
    for number, names in enumerate(requests, 1):
        content = json.dumps(request(rtin, b2b=[document(stin=STIN, inum=name) for name in names])).encode()
        path = folder / rtin / f"{number:04d}.json"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        chunks.append({"path": str(path), "documents": len(names), "bytes": len(content), "sha256": digest})
    return {"rtin": rtin, "chunks": chunks, "documents": sum(map(len, requests)), "bytes": 1}


def three_requests(folder: Path) -> dict[str, Any]:
    """Write the plan of one GSTIN: three requests of two documents."""
    return planned(folder, [[f"INV-{number}{letter}" for letter in "ab"] for number in range(1, CHUNKS + 1)])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / RTIN / "result.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def outcomes(folder: Path) -> dict[str, str]:
    return {row["number"]: row["outcome"] for row in rows(folder)}


def hold(simulator: Any, action: str, *numbers: str) -> None:
    """Let GSTN hold this action for some documents, whatever was done before."""
    for number in numbers:
        record = document(stin=STIN, inum=number)
        names = {"rtin": RTIN, "section": "b2b", "stin": STIN, "number": number, "rtnprd": record["rtnprd"]}
        simulator.gst.add_documents([{**names, "status": action, "record": record}])


def held(simulator: Any) -> dict[str, str]:
    """The action that GSTN holds for each document."""
    return {document["number"].upper(): document["status"] for document in simulator.gst.state()["documents"]}


def record(folder: Path, number: int) -> dict[str, Any]:
    return json.loads((folder / RTIN / f"{number:04d}.sent.json").read_text())
