from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ims.models import TaskStatus
from airflow_provider_ims.models.task_status import state_of

WORDS = {
    "completed": "completed",
    **dict.fromkeys(["processing", "queued", "started", "pending", "in_progress", "submitted"], "running"),
    **dict.fromkeys(
        ["failed", "failure", "error", "errored", "cancelled", "canceled", "aborted", "expired", "rejected"], "failed"
    ),
    **dict.fromkeys(["complete", "success", "done", "ok", "1", "P", "not completed", "completed_partly"], "unknown"),
}


@pytest.mark.parametrize(("word", "state"), WORDS.items())
def test_a_status_word_means_the_same_in_any_letter_case(word: str, state: str):
    for written in (word, word.upper(), word.title(), f" {word} "):
        assert state_of(written) == state
        assert TaskStatus(reference_id="t-1", word=written).state == state


@given(st.text())
def test_no_word_but_completed_is_ever_success(word: str):
    assert (state_of(word) == "completed") is (word.strip().lower() == "completed")


def test_a_status_tells_its_jobs_where_the_service_counts_them():
    assert str(TaskStatus(reference_id="t-1", word="processing", jobs_total=3, jobs_pending=1)) == (
        "processing (2 of 3 jobs done)"
    )
    assert str(TaskStatus(reference_id="t-1", word="processing", jobs_total=3)) == "processing"
    assert str(TaskStatus(reference_id="t-1", word="Queued")) == "Queued"
