"""
Take the picture of the page for the one-time password again: a real Airflow, a real browser.

    apt-get install chromium chromium-driver
    pip install selenium
    python -m docs.pictures.take

Run it from the checkout. It starts the simulator and an Airflow, runs the example DAG gstn_session, opens the page of
the task that waits, types the password as a person does, writes otp-page.png beside this file, presses OK in the
browser and fails unless the run then succeeds. It stops what it started.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.browser import FLAGS, find_browser
from local_airflow.stack import AirflowStack

DAGS = Path(__file__).parents[2] / "example_dags"
PICTURE = Path(__file__).with_name("otp-page.png")
SIZE = {"width": 1400, "height": 680}
DAG_ID, TASK_ID = "gstn_session", "session.verify_otp"
GSTIN = "20MAYAS0100J1ZX"
PAGE_SECONDS = 60


def main() -> None:
    """Take the picture, and answer the page in the browser."""
    with tempfile.TemporaryDirectory() as folder, SimulatorServer() as simulator:
        home = Path(folder) / "airflow"
        with AirflowStack(home, DAGS, {"AIRFLOW_CONN_GSTN_DEFAULT": simulator.connection_json}) as airflow:
            run_id = airflow.trigger_dag(DAG_ID, {"taxpayers": [{"gstin": GSTIN, "username": "portal.user"}]})
            airflow.wait_for_state(DAG_ID, run_id, TASK_ID, "awaiting_input", map_index=0)
            wait_until(lambda: has_parked(airflow))
            task = f"dags/{DAG_ID}/runs/{quote(run_id, safe='')}/tasks/{TASK_ID}/mapped/0"
            with browser(Path(folder) / "browser") as page:
                page.get(f"{airflow.url}/{task}/required_actions")
                answer(page, str(simulator.gst.last_otp(GSTIN)))
            state = airflow.wait_for_run(DAG_ID, run_id)
            if state != "success" or not simulator.gst.state()["sessions"][GSTIN]["live"]:
                sys.exit(f"The page was answered, but the run is {state}: {airflow.task_instances(DAG_ID, run_id)}")
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size // 1024} kB; the run succeeded and the session is open.\n")


def answer(page: webdriver.Chrome, otp: str) -> None:
    """Type the password, take the picture, press OK."""
    wait = WebDriverWait(page, PAGE_SECONDS)
    field = wait.until(lambda page: page.find_element(By.CSS_SELECTOR, "input[type=password]"))
    field.send_keys(otp)
    button = wait.until(lambda page: page.find_element(By.XPATH, "//button[normalize-space()='OK']"))
    wait.until(lambda _: button.is_enabled())
    time.sleep(2)  # what else is on the page comes by itself
    page.save_screenshot(str(PICTURE))
    button.click()


@contextmanager
def browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """Start Chromium with a new profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = find_browser()
    for flag in (*FLAGS, "--headless", "--hide-scrollbars", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver") or "chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**SIZE, "deviceScaleFactor": 1, "mobile": False})
        yield driver
    finally:
        driver.quit()


def has_parked(airflow: AirflowStack) -> bool:
    """Say whether the scheduler has heard of the end of the process that parked; Airflow fails an earlier answer."""
    return any(
        "Received executor event with state success" in line and f"task_id='{TASK_ID}'" in line
        for line in (airflow.logs / "scheduler.log").read_text().splitlines()
    )


def wait_until(done: Callable[[], bool]) -> None:
    """Wait for something that will happen soon."""
    deadline = time.monotonic() + PAGE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            sys.exit("The task waits for an answer, but Airflow's scheduler does not say so.")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
