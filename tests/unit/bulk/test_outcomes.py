"""The files that tell what became of every document of a GSTIN."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_provider_ims.bulk.outcomes import ChunkOutcome, Outcomes
from airflow_provider_ims.bulk.plan_entry import plan_of
from airflow_provider_ims.results.report import DocumentRow
from tests.unit.builders import RTIN

MESSAGE = '=HYPERLINK("http://x","look")'


def test_a_cell_that_a_spreadsheet_would_run_is_text_in_the_csv_and_itself_in_the_json(tmp_path: Path):
    entry = {"path": str(tmp_path / "0001.json"), "documents": 2, "bytes": 1, "sha256": "0" * 64}
    plan = plan_of({"rtin": RTIN, "chunks": [entry]})
    rows = [
        DocumentRow(
            section="b2b",
            stin="s",
            number=number,
            date="23-01-2023",
            rtnprd="012023",
            outcome="refused",
            message=message,
        )
        for number, message in (("-1", MESSAGE), ("2", "'=as it came"))
    ]
    report: Any = SimpleNamespace(rows=lambda: iter(rows))
    outcomes = Outcomes(plan)
    outcomes.keep(plan.chunks[0], report)
    outcomes.gather([ChunkOutcome(plan.chunks[0], "ended", "r-1", {"refused": 2})])
    for name in ("0001.result.csv", "result.csv"):
        with (tmp_path / name).open(newline="") as file:
            shown = [(row["number"], row["message"]) for row in csv.DictReader(file)]
        assert shown == [("'-1", f"'{MESSAGE}"), ("2", "''=as it came")]
    documents = json.loads((tmp_path / "result.json").read_text())["documents"]
    assert [(row["number"], row["message"]) for row in documents] == [(row.number, row.message) for row in rows]
