"""The page on compatibility is what the matrix found last."""

from __future__ import annotations

from docs import compatibility


def test_the_page_is_the_last_table():
    assert compatibility.PAGE.read_text() == compatibility.page(), "run: python -m docs.compatibility"


def test_a_failure_is_shown_and_a_step_that_was_not_run_is_empty():
    cell = {"airflow": "3.1.3", "python": "3.11", "dependencies": "of-its-time", "day": "2026-11-28", "dags": "failed"}
    tests = {"passed": 4321, "failed": 2, "skipped": 0}
    shown = compatibility.page({"one": {**cell, "tests": tests}})
    assert "| 3.1.3 | 3.11 | of its time |  | failed | 4,321 passed, 2 failed |  | 2026-11-28 |" in shown
    assert "| 4,321 passed |" not in shown
