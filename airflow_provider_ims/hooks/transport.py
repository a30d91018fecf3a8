"""Sends one request over a socket and brings back the reply, or the error that says whether it was sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError, SSLError

from airflow_provider_ims.hooks.pace import Pace, pace_of
from airflow_provider_ims.protocol.errors import ServiceError, no_reply, unreachable
from airflow_provider_ims.protocol.settings import CONNECT_TIMEOUT, Settings
from airflow_provider_ims.protocol.wire import Reply, Request

if TYPE_CHECKING:
    import aiohttp


def open_session(settings: Settings) -> requests.Session:
    """Return a session for the calls of one hook."""
    session = requests.Session()
    session.verify = settings.verify_ssl
    session.auth = _no_netrc  # else a ~/.netrc would replace the Authorization header
    return session


def send(session: requests.Session, request: Request, settings: Settings) -> Reply:
    """
    Send a request and wait for its reply.

    :raises ServiceError: when there is no whole reply; its text names the host and the reason, never a URL
    """
    if not request.repeatable:
        # A kept-alive connection that the other side has just closed would look like a lost reply.
        session.close()
    try:
        response = session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            timeout=(CONNECT_TIMEOUT, settings.timeout),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise _transport_error(request, error, sent=_may_have_been_sent(error)) from None
    return Reply(response.status_code, response.headers, response.content)


class AwaitedTransport:
    """
    Sends the awaited calls of one Airflow connection over one pool of HTTP connections.

    :param session: the pool
    :param pace: how fast requests may follow each other
    :param proxies: origin -> proxy, for the origins that are reached through one
    """

    def __init__(self, session: aiohttp.ClientSession, pace: Pace, proxies: Mapping[str, str]) -> None:
        self._session = session
        self._pace = pace
        self._proxies = proxies

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """
        Open the pool; nothing is connected yet.

        :param settings: the connection
        """
        # The first import takes long enough to hold up every other trigger of the process: not on the loop.
        aiohttp_module: Any = await asyncio.to_thread(import_module, "aiohttp")
        verify: ssl.SSLContext | bool = bool(settings.verify_ssl)
        if isinstance(settings.verify_ssl, str):
            verify = await asyncio.to_thread(ssl.create_default_context, cafile=settings.verify_ssl)
        # Looked up once: with trust_env, aiohttp would hand each request to a thread, twice, to read the environment
        # and ~/.netrc, whose entry for theodore it would then put beside the Authorization header, and fail.
        proxies = await asyncio.to_thread(_proxies, settings)
        session: aiohttp.ClientSession = aiohttp_module.ClientSession(
            connector=aiohttp_module.TCPConnector(ssl=verify),
            # One bound for the whole call: sock_read would set three timers a call, a tenth of what a poll costs.
            timeout=aiohttp_module.ClientTimeout(total=settings.timeout, sock_connect=CONNECT_TIMEOUT),
        )
        return cls(session, pace_of(settings), proxies)

    async def send(self, request: Request) -> Reply:
        """
        Send a request when its turn has come, and await its reply; the awaited twin of :func:`send`.

        :raises ServiceError: when there is no whole reply
        """
        import aiohttp
        import yarl

        if pause := self._pace.turn():
            await asyncio.sleep(pause)
        url = yarl.URL(request.url, encoded=True)
        proxy = self._proxies.get(_origin(request.url)) if self._proxies else None
        try:
            async with self._session.request(
                request.method,
                url,
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
                proxy=proxy,
            ) as response:
                return Reply(response.status, response.headers, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _transport_error(request, error, sent=False) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _transport_error(request, error, sent=True) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def _proxies(settings: Settings) -> dict[str, str]:
    """Return origin -> proxy, as the environment names them, by the same rule as for the plain hook."""
    found = {}
    for url in (settings.eas_url, settings.auth_url):
        if proxy := get_environ_proxies(url).get(urlsplit(url).scheme):
            found[_origin(url)] = proxy if "://" in proxy else f"http://{proxy}"
    return found


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _may_have_been_sent(error: requests.RequestException) -> bool:
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return False
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, SSLError) and isinstance(reason.args[0], ssl.SSLCertVerificationError):
        return False  # the other side's certificate is looked at before anything is sent
    return not isinstance(reason, (NewConnectionError, ConnectTimeoutError, ProxyError))


def _transport_error(request: Request, error: BaseException, *, sent: bool) -> ServiceError:
    # Only the error's class is told: its text can hold the whole URL.
    host = urlsplit(request.url).netloc
    if sent:
        return no_reply(request, host, type(error).__name__)
    return unreachable(request.call, host, type(error).__name__)
