"""Thousands of waits, each called at its time."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from airflow_provider_ims.triggers import _poll_loop
from airflow_provider_ims.triggers._poll_loop import Poll, repeat


def counted(calls: list[str], name: str, pauses: list[float]) -> Poll:
    """A call that notes its name and pauses as it is told, and then is over."""
    left = iter(pauses)

    async def call() -> float | None:
        calls.append(name)
        return next(left, None)

    return call


async def test_calls_until_the_call_says_that_it_is_over():
    calls: list[str] = []
    await repeat(counted(calls, "a", [0, 0.001, 0]), 0)
    assert calls == ["a"] * 4


async def test_calls_each_at_its_time():
    calls: list[str] = []
    waits = [("late", 1.0), ("soon", 0.0), ("middle", 0.5)]
    await asyncio.gather(*(repeat(counted(calls, name, []), first) for name, first in waits))
    assert calls == ["soon", "middle", "late"]


async def test_many_at_once_are_all_called():
    calls: list[str] = []
    await asyncio.gather(*(repeat(counted(calls, "x", [0.001, 0.0]), 0.001) for _ in range(500)))
    assert len(calls) == 1500


async def test_one_that_takes_long_holds_up_nobody():
    calls: list[str] = []
    go_on = asyncio.Event()

    async def slow() -> None:
        await go_on.wait()
        calls.append("slow")

    async def last() -> None:
        calls.append("last")
        go_on.set()

    await asyncio.gather(repeat(slow, 0), repeat(last, 0.01))
    assert calls == ["last", "slow"]


async def test_what_a_call_raises_ends_it_alone():
    calls: list[str] = []

    async def broken() -> None:
        raise LookupError("nothing there")

    ended = await asyncio.gather(repeat(broken, 0), repeat(counted(calls, "b", [0.01]), 0), return_exceptions=True)
    assert [type(end) for end in ended] == [LookupError, type(None)]
    assert calls == ["b", "b"]


async def test_each_call_runs_in_the_context_of_the_one_who_waits():
    # Airflow's triggerer writes a log line to the log of the task that the context names.
    whose: ContextVar[str] = ContextVar("whose")
    seen: list[tuple[str, str]] = []

    async def wait(name: str) -> None:
        whose.set(name)
        pauses = iter([0.001])

        async def call() -> float | None:
            seen.append((name, whose.get()))
            return next(pauses, None)

        await repeat(call, 0.001)

    await asyncio.gather(*(asyncio.create_task(wait(name)) for name in "abc"))
    assert sorted(seen) == [("a", "a"), ("a", "a"), ("b", "b"), ("b", "b"), ("c", "c"), ("c", "c")]


async def test_one_that_is_cancelled_is_not_called_any_more():
    calls: list[str] = []
    other = asyncio.create_task(repeat(counted(calls, "other", []), 0.05))
    wait = asyncio.create_task(repeat(counted(calls, "cancelled", []), 0.01))
    await asyncio.sleep(0)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    await other
    assert calls == ["other"]


async def test_a_call_that_is_cancelled_midway_has_ended_when_the_wait_has():
    steps: list[str] = []
    began = asyncio.Event()

    async def call() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("tidied up")

    wait = asyncio.create_task(repeat(call, 0))
    await began.wait()
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert steps == ["tidied up"]


async def test_a_call_that_cancels_itself_does_not_leave_the_wait_hanging():
    async def call() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(repeat(call, 0), 10)


async def test_nothing_is_left_when_nobody_waits():
    wait = asyncio.create_task(repeat(counted([], "x", []), 3600))
    await asyncio.sleep(0)
    wait.cancel()
    await asyncio.wait([wait])
    left = _poll_loop._loops[asyncio.get_running_loop()]
    assert (left._entries, left._timer, left._served) == ([], None, 0)


async def test_nobody_is_called_before_the_time():
    loop = asyncio.get_running_loop()
    early: list[float] = []

    async def wait(pause: float) -> None:
        due = loop.time() + pause

        async def call() -> None:
            early.append(due - loop.time())

        await repeat(call, pause)

    await asyncio.gather(*(wait(number / 1000) for number in range(40)))
    assert len(early) == 40
    assert max(early) <= 0
