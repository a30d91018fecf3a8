"""Many triggers in one event loop, as in a triggerer."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims.hooks import _transport
from airflow_provider_ims.hooks._rate_limit import RateLimit
from airflow_provider_ims.triggers import ims
from airflow_provider_ims.triggers.ims import ImsTaskTrigger


async def event_of(reference_id: str) -> Any:
    now = time.time()
    trigger = ImsTaskTrigger(
        reference_id=reference_id, gstn_conn_id="many", poll_interval=10, start_time=now, end_time=now + 60
    )
    [event] = [event async for event in trigger.run()]
    return event.payload


async def test_twenty_triggers_log_in_once_and_keep_below_the_limit_together(simulator, submitted, hook, monkeypatch):
    hook.close()  # and with it goes the token that the process knows
    connection = simulator.server.connection
    connection["extra"]["max_requests_per_second"] = 5
    monkeypatch.setenv("AIRFLOW_CONN_MANY", json.dumps(connection))
    monkeypatch.setattr(ims, "SETTLING", 0.0)
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    # Time stands still: so the pauses are exactly the turns.
    paced, pauses = RateLimit(5, clock=lambda: 0.0), []
    monkeypatch.setattr(_transport, "rate_limit_of", lambda settings: paced)

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(_transport, "asyncio", SimpleNamespace(sleep=note, to_thread=asyncio.to_thread))
    simulator.finish_tasks()
    before = {counter: simulator[counter] for counter in ("logins", "status_calls", "logouts")}
    events = await asyncio.gather(*(event_of(submitted) for _ in range(20)))
    assert {event["status"] for event in events} == {"completed"}
    made = {counter: simulator[counter] - count for counter, count in before.items()}
    assert made == {"logins": 1, "status_calls": 20, "logouts": 1}
    requests = 1 + 20 + 1
    assert sorted(pauses) == pytest.approx([0.2 * turn for turn in range(1, requests)])
