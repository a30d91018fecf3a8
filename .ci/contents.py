"""
Say whether sdist and wheel hold what they should, and nothing else.

usage: python .ci/contents.py SDIST WHEEL    (in any order)
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "airflow_provider_ims"
NEEDED = {f"{PACKAGE}/py.typed", f"{PACKAGE}/get_provider_info.py"}
IN_SDIST = {
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "constraints.txt",
    "requirements/dev.txt",
    "pyproject.toml",
}
STRAY = re.compile(r"__pycache__|\.pyc$|\.log$|\.db$|(^|/)\.(env|git|venv|nox|demo)(/|$)|^docs/reference/")


def main() -> None:
    """Check the files that are named; end with a text about the first that is wrong."""
    for path in map(Path, sys.argv[1:]):
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                names = set(wheel.namelist())
                [of_metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
                about = wheel.read(of_metadata).decode()
            _whole(path.name, names, NEEDED | tracked(PACKAGE))
            foreign = {name.split("/")[0] for name in names} - {PACKAGE, of_metadata.split("/")[0]}
            _hold(not foreign, f"the wheel holds what does not belong there: {foreign}")
            _hold(any(name.endswith("/LICENSE") for name in names), "the wheel has no licence")
        else:
            with tarfile.open(path) as sdist:
                names = {name.partition("/")[2] for name in sdist.getnames()} - {""}
                [root] = {name.partition("/")[0] for name in sdist.getnames()}
                about = sdist.extractfile(f"{root}/PKG-INFO").read().decode()  # type: ignore[union-attr]
            _whole(path.name, names, NEEDED | IN_SDIST | tracked(PACKAGE) | tracked("docs") | tracked("example_dags"))
        _hold(not any(map(STRAY.search, names)), f"{path.name} holds {sorted(filter(STRAY.search, names))}")
        _about(path, about)


def tracked(folder: str) -> set[str]:
    """Return the files of a folder that the repository has; none where this is no repository."""
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return set(listed.stdout.splitlines())


def _about(path: Path, text: str) -> None:
    about = Parser().parsestr(text)
    code = (ROOT / PACKAGE / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', code, re.MULTILINE)
    _hold(version is not None and about["Version"] == version[1], f"{path.name} is of version {about['Version']}")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    _hold(f"\n## {about['Version']}" in changes, f"CHANGELOG.md has no part on {about['Version']}")
    _hold(about["License-Expression"] == "Apache-2.0", f"{path.name} does not name its licence")
    _hold("# airflow-provider-ims" in str(about.get_payload()), f"{path.name} does not have the README")


def _whole(name: str, names: set[str], needed: set[str]) -> None:
    _hold(needed <= names, f"{name} lacks {sorted(needed - names)}")


def _hold(fact: bool, otherwise: str) -> None:
    if not fact:
        raise SystemExit(otherwise)


if __name__ == "__main__":
    main()
