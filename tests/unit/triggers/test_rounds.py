"""Waits that are called at their times; the pauses are nothing or endless, so that no test takes time."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from airflow_provider_ims.triggers import rounds
from airflow_provider_ims.triggers.rounds import repeat

NEVER = 3600.0


def counting(calls: list[str], name: str, times: int):
    async def call() -> float | None:
        calls.append(name)
        return None if calls.count(name) == times else 0.0

    return call


async def test_a_call_is_repeated_until_it_says_that_it_is_over():
    calls: list[str] = []
    await repeat(counting(calls, "a", 3), 0.0)
    assert calls == ["a"] * 3


async def test_many_are_called_side_by_side_and_one_that_never_ends_holds_up_nobody():
    calls: list[str] = []
    stuck = asyncio.Event()

    async def forever() -> float | None:
        await stuck.wait()
        return None

    waiting = asyncio.create_task(repeat(forever, 0.0))
    await asyncio.gather(*(repeat(counting(calls, f"w{number}", 2), 0.0) for number in range(50)))
    assert sorted(calls) == sorted([f"w{number}" for number in range(50)] * 2)
    stuck.set()
    await waiting


async def test_the_one_that_is_due_first_is_called_first():
    calls: list[str] = []
    late = asyncio.create_task(repeat(counting(calls, "late", 1), 0.02))
    await asyncio.sleep(0)
    await repeat(counting(calls, "early", 1), 0.0)
    assert calls == ["early"]
    await late
    assert calls == ["early", "late"]


async def test_what_is_raised_ends_that_wait_alone():
    calls: list[str] = []

    async def broken() -> float | None:
        raise ValueError("a bug")

    other = asyncio.create_task(repeat(counting(calls, "other", 3), 0.0))
    with pytest.raises(ValueError, match="a bug"):
        await repeat(broken, 0.0)
    await other
    assert calls == ["other"] * 3


async def test_a_wait_that_is_cancelled_takes_its_running_call_along_before_it_returns():
    entered, left = asyncio.Event(), []

    async def slow() -> float | None:
        entered.set()
        try:
            await asyncio.sleep(NEVER)
        finally:
            left.append("the call")
        return None

    waiting = asyncio.create_task(repeat(slow, 0.0))
    await entered.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert left == ["the call"]


async def test_a_wait_that_is_cancelled_between_its_calls_is_not_called_again():
    calls: list[str] = []
    waiting = asyncio.create_task(repeat(counting(calls, "gone", 1), NEVER))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await repeat(counting(calls, "next", 1), 0.0)
    assert calls == ["next"]


async def test_nothing_is_left_behind_by_the_last():
    waiting = asyncio.create_task(repeat(counting([], "a", 1), NEVER))
    await repeat(counting([], "b", 1), 0.0)
    waiting.cancel()
    await asyncio.wait([waiting])
    kept = rounds._rounds[asyncio.get_running_loop()]
    assert kept._entries == []
    assert kept._timer is None


async def test_each_call_runs_in_the_context_of_its_wait():
    whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose")
    seen: list[str] = []

    async def call() -> float | None:
        seen.append(whose.get())
        return None if len(seen) > 2 else 0.0

    async def wait(name: str) -> None:
        whose.set(name)  # as the triggerer marks whose log lines these are
        await repeat(call, 0.0)

    await asyncio.create_task(wait("first"))
    assert set(seen) == {"first"}
