"""Each layer knows only those below it, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_provider_ims
from airflow_provider_ims.get_provider_info import get_provider_info
from airflow_provider_ims.protocol.settings import Settings
from docs import reference

PACKAGE = Path(airflow_provider_ims.__file__).parent
NAME = "airflow_provider_ims"
HEAVY = ("aiohttp", "duckdb", "fastapi", "uvicorn", "pandas", "pyarrow", "xlsxwriter")


def imported_by(*modules: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after importing these."""
    program = f"import sys, {', '.join(modules)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def imports_of(layer: str) -> Iterator[tuple[str, str]]:
    """Every import written in a layer, wherever it stands in the file: (file, module)."""
    for path in sorted((PACKAGE / layer).rglob("*.py")):
        yield from ((path.name, module) for module in imports_in(path))


def imports_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(PACKAGE.parent).with_suffix("").parts[: -node.level or None]
            above = ".".join(package) + "." if node.level else ""
            module = (above + (node.module or node.names[0].name)).rstrip(".")
            yield from (f"{NAME}.{alias.name}" for alias in node.names) if module == NAME else (module,)


def test_models_protocol_tables_planning_and_matching_pull_in_neither_airflow_nor_an_http_library():
    layers = ("models", "protocol", "planning", "tables", "matching", "snapshots")
    modules = [f"{NAME}.{path.parent.name}.{path.stem}" for layer in layers for path in files_of(layer)]
    assert len(modules) > 10
    loaded = imported_by(*modules)
    assert "pydantic" in loaded
    assert not loaded & {"airflow", "requests", "urllib3", "httpx", *HEAVY}


def files_of(layer: str) -> list[Path]:
    return [path for path in sorted((PACKAGE / layer).glob("*.py")) if path.stem != "__init__"]


@pytest.mark.parametrize(
    ("layer", "may_know"),
    [
        ("models", {"models"}),
        ("protocol", {"models", "protocol"}),
        ("planning", {"models", "planning", "progress", "spreadsheets", "storage", "tables", "workbooks", "owner"}),
        ("tables", {"tables", "storage"}),
        ("workbooks", {"workbooks"}),
        ("matching", {"models", "tables", "matching", "storage", "workbooks", "owner"}),
        ("snapshots", {"models", "tables", "snapshots", "storage", "spreadsheets"}),
        ("simulator", {"models", "simulator"}),
        ("sessions", {"sessions", "exceptions", "_compat", "_metadata"}),
        ("hooks", {"models", "backoff", "protocol", "sessions", "hooks", "exceptions", "_compat", "_metadata"}),
        ("waits", {"models", "hooks", "waits", "exceptions", "_compat"}),
        ("triggers", {"models", "hooks", "waits", "triggers", "exceptions", "_compat", "backoff"}),
    ],
)
def test_a_layer_knows_only_those_below_it(layer: str, may_know: set[str]):
    for file, module in imports_of(layer):
        if module.startswith(f"{NAME}."):
            assert module.split(".")[1] in may_know, f"{layer}/{file} imports {module}"


def rooms() -> dict[str, int]:
    """The floor of each room of the package, as docs/architecture.md draws them: each knows only lower ones."""
    drawn = (PACKAGE.parent / "docs/architecture.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\d+) \| `(\w+)` \| \S", drawn, re.MULTILINE)
    return {room: int(floor) for floor, room in found}


def test_every_room_has_its_floor_and_knows_only_those_below_it():
    known = rooms()
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        assert room in known, f"{room} has no floor: give it one in docs/architecture.md"
        for module in imports_in(path):
            if module.startswith(f"{NAME}."):
                other = module.split(".")[1]
                assert other == room or known[other] < known[room], f"{path.relative_to(PACKAGE)} imports {module}"


def test_the_map_in_the_documentation_draws_every_room_once_and_none_that_is_gone():
    drawn = (PACKAGE.parent / "docs/architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \d+ \| `(\w+)`", drawn, re.MULTILINE)
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(listed) == sorted(there - {"__init__"})


def listed_as_public() -> dict[str, set[str]]:
    """The list of the documentation: module -> names."""
    return {module: set(names) for module, names in reference.listed().items()}


def test_what_is_public_is_what_the_documentation_lists():
    listed = listed_as_public()
    assert "hooks.gstn" in listed
    for module, names in listed.items():
        assert not any(part.startswith("_") for part in module.split("."))
        found = importlib.import_module(f"{NAME}.{module}")
        assert set(found.__all__) == names, module
        assert all(hasattr(found, name) for name in names)
    named = {module.removeprefix(f"{NAME}.") for module in named_in_the_metadata()}
    assert named <= set(listed)


def test_a_module_that_says_what_is_public_in_it_is_in_that_list_wherever_it_is():
    declared = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            declared.add(".".join(parts))
    private = {module for module in declared if any(part.startswith("_") for part in module.split("."))}
    assert declared - private - CALLED_BY_OTHERS == set(listed_as_public())


def test_what_users_are_shown_to_import_is_public():
    root, shown = PACKAGE.parent, {}
    for path in (root / "README.md", *(root / "docs").glob("*.md"), *(root / "example_dags").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        for module, names in re.findall(rf"from {NAME}\.([\w.]+) import (\([^)]*\)|[^\n]+)", text):
            shown |= {(module, name): path.name for name in re.findall(r"(\w+)(?: as \w+)?", names)}
    assert {("hooks.gstn", "GstnHook"), ("operators.approval", "ImsApprovalOperator")} <= set(shown)
    public = {(module, name) for module, names in listed_as_public().items() for name in names}
    assert {each: file for each, file in shown.items() if each not in public} == {}


CALLED_BY_OTHERS = {"cli.main", "cli.airflow_commands", "plugins.gst_page"}
"""What the console script, Airflow's command line and its plugins call: no name in them is for people."""


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers", "notifications", "plugins"])
def test_what_stands_where_people_import_from_is_public_or_has_an_underscore(kind: str):
    offered = {f"{kind}.{path.stem}" for path in files_of(kind) if not path.stem.startswith("_")}
    assert offered - CALLED_BY_OTHERS <= set(listed_as_public())


def named_in_the_metadata() -> list[str]:
    info = get_provider_info()
    kinds = ("hooks", "operators", "sensors", "triggers")
    return [module for kind in kinds for part in info[kind] for module in part["python-modules"]]


@pytest.mark.parametrize("layer", ["operators", "sensors"])
def test_what_airflow_runs_knows_nothing_of_http(layer: str):
    for file, module in imports_of(layer):
        assert module.partition(".")[0] not in {"requests", "aiohttp", "httpx", "urllib"}, f"{layer}/{file}: {module}"
        assert not module.startswith(f"{NAME}.protocol"), f"{layer}/{file}: {module}"
        assert not module.startswith(f"{NAME}.simulator"), f"{layer}/{file}: {module}"


@pytest.mark.parametrize(
    ("layer", "libraries"), [("models", {"pydantic", "pydantic_core", "typing_extensions"}), ("protocol", set())]
)
def test_the_lower_layers_need_next_to_nothing(layer: str, libraries: set[str]):
    foreign = {module.partition(".")[0] for _, module in imports_of(layer)} - {NAME} - sys.stdlib_module_names
    assert foreign == libraries


def test_the_providers_metadata_is_read_without_importing_anything():
    loaded = imported_by(f"{NAME}.get_provider_info")
    assert not loaded & {"airflow", "pydantic", "requests", "json", *HEAVY}


def test_the_scheduler_imports_operators_and_sensors_without_the_heavy_libraries():
    operators = [f"operators.{name}" for name in ("bulk", "download", "ims", "plan", "reconcile", "session", "summary")]
    everything = [
        f"{NAME}.{part}" for part in (*operators, "retry_policy", "sensors.ims", "triggers.ims", "hooks.gstn")
    ]
    # Below Airflow 3.2 airflow.sdk itself imports fastapi.
    assert not (imported_by(*everything) - imported_by("airflow.sdk")) & set(HEAVY)


def schema(name: str) -> dict[str, Any]:
    return json.loads((Path(airflow.__file__).parent / name).read_text())


def test_the_metadata_is_what_airflow_reads_at_run_time():
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_the_metadata_is_what_airflow_publishes():
    built = {**get_provider_info(), "state": "ready", "source-date-epoch": 0, "versions": ["0.1.0"]}
    if airflow.__version__.startswith("3.1."):
        del built["cli"]  # it takes no commands of providers, and ignores the entry
    jsonschema.validate(built, schema("provider.yaml.schema.json"))


def test_the_provider_is_found_by_its_entry_point():
    [entry] = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.dist and entry.dist.name == "airflow-provider-ims"
    ]
    assert entry.name == "provider_info"
    assert entry.load()()["package-name"] == "airflow-provider-ims"


def test_every_module_and_class_that_the_metadata_names_is_there():
    info = get_provider_info()
    named = [
        module
        for kind in ("hooks", "operators", "sensors", "triggers")
        for part in info[kind]
        for module in part["python-modules"]
    ]
    assert named
    for module in named:
        importlib.import_module(module)
    [connection] = info["connection-types"]
    module, _, name = connection["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert hook.conn_type == connection["connection-type"] == "gstn"
    assert hook.hook_name == connection["hook-name"]


def test_the_form_offers_every_setting_and_nothing_else():
    [connection] = get_provider_info()["connection-types"]
    offered = dict.fromkeys(connection["conn-fields"])
    settings = Settings.from_connection(
        "c", host="https://live.enriched-api.vayana.com", login="a@b.test", password="x", extra=json.dumps(offered)
    )
    assert settings.unknown == ()
    documented = {"environment", "org_id", "auth_url", "gsp_code", "gstn_api_version", "gstin_header", "extra_headers"}
    assert documented | {"timeout", "verify_ssl"} <= set(offered)


def test_the_form_asks_for_no_secret_outside_the_password():
    [connection] = get_provider_info()["connection-types"]
    asked = [name for name in connection["conn-fields"] if "password" in name or "secret" in name or "key" in name]
    assert asked == []
