"""The object store is away for a while: nothing is sent twice, nothing is lost, and the retry goes on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.exceptions import GstnTransientError
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.operators.ims import ImsResetOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from tests.contract.task_instance import RTIN, TaskInstance
from tests.unit.builders import document, request
from tests.unit.matching.builders import read as read_parquet

ROWS = 9


class Interrupted(TaskInstance):
    """
    A task instance during whose first wait something happens.

    :ivar meanwhile: what
    """

    meanwhile: Callable[[], None] | None = None

    def _wait(self, waiting: Any) -> tuple[str, dict[str, Any]]:
        if self.meanwhile:
            self.meanwhile()
            self.meanwhile = None
        return super()._wait(waiting)


@pytest.fixture
def session(simulator: Any) -> Any:
    simulator.gst.open_session(RTIN)
    return simulator


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file of documents to reset."""
    record = document("b2b")
    names = ["rtin", "section", *(name for name, value in record.items() if not isinstance(value, (list, dict)))]
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        sheet = csv.DictWriter(file, names, extrasaction="ignore")
        sheet.writeheader()
        sheet.writerows({**record, "rtin": RTIN, "section": "b2b", "inum": f"INV-{n}"} for n in range(ROWS))
    return path


def plan(rows: Path, folder: ObjectStoragePath) -> list[dict[str, Any]]:
    return ImsPlanOperator(
        task_id="plan", source=str(rows), output_path=str(folder / "plan"), max_documents=ROWS // 3
    ).execute({})


def read(path: ObjectStoragePath) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(), newline="")))


def test_a_plan_is_not_there_and_then_whole(rows, bucket, line):
    line.cut()
    with pytest.raises(GstnTransientError, match="which may pass"):
        plan(rows, bucket)
    assert line.refused
    line.mend()
    [entry] = plan(rows, bucket)
    assert [chunk["documents"] for chunk in entry["chunks"]] == [3, 3, 3]
    sent = [json.loads(ObjectStoragePath(chunk["path"]).read_bytes()) for chunk in entry["chunks"]]
    assert sum(len(each["invdata"]["b2b"]) for each in sent) == ROWS


def test_a_snapshot_is_not_there_and_then_whole_with_the_downloads_that_were_asked_for(session, bucket, line, tmp_path):
    names = {"rtin": RTIN, "section": "b2b", "rtnprd": "102026", "date": "04-10-2026", "status": "R"}
    record = {"idt": "04-10-2026", "val": 118, "txval": 100}
    session.gst.add_documents(
        [{**names, "stin": "29AAACB1234C1Z5", "number": f"D-{n}", "record": record} for n in (1, 2)]
    )
    task = Interrupted(
        session, ImsDownloadOperator, task_id="download", gstin=RTIN, output_path=str(bucket), deferrable=True
    )
    task.meanwhile = line.cut
    with pytest.raises(GstnTransientError, match="which may pass"):
        task.attempt()
    line.mend()
    assert not (bucket / RTIN / "snapshot.json").exists()
    summary = task.attempt()
    assert session["downloads"] == 8
    assert (summary["documents"], summary["complete"]) == (2, True)
    file = tmp_path / "documents.parquet"
    file.write_bytes((bucket / RTIN / "documents.parquet").read_bytes())
    assert {row["number"] for row in read_parquet(file)} == {"D-1", "D-2"}


def test_without_a_place_for_its_record_a_reset_is_not_sent_and_then_once(session, bucket, line):
    task = Interrupted(
        session,
        ImsResetOperator,
        task_id="reset",
        payload=request(RTIN, b2b=[document()]),
        audit_path=str(bucket / "audit"),
        deferrable=True,
    )
    line.cut()
    with pytest.raises(GstnTransientError, match="Nothing was sent"):
        task.attempt()
    assert session["resets"] == 0
    line.mend()
    task.attempt()
    task.attempt()
    assert session["resets"] == 1
    [name] = [path.name for path in (bucket / "audit").iterdir() if path.name.endswith(".jsonl")]
    assert json.loads((bucket / "audit" / name).read_text())["documents"] == 1


def test_a_result_that_could_not_be_kept_is_read_again_and_nothing_is_sent_twice(session, rows, bucket, line):
    [entry] = plan(rows, bucket)
    task = Interrupted(
        session, ImsBulkResetOperator, task_id="reset", plan_entry=entry, audit_path=str(bucket / "audit")
    )
    task.meanwhile = line.cut
    with pytest.raises(GstnTransientError):
        task.attempt()
    with pytest.raises(GstnTransientError):
        task.attempt()  # a retry that comes too early
    assert session["resets"] == 1
    line.mend()
    summary = task.attempt()
    assert session["resets"] == 3
    assert (summary["outcome"], summary["reset"]) == ("processed", ROWS)
    told = read(ObjectStoragePath(summary["csv_path"]))
    assert {row["number"]: row["outcome"] for row in told} == {f"INV-{n}": "reset" for n in range(ROWS)}
    records = [json.loads(path.read_text()) for path in (bucket / "audit").iterdir() if path.name.endswith(".jsonl")]
    assert [record["outcome"] for record in records] == ["processed"] * 3
