"""What is told of a GSTIN's documents, request by request: what ended, what may have been sent, the rest."""

from __future__ import annotations

import errno
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims.bulk import outcomes as module
from airflow_provider_ims.bulk.outcomes import ChunkOutcome, Outcomes
from airflow_provider_ims.bulk.plan_entry import load_request, plan_of
from airflow_provider_ims.exceptions import GstnError, GstnInvalidRequest, GstnStorageUnavailable
from airflow_provider_ims.models import ResetResult
from airflow_provider_ims.models.plan import GstinPlan
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.storage import CannotRead, CannotWrite
from tests.unit.builders import RTIN, STIN, numbered, payload

REQUESTS = (["1", "2"], ["3", "4"], ["5"])


@pytest.fixture
def plan(tmp_path: Path) -> GstinPlan:
    chunks = []
    for number, names in enumerate(REQUESTS, 1):
        body = payload(b2b=numbered("b2b", *names)).body()
        path = tmp_path / f"{number:04d}.json"
        path.write_bytes(body)
        digest = hashlib.sha256(body).hexdigest()
        chunks.append({"path": str(path), "documents": len(names), "bytes": len(body), "sha256": digest})
    return plan_of({"rtin": RTIN, "chunks": chunks})


def keep(plan: GstinPlan, number: int, **result: Any) -> dict[str, Any]:
    """Keep the result of a request; returns what is told of it."""
    chunk = plan.chunks[number]
    report = Report(f"r-{number + 1}", ResetResult.parse(result), load_request(chunk, RTIN))
    Outcomes(plan).keep(chunk, report)
    return {"outcome": report.outcome, **report.counts()}


def documents(folder: Path) -> list[tuple[str, ...]]:
    told = json.loads((folder / "result.json").read_text())["documents"]
    return [(row["number"], row["outcome"], row["message"], row["reference_id"]) for row in told]


def test_each_document_is_told_by_how_far_its_request_got(plan: GstinPlan, tmp_path: Path):
    told = keep(plan, 0, status_cd="P", proc_cnt="2")
    done = [
        ChunkOutcome(plan.chunks[0], "ended", "r-1", told, sent_at=1_760_000_000.9),
        # Before it was sent, a look had found one of its documents at "no action".
        ChunkOutcome(plan.chunks[1], "unknown", "r-2", failure="The reply was lost.", already_reset="0"),
        ChunkOutcome(plan.chunks[2], "not sent", failure="of no matter"),
    ]
    summary = Outcomes(plan).gather(done)
    counts = {"reset": 3, "refused": 0, "unknown": 1, "not_sent": 1}
    assert summary == {
        **{"rtin": RTIN, "outcome": "incomplete", "documents": 5, "requests": 3, "requests_ended": 1, **counts},
        "last_sent_at": "2025-10-09T08:53:20+00:00",
        "csv_path": str(tmp_path / "result.csv"),
        "result_path": str(tmp_path / "result.json"),
    }
    assert documents(tmp_path) == [
        ("1", "reset", "", "r-1"),
        ("2", "reset", "", "r-1"),
        ("3", "reset", "", "r-2"),
        ("4", "unknown", "The reply was lost.", "r-2"),
        ("5", "not sent", "It was not sent, since this came before: The reply was lost.", ""),
    ]
    chunks = json.loads((tmp_path / "result.json").read_text())["chunks"]
    assert chunks[1] == {
        **{"path": plan.chunks[1].path, "sha256": plan.chunks[1].sha256, "documents": 2, "state": "unknown"},
        **{"reference_id": "r-2", "reset": 1, "refused": 0, "unknown": 1, "not_sent": 0},
        "failure": "The reply was lost.",
    }


@pytest.mark.parametrize(
    ("told", "failure", "word"),
    [
        ({"reset": 2}, "", "partial"),
        ({"reset": 5}, "", "processed"),
        ({"refused": 2}, "IMSSAV005", "failed"),
    ],
)
def test_the_word_for_a_gstin_whose_requests_have_all_ended(plan: GstinPlan, told: dict, failure: str, word: str):
    keep(plan, 0, status_cd="P", proc_cnt="2")
    summary = Outcomes(plan).gather([ChunkOutcome(plan.chunks[0], "ended", "r-1", told, failure)])
    assert summary["outcome"] == word
    assert (summary["not_sent"], summary["unknown"]) == (0, 0)


def test_what_a_request_leaves_open_is_counted(plan: GstinPlan):
    ended = ChunkOutcome(plan.chunks[0], "ended", "r-1", {"reset": 1, "refused": 2, "unknown": 3})
    assert ended.counts() == {"reset": 1, "refused": 2, "unknown": 3, "not_sent": 0}
    assert ChunkOutcome(plan.chunks[0], "ended").counts() == dict.fromkeys(ended.counts(), 0)


def test_a_request_whose_file_is_gone_is_told_in_one_row_without_a_document(plan: GstinPlan, tmp_path: Path):
    Path(plan.chunks[2].path).unlink()
    Outcomes(plan).gather([ChunkOutcome(plan.chunks[2], "unknown", "r-3")])
    [row] = json.loads((tmp_path / "result.json").read_text())["documents"]
    assert [row[name] for name in ("section", "stin", "number", "date", "rtnprd")] == [""] * 5
    assert (row["outcome"], row["reference_id"]) == ("unknown", "r-3")
    assert "0003.json" in row["message"]


def test_a_message_is_kept_to_the_letter(plan: GstinPlan, tmp_path: Path):
    inv = [{"inum": "1", "rtnprd": "012023"}]
    refusal = {"stin": STIN, "error_cd": "IMSSAV0010", "error_msg": "line\r\ntwo, \u20b9 5", "inv": inv}
    told = keep(plan, 0, status_cd="PE", err_cnt="1", error_report={"b2b": [refusal]})
    Outcomes(plan).gather([ChunkOutcome(plan.chunks[0], "ended", "r-1", told)])
    assert documents(tmp_path)[0] == ("1", "refused", "line\r\ntwo, \u20b9 5", "r-1")


def test_a_worker_without_room_for_the_whole_result_leaves_it_to_the_retries(
    plan: GstinPlan, monkeypatch: pytest.MonkeyPatch
):
    def full(**arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    with pytest.raises(GstnStorageUnavailable, match="The result was not written"):
        Outcomes(plan).gather([])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(TimeoutError("no answer"), GstnStorageUnavailable), (PermissionError("no"), GstnInvalidRequest)],
)
@pytest.mark.parametrize("name", ["write_whole", "copy_whole", "read_whole"])
def test_a_result_that_cannot_be_kept_fails_the_task_and_says_that_nothing_is_sent_again(
    plan: GstinPlan, monkeypatch: pytest.MonkeyPatch, name: str, fault: Exception, kind: type[GstnError]
):
    def fail(*arguments: Any) -> Any:
        raise (CannotRead if name == "read_whole" else CannotWrite)("s3://b/it.csv", fault)

    told = keep(plan, 0, status_cd="P", proc_cnt="2")
    ended = [ChunkOutcome(plan.chunks[0], "ended", "r-1", told)]
    monkeypatch.setattr(module, name, fail)
    with pytest.raises(kind, match=r"s3://b/it\.csv") as caught:
        keep(plan, 0, status_cd="P", proc_cnt="2") if name == "write_whole" else Outcomes(plan).gather(ended)
    first, *_, last = str(caught.value).splitlines()
    if name == "read_whole":
        assert first == "What became of a request's documents is not to be had."
    else:
        assert first == "The result was not written."
        assert last == "This task then goes on where it was; nothing is sent again."
