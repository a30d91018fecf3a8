"""The whole loop over HTTP: download, reconcile, plan, reset, download again, verify."""

from __future__ import annotations

import csv
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.exceptions import (
    GstnInvalidPayload,
    GstnInvalidRequest,
    GstnPermanentError,
    GstnTransientError,
)
from airflow_provider_ims.matching import output
from airflow_provider_ims.matching.pairing import Pairing
from airflow_provider_ims.operators import reconcile as reconcile_module
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.operators.reconcile import ImsReconcileOperator, ImsVerifyOperator
from airflow_provider_ims.owner import SUFFIX
from airflow_provider_ims.simulator import downloads
from airflow_provider_ims.storage import CannotRead, place, read_whole, write_whole
from demo.company import ERP_COLUMNS, GSTINS, documents, write_books
from tests.contract.task_instance import TaskInstance
from tests.unit.matching.builders import read

GSTIN = GSTINS[0]
PER_GSTIN = 40


class Company:
    """A company with one GSTIN, and the tasks of its loop."""

    def __init__(self, simulator: Any, folder: Path) -> None:
        self.simulator, self.folder = simulator, folder
        self.books = folder / "books.csv"
        simulator.gst.add_documents(documents((GSTIN,), PER_GSTIN))
        simulator.gst.open_session(GSTIN)
        write_books(self.books, (GSTIN,), PER_GSTIN)
        self.pushed: Any = None

    def download(self, name: str = "before", **arguments: Any) -> dict[str, Any]:
        named = {"gstin": GSTIN, "output_path": str(self.folder / name), "deferrable": True, **arguments}
        return TaskInstance(self.simulator, ImsDownloadOperator, task_id="download", **named).attempt()

    def reconcile(self, snapshot: Any, **arguments: Any) -> dict[str, Any]:
        named = {"books": str(self.books), "columns": ERP_COLUMNS, "on_window": "ignore", **arguments}
        if "sql" in named:
            del named["books"]
        task = ImsReconcileOperator(
            task_id="reconcile", snapshot=snapshot, output_path=str(self.folder / "reconciled"), **named
        )
        return task.execute({})

    def plan(self, reconciled: dict[str, Any]) -> list[dict[str, Any]]:
        return ImsPlanOperator(
            task_id="plan",
            source=reconciled["resets_path"],
            output_path=str(self.folder / "plan"),
            allow_empty=True,
            max_documents=5,
        ).execute({})

    def reset(self, plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            TaskInstance(
                self.simulator, ImsBulkResetOperator, task_id="reset", plan_entry=entry, on_partial="warn"
            ).attempt()
            for entry in plan
        ]

    def verify(self, outcomes: Any, snapshot: Any, **arguments: Any) -> dict[str, Any]:
        def push(key: str, value: Any) -> None:
            self.pushed = value

        task = ImsVerifyOperator(
            task_id="verify",
            outcomes=outcomes,
            snapshot=snapshot,
            output_path=str(self.folder / "verified"),
            **arguments,
        )
        return task.execute({"ti": SimpleNamespace(xcom_push=push)})

    @property
    def verified(self) -> dict[str, dict[str, str]]:
        with (self.folder / "verified" / "verified.csv").open(newline="") as file:
            return {row["number"]: row for row in csv.DictReader(file)}


@pytest.fixture
def company(simulator: Any, tmp_path: Path) -> Company:
    return Company(simulator, tmp_path)


def test_what_agrees_with_the_books_is_reset_and_verified_and_a_second_run_sends_nothing(company):
    first = company.reconcile(company.download())
    assert (first["documents"], first["rejected"]) == (PER_GSTIN, 0)
    assert set(first["matches"]) == {"matched", "within_tolerance", "mismatch", "only_in_ims"}
    resets = first["decisions"]["reset"]
    assert 10 < resets < 20
    assert len(first["largest"]) == 10
    rows = read(Path(first["path"]).parent / "reconciliation.parquet")
    assert len(rows) == PER_GSTIN
    assert {row["book_Cost Centre"] for row in rows} >= {"CC0", "CC1"}
    assert {row["action"] for row in rows if row["decision"] == "reset"} == {"R", "P"}
    plan = company.plan(first)
    assert [entry["documents"] for entry in plan] == [resets]
    outcomes = company.reset(plan)
    assert outcomes[0]["reset"] == resets
    verified = company.verify(outcomes, [company.download("after")])
    assert (verified["documents"], verified["verified"], verified["differences"]) == (resets, resets, 0)
    assert {row["action"] for row in company.verified.values()} == {"N"}

    sent = company.simulator["resets"]
    second = company.reconcile(company.download("again"))
    assert "reset" not in second["decisions"]
    assert company.plan(second) == []
    assert company.simulator["resets"] == sent
    with pytest.raises(AirflowSkipException):
        company.verify([], company.download("nothing"))


def instance(map_index: int, run_id: str = "run-1", task_id: str = "one") -> dict[str, Any]:
    """What Airflow says of a task instance, as far as files are concerned."""
    return {"ti": SimpleNamespace(dag_id="ims", run_id=run_id, task_id=task_id, map_index=map_index)}


def test_two_tasks_of_a_run_that_share_a_folder_are_told_and_a_retry_and_another_run_are_not(company, monkeypatch):
    snapshot = company.download()

    def reconcile(context: dict[str, Any]) -> dict[str, Any]:
        return ImsReconcileOperator(
            task_id="reconcile",
            snapshot=snapshot,
            books=str(company.books),
            columns=ERP_COLUMNS,
            output_path=str(company.folder / "reconciled"),
            on_window="ignore",
        ).execute(context)

    first = reconcile(instance(0))
    resets = Path(first["resets_path"]).read_bytes()
    with pytest.raises(GstnInvalidRequest, match="Another task of this run writes to the same output_path") as told:
        reconcile(instance(1))
    assert "task_id one, map_index 0.\nThis one is task_id one, map_index 1.\n" in str(told.value)
    assert Path(first["resets_path"]).read_bytes() == resets
    assert reconcile(instance(0)) == first
    assert reconcile(instance(1, "run-2"))["counts"] == first["counts"]
    # Another one begins while this one matches: it is told, and what is there is the other's or nothing.
    copied = output.copy_whole

    def meanwhile(source: Path, path: Any) -> None:
        copied(source, path)
        if source.name == "rejects.csv":
            Path(first["path"]).with_name(f"reconciliation{SUFFIX}").write_text(
                json.dumps(vars(instance(0, "run-3")["ti"]))
            )

    monkeypatch.setattr(output, "copy_whole", meanwhile)
    with pytest.raises(GstnInvalidRequest, match="Another task has begun to write to the same output_path") as told:
        reconcile(instance(1, "run-2"))
    assert "run_id run-3" in str(told.value)
    assert not Path(first["path"]).exists()


def test_plans_of_mapped_tasks_that_share_a_folder_are_told_and_the_first_stays(company):
    found = company.reconcile(company.download())

    def plan(context: dict[str, Any]) -> list[dict[str, Any]]:
        return ImsPlanOperator(task_id="plan", source=found, output_path=str(company.folder / "plan")).execute(context)

    first = plan(instance(0))
    with pytest.raises(GstnInvalidRequest, match="Another task of this run writes to the same output_path"):
        plan(instance(1))
    assert company.reset(first)[0]["reset"] == first[0]["documents"] > 0
    assert plan(instance(0)) == first
    assert plan(instance(1, "run-2")) == first


def test_verifications_that_share_a_folder_are_told_and_the_first_stays(company):
    outcomes = company.reset(company.plan(company.reconcile(company.download())))
    after, folder = company.download("after"), company.folder / "verified"

    def verify(context: dict[str, Any], outcome: Any) -> dict[str, Any]:
        return ImsVerifyOperator(task_id="verify", outcomes=outcome, snapshot=after, output_path=str(folder)).execute(
            context
        )

    first = verify(instance(0), outcomes)
    whole = (folder / "verified.csv").read_bytes()
    with pytest.raises(GstnInvalidRequest, match="Another task of this run writes to the same output_path"):
        verify(instance(1), outcomes)
    assert (folder / "verified.csv").read_bytes() == whole
    assert verify(instance(0), outcomes) == first
    # Another kind of result may stand beside it.
    folder = company.folder / "plan"
    (folder / f"plan{SUFFIX}").write_text(json.dumps(vars(instance(0, task_id="plan")["ti"])))
    assert verify(instance(0), outcomes)["documents"] == first["documents"]


def test_a_folder_that_cannot_be_cleared_is_told_as_such(company):
    (company.folder / "reconciled" / "resets.parquet").mkdir(parents=True)
    with pytest.raises(GstnInvalidRequest, match=r"resets\.parquet cannot be"):
        company.reconcile(company.download())


def test_a_workbook_in_place_of_books_is_told_with_what_to_do(company):
    company.books = company.books.rename(company.books.with_suffix(".xlsx"))
    with pytest.raises(GstnInvalidPayload, match="is a workbook, no format that is known here") as told:
        company.reconcile(company.download())
    assert "Save the sheet as CSV UTF-8, and name that file instead" in str(told.value)


def test_what_a_supplier_edits_or_withdraws_meanwhile_is_told(company):
    plan = company.plan(company.reconcile(company.download()))
    chosen = read(company.folder / "reconciled" / "resets.parquet")[:2]
    names = [(row["section"], row["stin"], row["inum"] or row["nt_num"]) for row in chosen]
    assert company.simulator.gst.edit_document(GSTIN, *names[0], {"txval": 1.5, "val": 1.77}) == 1
    assert company.simulator.gst.withdraw_document(GSTIN, *names[1]) == 1
    company.simulator.gst.change_options({"strict_documents": True})
    outcomes = company.reset(plan)
    assert outcomes[0]["refused"] == 2
    found = company.verify(outcomes, company.download("after"))
    assert (found["changed_by_supplier"], found["gone"], found["not_reset"], found["differences"]) == (1, 1, 0, 0)
    edited, withdrawn = (company.verified[name] for _, _, name in names)
    assert (edited["outcome"], edited["verification"], edited["txval_now"]) == (
        "refused",
        "changed_by_supplier",
        "1.50",
    )
    assert (withdrawn["outcome"], withdrawn["verification"]) == ("refused", "gone")


def test_a_document_that_was_said_to_be_reset_and_is_not_fails_the_task(company):
    plan = company.plan(company.reconcile(company.download()))
    outcomes = company.reset(plan)
    by_number = {document["number"]: document for document in documents((GSTIN,), PER_GSTIN)}
    name = read(company.folder / "reconciled" / "resets.parquet")[0]["inum"]
    company.simulator.gst.add_documents([by_number[name]])  # as it was before
    after = company.download("after")
    with pytest.raises(GstnPermanentError, match="1 documents were said to be reset and do not stand at no action"):
        company.verify(outcomes, after)
    assert company.pushed["differences"] == 1
    assert company.verified[name]["verification"] == "not_reset"
    assert company.verify(outcomes, after, on_difference="warn")["not_reset"] == 1


def test_a_document_that_is_shown_at_two_actions_is_not_verified(company, monkeypatch):
    outcomes = company.reset(company.plan(company.reconcile(company.download())))
    name = read(company.folder / "reconciled" / "resets.parquet")[0]["inum"]
    honest = downloads._page

    def at_two_actions(key: str, seen: Any) -> dict[str, Any]:
        page = honest(key, seen)
        [records] = [value for value in page.values() if isinstance(value, list)]
        records += [{**record, "action": "R"} for record in records if record.get("inum") == name]
        return page

    monkeypatch.setattr(downloads, "_page", at_two_actions)
    after = company.download("after")
    assert f"{name} of" in after["warnings"][0]
    with pytest.raises(GstnPermanentError, match="1 documents were said to be reset and do not stand at no action"):
        company.verify(outcomes, after)
    assert (company.verified[name]["verification"], company.verified[name]["action"]) == ("not_reset", "R")
    assert company.reconcile(after)["decisions"]["review"] >= 2


def test_a_hash_that_changed_shows_when_the_earlier_snapshot_is_given(company):
    before = company.download()
    plan = company.plan(company.reconcile(before))
    outcomes = company.reset(plan)
    row = read(company.folder / "reconciled" / "resets.parquet")[0]
    company.simulator.gst.edit_document(GSTIN, row["section"], row["stin"], row["inum"], {"tradenm": "Another name"})
    after = company.download("after")
    assert company.verify(outcomes, after)["changed_by_supplier"] == 0
    assert company.verify(outcomes, after, before=before)["changed_by_supplier"] == 1


def test_a_snapshot_that_cannot_tell_is_refused_for_verifying(company):
    outcomes = company.reset(company.plan(company.reconcile(company.download())))
    for arguments in ({"status": "N"}, {"sections": ["b2bcn"]}):
        with pytest.raises(GstnInvalidRequest, match="Take it with"):
            company.verify(outcomes, company.download("after", **arguments))
    with pytest.raises(GstnInvalidRequest, match="no snapshot of GSTIN"):
        company.verify([{**outcomes[0], "rtin": GSTINS[1]}], company.download("after"))


def test_a_gstin_that_cannot_be_compared_is_named_and_keeps_no_other_from_being_verified(company):
    other = GSTINS[1]
    company.simulator.gst.add_documents(documents((GSTIN, other), PER_GSTIN))
    company.simulator.gst.open_session(other)
    write_books(company.books, (GSTIN, other), PER_GSTIN)
    before = company.download(gstin=other)
    plan = company.plan(company.reconcile([company.download(), before]))
    outcomes = company.reset(plan)
    resets = {entry["rtin"]: entry["documents"] for entry in plan}
    after = company.download("after")
    later = datetime.fromisoformat(before["taken_at"]) + timedelta(seconds=1)
    late = [outcomes[0], {**outcomes[1], "last_sent_at": later.isoformat()}]
    partly = company.download("partly", gstin=other, status="N")
    whole = company.download("whole", gstin=other)
    broken = {**company.download("broken", gstin=other), "snapshot": "another"}
    table = Path(company.download("foreign", gstin=other)["path"]).with_name("documents.parquet")
    table.write_bytes(b"PAR1")
    for said, snapshots, why in (
        (outcomes, [after], f"There is no snapshot of GSTIN {other}, whose documents were reset."),
        (late, [before, after], "it cannot show what came of it."),
        (outcomes, [after, partly], "Take it without status."),
        (outcomes, [broken, after], "holds another snapshot by now"),
        (outcomes, [after, broken, partly], "holds another snapshot by now"),
        (outcomes, [str(table), after], "is not the one that snapshot.json describes"),
        ([{**outcomes[1], "csv_path": "/nowhere/result.csv"}, outcomes[0]], [after, whole], "/nowhere"),
    ):
        for on_difference in ("fail", "warn"):
            with pytest.raises(GstnInvalidRequest, match="^1 GSTIN was not compared") as told:
                company.verify(said, snapshots, on_difference=on_difference)
            assert why in " ".join(str(told.value).split())
            assert f"Of {resets[GSTIN]:,} documents {resets[GSTIN]:,} verified" in " ".join(str(told.value).split())
            assert company.pushed["not_compared"] == [other]
            assert company.pushed["verified"] == company.pushed["documents"] == resets[GSTIN]
            assert {row["rtin"] for row in company.verified.values()} == {GSTIN}
    # Once its snapshot is there, the same task compares all.
    found = company.verify(outcomes, [after, company.download("after", gstin=other)])
    assert (found["verified"], found["not_compared"]) == (sum(resets.values()), [])


def test_what_differs_and_what_was_not_compared_is_told_at_once(company):
    outcomes = company.reset(company.plan(company.reconcile(company.download())))
    name = read(company.folder / "reconciled" / "resets.parquet")[0]["inum"]
    company.simulator.gst.add_documents([each for each in documents((GSTIN,), PER_GSTIN) if each["number"] == name])
    missing = [
        {**outcomes[0], "rtin": rtin, "csv_path": outcomes[0]["csv_path"].replace(GSTIN, rtin)} for rtin in GSTINS[1:]
    ]
    with pytest.raises(GstnInvalidRequest, match="^2 GSTINs were not compared") as told:
        company.verify([*missing, *outcomes], company.download("after"))
    assert f"There is no snapshot of GSTIN {', '.join(GSTINS[1:])}, whose documents were reset." in str(told.value)
    assert "1 documents were said to be reset and do not stand at no action." in str(told.value)
    assert company.pushed["differences"] == 1


def test_a_file_that_cannot_be_read_now_is_left_to_a_retry_that_compares_all(company, monkeypatch):
    outcomes = company.reset(company.plan(company.reconcile(company.download())))
    after = company.download("after")
    names_in = reconcile_module.names_in

    def away(path: Any) -> list[str]:
        raise CannotRead(path, TimeoutError("away"))

    monkeypatch.setattr(reconcile_module, "names_in", away)
    with pytest.raises(GstnTransientError, match="Nothing was verified"):
        company.verify(outcomes, after)
    assert not (company.folder / "verified" / "verified.csv").exists()
    monkeypatch.setattr(reconcile_module, "names_in", names_in)
    assert company.verify(outcomes, after)["verified"] == outcomes[0]["documents"]


def test_a_snapshot_from_before_the_last_request_was_sent_is_refused_for_verifying(company):
    before = company.download()
    outcomes = company.reset(company.plan(company.reconcile(before)))
    assert datetime.fromisoformat(outcomes[0]["last_sent_at"]) <= datetime.now(UTC)
    later = datetime.fromisoformat(before["taken_at"]) + timedelta(seconds=1)
    with pytest.raises(GstnInvalidRequest, match="before the last request") as told:
        company.verify([{**outcomes[0], "last_sent_at": later.isoformat()}], before)
    assert "Clear the task that takes the snapshot, and then this one." in str(told.value)
    assert company.verify(outcomes, company.download("after"))["differences"] == 0


def test_what_airflow_keeps_of_a_plan_from_before_a_clear_is_left_out(company):
    plan = company.plan(company.reconcile(company.download()))
    former = company.reset(plan)
    resets = former[0]["documents"]
    stale = company.download("after")
    outcomes = company.reset(plan)
    company.simulator.gst.advance(5)
    fresh = company.download("after")
    assert fresh["snapshot"] != stale["snapshot"]
    # Of a mapped task, Airflow keeps what the second one returned also when there is one only by now.
    gone = {**former[0], "rtin": GSTINS[1], "csv_path": former[0]["csv_path"].replace(GSTIN, GSTINS[1])}
    old = {**stale, "gstin": GSTINS[1], "path": "nowhere"}
    for snapshots in ([fresh, stale, old], [old, stale, fresh]):
        found = company.verify([*outcomes, gone, *former], snapshots, plan=plan)
        assert (found["documents"], found["verified"]) == (resets, resets)
    assert company.verify([*outcomes, *former], [stale, fresh])["documents"] == resets


def test_the_documents_of_a_gstin_without_an_outcome_are_unknown_and_are_compared(company, caplog, monkeypatch):
    monkeypatch.setattr(ImsVerifyOperator, "log", logging.getLogger("task"))
    plan = company.plan(company.reconcile(company.download()))
    fresh = company.download("after")
    found = company.verify(None, fresh, plan=plan)
    assert (found["documents"], found["not_reset"]) == (plan[0]["documents"], plan[0]["documents"])
    assert f"GSTIN {GSTIN}: the task that sends its resets ended without an outcome." in caplog.text
    assert {row["outcome"] for row in company.verified.values()} == {"unknown"}
    assert "documents are not reset: refused, not sent, or unknown." in caplog.text
    company.reset(plan)
    assert company.verify([], company.download("after"), plan=plan)["verified"] == plan[0]["documents"]


def test_after_a_dry_run_there_is_nothing_to_verify(company):
    plan = company.plan(company.reconcile(company.download()))
    dry = {"rtin": GSTIN, "outcome": "dry_run", "documents": plan[0]["documents"]}
    with pytest.raises(AirflowSkipException, match="This was a dry run, so there is nothing to verify"):
        company.verify([dry], company.download("after"), plan=plan)


def test_a_table_that_is_not_the_snapshots_verifies_nothing(company):
    before = company.download()
    outcomes = company.reset(company.plan(company.reconcile(before)))
    after = company.download("after")
    table = Path(after["path"]).with_name("documents.parquet")
    for content in (Path(before["path"]).with_name("documents.parquet").read_bytes(), b"PAR1"):
        table.write_bytes(content)
        with pytest.raises(GstnInvalidRequest, match=f"is not the one that snapshot.json describes.\n.*{GSTIN}"):
            company.verify(outcomes, after)


@pytest.mark.parametrize("change", [{"idt": "2026-10-04"}, {"rtnprd": "112026"}, {"inum": None}])
@pytest.mark.parametrize("action", ["R", "N"])
def test_a_document_that_is_there_in_another_form_is_not_gone(company, monkeypatch, change, action):
    outcomes = company.reset(company.plan(company.reconcile(company.download())))
    name = read(company.folder / "reconciled" / "resets.parquet")[0]["inum"]
    honest = downloads._page

    def otherwise(key: str, seen: Any) -> dict[str, Any]:
        page = honest(key, seen)
        for record in page[key]:
            if record.get("inum") == name:
                record |= {**change, "action": action}
        return page

    monkeypatch.setattr(downloads, "_page", otherwise)
    after = company.download("after")
    found = company.verify(outcomes, after, on_difference="warn")
    assert found["gone"] == 0
    row = company.verified[name]
    assert (row["verification"], row["action"]) == ("not_reset" if action == "R" else "changed_by_supplier", action)
    assert found["differences"] == (action == "R")


def test_incomplete_old_doubled_and_missing_snapshots_are_refused_all_at_once(company, tmp_path):
    whole, partly = company.download(), company.download("partly", status="R")
    with pytest.raises(GstnInvalidRequest) as told:
        company.reconcile([whole, partly, str(tmp_path / "nowhere")])
    assert "is incomplete: it does not hold documents whose action is not R" in str(told.value)
    assert "There are 2 snapshots of GSTIN" in str(told.value)
    assert "nowhere is no whole snapshot" in " ".join(str(told.value).split())  # folded if the path is long
    assert not (tmp_path / "reconciled").exists()
    head = Path(whole["path"])
    head.write_text(head.read_text().replace(whole["taken_at"][:10], "2026-01-01"))
    with pytest.raises(GstnInvalidRequest, match=r"days old,\s+and at most 24\.0 hours is allowed"):
        company.reconcile(str(head.parent))
    assert company.reconcile(str(head.parent), max_age=None)["documents"] == PER_GSTIN
    assert company.reconcile(partly, allow_incomplete=True)["documents"] < PER_GSTIN


def test_documents_that_are_not_those_of_the_snapshot_are_refused(company):
    first = company.download()
    [one] = documents((GSTIN,), 1)
    company.simulator.gst.withdraw_document(GSTIN, one["section"], one["stin"], one["number"])
    other = company.download("other")
    Path(other["path"]).with_name("documents.parquet").replace(Path(first["path"]).with_name("documents.parquet"))
    with pytest.raises(GstnInvalidPayload, match="is not the one that snapshot.json describes"):
        company.reconcile(first)


def test_a_snapshot_that_is_taken_anew_while_it_is_matched_is_refused(company, monkeypatch):
    first = company.download()
    company.simulator.gst.advance(5)
    other = company.download("other")
    assert other["documents"] == first["documents"]
    whole, paired = Path(other["path"]).with_name("documents.parquet"), Pairing.run

    def meanwhile(pairing: Pairing) -> None:
        paired(pairing)
        whole.replace(Path(first["path"]).with_name("documents.parquet"))

    monkeypatch.setattr(Pairing, "run", meanwhile)
    with pytest.raises(GstnInvalidPayload, match="is not the one that snapshot.json describes"):
        company.reconcile(first)
    assert not (company.folder / "reconciled" / "resets.parquet").exists()


def test_books_that_cannot_be_read_are_rejected_with_their_reason_and_told(company, caplog, monkeypatch):
    monkeypatch.setattr(ImsReconcileOperator, "log", logging.getLogger("task"))
    with company.books.open("a", newline="") as file:
        file.write(f"{GSTIN},24AABCK1000D1Z5,RE,1E+05,04/10/2026,100,18,0,0,0,V9,CC1\r\n")
        file.write("27ZZZZZ9999Z1Z5,24AABCK1000D1Z5,RE,7,04/10/2026,100,18,0,0,0,V10,CC1\r\n")
    snapshot = company.download()
    with pytest.raises(GstnInvalidPayload, match="2 of 40 rows"):
        company.reconcile(snapshot)
    assert not (company.folder / "reconciled" / "reconciliation.json").exists()
    found = company.reconcile(snapshot, on_invalid="skip")
    assert found["rejected"] == 2
    rejects = company.folder / "reconciled" / "rejects.csv"
    assert f"2 rows of the books cannot be read and were skipped: {rejects}" in caplog.text
    with (company.folder / "reconciled" / "rejects.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2


def test_the_loop_with_all_its_files_in_an_object_store(company):
    # No provider of Airflow's brings this store: fsspec alone knows it.
    company.folder = ObjectStoragePath(f"memory://loop-{uuid4().hex}")
    books = str(company.folder / "books.csv")
    write_whole(place(books), company.books.read_bytes())
    found = company.reconcile(company.download(), books=books)
    verified = company.verify(company.reset(company.plan(found)), [company.download("after")])
    assert (verified["documents"], verified["differences"]) == (found["decisions"]["reset"], 0)
    assert verified["path"].startswith("memory://")
    rows = csv.DictReader(read_whole(verified["path"]).decode().splitlines())
    assert {row["action"] for row in rows} == {"N"}


def test_an_empty_snapshot_makes_only_rows_of_the_books(company):
    company.simulator.gst.reset()
    company.simulator.gst.change_options({"otp": "424242", "task_seconds": 30})
    company.simulator.gst.open_session(GSTIN)
    found = company.reconcile(company.download())
    assert found["matches"] == {"only_in_books": found["book_rows"]}
    assert company.plan(found) == []


def test_a_table_of_decisions_as_csv_and_a_teams_own_function(company, tmp_path):
    from airflow_provider_ims.matching import Decisions

    snapshot = company.download()
    table = tmp_path / "decisions.csv"
    table.write_text("match,action,decision\nmatched,*,keep\nwithin_tolerance,*,keep\n")
    assert "reset" not in company.reconcile(snapshot, decisions=str(table))["decisions"]
    assert (
        "reset"
        not in company.reconcile(snapshot, decisions={"matched": "review", "within_tolerance": "keep"})["decisions"]
    )
    only = company.reconcile(
        snapshot, decisions=Decisions(function=lambda row: "reset" if row["number"] == "INV/26-27/0001" else "keep")
    )
    assert only["decisions"]["reset"] == 1


def test_the_window_is_told_or_fails(company, monkeypatch):
    from datetime import UTC, datetime

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 11, 19, 12, tzinfo=UTC)

    monkeypatch.setattr("airflow_provider_ims.operators._window.datetime", Clock)
    snapshot = company.download()
    notes = company.reconcile(snapshot, on_window="warn", max_age=None)["notes"]
    assert "GSTR-3B of October 2026 is due tomorrow, on 20 November 2026" in notes[0]
    assert "GSTR-2B of October 2026 was drawn on 14 November 2026" in notes[1]
    with pytest.raises(GstnInvalidRequest, match="due tomorrow"):
        company.reconcile(snapshot, on_window="fail", max_age=None)
    extended = {"overrides": {"102026": {"due_3b": "2026-11-30", "draft_2b": "2026-11-25"}}}
    assert company.reconcile(snapshot, on_window="fail", max_age=None, calendar=extended)["notes"] == []
