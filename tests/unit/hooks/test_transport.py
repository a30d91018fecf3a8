"""How the awaited hook reaches the service."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_ims.hooks.transport import AwaitedTransport
from airflow_provider_ims.protocol.wire import Request
from tests.unit.builders import settings


class Listener:
    """Answers every request with 200 and keeps what it was sent."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    async def __aenter__(self) -> Listener:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        body = json.dumps({"data": {}}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


async def ask(url: str, auth_url: str = "http://auth.test", **headers: str) -> None:
    transport = await AwaitedTransport.open(settings(eas_url=url, auth_url=auth_url))
    try:
        reply = await transport.send(Request("a question", "GET", f"{url}/x", headers))
        assert (reply.status, reply.body) == (200, b'{"data": {}}')
    finally:
        await transport.close()


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_a_proxy_that_the_environment_names_is_used(monkeypatch, scheme):
    async with Listener() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("http://", scheme))
        await ask("http://eas.test")
    assert proxy.heads[0].startswith("GET http://eas.test/x ")


async def test_a_host_that_the_environment_exempts_is_reached_directly(monkeypatch):
    async with Listener() as service:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        await ask(service.url)
    assert service.heads[0].startswith("GET /x ")


async def test_a_netrc_does_not_get_in_the_way_of_the_token(tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    async with Listener() as theodore:
        await ask(theodore.url, Authorization="Bearer the-token")
    assert "Authorization: Bearer the-token" in theodore.heads[0]
