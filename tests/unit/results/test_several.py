"""One summary and one error over several results."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ims.exceptions import GstnResetFailed, GstnResetPartial, GstnTaskNotFound
from airflow_provider_ims.models.printable import fitted
from airflow_provider_ims.results.several import error_over, summary_of_failure, summary_over


def one(name: str, outcome: str = "processed", **more: Any) -> dict[str, Any]:
    status_cd = {"processed": "P", "partial": "PE", "failed": "ER"}[outcome]
    return {
        "outcome": outcome,
        "reference_id": name,
        "processed": 8,
        "errors": 1,
        "status_cd": status_cd,
        "code": "",
        **more,
    }


def counts(sent: int, reset: int, refused: int = 0, unknown: int = 0) -> dict[str, int]:
    return {"sent": sent, "reset": reset, "refused": refused, "unknown": unknown}


def test_counts_are_added_and_every_reset_is_told():
    first = one("r-1", sections={"b2b": counts(2, 2), "ecom": counts(1, 1)}, result_path="1")
    second = one("r-2", "partial", sections={"b2b": counts(3, 1, 2)}, found_at_no_action=4)
    assert summary_over([first, second]) == {
        "outcome": "partial",
        "reference_id": ["r-1", "r-2"],
        "processed": 16,
        "errors": 2,
        "status_cd": "PE",
        "code": "",
        "sections": {"b2b": counts(5, 3, 2), "ecom": counts(1, 1)},
        "found_at_no_action": 4,
        "results": [first, second],
    }
    assert first["sections"]["b2b"] == counts(2, 2)


@pytest.mark.parametrize(
    ("words", "worst"),
    [
        (["processed"], "processed"),
        (["processed", "partial"], "partial"),
        (["partial", "failed", "processed"], "failed"),
    ],
)
def test_the_outcome_is_the_worst_one(words: list[str], worst: str):
    assert summary_over([one(f"r-{n}", word) for n, word in enumerate(words)])["outcome"] == worst


def test_word_and_code_are_those_of_the_worst_reset():
    summary = summary_over([one("r-1", "partial"), one("r-2", "failed", code="IMSSAV005")])
    assert (summary["status_cd"], summary["code"]) == ("ER", "IMSSAV005")


def test_a_reset_that_has_an_error_instead_of_a_result_is_a_failed_one():
    failure = summary_of_failure("r-2", GstnTaskNotFound("No such task: r-2.\nCheck the id.", code="err-x"))
    summary = summary_over([one("r-1"), failure])
    assert (summary["outcome"], summary["code"], summary["processed"]) == ("failed", "err-x", 8)
    assert summary["results"][1]["failure"] == "No such task: r-2."


def test_the_failed_one_has_the_keys_of_any_other_so_that_they_can_be_read_alike():
    text = "No such task: r-2."
    failure = summary_of_failure("r-2", GstnTaskNotFound(f"{text}\nCheck the id.", code="err-x"))
    counted = {
        "outcome": "failed",
        "reference_id": "r-2",
        "processed": 0,
        "errors": 0,
        "status_cd": "",
        "code": "err-x",
    }
    assert failure == {**counted, "failure": fitted(text).partition("\n")[0]}
    assert set(one("r-1")) <= set(failure)


def test_that_any_of_them_was_simulated_is_not_lost():
    assert "simulator" not in summary_over([one("r-1"), one("r-2")])
    assert summary_over([one("r-1"), one("r-2", simulator=True)])["simulator"] is True


def test_no_error_is_none():
    assert error_over(summary_over([one("r-1")]), []) is None


@pytest.mark.parametrize(("worst", "kind"), [("partial", GstnResetPartial), ("failed", GstnResetFailed)])
def test_the_error_is_of_the_kind_of_the_worst_and_tells_each(worst: str, kind: type):
    summary = summary_over([one("r-1"), one("r-2", "partial"), one("r-3", worst)])
    error = error_over(summary, [GstnResetPartial("r-2 is partial"), GstnResetFailed("r-3 is worse")])
    assert type(error) is kind
    assert {"r-2 is partial", "r-3 is worse"} < set(str(error).splitlines())
    assert str(error).startswith("Of 3 resets: ")


def test_many_errors_are_cut_short_and_counted():
    summary = summary_over([one(f"r-{n}", "partial") for n in range(30)])
    text = str(error_over(summary, [GstnResetPartial(f"r-{n}") for n in range(30)]))
    assert text.splitlines()[0] == "Of 30 resets: 30 partial."
    assert text.endswith("and 20 more resets that did not end well, all in the log")
    assert "more resets" not in str(error_over(summary, [GstnResetPartial(f"r-{n}") for n in range(10)]))


def test_the_error_of_a_failed_one_carries_its_code():
    summary = summary_over([one("r-1", "failed", code="IMSSAV005"), one("r-2", "partial")])
    error = error_over(summary, [GstnResetFailed("r-1 failed", code="IMSSAV005")])
    assert error is not None
    assert error.code == "IMSSAV005"
