"""
Breaks the package on purpose, and sees whether the days notice.

    python -m tests.days.mutants [NAME ...]

``mutants.toml`` says what is broken: a file of the package, a text in it that occurs once, and what stands there
instead.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DAYS = 1000


def mutants() -> dict[str, list[dict[str, str]]]:
    """Return name -> edits."""
    whole: dict[str, Any] = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text())
    return {name: each["edits"] for name, each in whole.items()}


def broken(source: str, edit: dict[str, str]) -> str:
    """Return a source with an edit made."""
    if source.count(edit["old"]) != 1:
        raise ValueError(f"{edit['file']} holds this {source.count(edit['old'])} times, not once: {edit['old']!r}")
    return source.replace(edit["old"], edit["new"])


def live(name: str, edits: list[dict[str, str]]) -> str:
    """Live days with a broken package; return the first that noticed, or nothing."""
    with tempfile.TemporaryDirectory(prefix="days-mutant-") as folder:
        here = Path(folder)
        shutil.copytree(ROOT / "airflow_provider_ims", here / "airflow_provider_ims")
        shutil.copytree(ROOT / "tests", here / "tests")
        for edit in edits:
            path = here / edit["file"]
            path.write_text(broken(path.read_text(), edit))
        command = [sys.executable, "-m", "tests.days", f"0-{DAYS}", "--first"]
        result = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode not in {0, 1}:
        raise RuntimeError(f"{name}: {result.stderr[-2000:]}")
    found = [line for line in result.stdout.splitlines() if line.startswith("day ")]
    return found[0].strip() if found else ""


def main() -> int:
    wanted = sys.argv[1:]
    missed = 0
    for name, edits in mutants().items():
        if wanted and name not in wanted:
            continue
        noticed = live(name, edits)
        missed += not noticed
        print(f"{'noticed' if noticed else 'NOT NOTICED':12} {name}: {noticed}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
