"""One connection lookup and one set of HTTP connections for all awaited hooks of an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from airflow_provider_ims.hooks._transport import AwaitedTransport
from airflow_provider_ims.protocol.settings import Settings

GOOD_FOR = 300.0
"""
Seconds after which a wait that begins looks its connection up again. One that was changed is used by all waits then.
"""


@dataclass
class Client:
    """
    What the hooks of one connection share in an event loop.

    :param settings: the connection, as it was looked up
    :param transport: the HTTP connections
    :param looked_up: when, seconds of a clock that never goes back
    :param users: how many hooks are using it
    :param is_outdated: whether the connection was changed, as far as anybody has seen
    """

    settings: Settings
    transport: AwaitedTransport
    looked_up: float
    users: int = 0
    is_outdated: bool = False


class _Clients:
    """The clients of one event loop."""

    def __init__(self) -> None:
        self.clients: dict[Hashable, Client] = {}
        self.locks: dict[Hashable, asyncio.Lock] = {}


# A triggerer serves one team only, so that a connection id means one connection there.
_caches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Clients] = WeakKeyDictionary()


async def acquire(key: Hashable, look_up: Callable[[], Awaitable[Settings]]) -> Client:
    """
    Return the client of a connection, opened if nobody has one.

    :param key: what the connection is known by in this process
    :param look_up: returns the connection's settings
    """
    cache = _caches.setdefault(asyncio.get_running_loop(), _Clients())
    # Thousands of triggers start at the same moment: the first looks up, the others wait for it.
    async with cache.locks.setdefault(key, asyncio.Lock()):
        client = cache.clients.get(key)
        if client is None or time.monotonic() - client.looked_up > GOOD_FOR:
            client = cache.clients[key] = await _look_again(client, look_up)
        client.users += 1
        return client


async def acquire_again(key: Hashable, client: Client, look_up: Callable[[], Awaitable[Settings]]) -> Client:
    """
    Return the client to use instead of one whose connection may have been changed, or that one if it was not.

    :param client: which is being used, and has to be released if another one is returned
    :param look_up: returns the connection's settings
    """
    cache = _caches[asyncio.get_running_loop()]
    async with cache.locks[key]:
        current = cache.clients.get(key)
        if current is None or current is client:  # else somebody has looked
            current = cache.clients[key] = await _look_again(client, look_up)
        if current is not client:
            current.users += 1
        return current


def release(key: Hashable, client: Client) -> bool:
    """
    Give a client back.

    :return: whether nobody uses it any more: then it has to be closed
    """
    client.users -= 1
    if client.users:
        return False
    clients = _caches[asyncio.get_running_loop()].clients
    if clients.get(key) is client:
        del clients[key]
    return True


async def _look_again(client: Client | None, look_up: Callable[[], Awaitable[Settings]]) -> Client:
    settings = await look_up()
    if client is not None and client.settings == settings:
        client.looked_up, client.is_outdated = time.monotonic(), False
        return client
    newer = Client(settings, await AwaitedTransport.open(settings), time.monotonic())
    if client is not None:
        client.is_outdated = True
    return newer
