"""The page GST in a real browser, on a real Airflow below a path."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.browser import find_browser
from local_airflow.stack import AirflowStack
from tests.browser.airflow import PATIENCE_MS, browser, log_in, running_airflow
from tests.browser.company import events, gstins

REFUSED = "20MAYAS0100J1ZX"  # of the sample request
CLOSED = "27AAPFU0939F1ZV"
NUMBER = "dn2"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    find_browser()
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def airflow(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """An Airflow on which a reset was refused in part, a snapshot was taken and a session is needed."""
    with SimulatorServer() as simulator:
        simulator.gst.change_options({"task_seconds": 1})
        simulator.gst.open_session(REFUSED)
        held = {"rtin": REFUSED, "stin": "24MAYAS0100J1JD", "number": NUMBER, "rtnprd": "012023", "status": "R"}
        simulator.gst.add_documents([{**held, "section": "b2bcn"}])
        with running_airflow(tmp_path_factory.mktemp("page"), simulator) as stack:
            runs = [
                ("ims_reset", stack.trigger_dag("ims_reset", {"payload": "ims_reset_sample.json"})),
                ("gst_page", stack.trigger_dag("gst_page", {"open": REFUSED, "closed": CLOSED})),
            ]
            ended = {dag_id: stack.wait_for_run(dag_id, run_id) for dag_id, run_id in runs}
            assert ended == {"ims_reset": "failed", "gst_page": "failed"}
            yield stack


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page of a new visitor; what the browser complains about fails the test."""
    context = chromium.new_context(viewport={"width": 1400, "height": 800}, locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    try:
        opened = context.new_page()
        opened.complaints = []
        opened.on("console", lambda message: message.type == "error" and opened.complaints.append(message.text))
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        yield opened
    finally:
        context.close()


def gst(page: Any, airflow: AirflowStack, user: str) -> Any:
    """Log in and go to GST by Airflow's navigation; return the frame."""
    log_in(page, airflow, user)
    page.goto(f"{airflow.url}/")
    page.get_by_role("link", name="GST", exact=True).click()
    frame = page.frame_locator("iframe[title=GST]")
    frame.locator("body[data-loaded]").wait_for()
    return frame


def test_a_person_gets_from_the_navigation_to_a_refused_documents_remedy_and_to_its_task(page, airflow):
    frame = gst(page, airflow, "admin")
    row = frame.get_by_role("row").filter(has_text=REFUSED)
    assert "1 refused" in row.inner_text()
    assert re.search(r"\d+ documents", row.inner_text())
    row.get_by_role("button", name=REFUSED).click()
    detail = frame.get_by_role("dialog")
    refused = detail.get_by_role("listitem").filter(has_text=NUMBER)
    assert "IMSSAV0010" in refused.inner_text()
    assert "Download the document" in refused.inner_text()
    detail.get_by_text("Snapshot taken").first.wait_for()
    detail.get_by_role("link", name="Open the task").click()
    page.wait_for_url(re.compile(rf"{re.escape(airflow.url)}/dags/ims_reset/runs/[^/]+/tasks/result"))
    page.get_by_text("result").first.wait_for()
    assert [text for text in page.complaints if "Content Security Policy" in text or "gst/" in text] == []


def test_who_needs_a_one_time_password_is_shown_the_way_to_the_dag_that_asks(page, airflow):
    frame = gst(page, airflow, "viewer")
    row = frame.get_by_role("row").filter(has_text=CLOSED)
    assert "needs a one-time password" in row.inner_text()
    frame.get_by_role("button", name=re.compile("Need a one-time password")).click()
    assert frame.get_by_role("row").filter(has_text=REFUSED).count() == 0
    row.get_by_role("link", name="Open a session").click()
    page.wait_for_url(f"{airflow.url}/dags/gstn_session**")


def test_who_has_no_rights_sees_none_of_it(page, airflow):
    log_in(page, airflow, "nobody")
    with page.expect_response(re.compile("/api/v2/assets")) as answered:
        page.goto(f"{airflow.url}/gst/")
        page.locator("body[data-loaded]").wait_for()
    assert answered.value.status == 403
    assert "You may not see this" in page.inner_text("body")
    assert REFUSED not in page.content()
    assert NUMBER not in page.content()


def test_who_is_not_logged_in_sees_none_of_it(page, airflow):
    page.goto(f"{airflow.url}/gst/")
    page.locator("body[data-loaded]").wait_for()
    assert "You are not logged in" in page.inner_text("body")
    assert REFUSED not in page.content()


def test_a_phone_shows_it_without_scrolling_sideways_and_the_frame_follows_airflows_theme(page, airflow):
    frame = gst(page, airflow, "viewer")
    for theme in ("dark", "light"):
        page.evaluate("theme => { document.documentElement.className = theme }", theme)
        frame.locator(f"html[data-theme={theme}]").wait_for()
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{airflow.url}/gst/")
    page.locator("body[data-loaded]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name=REFUSED).click()
    assert page.get_by_role("dialog").bounding_box()["width"] <= 390


def test_text_of_others_is_text_and_a_dag_that_the_assets_start_reads_it(page, airflow, tmp_path):
    hostile, gstin = "<img src=x onerror=alert(1)>", "29AAGCB7383J1Z4"
    told = {
        "event": "reset",
        "gstin": gstin,
        "outcome": hostile,
        "reason": hostile,
        "counts": {"refused": 3, hostile: 1},
    }
    file = tmp_path / "events.json"
    file.write_text(json.dumps([told]))
    airflow.wait_for_dag("gst_tell_refused")
    airflow.patch("dags/gst_tell_refused", {"is_paused": False})
    run_id = airflow.trigger_dag("gst_many", {"file": str(file)})
    assert airflow.wait_for_run("gst_many", run_id) == "success"
    frame = gst(page, airflow, "viewer")
    frame.get_by_role("button", name=gstin).click()
    frame.get_by_role("dialog").get_by_text(hostile).first.wait_for()
    assert frame.locator("img").count() == 0
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not (runs := airflow.get("dags/gst_tell_refused/dagRuns")["dag_runs"]) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert airflow.wait_for_run("gst_tell_refused", runs[0]["dag_run_id"]) == "success"
    assert airflow.xcom("gst_tell_refused", runs[0]["dag_run_id"], "tell") == 3


def test_three_hundred_gstins_stand_there_at_once(page, airflow, tmp_path):
    file = tmp_path / "events.json"
    file.write_text(json.dumps(list(events(gstins(300)))))
    run_id = airflow.trigger_dag("gst_many", {"file": str(file)})
    assert airflow.wait_for_run("gst_many", run_id) == "success"
    frame = gst(page, airflow, "viewer")
    wanted = gstins(300)[-1]
    assert frame.get_by_role("row").count() > 300
    frame.get_by_placeholder("GSTIN").fill(wanted[2:9].lower())
    assert frame.get_by_role("row").filter(has_text=wanted).count() == 1


def test_a_task_links_to_its_taxpayer_on_the_page(page, airflow):
    [run] = airflow.get("dags/ims_reset/dagRuns")["dag_runs"]
    path = f"dags/ims_reset/dagRuns/{run['dag_run_id']}/taskInstances/result/links"
    links = airflow.get(path)["extra_links"]
    assert links["GST page"] == f"{airflow.url}/plugin/gst#{REFUSED}"
    assert links["Result file"].startswith("file:///")
    log_in(page, airflow, "viewer")
    page.goto(links["GST page"])
    frame = page.frame_locator("iframe[title=GST]")
    frame.get_by_role("dialog").get_by_role("listitem").filter(has_text=NUMBER).wait_for()
