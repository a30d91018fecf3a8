"""
Every test: ``make test``.

The end-to-end tests wait for their Airflow most of the time, but what they wait for has to come soon. So all others run
beside them, on all cores, behind everything else: they get what is left.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local_airflow.processes import ProcessSet

ROOT = Path(__file__).parents[1]
E2E = ("tests/e2e",)
OTHERS = ("--ignore", "tests/browser", "--ignore", "tests/e2e", "--numprocesses", "auto", "--dist", "worksteal")
BEHIND_ALL = str(Path(__file__).with_name("behind-all"))


def main() -> int:
    """Run all, print what the others said after the end-to-end tests, and return the first exit code that is not 0."""
    # Without compiled files each process would rewrite the tests' assertions anew.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder, ProcessSet() as processes:
        log = Path(folder) / "others"
        command = [BEHIND_ALL, *pytest(*OTHERS)]
        processes.spawn("others", command, env=environment, cwd=ROOT, log=log)
        e2e = subprocess.call(pytest(*E2E), cwd=ROOT, env=environment)  # noqa: S603 - our own command
        with log.open("rb") as said:
            while (others := processes.wait("others", 0.5)) is None:
                show(said.read())
            show(said.read())
    return e2e or others


def pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


def show(output: bytes) -> None:
    sys.stdout.buffer.write(output)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
