"""An Airflow of its own for the tests: nothing of the machine's own Airflow is read or written."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_HOME = tempfile.TemporaryDirectory(prefix="ims-tests-")

# Before the first import of airflow, which reads its configuration at once.
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"

import pytest  # noqa: E402
from airflow import __version__  # noqa: E402

AIRFLOW = tuple(int(part) for part in __version__.split(".")[:2])
"""The version of Airflow that the tests run on: tests of what only a newer one has say so by it."""

# What a deadline reference is for is not in Airflow 3.1; test_deadlines_below_3_2.py is what the package does there.
collect_ignore = [] if AIRFLOW >= (3, 2) else ["unit/test_deadlines.py"]
if find_spec("moto") is None:  # they need it and a client of S3, which `make cluster` sets up
    collect_ignore.append("object_store")


def pytest_configure(config: pytest.Config) -> None:
    # Not in pyproject.toml: pytest would import airflow for it before the environment above is set.
    config.addinivalue_line("markers", "takes_long: a story of tests/e2e that is to begin first")
    config.addinivalue_line("filterwarnings", "error::airflow.exceptions.RemovedInAirflow4Warning")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a test after a text with half a character in it so that one process can tell another the name."""
    if isinstance(val, str) and val != val.encode("utf-8", "ignore").decode():
        return ascii(val)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[Any]:
    """Likewise what a test logged or was told."""
    return _utf8((yield))


def _utf8(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {_utf8(key): _utf8(value) for key, value in data.items()}
    return [_utf8(value) for value in data] if isinstance(data, list | tuple) else data


@pytest.fixture(autouse=True)
def _masks_of_one_test() -> Iterator[None]:
    """Airflow makes one pattern of all secrets that it has met, anew for each; a thousand tests take minutes so."""
    yield
    for name, module in list(sys.modules.items()):
        if name.endswith("secrets_masker") and (reset := getattr(module, "reset_secrets_masker", None)):
            reset()


SAMPLE_FILE = Path(__file__).parents[1] / "example_dags" / "ims_reset_sample.json"


@pytest.fixture
def sample() -> dict:
    """The sample request of Vayana's documentation, as a dict that the test may change."""
    return json.loads(SAMPLE_FILE.read_text())


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
