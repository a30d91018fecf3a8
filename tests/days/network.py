"""The network: what leaves ``requests`` and ``aiohttp`` goes to the simulated service, and may be lost on the way."""

from __future__ import annotations

import asyncio
import io
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp  # noqa: TID253 - no operator imports this
import requests
from multidict import CIMultiDict, CIMultiDictProxy
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError
from urllib3.response import HTTPResponse


class Answer(NamedTuple):
    """A reply, and how many seconds lie between two of its pieces."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    drip: float = 0.0


class NotConnected(Exception):
    """Nothing was sent."""


class ReplyLost(Exception):
    """It may have been sent; the connection broke."""


class TooLate(Exception):
    """No reply came within the time that the client gives."""


class SimulatedTimer:
    """
    What ``threading.Timer`` is to a call with a deadline: it calls, and the connection of its process is cut.

    A socket that is shut down wakes who waits for it; here there is none, so that the process itself is woken.
    """

    daemon = True

    def __init__(self, world: Any, interval: float, function: Callable[[], None]) -> None:
        self._world, self._seconds, self._call = world, interval, function
        self._is_on = False

    def start(self) -> None:
        process = self._world.kernel.current
        self._is_on, process.is_cut = True, False

        def end() -> None:
            if self._is_on and not process.dead:
                self._call()
                process.is_cut = True
                self._world.kernel.wake(process)

        self._world.kernel.after(self._seconds, end)

    def cancel(self) -> None:
        self._is_on = False

    def join(self, timeout: float | None = None) -> None:
        """It is no thread."""


Exchange = Generator[float, None, Answer]
"""Yields the seconds that pass, returns the reply."""


def carry_out_here(world: Any, prepared: requests.PreparedRequest, timeout: Any) -> requests.Response:
    """Do what :meth:`HTTPAdapter.send` does."""
    read_timeout = timeout[1] if isinstance(timeout, tuple) else timeout
    body = prepared.body
    raw = body.encode() if isinstance(body, str) else body or b""
    exchange = world.exchange(prepared.method, prepared.url, dict(prepared.headers), raw, read_timeout)
    try:
        try:
            while True:
                world.kernel.sleep(next(exchange))
                if world.kernel.current.is_cut:
                    raise ReplyLost
        except StopIteration as end:
            answer: Answer = end.value
    except NotConnected:
        connection = HTTPSConnection(urlsplit(prepared.url).hostname or "")
        reason = NewConnectionError(connection, "Connection refused")
        error = MaxRetryError(None, prepared.url, reason)  # type: ignore[arg-type]
        raise requests.exceptions.ConnectionError(error, request=prepared) from None
    except ReplyLost:
        error2 = ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))
        raise requests.exceptions.ConnectionError(error2, request=prepared) from None
    except TooLate:
        raise requests.exceptions.ReadTimeout("Read timed out.", request=prepared) from None
    response = requests.Response()
    response.status_code = answer.status
    response.headers.update(answer.headers)
    response.url = prepared.url or ""
    response.request = prepared
    stream: Any = io.BytesIO(answer.body) if not answer.drip else _Drip(world, answer)
    response.raw = HTTPResponse(
        body=stream, status=answer.status, headers=dict(answer.headers), preload_content=False, decode_content=False
    )
    return response


class _Drip(io.RawIOBase):
    """A body of which one byte comes at a time."""

    def __init__(self, world: Any, answer: Answer) -> None:
        self._world, self._rest, self._gap = world, answer.body, answer.drip

    def readable(self) -> bool:
        return True

    def read(self, amount: int = -1) -> bytes:
        wanted = len(self._rest) if amount is None or amount < 0 else min(amount, len(self._rest))
        piece, self._rest = self._rest[:wanted], self._rest[wanted:]
        self._pass(self._gap * len(piece))
        return piece

    def read1(self, amount: int = -1) -> bytes:
        piece, self._rest = self._rest[:1], self._rest[1:]
        self._pass(self._gap)
        return piece

    def _pass(self, seconds: float) -> None:
        self._world.kernel.sleep(seconds)
        if self._world.kernel.current.is_cut:
            raise ConnectionResetError(104, "Connection reset by peer")


class _Response:
    """What aiohttp's response shows of itself."""

    def __init__(self, answer: Answer, left: float | None) -> None:
        self.status = answer.status
        self.headers = CIMultiDictProxy(CIMultiDict(answer.headers))
        self.content_length = len(answer.body)
        self.charset = "utf-8"
        self._answer = answer
        self._left = left
        self.content = _Content(self)
        self.closed = False

    async def read(self) -> bytes:
        if self._answer.drip:
            whole = self._answer.drip * len(self._answer.body)
            if self._left is not None and whole > self._left:
                await asyncio.sleep(self._left)
                raise aiohttp.ServerTimeoutError("Timeout on reading data")
            await asyncio.sleep(whole)
        return self._answer.body

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    def release(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        self.closed = True

    async def wait_for_close(self) -> None:
        """It is closed."""


class _Content:
    """What aiohttp's stream shows of itself."""

    def __init__(self, response: _Response) -> None:
        self._response = response
        self._read = False
        self.total_bytes = len(response._answer.body)

    async def read(self, n: int = -1) -> bytes:
        return await self.readany()

    async def readany(self) -> bytes:
        if self._read:
            return b""
        self._read = True
        return await self._response.read()

    def at_eof(self) -> bool:
        return self._read

    def iter_chunked(self, n: int) -> Any:
        return self._iterate()

    def iter_any(self) -> Any:
        return self._iterate()

    async def _iterate(self) -> Any:
        while piece := await self.readany():
            yield piece


async def carry_out_awaited(world: Any, method: str, url: Any, headers: Any, data: Any, total: float | None) -> Any:
    """Do what ``ClientSession._request`` does."""
    started = world.kernel.now
    exchange = world.exchange(method, str(url), dict(headers or {}), data or b"", total)
    try:
        try:
            while True:
                await asyncio.sleep(next(exchange))
        except StopIteration as end:
            answer: Answer = end.value
    except NotConnected:
        parts = urlsplit(str(url))
        key: Any = aiohttp.client_reqrep.ConnectionKey(parts.hostname or "", 443, True, True, None, None, None)
        raise aiohttp.ClientConnectorError(key, OSError(111, "Connection refused")) from None
    except ReplyLost:
        raise aiohttp.ServerDisconnectedError from None
    except TooLate:
        raise aiohttp.ServerTimeoutError("Timeout on reading data") from None
    return _Response(answer, None if total is None else max(0.0, total - (world.kernel.now - started)))


def install(world_of: Any) -> Any:
    """
    Lead all requests of this process to the world; returns what undoes it.

    :param world_of: returns the world that lives now
    """
    real_send, real_request = HTTPAdapter.send, aiohttp.ClientSession._request

    def send(self: Any, request: Any, stream: bool = False, timeout: Any = None, **kwargs: Any) -> Any:
        return carry_out_here(world_of(), request, timeout)

    async def request(self: Any, method: str, url: Any, **kwargs: Any) -> Any:
        timeout = kwargs.get("timeout", self._timeout)
        total = getattr(timeout, "total", None) or getattr(self._timeout, "total", None)
        return await carry_out_awaited(world_of(), method, url, kwargs.get("headers"), kwargs.get("data"), total)

    # Nobody connects to anything: certificates are read once and not for each client.
    real_context, context = ssl.create_default_context, ssl.create_default_context()
    ssl.create_default_context = lambda *args, **kwargs: context  # type: ignore[assignment]
    # No environment tells of a proxy: requests asks it at each exchange.
    real_proxies = requests.sessions.get_environ_proxies
    requests.sessions.get_environ_proxies = lambda url, no_proxy=None: {}  # type: ignore[attr-defined]
    real_timer = threading.Timer
    threading.Timer = lambda interval, function: SimulatedTimer(world_of(), interval, function)  # type: ignore
    HTTPAdapter.send = send  # type: ignore[method-assign]
    aiohttp.ClientSession._request = request  # type: ignore[method-assign]

    def undo() -> None:
        ssl.create_default_context = real_context
        requests.sessions.get_environ_proxies = real_proxies  # type: ignore[attr-defined]
        threading.Timer = real_timer  # type: ignore[misc]
        HTTPAdapter.send = real_send  # type: ignore[method-assign]
        aiohttp.ClientSession._request = real_request  # type: ignore[method-assign]

    return undo
