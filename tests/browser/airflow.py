"""An Airflow with three users, below a path as behind a proxy, and a browser to look at it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.browser import FLAGS, find_browser
from local_airflow.stack import TASK_MODULES, AirflowStack

ROOT = Path(__file__).parents[2]
USERS = {"admin": "admin", "viewer": "viewer", "nobody": ""}
"""User -> role; each one's password is the name once more. ``nobody`` has no right at all."""

PATIENCE_MS = 300_000
"""How long the browser may take for anything, on a machine that has other things to do."""


class StackWithUsers(AirflowStack):
    """An Airflow of which this process is the admin."""

    def wait_until_healthy(self, timeout: float = 600) -> None:
        super().wait_until_healthy(timeout)
        self.login("admin", "admin")


@contextmanager
def running_airflow(root: Path, simulator: SimulatorServer, *, base_path: str = "/tax") -> Iterator[AirflowStack]:
    """
    Run an Airflow with the examples and the DAGs beside this file.

    :param root: an empty directory
    """
    folder, dags = root / "ims", root / "dags"
    folder.mkdir(parents=True)
    dags.mkdir()
    for name, target in (("examples", ROOT / "example_dags"), ("tests", Path(__file__).parent / "dags")):
        (dags / name).symlink_to(target, target_is_directory=True)
    for sample in (ROOT / "example_dags").glob("*_sample.*"):
        shutil.copy(sample, folder)
    passwords = root / "passwords.json"
    passwords.write_text(json.dumps({name: name for name in USERS}))
    env = {
        "AIRFLOW_CONN_GSTN_DEFAULT": simulator.connection_json,
        "AIRFLOW_VAR_IMS_FOLDER": str(folder),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    with StackWithUsers(root / "home", dags, env, preload=TASK_MODULES, base_path=base_path) as stack:
        yield stack


@contextmanager
def browser() -> Iterator[Any]:
    """Run a browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS), timeout=PATIENCE_MS)


def log_in(page: Any, airflow: AirflowStack, user: str) -> None:
    """Log in as a person does."""
    page.goto(f"{airflow.url}/auth/login")
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(user)
    page.locator("button[type=submit]").click()
    page.wait_for_url(lambda url: "/auth/login" not in url)
