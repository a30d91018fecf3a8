"""
Take the pictures of the page GST again: a real Airflow, a real browser, a company with 300 GSTINs.

    apt-get install chromium
    python -m docs.pictures.take_gst

Run it from the checkout. It starts the simulator and an Airflow, has one task tell what happened to 300 invented
GSTINs, and writes gst-page*.png beside this file. It stops what it started.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.stack import AirflowStack
from tests.browser.airflow import browser, log_in, running_airflow
from tests.browser.company import events, gstins

PICTURES = Path(__file__).parent
GSTINS = 300
REFUSED = 4  # place of a GSTIN that has refused documents, see tests/browser/company.py


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as folder, SimulatorServer() as simulator:
        file = Path(folder) / "events.json"
        file.write_text(json.dumps(list(events(gstins(GSTINS)))))
        with running_airflow(Path(folder) / "run", simulator, base_path="") as airflow, browser() as chromium:
            run_id = airflow.trigger_dag("gst_many", {"file": str(file)})
            if airflow.wait_for_run("gst_many", run_id) != "success":
                raise SystemExit(airflow.task_log("gst_many", run_id, "tell"))
            take(chromium, airflow)


def take(chromium: Any, airflow: AirflowStack) -> None:
    """Take all pictures in one browser."""
    wide = chromium.new_context(viewport={"width": 1400, "height": 820}, locale="en-GB")
    page = wide.new_page()
    log_in(page, airflow, "admin")
    page.goto(f"{airflow.url}/plugin/gst")
    frame = page.frame_locator("iframe[title=GST]")
    frame.locator("body[data-loaded]").wait_for()
    page.screenshot(path=PICTURES / "gst-page.png")
    frame.get_by_role("button", name=gstins(GSTINS)[REFUSED]).click()
    frame.get_by_role("dialog").get_by_text("success").first.wait_for()
    page.screenshot(path=PICTURES / "gst-page-gstin.png")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    frame.locator("body[data-loaded]").wait_for()
    frame.locator("html[data-theme=dark]").wait_for()
    page.screenshot(path=PICTURES / "gst-page-dark.png")
    narrow = chromium.new_context(viewport={"width": 390, "height": 820}, locale="en-GB").new_page()
    log_in(narrow, airflow, "admin")
    narrow.goto(f"{airflow.url}/gst/")
    narrow.locator("body[data-loaded]").wait_for()
    narrow.screenshot(path=PICTURES / "gst-page-narrow.png")


if __name__ == "__main__":
    main()
