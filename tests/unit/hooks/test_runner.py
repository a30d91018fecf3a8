"""How the steps of an exchange meet a store that cannot be read or written for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from airflow_provider_ims.exceptions import GstnAirflowUnavailable
from airflow_provider_ims.hooks import _runner
from airflow_provider_ims.hooks._runner import STORE_ATTEMPTS, arun_exchange, run_exchange
from airflow_provider_ims.protocol.wire import Load, Pause, Save
from airflow_provider_ims.sessions.store import MemorySessionStore


class FailingStore(MemorySessionStore):
    """Fails so many times before it works."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def get(self, key: str) -> str | None:
        self._fail()
        return super().get(key)

    def set(self, key: str, value: str) -> None:
        self._fail()
        super().set(key, value)

    def delete(self, key: str) -> None:
        self._fail()
        super().delete(key)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise GstnAirflowUnavailable("away")


@pytest.fixture(params=["plain", "awaited"])
def carry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Carry out one step in either way; return its answer."""
    monkeypatch.setattr(_runner.random, "uniform", lambda low, high: 0.0)

    def do(step: Any, store: MemorySessionStore) -> Any:
        def exchange() -> Generator[Any, Any, Any]:
            return (yield step)

        if request.param == "plain":
            return run_exchange(exchange(), no_request, store)
        return asyncio.run(arun_exchange(exchange(), no_request, store))

    return do


def no_request(_: Any) -> Any:
    raise AssertionError("no request is made")


@pytest.mark.parametrize("value", ["text", None])
def test_a_write_is_tried_more_than_once(carry, value):
    store = FailingStore(STORE_ATTEMPTS - 1)
    store.kept["key"] = "before"
    assert carry(Save("key", value), store) is True
    assert store.kept.get("key") == value


def test_what_must_be_kept_and_cannot_be_is_raised(carry):
    with pytest.raises(GstnAirflowUnavailable):
        carry(Save("key", "text"), FailingStore(STORE_ATTEMPTS))


def test_what_need_not_be_kept_stops_nothing(carry, caplog):
    assert carry(Save("key", "a-secret-text", required=False), FailingStore(STORE_ATTEMPTS)) is False
    assert "key" in caplog.text
    assert "a-secret-text" not in caplog.text


def test_a_read_that_fails_is_told_at_once(carry):
    with pytest.raises(GstnAirflowUnavailable):
        carry(Load("key"), FailingStore(1))


@pytest.mark.parametrize(("failures", "found"), [(STORE_ATTEMPTS - 1, "text"), (STORE_ATTEMPTS, None)])
def test_a_read_that_need_not_succeed_is_tried_more_than_once_and_stops_nothing(carry, caplog, failures, found):
    store = FailingStore(failures)
    store.kept["key"] = "text"
    assert carry(Load("key", required=False), store) == found
    assert ("could not be read (key: GstnAirflowUnavailable)" in caplog.text) == (found is None)


def test_a_pause_says_what_is_waited_for(carry, caplog):
    caplog.set_level("INFO")
    carry(Pause(0.0, "another worker logs in"), MemorySessionStore())
    assert "another worker logs in" in caplog.text
