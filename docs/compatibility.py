"""
Write docs/compatibility.md from the table that ``make matrix`` leaves.

    python -m docs.compatibility
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("compatibility.md")
TABLE = Path(__file__).with_name("compatibility.json")

HEAD = """\
# Compatibility

<!-- This page is written by `python -m docs.compatibility` from docs/compatibility.json. Do not edit it. -->

Airflow 3.1.3 and newer, Python 3.11 to 3.13; 3.14, which Airflow 3.3 takes, was not tried. `make matrix` installs each
combination into an environment of its own, asks Airflow for the provider, has it parse the example DAGs, and runs the
unit and contract tests; this is what it found last.

| dependencies | what is installed |
|---|---|
| lowest | what the package needs directly at the lower bounds of `pyproject.toml`, the rest as new as it goes |
| of its time | all as it was two weeks after that Airflow; newer are duckdb and, for 3.1, the standard provider |
| newest | everything as new as it is to be had |

"""

NOTES = """\

What has no row was not run, and an empty field neither.

## What is different below Airflow 3.3
- Nothing that a task has sent is kept by Airflow itself: see [reliability.md](reliability.md). Set `audit_path`
  of `ImsResetOperator`, which keeps it in a file, or `retries=0`; bulk resets have their records beside the plan.
- `retry_policy` has no effect ([reset.md](reset.md)).
- `ImsTaskSensor(start_from_trigger=True)` is refused; it needs 3.3.1.
- The trigger's log shows a one-time password that was typed ([secrets.md](secrets.md)).

On Airflow 3.1 `airflow ims` is not among Airflow's commands (`airflow-ims` is there), `ReturnPeriodDeadline` cannot be
used for a `DeadlineAlert`, and the form of the connection does not show the fields of type *GSTN*: write them into
*Extra* as JSON ([connection.md](connection.md)).

Airflow 3.1.0 to 3.1.2 are not supported: their form for a one-time password does not work with this package.
Airflow 3.1.3 that is installed without its constraints gets a PyJWT with which nobody can log in ("Issuer (iss) must be
a string"): set `[api_auth] jwt_issuer`, or install it with its constraints.
"""

WORDS = {"of-its-time": "of its time"}


def page(table: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return the page as it must be."""
    table = json.loads(TABLE.read_text(encoding="utf-8")) if table is None else table
    rows = [
        ("Airflow", "Python", "dependencies", "metadata", "example DAGs", "unit and contract tests", "e2e", "run on"),
        ("---",) * 8,
    ]
    rows += [
        (
            cell["airflow"],
            cell["python"],
            WORDS.get(cell["dependencies"], cell["dependencies"]),
            *(_said(cell.get(step)) for step in ("metadata", "dags", "tests", "e2e")),
            cell["day"],
        )
        for _, cell in sorted(table.items())
    ]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + NOTES


def _said(found: Any) -> str:
    if isinstance(found, Mapping):
        return ", ".join(f"{count:,} {word}" for word, count in found.items() if count or word == "passed")
    return str(found) if found else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
