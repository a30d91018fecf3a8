"""Runs measurements in processes of their own, with an Airflow of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.service import CHECKOUT, Address


def measured_apart(module: str, *arguments: object, service: Address) -> dict[str, float]:
    """
    Run a module of this package in a fresh Python and return what it measured.

    :param module: prints its figures as one JSON object in its last line
    :param arguments: its arguments
    :param service: the service, which its Airflow knows as the connections ``gstn_default`` and ``http_default``
    :raises CalledProcessError: when it fails
    """
    with tempfile.TemporaryDirectory(prefix="ims-bench-") as home:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW"))}
        environment = inherited | {
            "AIRFLOW_HOME": home,
            "AIRFLOW_CONN_GSTN_DEFAULT": service.connection,
            "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps({"conn_type": "http", "host": service.url}),
            "NO_PROXY": "*",
            "no_proxy": "*",
        }
        if service.ca:
            environment["SSL_CERT_FILE"] = service.ca
        figures: dict[str, float] = _figures(["-m", module, *map(str, arguments)], environment)
    return figures


def program_apart(program: str, home: Path, *arguments: Path) -> dict[str, Any]:
    """
    Run a program in a fresh Python and return what it measured.

    :param program: prints its figures as one JSON object in its last line
    :param home: a directory for its Airflow
    :param arguments: its arguments
    :raises CalledProcessError: when it fails
    """
    environment = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    environment |= {"AIRFLOW_HOME": str(home / "airflow"), "PYTHONHASHSEED": "0"}
    return _figures(["-c", program, *map(str, arguments)], environment)


def _figures(arguments: list[str], environment: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, *arguments], cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
