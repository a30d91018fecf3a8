"""The snapshot of a taxpayer's documents, downloaded from the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims.exceptions import (
    GstnInvalidRequest,
    GstnSessionExpired,
    GstnTransientError,
    GstnUnreadableReply,
)
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.simulator import downloads
from airflow_provider_ims.simulator.tasks import Tasks
from airflow_provider_ims.tables.documents import DOCUMENT_COLUMNS
from tests.contract.task_instance import Killed, TaskInstance
from tests.unit.matching.builders import read

RTIN = "27AAPFU0939F1ZV"
STIN = "29AAACB1234C1Z5"


def hold(simulator: Any, section: str, number: str, status: str = "R", **record: Any) -> dict[str, Any]:
    """Let GSTN hold a document."""
    date = "nt_dt" if section.startswith(("b2bcn", "b2bdn")) else "idt"
    names = {"rtin": RTIN, "section": section, "stin": STIN, "number": number, "rtnprd": "102026"}
    document = {**names, "status": status, "date": "04-10-2026", "record": {date: "04-10-2026", **record}}
    simulator.gst.add_documents([document])
    return document


def download(simulator: Any, folder: Path, **arguments: Any) -> TaskInstance:
    named = {"gstin": RTIN, "output_path": str(folder), "deferrable": True, **arguments}
    return TaskInstance(simulator, ImsDownloadOperator, task_id="download", **named)


def documents(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["number"]: row for row in read(folder / RTIN / "documents.parquet")}


def nothing_is_written(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def session(simulator: Any) -> Any:
    simulator.gst.open_session(RTIN)
    return simulator


def test_every_section_becomes_rows_of_one_file(session, tmp_path):
    sections = ("b2b", "b2ba", "b2bdn", "b2bdna", "b2bcn", "b2bcna", "ecom", "ecoma")
    for section in sections:
        hold(session, section, f"N-{section}", tradenm="Acme | Söhne", val=118.1, txval=100, newKey={"a": 1})
    task = download(session, tmp_path)
    summary = task.attempt()

    assert len(task.deferrals) == 1  # all sections in one wait
    assert session["downloads"] == 8
    assert (summary["documents"], summary["complete"], summary["gstin"]) == (8, True, RTIN)
    assert summary["counts"] == {section: {"R": 1} for section in sections}
    assert summary["path"] == str(tmp_path / RTIN / "snapshot.json")
    assert {"path": summary["path"], **json.loads(Path(summary["path"]).read_text())} == summary
    found = documents(tmp_path)
    assert {row["section"] for row in found.values()} == set(sections)
    row = found["N-b2bcna"]
    assert list(row) == list(DOCUMENT_COLUMNS)
    assert (row["rtin"], row["stin"], str(row["date"])) == (RTIN, STIN, "2026-10-04")
    assert (str(row["val"]), str(row["txval"]), row["trade_name"]) == ("118.10", "100.00", "Acme | Söhne")
    assert (row["filed"], row["pending_blocked"], row["action"]) == (True, False, "R")
    assert row["original_number"].startswith("O-")
    assert json.loads(row["raw"])["newKey"] == {"a": 1}
    assert row["snapshot"] == summary["snapshot"]
    assert row["hash"]


@pytest.mark.parametrize("first_page", [0, 1])
@pytest.mark.parametrize("keys", ["request", "gstn"])
def test_many_pages_in_either_spelling(session, tmp_path, first_page, keys):
    session.gst.change_options({"page_documents": 3, "first_page": first_page, "download_keys": keys})
    for number in range(40):
        hold(session, "b2bcn", f"C{number}", "ARPN"[number % 4])
    summary = download(session, tmp_path).attempt()
    assert summary["counts"]["b2bcn"] == dict.fromkeys("ANPR", 10)
    assert len(documents(tmp_path)) == 40


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_a_service_that_takes_page_0_for_page_1_loses_no_page(session, tmp_path, monkeypatch, pages):
    session.gst.change_options({"page_documents": 3, "first_page": 1})
    for number in range(3 * pages):
        hold(session, "b2b", f"C{number}", "R")
    honest = Tasks.page
    monkeypatch.setattr(Tasks, "page", lambda self, task, number: honest(self, task, {"0": "1"}.get(number, number)))
    summary = download(session, tmp_path, sections=["b2b"]).attempt()
    assert (summary["documents"], summary["repeated"]) == (3 * pages, 0)


@pytest.mark.parametrize("pages", [2, 3])
def test_a_page_that_comes_twice_ends_no_download(session, tmp_path, monkeypatch, pages):
    session.gst.change_options({"page_documents": 3})
    for number in range(3 * pages):
        hold(session, "b2b", f"C{number}", "R")
    honest = Tasks.page
    monkeypatch.setattr(Tasks, "page", lambda self, task, number: honest(self, task, {"1": "0"}.get(number, number)))
    summary = download(session, tmp_path, sections=["b2b"]).attempt()
    assert (summary["documents"], summary["repeated"]) == (3 * (pages - 1), 3)


@pytest.mark.parametrize("empty", ["pages", "error"])
def test_no_documents_at_all_is_a_snapshot_with_no_rows(session, tmp_path, empty):
    session.gst.change_options({"empty_download": empty})
    summary = download(session, tmp_path).attempt()
    assert (summary["documents"], summary["complete"]) == (0, True)
    assert documents(tmp_path) == {}


def test_some_sections_or_one_action_make_an_incomplete_snapshot(session, tmp_path):
    hold(session, "b2b", "1", "R")
    hold(session, "b2b", "2", "A")
    hold(session, "b2bcn", "3", "R")
    summary = download(session, tmp_path, sections=["b2b"]).attempt()
    assert (summary["documents"], summary["complete"], summary["sections"]) == (2, False, ["b2b"])
    summary = download(session, tmp_path, status="R").attempt()
    assert (summary["documents"], summary["complete"], summary["status"]) == (2, False, "R")


def test_it_can_wait_on_the_worker(session, tmp_path, monkeypatch):
    hold(session, "b2b", "1")
    monkeypatch.setattr("airflow_provider_ims.waits.on_worker.time.sleep", lambda _: session.gst.advance(60))
    task = download(session, tmp_path, deferrable=False)
    assert task.attempt()["documents"] == 1
    assert task.deferrals == []


def test_flags_and_amounts_in_every_form(session, tmp_path):
    hold(session, "b2b", "1", srcfilstatus="F", ispendactblocked=True, val="118.10", txval=100)
    hold(session, "b2b", "2", srcfilstatus="Not Filed", ispendactblocked="N")
    hold(session, "b2b", "3", srcfilstatus="who knows", ispendactblocked=None, iamt="no number")
    summary = download(session, tmp_path).attempt()
    found = documents(tmp_path)
    assert [found[number]["filed"] for number in "123"] == [True, False, None]
    assert [found[number]["pending_blocked"] for number in "123"] == [True, False, None]
    assert str(found["1"]["val"]) == "118.10"
    assert found["3"]["iamt"] is None
    assert len(summary["warnings"]) == 1


def test_a_section_that_fails_makes_no_snapshot_and_a_retry_asks_again(session, tmp_path):
    hold(session, "b2b", "1")
    session.next_task(kind="download", final_status="failed")
    task = download(session, tmp_path)
    task.trigger_says = {"status": "error", "error": "GstnTaskFailed", "message": "it failed"}
    with pytest.raises(GstnTransientError, match="A retry asks for it again"):
        task.attempt()
    assert nothing_is_written(tmp_path)
    task.trigger_says = {"status": "completed"}
    assert task.attempt()["documents"] == 1
    assert session["downloads"] == 16


def test_what_a_download_is_refused_with_at_its_end_is_asked_for_again(session, tmp_path):
    busy = {"code": "err-gstn-returned", "args": {"gstn-err": {"code": "AUTH4033", "message": "Invalid Session"}}}
    session.next_task(kind="download", error=busy)
    task = download(session, tmp_path)
    with pytest.raises(GstnSessionExpired):
        task.attempt()
    assert nothing_is_written(tmp_path)
    assert task.attempt_after_a_clear()["documents"] == 0


def test_a_retry_goes_on_with_the_downloads_that_were_asked_for(session, tmp_path, no_jitter):
    for number in range(5):
        hold(session, "b2b", str(number))
    session.gst.change_options({"page_documents": 2})
    session.fault("page", "http", status=503, times=20)
    task = download(session, tmp_path)
    with pytest.raises(GstnTransientError):
        task.attempt()
    assert nothing_is_written(tmp_path)
    session.gst.clear_faults()
    assert task.attempt()["documents"] == 5
    assert session["downloads"] == 8


def test_a_worker_that_dies_between_two_requests_asks_for_the_rest_only(session, tmp_path, monkeypatch):
    task = download(session, tmp_path)
    keep, calls = ImsDownloadOperator._keep, []

    def die(self: Any, context: Any, begun: Any) -> None:
        keep(self, context, begun)
        calls.append(1)
        if len(calls) == 3:
            raise Killed

    monkeypatch.setattr(ImsDownloadOperator, "_keep", die)
    with pytest.raises(Killed):
        task.attempt()
    assert session["downloads"] == 3
    assert task.attempt()["complete"]
    assert session["downloads"] == 8


def test_a_person_who_clears_the_task_gets_a_new_snapshot(session, tmp_path):
    hold(session, "b2b", "1")
    task = download(session, tmp_path)
    first = task.attempt()
    hold(session, "b2b", "2")
    second = task.attempt_after_a_clear()
    assert (first["documents"], second["documents"]) == (1, 2)
    assert first["snapshot"] != second["snapshot"]
    assert {row["snapshot"] for row in documents(tmp_path).values()} == {second["snapshot"]}


@pytest.mark.parametrize("dies_at", ["remove", "copy_whole", "write_whole"])
def test_a_death_while_it_is_written_leaves_no_half_snapshot(session, tmp_path, monkeypatch, dies_at):
    hold(session, "b2b", "1")
    task = download(session, tmp_path)
    first = task.attempt()

    def die(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(f"airflow_provider_ims.operators.download.{dies_at}", die)
        with pytest.raises(Killed):
            task.attempt_after_a_clear()
    there = (tmp_path / RTIN / "snapshot.json").exists()
    assert there == (dies_at == "remove")  # the old one is whole, or there is none
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]
    again = task.attempt()
    assert again["documents"] == 1
    assert again["snapshot"] != first["snapshot"]
    assert session["downloads"] == 16  # of two snapshots, not of three


@pytest.mark.parametrize(
    "page",
    [
        {"b2bcn": [{"inum": "1"}]},
        {"b2b": [{"inum": "1"}], "B2B": [{"inum": "2"}]},
        {"b2b": ["no record"]},
        {"b2b": {"inum": "1"}},
        {"invoices": [{"inum": "1"}]},
    ],
)
def test_a_page_that_may_lose_documents_makes_no_snapshot(session, tmp_path, page, monkeypatch):
    hold(session, "b2b", "1")
    monkeypatch.setattr("airflow_provider_ims.simulator.downloads._page", lambda key, seen: page)
    with pytest.raises(GstnUnreadableReply, match="no snapshot"):
        download(session, tmp_path, sections=["b2b"]).attempt()
    assert nothing_is_written(tmp_path)


def test_pages_that_overlap_repeat_no_document(session, tmp_path, monkeypatch):
    session.gst.change_options({"page_documents": 3})
    for number in range(8):
        hold(session, "b2b", f"N{number}")
    honest, last = downloads._page, []

    def overlapping(key: str, seen: Any) -> dict[str, Any]:
        page = honest(key, [*last, *seen])
        last[:] = seen[-1:]
        return page

    monkeypatch.setattr(downloads, "_page", overlapping)
    summary = download(session, tmp_path, sections=["b2b"]).attempt()
    assert (summary["documents"], summary["repeated"], summary["counts"]["b2b"]) == (8, 2, {"R": 8})
    assert len(documents(tmp_path)) == 8


def test_a_retry_after_pages_that_cannot_be_read_asks_for_new_downloads(session, tmp_path, monkeypatch):
    hold(session, "b2b", "1")
    task = download(session, tmp_path, sections=["b2b"])
    with monkeypatch.context() as patched:
        patched.setattr(downloads, "_page", lambda key, seen: {"b2b": ["no record"]})
        with pytest.raises(GstnUnreadableReply, match="A retry asks for new downloads"):
            task.attempt()
    assert task.attempt()["documents"] == 1
    assert session["downloads"] == 2


@pytest.mark.parametrize("page", [{}, {"b2b": []}, {"b2b": None}, {"gstin": RTIN}])
def test_a_page_without_documents_is_none(session, tmp_path, page, monkeypatch):
    hold(session, "b2b", "1")
    monkeypatch.setattr("airflow_provider_ims.simulator.downloads._page", lambda key, seen: page)
    assert download(session, tmp_path, sections=["b2b"]).attempt()["documents"] == 0


def test_odd_text_of_the_service_does_no_harm(session, tmp_path):
    hold(session, "b2b", "1", tradenm='a\x00b\x1b\n"\\')
    session.fault("page", "odd_text", times=2)
    download(session, tmp_path).attempt()
    [row] = documents(tmp_path).values()
    assert "\x00" not in row["trade_name"] + row["number"] + row["raw"]


def test_no_session_asks_for_nothing(simulator, tmp_path):
    with pytest.raises(GstnSessionExpired):
        download(simulator, tmp_path).attempt()
    assert simulator["downloads"] == 0


@pytest.mark.parametrize(
    "wrong", [{"gstin": "../etc"}, {"sections": ["b2x"]}, {"status": "X"}, {"output_path": ""}, {"memory_limit": "1"}]
)
def test_wrong_arguments_are_named(session, tmp_path, wrong):
    with pytest.raises(GstnInvalidRequest, match=next(iter(wrong))):
        download(session, tmp_path, **wrong).attempt()
