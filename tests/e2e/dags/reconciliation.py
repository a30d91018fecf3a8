"""
The example DAG ims_reconciliation with the connection of a story, whose runs may run beside those of other stories.

All else is the example's, which is loaded from its file.
"""

from __future__ import annotations

import importlib.util
from datetime import timedelta
from pathlib import Path

from airflow.timetables.simple import NullTimetable

EXAMPLE = Path(__file__).resolve().parents[3] / "example_dags" / "ims_reconciliation.py"  # its folder is linked to

_spec = importlib.util.spec_from_file_location("ims_reconciliation_example", EXAMPLE)
assert _spec is not None
assert _spec.loader is not None
_example = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_example)

dag = _example.dag
dag.dag_id = "reconciliation"
dag.timetable = NullTimetable()
dag.max_active_runs = 16
dag.params["gstn_conn_id"] = "gstn_default"
for _name in ("download", "reset", "download_again"):
    dag.get_task(_name).partial_kwargs |= {
        "gstn_conn_id": "{{ params.gstn_conn_id }}",
        "poke_interval": timedelta(seconds=2),
    }
