"""
The package on every Airflow and Python that it says it runs on, each in an environment of its own: ``make matrix``.

A session is a cell of the table in docs/compatibility.md, such as ``3.1-py311-lowest``. What it finds is written to
docs/compatibility.json, and the page is written from that. Dependencies are ``lowest`` (what the package needs itself
is at the lower bounds of pyproject.toml), ``of-its-time`` (all as it was when that Airflow was new) or ``newest``.
The environment's ``ONLY`` is the beginning of the names of the cells to run; the argument ``e2e`` adds tests on a
running Airflow, ``without-tests`` leaves the long ones out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False
nox.options.stop_on_first_error = False

ROOT = Path(__file__).parent
TABLE = ROOT / "docs/compatibility.json"
SAMPLE = ROOT / "example_dags/ims_reset_sample.json"


class Airflow(NamedTuple):
    """
    A minor version of Airflow.

    :param oldest: its first release that the package runs on, installed with the lowest dependencies
    :param newest: its last release
    :param until: a day some weeks after that; what was released later is not of its time
    """

    oldest: str
    newest: str
    until: str | None = None


AIRFLOWS = {
    "3.1": Airflow("3.1.3", "3.1.8", "2026-03-25"),
    "3.2": Airflow("3.2.0", "3.2.2", "2026-06-12"),
    "3.3": Airflow("3.3.2", "3.3.2"),
}
PYTHONS = ("3.11", "3.12", "3.13")
NEWER_THAN_ITS_TIME = {
    "duckdb": "2026-11-27",
    "apache-airflow-providers-standard": "2026-07-01",
    "apache-airflow-providers-common-compat": "2026-07-01",
}
"""What the package needs in a version that older Airflows are older than, with a day on which there was one."""

END_TO_END = (
    "tests/e2e/test_reset.py",
    "tests/e2e/test_reconciliation.py",
    "tests/e2e/test_reconciliation_cleared.py",
)
ON_ALL_CORES = ("--numprocesses", "auto", "--dist", "loadfile")
NEITHER_HERE = "not imports_operators and not pull_in_neither"
"""Two tests of what an import costs, which ask for a machine that does nothing else."""


def _interpreter(version: str) -> str:
    """Return a Python that can be started: one of the PATH, or pyenv's, whose shims start only the chosen one."""
    name = f"python{version}"
    found = shutil.which(name)
    if found and ".pyenv/shims" not in found:
        return found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return str(next(pyenv.glob(f"{version}.*/bin/{name}"), name))


def _cell(minor: str, python: str, dependencies: str) -> Callable[[nox.Session], None]:
    def run(session: nox.Session) -> None:
        airflow = AIRFLOWS[minor]
        release = airflow.oldest if dependencies == "lowest" else airflow.newest
        found: dict[str, object] = {
            "airflow": release,
            "python": python,
            "dependencies": dependencies,
            "day": datetime.now(UTC).strftime("%Y-%m-%d"),
        }
        steps = {
            "install": lambda: _install(session, release, dependencies, airflow.until),
            "metadata": lambda: _metadata(session, commands=minor != "3.1"),
            "dags": lambda: _parse_dags(session),
        }
        if "without-tests" not in session.posargs:
            steps["tests"] = lambda: _test(session, "tests/unit", "tests/contract", *ON_ALL_CORES)
        if "e2e" in session.posargs:
            steps["e2e"] = lambda: _test(session, *END_TO_END)
        failed = []
        for name, step in steps.items():
            try:
                found[name] = step()
            except (nox.command.CommandFailed, ValueError) as error:
                found[name] = "failed"
                failed.append(f"{name}: {error}")
                if name == "install":
                    break
            else:
                counts = found[name]
                if isinstance(counts, dict) and counts.get("failed"):
                    failed.append(f"{name}: {counts['failed']} failed")
        _keep(session.name, found)
        session.run("python", "-m", "docs.compatibility")
        if failed:
            session.error("\n".join(failed))

    return run


for _minor, _airflow in AIRFLOWS.items():
    for _python in PYTHONS:
        for _dependencies in ("lowest", "of-its-time", "newest") if _airflow.until else ("lowest", "newest"):
            _name = f"{_minor}-py{_python.replace('.', '')}-{_dependencies}"
            if not _name.startswith(os.environ.get("ONLY", "")):
                continue
            nox.session(name=_name, python=_interpreter(_python))(_cell(_minor, _python, _dependencies))


def _install(session: nox.Session, release: str, dependencies: str, until: str | None) -> object:
    """Resolve first, so that what the tests need changes nothing of what the package is tested with."""
    folder = Path(session.create_tmp()).resolve()
    (folder / "airflow.txt").write_text(f"apache-airflow=={release}\n")
    lock = folder / "lock.txt"
    dates = []
    if dependencies == "of-its-time" and until:
        dates = ["--exclude-newer", until]
        for name, day in NEWER_THAN_ITS_TIME.items():
            dates += ["--exclude-newer-package", f"{name}={max(day, until)}"]
    resolution = "lowest-direct" if dependencies == "lowest" else "highest"
    python = str(Path(session.bin) / "python")
    compiled = ["--quiet", "--no-header", "--no-annotate", "--python", python, "--resolution", resolution, *dates]
    session.run("uv", "pip", "compile", *compiled, "-c", str(folder / "airflow.txt"), "pyproject.toml", "-o", str(lock))
    session.install(*dates, "-r", str(lock), "--editable", ".")
    session.install(*dates, "-c", str(lock), "--group", "tests")
    if "e2e" in session.posargs:
        session.install("-c", str(lock), "--group", "e2e")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = {_plain(re.split(r"[<>=!~;\[ ]", wanted, maxsplit=1)[0]) for wanted in project["dependencies"]}
    pins = dict(line.split("==") for line in lock.read_text().splitlines() if "==" in line)
    return {name: version.partition(" ")[0] for name, version in pins.items() if _plain(name) in direct}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _environment(session: nox.Session) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(Path(session.create_tmp()).resolve() / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }


def _metadata(session: nox.Session, commands: bool) -> str:
    """
    Ask Airflow which provider, connection type and triggers it sees.

    :param commands: the Airflow takes commands of providers; one of them is run
    """
    for words, expected in (
        (("providers", "get", "airflow-provider-ims"), "airflow-provider-ims"),
        (("providers", "hooks"), "GstnHook"),
        (("providers", "triggers"), "airflow_provider_ims.triggers"),
    ):
        said = session.run("airflow", *words, "--output", "plain", env=_environment(session), silent=True)
        if expected not in str(said):
            raise ValueError(f"airflow {' '.join(words)} does not show {expected}")
    if commands:
        session.run("airflow", "ims", "check", str(SAMPLE), env=_environment(session), silent=True)
    return "passed"


def _parse_dags(session: nox.Session) -> str:
    """Have Airflow parse the example DAGs, and count them."""
    environment = _environment(session)
    session.run("airflow", "db", "migrate", env=environment, silent=True)
    errors = session.run(
        "airflow", "dags", "list-import-errors", "--local", "--output", "json", env=environment, silent=True
    )
    if "filepath" in str(errors) or "Traceback" in str(errors):
        raise ValueError(f"DAGs that cannot be imported: {errors}")
    listed = session.run("airflow", "dags", "list", "--local", "--output", "json", env=environment, silent=True)
    count = len(re.findall(r'"dag_id":', str(listed)))
    expected = sum("DAG(" in path.read_text() or "@dag" in path.read_text() for path in ROOT.glob("example_dags/*.py"))
    if count < expected:
        raise ValueError(f"{count} DAGs of {expected} files")
    return f"{count} parsed"


def _test(session: nox.Session, *arguments: str) -> dict[str, int]:
    """Run tests at the lowest priority, so that the machine stays usable; return the counts."""
    report = Path(session.create_tmp()).resolve() / "report.xml"
    command = ["nice", "-n", "15", "python", "-m", "pytest", "--quiet", "-p", "no:cacheprovider"]
    command += [f"--junitxml={report}", *arguments, "-k", NEITHER_HERE]
    # nox's own is long: a socket's path has room for 107 characters, and messages fold where paths are long.
    with tempfile.TemporaryDirectory(prefix="ims-") as short:
        session.run(*command, env={"TMPDIR": short}, external=True, success_codes=[0, 1])
    found = re.search(r'errors="(\d+)" failures="(\d+)" skipped="(\d+)" tests="(\d+)"', report.read_text())
    if found is None:
        raise ValueError("pytest wrote no report")
    errors, failures, skipped, tests = map(int, found.groups())
    return {"passed": tests - errors - failures - skipped, "failed": errors + failures, "skipped": skipped}


def _keep(name: str, found: dict[str, object]) -> None:
    """Write what was found into the table; what was left out this time stays as the same packages had it before."""
    table = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    before = table.get(name, {})
    table[name] = {**before, **found} if before.get("install") == found["install"] else found
    TABLE.write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n", encoding="utf-8")
