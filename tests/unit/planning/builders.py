"""Rows, and plans of them, in a few words."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.planning.output import Output
from airflow_provider_ims.planning.planner import Plan, Rules, make_plan
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.files import file_source
from tests.unit.builders import NUMBER_FIELD, RTIN, document

OTHER_RTIN = "29AAPFU0939F1ZR"


def row(section: str = "b2b", rtin: str = RTIN, **changes: Any) -> dict[str, Any]:
    """A valid row, with some fields changed or added."""
    return {"rtin": rtin, "section": section, **document(section, **changes)}


def rows(count: int, section: str = "b2b", rtin: str = RTIN, **changes: Any) -> list[dict[str, Any]]:
    """Valid rows that differ in their number."""
    return [row(section, rtin, **{NUMBER_FIELD[section]: f"{section}-{index}"}, **changes) for index in range(count)]


def json_lines(path: Path, lines: Iterable[Mapping[str, Any] | str]) -> Path:
    """Write rows, or lines as they are, as JSON lines."""
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


def csv_file(path: Path, lines: Sequence[Mapping[str, Any]], header: Sequence[str] | None = None) -> Path:
    """Write rows as CSV, with every field that one of them has as a column."""
    names = list(header or dict.fromkeys(name for line in lines for name in line))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(lines)
    return path


def plan_of(
    output: Path, *files: Path, columns: Mapping[str, str | None] | None = None, file_format: str = "", **rules: Any
) -> Plan:
    """Plan the rows of files."""
    sources = [file_source(ObjectStoragePath(str(path)), Columns(columns), file_format) for path in files]
    return make_plan(sources, Output(ObjectStoragePath(str(output))), Rules(**rules))


def rejects(output: Path) -> list[dict[str, str]]:
    """The lines of a plan's rejects."""
    with (output / "rejects.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def reasons(output: Path) -> list[tuple[str, str]]:
    """Where and in which field rows were rejected."""
    return [(line["place"], line["field"]) for line in rejects(output)]


def chunks(output: Path) -> dict[str, bytes]:
    """Every request of a plan, by its path in the output."""
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.glob("*/*.json"))}


def everything(output: Path) -> set[str]:
    """Every file in an output."""
    return {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
