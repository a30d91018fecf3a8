"""Workers that share a store and nothing else, as on Kubernetes: one login, and the losers log out."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property

import pytest

from airflow_provider_ims.exceptions import GstnAirflowUnavailable
from airflow_provider_ims.hooks import _runner
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.protocol.claim import Claim
from airflow_provider_ims.protocol.kept_token import KeptToken

HOSTS = 50


class Host(GstnHook):
    """A worker with a memory and a lock of its own, as a process on another host has."""

    @cached_property
    def _known_tokens(self) -> dict[str, KeptToken]:
        return {}


@pytest.fixture(autouse=True)
def _each_has_a_lock_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def nobody_else_is_here(key: str):
        yield

    monkeypatch.setattr(_runner, "exclusive", nobody_else_is_here)


def at_once(work: Callable[[], None]) -> None:
    """Let all hosts do it at the same moment; what one raises is raised here."""
    start = threading.Barrier(HOSTS)

    def one(_: int) -> None:
        start.wait()
        work()

    with ThreadPoolExecutor(HOSTS) as hosts:
        list(hosts.map(one, range(HOSTS)))


@pytest.fixture
def slow_store(shared_store, monkeypatch):
    """A store that takes a while for each word, as an API server does, and never the same."""
    slow, pause = type(shared_store), threading.local()

    def slowly(method):
        def call(self, *arguments):
            pause.count = getattr(pause, "count", threading.get_ident()) + 1
            time.sleep(0.02 * (pause.count % 7))
            return method(self, *arguments)

        return call

    for name in ("get", "set", "delete"):
        monkeypatch.setattr(slow, name, slowly(getattr(slow, name)), raising=False)
    return shared_store


@pytest.fixture
def asked(simulator, submitted, monkeypatch):
    """How many logins were asked for since the test began, granted or not, and how many tokens more are alive."""
    live, log_in, asked = simulator["live_tokens"], simulator.gst.login, []

    def counted(body):
        asked.append(1)
        return log_in(body)

    monkeypatch.setattr(simulator.gst, "login", counted)
    return lambda: (len(asked), simulator["live_tokens"] - live)


def test_fifty_workers_with_a_cold_store_ask_for_few_logins_and_leave_one_token(slow_store, submitted, asked):
    def work() -> None:
        with Host(store=slow_store) as hook:
            hook.get_task_status(submitted)

    at_once(work)
    logins, live = asked()
    assert 1 <= logins <= 4
    assert live == 1


def test_fifty_workers_whose_token_is_refused_do_the_same(simulator, slow_store, submitted, asked):
    with Host(store=slow_store) as first:
        first.get_task_status(submitted)

        def work() -> None:
            with Host(store=slow_store) as hook:
                hook.get_task_status(submitted)

        [token] = [KeptToken.of_text(text) for key, text in slow_store.kept.items() if "claim" not in key]
        simulator.gst.expire_token(token.token.value)
        at_once(work)
    logins, live = asked()
    assert 2 <= logins <= 5
    assert live == 1


def test_without_the_claim_all_of_them_would_log_in(slow_store, submitted, asked, monkeypatch):
    """So that the numbers above say something: who logged in too often logs out, and waits at the cap of ten."""

    arrived, enough = itertools.count(1), threading.Event()

    def always(self):
        if next(arrived) == 5:
            enough.set()
        enough.wait(60)  # on a busy machine the first would be through before the others begin
        yield from ()
        return True

    monkeypatch.setattr(Claim, "win", always)

    def work() -> None:
        with Host(store=slow_store) as hook:
            hook.get_task_status(submitted)

    at_once(work)
    logins, live = asked()
    assert logins > 4
    assert live == 1


class TestAStoreThatCannotBeReadForAMoment:
    """After a reply that brought something that only the store keeps."""

    @pytest.fixture
    def fails_after(self, simulator, shared_store, monkeypatch):
        """Let so many reads fail once the service has answered a call."""
        monkeypatch.setattr(_runner.random, "uniform", lambda low, high: 0.0)

        def begin(call: str, failures: int) -> None:
            answer, left = getattr(simulator.gst, call), []

            def answered(*arguments):
                reply = answer(*arguments)
                left.extend([None] * failures)
                return reply

            def get(key):
                if left:
                    left.pop()
                    raise GstnAirflowUnavailable("The API server is away.")
                return shared_store.kept.get(key)

            monkeypatch.setattr(simulator.gst, call, answered)
            monkeypatch.setattr(shared_store, "get", get)

        return begin

    @pytest.mark.parametrize("failures", [1, 3])
    def test_loses_no_token(self, shared_store, submitted, asked, fails_after, failures):
        fails_after("login", failures)
        with Host(store=shared_store) as hook:
            assert hook.get_task_status(submitted).state == "running"
        with Host(store=shared_store) as hook:
            hook.get_task_status(submitted)
        assert asked() == (1, 1)

    @pytest.mark.parametrize("failures", [1, 3])
    def test_loses_no_id_of_a_session(self, simulator, shared_store, payload, fails_after, failures):
        with Host(store=shared_store) as hook:
            hook.verify_otp(payload.rtin, hook.request_otp(payload.rtin, "user"), "424242")
            fails_after("authenticate", failures)
            hook.refresh_session(payload.rtin)
            hook.refresh_session(payload.rtin)
