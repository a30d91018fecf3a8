"""The example DAGs as modules: they are files of a DAG folder, not of a package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[1] / "example_dags"


def example(name: str) -> ModuleType:
    """Run an example anew, as Airflow does when it parses the file."""
    found = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
