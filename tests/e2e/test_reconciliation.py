"""The loop on a real Airflow: snapshot, books, a person's approval, reset, verification."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from demo.company import GSTINS, documents, write_books
from tests.e2e.conftest import folder_of
from tests.e2e.stories import Story
from tests.e2e.test_session import Page, errors, states

DAG = "reconciliation"
PER_GSTIN = 40


def company(story: Story) -> dict[str, Any]:
    """Three GSTINs with their documents at GSTN, their sessions and their books; return what a run takes."""
    story.gst.change_options({"task_seconds": 2, "strict_documents": True})
    story.gst.add_documents(documents(GSTINS, PER_GSTIN))
    for gstin in GSTINS:
        story.gst.open_session(gstin)
    books = folder_of(story.airflow) / story.conn_id / "books.csv"
    books.parent.mkdir(exist_ok=True)
    write_books(books, GSTINS, PER_GSTIN)
    return {"gstins": list(GSTINS), "books": f"{story.conn_id}/{books.name}"}


def close_session(story: Story, gstin: str) -> None:
    """End a taxpayer's session at GSTN, as if its time were over."""
    del story.gst._sessions._sessions[story.gst.options.org_id, gstin]


def answer(story: Story, run_id: str, choice: str) -> dict[str, Any]:
    """Answer Airflow's page as a person does; return what it showed."""
    page = Page(story.airflow, DAG, run_id, "approve")
    page.choose(choice)
    return story.airflow.get(page.path)


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_a_person_approves_is_reset_and_verified_and_a_second_run_sends_nothing(story: Story):
    airflow, conf = story.airflow, company(story)
    run_id = story.trigger(DAG, **conf)
    shown = answer(story, run_id, "Approve")
    assert airflow.wait_for_run(DAG, run_id) == "success", errors(airflow, DAG, run_id)
    found = airflow.xcom(DAG, run_id, "reconcile")
    resets = found["decisions"]["reset"]
    assert resets > 3 * 10
    assert f"{resets} documents" in shown["subject"]
    assert "deemed **accepted**" in shown["body"]
    verified = airflow.xcom(DAG, run_id, "verify")
    assert (verified["verified"], verified["documents"], verified["differences"]) == (resets, resets, 0)
    assert {row["action"] for row in rows(verified["path"])} == {"N"}
    assert {row["rtin"] for row in rows(verified["path"])} == set(GSTINS)

    sent = story.gst.counters()["resets"]
    second = story.trigger(DAG, **conf)
    assert airflow.wait_for_run(DAG, second) == "success", errors(airflow, DAG, second)
    ended = states(airflow, DAG, second)
    assert (ended["approve"], ended["reset"], ended["verify"]) == ("skipped", "skipped", "skipped")
    total = airflow.xcom(DAG, second, "summary")
    assert (total["verified"], total["left_out"]) == (0, 0)
    assert story.gst.counters()["resets"] == sent


def test_a_suppliers_edit_before_the_reset_is_refused_and_told_as_changed(story: Story):
    airflow, conf = story.airflow, company(story)
    run_id = story.trigger(DAG, **conf)
    page = Page(airflow, DAG, run_id, "approve")
    page.wait()
    # The supplier edits while the person reads.
    one = next(each for each in documents(GSTINS, PER_GSTIN) if each["status"] == "R" and each["section"] == "b2b")
    name = (one["rtin"], one["section"], one["stin"], one["number"])
    assert story.gst.edit_document(*name, {"txval": 1.5}) == 1
    page.choose("Approve")
    assert airflow.wait_for_run(DAG, run_id) == "success", errors(airflow, DAG, run_id)
    verified = airflow.xcom(DAG, run_id, "verify")
    assert (verified["changed_by_supplier"], verified["differences"]) == (1, 0)
    [changed] = [row for row in rows(verified["path"]) if row["verification"] == "changed_by_supplier"]
    assert (changed["rtin"], changed["number"], changed["outcome"]) == (one["rtin"], one["number"], "refused")


def test_what_a_person_rejects_is_not_sent(story: Story):
    airflow, conf = story.airflow, company(story)
    run_id = story.trigger(DAG, **conf)
    answer(story, run_id, "Reject")
    assert airflow.wait_for_run(DAG, run_id) == "success", errors(airflow, DAG, run_id)
    assert story.gst.counters()["resets"] == 0
    assert states(airflow, DAG, run_id)["plan"] == "skipped"
    # Nor when somebody clears all but the question.
    order = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
    airflow.post(f"dags/{DAG}/clearTaskInstances", {**order, "task_ids": ["plan"], "include_downstream": True})
    assert airflow.wait_for_run(DAG, run_id) == "success", errors(airflow, DAG, run_id)
    assert story.gst.counters()["resets"] == 0
    assert states(airflow, DAG, run_id)["plan"] == "skipped"


def test_a_gstin_without_a_session_is_named_and_stops_no_other(story: Story):
    airflow, gst, conf = story.airflow, story.gst, company(story)
    whole, without, lost = GSTINS
    close_session(story, without)
    run_id = story.trigger(DAG, **conf)
    page = Page(airflow, DAG, run_id, "approve")
    page.wait()
    close_session(story, lost)  # while the person reads
    page.choose("Approve")
    assert airflow.wait_for_run(DAG, run_id) == "failed"
    found = airflow.xcom(DAG, run_id, "reconcile")
    assert found["rtins"] == [whole, lost]
    assert found["left_out"] == found["book_rows"] / 2
    verified = airflow.xcom(DAG, run_id, "verify")
    assert verified["not_compared"] == [lost]
    assert verified["verified"] == verified["documents"] > 10
    assert {row["rtin"] for row in rows(verified["path"])} == {whole}
    said = errors(airflow, DAG, run_id)
    assert set(said) == {"download[1]", "reset[1]", "download_again[1]", "verify", "summary"}
    for name, gstin in (("download[1]", without), ("reset[1]", lost), ("download_again[1]", lost)):
        assert str(said[name]).startswith("GstnSessionExpired")
        assert gstin in str(said[name])
    assert f"There is no snapshot of GSTIN {lost}" in str(said["verify"])
    assert f"No snapshot was taken of {without}: nothing of it was reset." in str(said["summary"])
    assert f"download_1 ({without}), download_again_1 ({lost}), reset_1 ({lost}), verify." in str(said["summary"])
    assert gst.counters(lost)["resets"] == gst.counters(without)["resets"] == 0

    # A person opens the sessions and triggers the DAG again.
    sent = gst.counters(whole)["resets"]
    for gstin in (without, lost):
        gst.open_session(gstin)
    second = story.trigger(DAG, **conf)
    answer(story, second, "Approve")
    assert airflow.wait_for_run(DAG, second) == "success", errors(airflow, DAG, second)
    verified = airflow.xcom(DAG, second, "verify")
    assert verified["verified"] == verified["documents"] == airflow.xcom(DAG, second, "reconcile")["decisions"]["reset"]
    assert {row["rtin"] for row in rows(verified["path"])} == {without, lost}
    assert gst.counters(whole)["resets"] == sent
