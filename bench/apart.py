"""Runs one measurement in a process of its own, with an Airflow of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

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
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures
