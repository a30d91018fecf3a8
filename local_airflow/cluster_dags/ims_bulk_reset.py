"""
The example DAG ims_bulk_reset with small requests, so that a GSTIN has several: airflow reads this DAG on a cluster.

All else is the example's, which is loaded from its file.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "ims_bulk_reset.py"

_spec = importlib.util.spec_from_file_location("ims_bulk_reset_example", EXAMPLE)
assert _spec is not None  # noqa: S101 - it is a Python file
assert _spec.loader is not None  # noqa: S101
_example = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_example)

dag = _example.dag
dag.get_task("plan").max_documents = int(os.environ["IMS_CLUSTER_DOCUMENTS"])
