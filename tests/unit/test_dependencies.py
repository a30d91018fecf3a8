"""What the package imports is declared, or comes with something that is."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

import airflow_provider_ims

PACKAGE = Path(airflow_provider_ims.__file__).parent

COMES_WITH = {
    "fastapi": "apache-airflow-core",
    "uvicorn": "apache-airflow-core",
    "starlette": "fastapi",
    "pydantic-core": "pydantic",
    "typing-extensions": "pydantic",
    "urllib3": "requests",
    "yarl": "aiohttp",
}
"""A distribution that is imported, and the one that requires it."""

MODULE_OF = {"upath": "universal-pathlib"}
"""Modules that are not called like their distribution."""


def distributions_of(module: str) -> str:
    if module == "airflow" or not module.startswith("airflow.providers."):
        top = module.partition(".")[0]
        return "apache-airflow" if top == "airflow" else MODULE_OF.get(top, top.replace("_", "-"))
    return f"apache-airflow-providers-{module.split('.')[2]}"


def imported() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield str(node.module)


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-") for line in requirements}


def test_what_is_imported_is_declared():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    declared = names(project["dependencies"])
    foreign = {
        distributions_of(module)
        for module in imported()
        if module.partition(".")[0] not in {*sys.stdlib_module_names, PACKAGE.name}
    }
    assert {"apache-airflow", "apache-airflow-providers-standard", "fsspec"} <= foreign
    assert foreign - declared - set(COMES_WITH) == set()


@pytest.mark.parametrize("group", ["dev", "cluster"])
def test_what_is_installed_here_and_by_ci_has_digests_and_is_what_the_constraints_say(group: str):
    root = PACKAGE.parent
    pinned = dict(re.findall(r"^([^=#\s]+)==(\S+)$", (root / "constraints.txt").read_text(), re.MULTILINE))
    pinned = {plain(name): version for name, version in pinned.items()}
    locked = {}
    for entry in re.split(r"\n(?=\S)", (root / "requirements" / f"{group}.txt").read_text().strip()):
        found = re.match(r"([\w.-]+)==(\S+)", entry)
        assert found, entry
        assert "--hash=sha256:" in entry, entry
        locked[plain(found[1])] = found[2]
    assert {name: version for name, version in locked.items() if version != pinned.get(name, version)} == {}
    about = tomllib.loads((root / "pyproject.toml").read_text())
    wanted, groups = names(about["project"]["dependencies"]), [group]
    for each in groups:
        for entry in about["dependency-groups"][each]:
            if isinstance(entry, str):
                wanted |= names([entry])
            else:
                groups.append(entry["include-group"])
    assert wanted - set(locked) == set(), "run: make locks"


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", COMES_WITH)
def test_what_is_not_declared_comes_with_what_is(name: str):
    assert name in names(requires(COMES_WITH[name]) or [])
