"""What the awaited hooks of an event loop share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims.exceptions import GstnInvalidConnection
from airflow_provider_ims.hooks import _base, _client_cache
from airflow_provider_ims.hooks._transport import AwaitedTransport
from airflow_provider_ims.hooks.gstn import GstnAsyncHook
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.wire import Pause, Reply, Request
from tests.unit.builders import settings


class Transport:
    """A pool of HTTP connections that only knows whether it was closed."""

    def __init__(self, of: Settings) -> None:
        self.settings = of
        self.closed = False

    async def send(self, request: Request) -> Reply:
        raise AssertionError(request)

    async def close(self) -> None:
        self.closed = True
        await asyncio.sleep(0)


class World:
    """The connections that Airflow knows, and what was done with them."""

    def __init__(self) -> None:
        self.connections: dict[str, Settings] = {"gstn_default": settings(), "other": settings(handle="b@acme.test")}
        self.lookups: list[str] = []
        self.opened: list[Transport] = []
        self.now = 1000.0
        self.gate = asyncio.Event()
        self.gate.set()

    async def look_up(self, conn_id: str) -> Settings:
        self.lookups.append(conn_id)
        await self.gate.wait()
        if conn_id not in self.connections:
            raise GstnInvalidConnection(conn_id)
        return self.connections[conn_id]

    async def open(self, of: Settings) -> Transport:
        await asyncio.sleep(0)
        self.opened.append(Transport(of))
        return self.opened[-1]

    @property
    def open_now(self) -> int:
        return sum(not transport.closed for transport in self.opened)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(GstnAsyncHook, "_look_up", lambda hook: world.look_up(hook.gstn_conn_id))
    monkeypatch.setattr(AwaitedTransport, "open", world.open)
    monkeypatch.setattr(_base, "_KNOWN_TOKENS", {})
    monkeypatch.setattr(_client_cache, "time", SimpleNamespace(monotonic=lambda: world.now))
    return world


async def entered(*conn_ids: str) -> list[GstnAsyncHook]:
    return list(await asyncio.gather(*(GstnAsyncHook(conn_id).__aenter__() for conn_id in conn_ids)))


async def release(*hooks: GstnAsyncHook) -> None:
    await asyncio.gather(*(hook.__aexit__(None, None, None) for hook in hooks))


def client_of(hook: GstnAsyncHook) -> Any:
    return hook._client


async def test_many_that_start_at_once_share_one_lookup_and_one_set_of_connections(world):
    hooks = await entered(*["gstn_default"] * 50)
    assert world.lookups == ["gstn_default"]
    assert len(world.opened) == 1
    await release(*hooks)


async def test_the_pool_is_closed_when_the_last_leaves(world):
    first, *others = await entered(*["gstn_default"] * 3)
    await release(*others)
    assert world.open_now == 1
    await release(first)
    assert world.open_now == 0


async def test_whoever_comes_after_the_last_has_left_begins_anew(world):
    await release(*await entered("gstn_default"))
    [hook] = await entered("gstn_default")
    assert len(world.lookups) == len(world.opened) == 2
    assert world.open_now == 1
    await release(hook)


async def test_two_connections_share_nothing(world):
    one, two = await entered("gstn_default", "other")
    assert client_of(one) is not client_of(two)
    assert (client_of(one).settings.handle, client_of(two).settings.handle) == ("tax@acme.test", "b@acme.test")
    await release(one)
    assert [transport.closed for transport in world.opened].count(True) == 1
    await release(two)
    assert world.open_now == 0


async def test_a_changed_connection_is_used_by_those_that_start_later(world):
    [early] = await entered("gstn_default")
    world.connections["gstn_default"] = settings(password="a-new-one")
    [soon] = await entered("gstn_default")
    assert client_of(soon) is client_of(early)  # looking it up at each start would cost thousands of questions
    world.now += _client_cache.GOOD_FOR + 1
    [late] = await entered("gstn_default")
    assert client_of(late).settings.password == "a-new-one"
    assert client_of(early).settings.password != "a-new-one"
    await release(early, soon)
    assert [transport.closed for transport in world.opened] == [True, False]
    [later] = await entered("gstn_default")
    assert client_of(later) is client_of(late)
    await release(late, later)
    assert world.open_now == 0


async def test_those_that_are_open_use_a_changed_connection_once_somebody_has_seen_it(world):
    early, second = await entered(*["gstn_default"] * 2)
    world.connections["gstn_default"] = settings(password="a-new-one")
    assert await early.look_again()
    assert client_of(early).settings.password == "a-new-one"
    assert client_of(second).is_outdated
    assert await second.look_again()
    assert client_of(second) is client_of(early)
    assert world.lookups == ["gstn_default"] * 2
    assert [transport.closed for transport in world.opened] == [True, False]
    await release(early, second)
    assert world.open_now == 0


async def test_an_outdated_one_never_uses_a_pool_that_was_closed_meanwhile(world):
    [early] = await entered("gstn_default")
    world.connections["gstn_default"] = settings(password="a-new-one")
    world.now += _client_cache.GOOD_FOR + 1
    await release(*await entered("gstn_default"))
    assert await early.look_again()
    assert not client_of(early).transport.closed
    await release(early)
    assert world.open_now == 0


async def test_a_change_that_was_taken_back_is_none(world):
    [early] = await entered("gstn_default")
    before = world.connections["gstn_default"]
    world.connections["gstn_default"] = settings(password="a-new-one")
    world.now += _client_cache.GOOD_FOR + 1
    await release(*await entered("gstn_default"))
    world.connections["gstn_default"] = before
    assert not await early.look_again()
    assert not client_of(early).is_outdated
    await release(early)
    assert world.open_now == 0


async def cancelled_after(steps: int, use: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(use)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("steps", range(8))
async def test_a_cancelled_look_leaves_nothing_open(world, steps):
    async def use() -> None:
        async with GstnAsyncHook() as hook:
            world.connections["gstn_default"] = settings(password="a-new-one")
            await hook.look_again()

    await cancelled_after(steps, use())
    assert world.open_now == 0


async def test_a_connection_that_is_as_it_was_keeps_its_pool(world):
    [early] = await entered("gstn_default")
    world.now += _client_cache.GOOD_FOR + 1
    late = await entered(*["gstn_default"] * 5)
    assert (len(world.lookups), len(world.opened)) == (2, 1)
    await release(early, *late)
    assert world.open_now == 0


async def test_a_lookup_that_fails_keeps_nobody_from_trying_again(world):
    with pytest.raises(GstnInvalidConnection):
        await entered("missing")
    world.connections["missing"] = settings()
    await release(*await entered("missing"))
    assert (len(world.opened), world.open_now) == (1, 0)


async def test_one_that_is_cancelled_while_it_looks_up_leaves_it_to_the_next(world):
    world.gate.clear()
    starts = [asyncio.create_task(GstnAsyncHook().__aenter__()) for _ in range(3)]
    await asyncio.sleep(0)
    starts[0].cancel()
    starts[1].cancel()  # waits for the lookup of the first
    await asyncio.sleep(0)
    world.gate.set()
    *cancelled, hook = await asyncio.gather(*starts, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in cancelled)
    await release(hook)
    assert (len(world.opened), world.open_now) == (1, 0)


@pytest.mark.parametrize("steps", range(12))
async def test_wherever_a_cancellation_hits_nothing_stays_open(world, steps):
    async def use() -> None:
        async with GstnAsyncHook():
            await asyncio.sleep(0)

    await cancelled_after(steps, use())
    assert world.open_now == 0
    clients = _client_cache._caches.get(asyncio.get_running_loop())
    assert clients is None or clients.clients == {}


async def test_a_logout_that_is_cancelled_closes_the_pool_all_the_same(world):
    [hook] = await entered("gstn_default")

    def never_ending() -> Any:
        yield Pause(3600)

    hook._tokens.log_out = never_ending
    leaving = asyncio.create_task(hook.__aexit__(None, None, None))
    for _ in range(3):
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert world.open_now == 0
