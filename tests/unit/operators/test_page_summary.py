"""What a task's page in Airflow shows of what it came to."""

from __future__ import annotations

import pytest

from airflow_provider_ims.operators._page_summary import LONGEST, SUMMARY, ShowsSummary, markdown
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.ims import ImsResultOperator
from airflow_provider_ims.operators.reconcile import ImsReconcileOperator, ImsVerifyOperator
from airflow_provider_ims.operators.summary import ImsBulkSummaryOperator


def test_counts_are_rows_of_a_table_and_lists_are_left_out():
    summary = {
        **{"rtin": "20MAYAS0100J1ZX", "documents": 75000, "not_sent": 0, "code": "", "chunks": [{"reset": 1}]},
        **{
            "matches": {"only_in_ims": 3},
            "csv_path": "s3://aws_default@ims/a|b.csv",
            "complete": True,
            "nothing": None,
        },
    }
    assert markdown(summary).splitlines() == [
        "| | |",
        "|---|---|",
        "| rtin | 20MAYAS0100J1ZX |",
        "| documents | 75,000 |",
        "| not sent | 0 |",
        "| matches: only in ims | 3 |",
        "| csv path | s3://aws_default@ims/a\\|b.csv |",
        "| complete | True |",
    ]


def test_a_value_of_several_lines_stays_one_row():
    assert markdown({"notes": "one\ntwo"}).splitlines()[2:] == ["| notes | one two |"]


def test_it_is_short_enough_to_be_shown_whole():
    shown = markdown({f"name {number}": "x" * 50 for number in range(1000)})
    assert len(shown) < LONGEST + 50
    assert shown.endswith("| ... | more in XCom |")


@pytest.mark.parametrize(
    "operator",
    [ImsResultOperator, ImsBulkResetOperator, ImsBulkSummaryOperator, ImsReconcileOperator, ImsVerifyOperator],
)
def test_airflow_takes_it_anew_when_the_task_has_ended(operator):
    assert issubclass(operator, ShowsSummary)
    assert operator.overwrite_rtif_after_execution
    assert operator.template_fields[-1] == SUMMARY
    assert operator.template_fields_renderers[SUMMARY] == "md"
