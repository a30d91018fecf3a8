"""What was sent is known under its reference id: no other payload is accounted for by its result."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims.exceptions import GstnInvalidPayload, GstnInvalidRequest
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.sessions import store

CONTEXT: Any = {"ti": SimpleNamespace(try_number=1, max_tries=0, xcom_push=lambda key, value: None)}


@pytest.fixture
def reference_id(simulator, sample: dict) -> str:
    simulator.gst.open_session(sample["rtin"])
    reference_id: str = ImsResetOperator(task_id="reset", payload=sample).execute(CONTEXT)
    simulator.finish_tasks()
    return reference_id


def result(reference_id: str, payload: Any) -> dict[str, Any]:
    summary: dict[str, Any] = ImsResultOperator(task_id="result", reference_id=reference_id, payload=payload).execute(
        CONTEXT
    )
    return summary


def test_the_payload_that_was_sent_is_accounted_for_also_by_a_task_that_was_cleared(reference_id, sample):
    for _ in range(2):
        assert result(reference_id, sample)["sections"]["b2b"]["reset"] == 1


def test_another_payload_is_refused_by_what_differs(reference_id, sample):
    sample["invdata"]["b2b"].append({**sample["invdata"]["b2b"][0], "inum": "NEW"})
    with pytest.raises(GstnInvalidRequest, match=f"not what was sent as {reference_id}") as caught:
        result(reference_id, sample)
    assert "9 documents (2 b2b" in str(caught.value)
    assert result(reference_id, None)["processed"] == 8


def test_nothing_known_is_no_fault(reference_id, sample):
    store._PROCESS_MEMORY.kept.clear()
    assert result(reference_id, sample)["outcome"] == "processed"


def test_an_accepted_reset_is_not_lost_if_the_store_is(simulator, payload, capsys):
    class Broken(store.MemorySessionStore):
        def set(self, key: str, value: str) -> None:
            if key.startswith("gstn_sent"):
                raise RuntimeError("the API server is down")
            super().set(key, value)

    simulator.gst.open_session(payload.rtin)
    with GstnHook(store=Broken()) as hook:
        reference_id = hook.submit_reset(payload)
        simulator.finish_tasks()
        assert hook.get_task_result(reference_id).outcome == "processed"
    assert "the API server is down" in capsys.readouterr().out


@pytest.mark.parametrize("form", [lambda sample: sample, json.dumps, lambda sample: json.dumps(sample).encode()])
def test_the_hook_takes_a_request_in_every_form(simulator, hook, sample, form):
    simulator.gst.open_session(sample["rtin"])
    reference_id = hook.submit_reset(form(sample))
    assert hook.find_sent_request(reference_id).fingerprint == ResetPayload.parse(sample).fingerprint()


@pytest.mark.parametrize("wrong", [{"rtin": "20MAYAS0100J1ZX"}, "{}", "no JSON", "[]", None])
def test_the_hook_sends_nothing_that_is_no_request(simulator, hook, wrong):
    with pytest.raises(GstnInvalidPayload, match="nothing was sent"):
        hook.submit_reset(wrong)
    assert (simulator["reset_calls"], simulator["logins"]) == (0, 0)
