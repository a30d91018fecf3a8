"""One result task for several resets, over real HTTP."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims._compat import TaskDeferred
from airflow_provider_ims.exceptions import GstnInvalidRequest, GstnResetFailed, GstnResetPartial
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.models.reconciliation import Reconciliation
from airflow_provider_ims.operators.ims import ImsResultOperator
from airflow_provider_ims.results.reconciliations import Reconciliations
from tests.unit.builders import numbered, request

STIN = "24MAYAS0100J1JD"
GSTINS = ["20MAYAS0100J1ZX", "27AAPFU0939F1ZV", "24AAQCA8719H1ZC"]
REQUESTS = [request(rtin, b2b=numbered("b2b", "1", "2", stin=STIN)) for rtin in GSTINS]


class Results:
    """The resets of three GSTINs, and tasks that read them."""

    def __init__(self, simulator: Any) -> None:
        self.simulator = simulator
        self.reference_ids: list[str] = []
        self.xcom: Any = None

    def send(self, **held: str) -> None:
        """Send all; ``held`` is the status that GSTN holds for a document of the second GSTIN."""
        own = {"rtin": GSTINS[1], "section": "b2b", "stin": STIN, "rtnprd": "012023"}
        documents = [{**own, "number": name[1:], "status": status} for name, status in held.items()]
        self.simulator.gst.add_documents(documents)
        with GstnHook() as hook:
            for each in REQUESTS:
                self.simulator.gst.open_session(each["rtin"])
                self.reference_ids.append(hook.submit_reset(each))
        self.simulator.finish_tasks()

    def read(self, method: str = "execute", event: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        def push(key: str, value: Any) -> None:
            self.xcom = value

        task = ImsResultOperator(task_id="result", **{"reference_id": self.reference_ids, **arguments})
        context: Any = {"ti": SimpleNamespace(try_number=1, max_tries=0, xcom_push=push)}
        summary: dict[str, Any] = getattr(task, method)(context, **(event or {}))
        return summary


@pytest.fixture
def results(simulator) -> Results:
    return Results(simulator)


def test_all_are_read_into_one_summary(results):
    results.send()
    summary = results.read(payload=REQUESTS)
    assert (summary["outcome"], summary["processed"], summary["errors"]) == ("processed", 6, 0)
    assert summary["reference_id"] == results.reference_ids
    assert summary["simulator"] is True
    assert summary["sections"] == {"b2b": {"sent": 6, "reset": 6, "refused": 0, "unknown": 0}}
    assert [each["reference_id"] for each in summary["results"]] == results.reference_ids
    assert "result_path" not in summary


def test_each_has_its_files_and_its_audit_record(results, tmp_path: Path):
    results.send(_1="R")
    with pytest.raises(GstnResetPartial, match="Of 3 resets: 1 partial, 2 processed"):
        results.read(payload=REQUESTS, output_path=str(tmp_path / "out"), audit_path=str(tmp_path / "audit"))
    assert results.xcom["outcome"] == "partial"
    refused = [
        [row["number"] for row in csv.DictReader(Path(each["refused_path"]).read_text().splitlines())]
        for each in results.xcom["results"]
    ]
    assert refused == [[], ["1"], []]
    records = [json.loads((tmp_path / "audit" / f"{name}.jsonl").read_text()) for name in results.reference_ids]
    assert [record["outcome"] for record in records] == ["processed", "partial", "processed"]


def test_on_partial_is_about_all_of_them(results):
    results.send(_1="R")
    summary = results.read(payload=REQUESTS, on_partial="warn")
    assert summary["sections"]["b2b"] == {"sent": 6, "reset": 5, "refused": 1, "unknown": 0}


def test_one_that_is_not_there_stops_no_other(results, tmp_path: Path):
    results.send()
    gone = "00000000-0000-0000-0000-000000000000"
    ids = [gone, *results.reference_ids]
    with pytest.raises(GstnResetFailed, match="1 failed, 3 processed") as caught:
        results.read(reference_id=ids, output_path=str(tmp_path))
    assert gone in str(caught.value)
    assert [each["outcome"] for each in results.xcom["results"]] == ["failed", *["processed"] * 3]
    assert len(list(tmp_path.iterdir())) == 9  # JSON, CSV and workbook of each


def test_a_payload_in_the_wrong_place_is_told_by_its_gstin(results):
    results.send()
    with pytest.raises(GstnResetFailed, match=f"The payload is for GSTIN {GSTINS[1]}"):
        results.read(payload=[REQUESTS[1], REQUESTS[0], REQUESTS[2]])
    assert [each["outcome"] for each in results.xcom["results"]] == ["failed", "failed", "processed"]


@pytest.mark.parametrize("payload", [REQUESTS[:2], REQUESTS[0], json.dumps(REQUESTS[0])])
def test_as_many_payloads_as_resets_are_asked_for(results, payload):
    results.reference_ids = ["r-1", "r-2", "r-3"]
    with pytest.raises(GstnInvalidRequest, match="payload does not go with reference_id"):
        results.read(payload=payload)


@pytest.mark.parametrize(("ids", "says"), [([], "empty list"), (["r-1", "r-2", "r-1"], "more than once: r-1")])
def test_a_list_that_says_nothing_or_the_same_twice_is_refused(results, simulator, ids, says):
    with pytest.raises(GstnInvalidRequest, match=says):
        results.read(reference_id=ids)
    assert simulator["logins"] == 0


def test_a_list_for_one_reset_is_refused(results):
    with pytest.raises(GstnInvalidRequest, match="a list of 3 for one"):
        results.read(reference_id="r-1", payload=REQUESTS)


def test_what_gstn_holds_is_looked_at_for_each_by_itself_and_in_the_triggerer(results, simulator):
    # Of the second, all was reset by an earlier one whose reply was lost; of the third, nothing was refused.
    results.send(_1="N", _2="N")
    with GstnHook() as hook:
        for each, name in zip(REQUESTS[1:], results.reference_ids[1:], strict=True):
            found = Reconciliation(fingerprint=ResetPayload.parse(each).fingerprint(), already_reset="", sent=True)
            Reconciliations(hook.store).remember(name, found)
    with pytest.raises(TaskDeferred) as waiting:
        results.read(payload=REQUESTS, deferrable=True)
    reconciliations = json.loads(json.dumps(waiting.value.kwargs))["reconciliations"]
    assert list(reconciliations) == [results.reference_ids[1]]
    simulator.finish_tasks()
    event = {"status": "completed", "reference_id": waiting.value.trigger.reference_id}
    summary = results.read(
        waiting.value.method_name, {"event": event, "reconciliations": reconciliations}, payload=REQUESTS
    )
    assert (summary["outcome"], summary["found_at_no_action"]) == ("processed", 2)
    assert summary["sections"]["b2b"] == {"sent": 6, "reset": 6, "refused": 0, "unknown": 0}
