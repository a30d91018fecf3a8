"""What a person who clears the task wants looked into once more."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ims.submissions.policy import Policy


@pytest.mark.parametrize("outcome", ["processed", "partial", "failed"])
@pytest.mark.parametrize("force", [False, "failed", True])
def test_one_that_ended_is_asked_about_again_as_force_says(force: Any, outcome: str):
    wanted = {False: set(), "failed": {"partial", "failed"}, True: {"processed", "partial", "failed"}}[force]
    assert Policy(force=force).asks_again(outcome) is (outcome in wanted)


def test_one_that_leaves_anything_open_is_always_asked_about_again():
    assert Policy().asks_again("partial", 1) is True
    assert Policy().asks_again("partial", 0) is False
