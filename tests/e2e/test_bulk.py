"""From rows to resets on a real Airflow: plan, one mapped task for each GSTIN, sum."""

from __future__ import annotations

import csv
import json
from operator import contains, itemgetter
from pathlib import Path

import pytest

from airflow_provider_ims.simulator.options import InjectedFault
from local_airflow.stack import AirflowStack
from tests.e2e.conftest import forget_sessions
from tests.e2e.stories import Story, wait_until

RTINS = ["20MAYAS0100J1ZX", "27MAYAS0100J1ZX", "29MAYAS0100J1ZX", "33MAYAS0100J1ZX"]
FIRST = "10MAYAS0100J1ZX"
DOCUMENTS = 5
STIN = "24MAYAS0100J1JD"


@pytest.fixture
def gst(airflow, simulator):
    forget_sessions(airflow)
    simulator.gst.change_options({"task_seconds": 6})
    return simulator.gst


def documents_below(folder: Path) -> Path:
    """Five invoices for each GSTIN, as a spreadsheet exports them."""
    sample = json.loads((Path(__file__).parents[2] / "example_dags" / "ims_reset_sample.json").read_text())
    invoice = sample["invdata"]["b2b"][0]
    file = folder / "documents.csv"
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, ["rtin", "section", *invoice])
        writer.writeheader()
        for rtin in RTINS:
            for number in range(DOCUMENTS):
                writer.writerow({**invoice, "rtin": rtin, "section": "b2b", "inum": f"INV-{number}"})
    return file


def shown_on_pages(airflow: AirflowStack, run_id: str) -> list[str]:
    """What the page of each mapped task says that it came to."""
    tasks = [task for task in airflow.task_instances("bulk", run_id) if task["task_id"] == "reset"]
    return [task["rendered_fields"]["summary_md"] or "" for task in sorted(tasks, key=itemgetter("map_index"))]


def taken_for_ended(airflow: AirflowStack, run_id: str, map_index: int) -> int:
    """How often a busy Airflow heard of a deferral when the task had resumed, took it for ended, and tried it again."""
    lines = airflow.component_log_lines(f"reported that the task instance <TaskInstance: bulk.reset {run_id} ")
    return sum(f" map_index={map_index} " in line for line in lines)


def test_many_requests_of_many_gstins_survive_dead_workers_and_one_gstin_without_a_session(story: Story):
    airflow, gst = story.airflow, story.gst
    gst.change_options({"task_seconds": 6})
    for rtin in (RTINS[0], RTINS[1], RTINS[3]):
        gst.open_session(rtin)
    # The second request's reply of one GSTIN is lost; the worker of the other dies when it has sent its second one.
    # Airflow's task state takes none of the first GSTIN's reference ids. The last GSTIN has no task state, as below
    # Airflow 3.3, and its first result cannot be read for a while.
    source = documents_below(story.folder)
    gst.add_fault(InjectedFault(call="reset", gstin=RTINS[0], kind="drop_after"))
    gst.add_fault(InjectedFault(call="result", gstin=RTINS[3], kind="http", times=6))
    conf = {"dies": RTINS[1], "store_away": RTINS[0], "forgets": RTINS[3]}
    run_id = story.trigger("bulk", source=str(source), output_path=str(story.folder), **conf)
    assert airflow.wait_for_run("bulk", run_id) == "failed"

    tasks = [task for task in airflow.task_instances("bulk", run_id) if task["task_id"] == "reset"]
    assert {task["map_index"]: task["state"] for task in tasks} == {
        0: "success",
        1: "success",
        2: "failed",
        3: "success",
    }
    tries = {task["map_index"]: task["try_number"] for task in tasks}
    assert tries.pop(1) > 1  # its worker died
    assert tries == {index: 1 + taken_for_ended(airflow, run_id, index) for index in tries}
    for index, rtin in ((0, RTINS[0]), (1, RTINS[1]), (3, RTINS[3])):
        summary = airflow.xcom("bulk", run_id, "reset", map_index=index)
        assert (summary["outcome"], summary["reset"], summary["requests"]) == ("processed", DOCUMENTS, 3)
        with Path(summary["csv_path"]).open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert {(row["number"], row["outcome"]) for row in rows} == {(f"INV-{n}", "reset") for n in range(DOCUMENTS)}
        assert gst.counters(rtin)["resets"] == 3
    # Airflow keeps what a page shows a moment after the task has ended, however it ends.
    pages = [f"| {name} | {DOCUMENTS} |" for name in ("reset", "reset", "not sent", "reset")]
    wait_until(lambda: all(map(contains, shown_on_pages(airflow, run_id), pages)), 60)
    left = airflow.xcom("bulk", run_id, "reset", map_index=2)
    assert (left["outcome"], left["not_sent"]) == ("incomplete", DOCUMENTS)
    assert RTINS[2] in str(airflow.task_error("bulk", run_id, "reset", map_index=2))

    # A person opens the session and clears what failed; nothing of the others is sent again.
    gst.open_session(RTINS[2])
    order = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, "reset_dag_runs": True}
    airflow.post("dags/bulk/clearTaskInstances", order)
    assert airflow.wait_for_run("bulk", run_id) == "success"
    assert airflow.xcom("bulk", run_id, "reset", map_index=2)["reset"] == DOCUMENTS
    assert [gst.counters(rtin)["resets"] for rtin in RTINS] == [3, 3, 3, 3]

    # The plan is cleared with all that follows, and another GSTIN comes first now: each mapped task has another one.
    with source.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    with source.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows([{**rows[0], "rtin": FIRST}, *rows])
    gst.open_session(FIRST)
    airflow.post("dags/bulk/clearTaskInstances", {**order, "only_failed": False})
    assert airflow.wait_for_run("bulk", run_id) == "success"
    outcomes = [airflow.xcom("bulk", run_id, "reset", map_index=index) for index in range(5)]
    assert sorted(each["rtin"] for each in outcomes) == sorted([FIRST, *RTINS])
    assert {each["outcome"] for each in outcomes} == {"processed"}
    assert gst.counters(FIRST)["resets"] == 1
    assert [gst.counters(rtin)["resets"] for rtin in RTINS] == [3, 3, 3, 3]


def test_the_example_runs_as_it_is(airflow, gst):
    for rtin in RTINS[:2]:
        gst.open_session(rtin)
    run_id = airflow.trigger_dag("ims_bulk_reset", {"source": "ims_bulk_sample.csv"})
    assert airflow.wait_for_run("ims_bulk_reset", run_id) == "success"
    assert airflow.xcom("ims_bulk_reset", run_id, "add_up")["reset"] == 16
    planned = airflow.xcom("ims_bulk_reset", run_id, "plan")
    assert [entry["rtin"] for entry in planned] == RTINS[:2]
    assert gst.counters()["resets"] == 2
