"""What a dry run says it would send."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.models.calendar import Calendar
from airflow_provider_ims.operators._dry_run import WouldSend, end_dry_run
from tests.unit.builders import RTIN, numbered, payload

HOOK: Any = SimpleNamespace(test_connection=lambda: (True, "It answers."), find_session=lambda gstin: None)


@pytest.mark.parametrize(
    ("requests", "documents", "told"),
    [([["1"]], "1 document", "1 request, "), ([["1"], ["2", "3"]], "3 documents", "2 requests, ")],
)
def test_it_counts_as_a_person_does(
    requests: list[list[str]], documents: str, told: str, caplog: pytest.LogCaptureFixture
):
    would_send = [WouldSend("a.json", payload(b2b=numbered("b2b", *names)), None) for names in requests]
    context: Any = {"ti": SimpleNamespace(xcom_push=lambda **_: None)}
    first_line = f"Dry run: {documents} of GSTIN {RTIN} would be reset. Nothing was sent."
    with caplog.at_level(logging.INFO), pytest.raises(AirflowSkipException) as skipped:
        end_dry_run(context, HOOK, would_send, logging.getLogger("a task"), calendar=Calendar())
    assert str(skipped.value) == first_line
    assert f"{first_line}\n{told}" in caplog.text
