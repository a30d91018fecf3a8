"""Sends one request over a socket and brings back the reply, or the error that says whether it was sent."""

from __future__ import annotations

import asyncio
import ssl
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError, SSLError

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


async def open_async_session(settings: Settings) -> aiohttp.ClientSession:
    """Return a session for the awaited calls of one hook."""
    # The first import takes long enough to hold up every other trigger of the process: not on the loop.
    aiohttp_module: Any = await asyncio.to_thread(import_module, "aiohttp")
    verify: ssl.SSLContext | bool = bool(settings.verify_ssl)
    if isinstance(settings.verify_ssl, str):
        verify = await asyncio.to_thread(ssl.create_default_context, cafile=settings.verify_ssl)
    session: aiohttp.ClientSession = aiohttp_module.ClientSession(
        connector=aiohttp_module.TCPConnector(ssl=verify),
        timeout=aiohttp_module.ClientTimeout(
            total=CONNECT_TIMEOUT + settings.timeout, sock_connect=CONNECT_TIMEOUT, sock_read=settings.timeout
        ),
        trust_env=True,
    )
    return session


async def asend(session: aiohttp.ClientSession, request: Request) -> Reply:
    """
    Send a request and await its reply; the awaited twin of :func:`send`.

    :raises ServiceError: when there is no whole reply
    """
    import aiohttp
    import yarl

    try:
        async with session.request(
            request.method,
            yarl.URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
        ) as response:
            return Reply(response.status, response.headers, await response.read())
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise _transport_error(request, error, sent=False) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _transport_error(request, error, sent=True) from None


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
