"""How fast the requests of a process follow each other."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims.hooks import _rate_limit, _transport, gstn
from airflow_provider_ims.hooks._rate_limit import RateLimit, rate_limit_of
from airflow_provider_ims.hooks._transport import AwaitedTransport
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.protocol.wire import Reply, Request
from tests.unit.builders import settings

QUESTION = Request("a question", "GET", "https://eas.test/x", {})


@pytest.fixture(autouse=True)
def _no_paces_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rate_limit, "_LIMITS", {})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_turns_come_at_equal_distances():
    paced = RateLimit(4, Clock())
    assert [paced.turn() for _ in range(5)] == [0, 0.25, 0.5, 0.75, 1.0]


def test_time_that_nobody_used_is_not_made_up_for():
    clock = Clock()
    paced = RateLimit(4, clock)
    paced.turn()
    clock.now += 60
    assert [paced.turn() for _ in range(3)] == [0, 0.25, 0.5]


def test_a_turn_that_has_come_meanwhile_is_taken_at_once():
    clock = Clock()
    paced = RateLimit(4, clock)
    paced.turn()
    clock.now += 0.2
    assert paced.turn() == pytest.approx(0.05)
    clock.now += 0.25
    assert paced.turn() == pytest.approx(0.05)


def test_without_a_limit_nobody_waits():
    unlimited = RateLimit(None, Clock())
    assert {unlimited.turn() for _ in range(100)} == {0.0}


def test_all_of_one_service_and_user_share_a_pace():
    assert rate_limit_of(settings(max_requests_per_second=2)) is rate_limit_of(
        settings(max_requests_per_second=2, timeout=5)
    )


@pytest.mark.parametrize("other", [{"handle": "b@acme.test"}, {"eas_url": "https://other.test"}])
def test_another_user_or_service_has_a_pace_of_its_own(other):
    assert rate_limit_of(settings(max_requests_per_second=2)) is not rate_limit_of(
        settings(max_requests_per_second=2, **other)
    )


def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass."""
    monkeypatch.setitem(_rate_limit._LIMITS, key(), RateLimit(2, Clock()))


def key() -> Any:
    limited = settings(max_requests_per_second=2)
    return limited.eas_url, limited.handle, limited.max_requests_per_second


def test_the_plain_hooks_keep_to_it_together(monkeypatch):
    frozen(monkeypatch)
    pauses: list[float] = []
    monkeypatch.setattr(gstn, "time", SimpleNamespace(sleep=pauses.append, time=time.time))
    monkeypatch.setattr(gstn, "send", lambda session, request, of: Reply(200, {}, b"{}"))
    hooks = [GstnHook(), GstnHook()]
    for hook in hooks * 2:
        hook.settings = settings(max_requests_per_second=2)
        hook._send(QUESTION)
    assert pauses == [0.5, 1.0, 1.5]


async def test_the_awaited_hooks_keep_to_it_together_with_the_plain_ones(monkeypatch):
    frozen(monkeypatch)
    limited = settings(max_requests_per_second=2)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    class Sent(Exception):
        pass

    class Session:
        def request(self, *arguments: Any, **more: Any) -> Any:
            raise Sent

        async def close(self) -> None:
            pass

    monkeypatch.setattr(_transport, "asyncio", SimpleNamespace(sleep=sleep))
    assert rate_limit_of(limited).turn() == 0  # a plain hook's
    for _ in range(3):
        awaited = AwaitedTransport(Session(), rate_limit_of(limited), {})
        with pytest.raises(Sent):
            await awaited.send(QUESTION)
    assert pauses == [0.5, 1.0, 1.5]
