"""The loop on a real Airflow, cleared from its beginning when some of it is done."""

from __future__ import annotations

from contextlib import suppress

from demo.company import GSTINS, documents
from tests.e2e.conftest import wait_until
from tests.e2e.stories import Story
from tests.e2e.test_reconciliation import DAG, PER_GSTIN, company, rows
from tests.e2e.test_session import Page, errors


def test_a_run_that_is_cleared_from_its_download_on_verifies_what_it_plans_now(story: Story):
    airflow, conf = story.airflow, company(story)
    run_id = story.trigger(DAG, **conf)
    page = Page(airflow, DAG, run_id, "approve")
    page.choose("Approve")
    assert airflow.wait_for_run(DAG, run_id) == "success", errors(airflow, DAG, run_id)
    resets = airflow.xcom(DAG, run_id, "reconcile")["decisions"]["reset"]

    # Somebody rejects documents of the second GSTIN once more, and the run is cleared as a whole: there is one mapped
    # task now, and what the others returned before is still in Airflow.
    held = documents(GSTINS, PER_GSTIN)
    story.gst.add_documents([each for each in held if each["rtin"] == GSTINS[1] and each["status"] == "R"])
    order = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
    page.begin_anew()
    airflow.post(f"dags/{DAG}/clearTaskInstances", order)
    page.choose("Approve")
    assert airflow.wait_for_run(DAG, run_id) == "success", errors(airflow, DAG, run_id)
    left = airflow.xcom(DAG, run_id, "reconcile")["decisions"]["reset"]
    assert 0 < left < resets / 3
    assert airflow.xcom(DAG, run_id, "reset", map_index=1)["rtin"] == GSTINS[1]
    assert airflow.xcom(DAG, run_id, "reset", map_index=0)["rtin"] == GSTINS[1]
    verified = airflow.xcom(DAG, run_id, "verify")
    told = [(row["rtin"], row["section"], row["stin"], row["number"]) for row in rows(verified["path"])]
    assert len(told) == len(set(told))
    assert verified["not_reset"] == verified["differences"] == 0
    assert [rtin for rtin, *_ in told] == [GSTINS[1]] * left


def test_what_is_found_anew_while_a_person_reads_is_not_sent_until_a_person_has_read_it(story: Story):
    airflow, conf = story.airflow, company(story)
    run_id = story.trigger(DAG, **conf)
    page = Page(airflow, DAG, run_id, "approve")
    page.wait()
    # Somebody rejects one more document that is in the books, and clears the first tasks without what follows them.
    held = documents(GSTINS, PER_GSTIN)
    one = next(each for each in held if each["status"] == "N" and each["section"] == "b2b")
    story.gst.add_documents([{**one, "status": "R"}])
    shown = airflow.xcom(DAG, run_id, "reconcile")["resets_digest"]

    def found_anew() -> bool:
        with suppress(KeyError):
            return airflow.xcom(DAG, run_id, "reconcile")["resets_digest"] != shown
        return False

    order = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
    airflow.post(f"dags/{DAG}/clearTaskInstances", {**order, "task_ids": ["download", "reconcile"]})
    wait_until(found_anew)
    page.choose("Approve")
    assert airflow.wait_for_run(DAG, run_id) == "failed"
    assert "is not the one that was decided on" in str(errors(airflow, DAG, run_id))
    assert story.gst.counters()["resets"] == 0

    page.begin_anew()
    airflow.post(f"dags/{DAG}/clearTaskInstances", {**order, "task_ids": ["approve"], "include_downstream": True})
    page.choose("Approve")
    assert airflow.wait_for_run(DAG, run_id) == "success", errors(airflow, DAG, run_id)
    found = airflow.xcom(DAG, run_id, "reconcile")
    assert airflow.xcom(DAG, run_id, "verify")["verified"] == found["decisions"]["reset"]
