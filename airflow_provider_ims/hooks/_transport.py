"""Sends one request over a socket and brings back the reply, or the error that says whether it was sent."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Hashable, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, SSLError

from airflow_provider_ims.exceptions import GstnInvalidConnection
from airflow_provider_ims.hooks import _call_timeout
from airflow_provider_ims.hooks._bodies import Body, BodyError
from airflow_provider_ims.hooks._call_timeout import Deadline
from airflow_provider_ims.hooks._rate_limit import RateLimit, rate_limit_of
from airflow_provider_ims.hooks._simulated import is_marked
from airflow_provider_ims.protocol.errors import ServiceError, no_reply, unreachable
from airflow_provider_ims.protocol.settings import CONNECT_TIMEOUT, Settings
from airflow_provider_ims.protocol.wire import ENCODINGS, Reply, Request

if TYPE_CHECKING:
    import aiohttp

LARGEST_AWAITED = 8 * 1024 * 1024
"""
Bytes of a reply in an event loop: to parse it holds up everything else there, 8 MiB for about a tenth of a second. A
result of a request that GSTN refused in full, document by document, is smaller.
"""

_PIECE = 64 * 1024


def open_session(settings: Settings) -> requests.Session:
    """
    Return a session for the calls of one hook.

    :raises GstnInvalidConnection: when the CA bundle cannot be read
    """
    verify = _verify(settings)
    if isinstance(verify, str):
        _trust(verify)
    session = requests.Session()
    session.verify = verify
    session.auth = _no_netrc  # else a ~/.netrc would replace the Authorization header
    session.headers["Accept-Encoding"] = ENCODINGS
    # No redirect is followed, but requests would read where it leads, and fail with a text that holds it.
    session.get_redirect_target = _no_redirect  # type: ignore[assignment, method-assign]
    _call_timeout.mount(session)
    return session


def send(session: requests.Session, request: Request, settings: Settings) -> Reply:
    """
    Send a request and wait for its reply, for no longer than the connection's ``timeout`` in all.

    :raises ServiceError: when there is no whole reply; its text names the host and the reason, never a URL
    """
    if not request.repeatable:
        # A kept-alive connection that the other side has just closed would look like a lost reply.
        session.close()
    with Deadline(settings.timeout) as deadline:
        try:
            reply = _exchange(session, request, settings)
            if deadline.is_over:
                # Where a reply ends with its connection, one that was cut off looks whole.
                raise TimeoutError
            return reply
        except (requests.RequestException, HTTPError, OSError) as error:
            sent = _may_have_been_sent(error)
            raise _transport_error(request, TimeoutError() if deadline.is_over else error, sent=sent) from None
        except BodyError as error:
            raise no_reply(request, urlsplit(request.url).netloc, str(error)) from None


def _exchange(session: requests.Session, request: Request, settings: Settings) -> Reply:
    with session.request(
        request.method,
        request.url,
        headers=request.headers,
        data=request.body,
        timeout=(min(CONNECT_TIMEOUT, settings.timeout), settings.timeout),
        allow_redirects=False,
        stream=True,
        verify=session.verify,  # only what is given here wins over the environment's CA bundle
    ) as response:
        body = Body(response.headers.get("Content-Encoding"), request.max_reply)
        for piece in response.raw.stream(_PIECE, decode_content=False):
            body.feed(piece)
        return Reply(response.status_code, response.headers, body.whole(), request.secrets)


class AwaitedTransport:
    """
    Sends the awaited calls of one Airflow connection over one pool of HTTP connections.

    :param session: the pool
    :param rate_limit: how fast requests may follow each other
    :param proxies: origin -> proxy, for the origins that are reached through one

    ``is_simulator`` tells whether a reply bore the simulator's mark.
    """

    def __init__(self, session: aiohttp.ClientSession, rate_limit: RateLimit, proxies: Mapping[str, str]) -> None:
        self._session = session
        self._rate_limit = rate_limit
        self._proxies = proxies
        self.is_simulator = False

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """
        Open the pool; nothing is connected yet.

        :param settings: the connection
        :raises GstnInvalidConnection: when the CA bundle cannot be read
        """
        # The first import takes long enough to hold up every other trigger of the process: not on the loop.
        aiohttp_module: Any = await asyncio.to_thread(import_module, "aiohttp")
        rule = _verify(settings)
        verify = rule if isinstance(rule, bool) else await asyncio.to_thread(_trust, rule)
        # Looked up once: with trust_env, aiohttp would hand each request to a thread, twice, to read the environment
        # and ~/.netrc, whose entry for theodore it would then put beside the Authorization header, and fail.
        proxies = await asyncio.to_thread(_proxies, settings)
        session: aiohttp.ClientSession = aiohttp_module.ClientSession(
            connector=aiohttp_module.TCPConnector(ssl=verify),
            # One bound for the whole call: sock_read would set three timers a call, a tenth of what a poll costs.
            timeout=aiohttp_module.ClientTimeout(total=settings.timeout, sock_connect=CONNECT_TIMEOUT),
            headers={"Accept-Encoding": ENCODINGS},
            auto_decompress=False,  # what it would do without a bound
            cookie_jar=aiohttp_module.DummyCookieJar(),  # another one logs the names of odd cookies
        )
        return cls(session, rate_limit_of(settings), proxies)

    async def send(self, request: Request) -> Reply:
        """
        Send a request when its turn has come, and await its reply; the awaited twin of :func:`send`.

        :raises ServiceError: when there is no whole reply
        """
        import aiohttp
        import yarl

        if pause := self._rate_limit.turn():
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
                if not self.is_simulator:
                    self.is_simulator = is_marked(response.headers, request.url)
                return Reply(response.status, response.headers, await _read(response, request), request.secrets)
        except BodyError as error:
            raise no_reply(request, urlsplit(request.url).netloc, str(error)) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _transport_error(request, error, sent=False) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _transport_error(request, error, sent=True) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


async def _read(response: aiohttp.ClientResponse, request: Request) -> bytes:
    most = min(request.max_reply, LARGEST_AWAITED)
    encoding = response.headers.get("Content-Encoding")
    if encoding is None and response.content_length is not None and response.content_length <= most:
        return await response.read()  # no more than that comes, and it costs a poll less
    body = Body(encoding, most)
    async for piece in response.content.iter_any():
        body.feed(piece)
    return body.whole()


def _verify(settings: Settings) -> bool | str:
    """
    Return whether certificates are checked, or the CA bundle for it: one rule for both hooks.

    The connection wins. Where it only says that they are checked, the bundle is the one that the environment names,
    as ``requests`` has it (``aiohttp`` knows nothing of it).
    """
    if settings.verify_ssl is not True:
        return settings.verify_ssl
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def _trust(bundle: str) -> ssl.SSLContext:
    try:
        file = Path(bundle).stat()
        return _certificates(bundle, (file.st_mtime_ns, file.st_size))
    except OSError as error:  # an SSLError is one
        raise GstnInvalidConnection(
            f"{bundle!r} is no readable CA bundle ({type(error).__name__}). Nothing was sent.\n"
            "It is what verify_ssl of the connection says, or the environment's REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE.\n"
            "Give the absolute path of a file with certificates in PEM form; or true, and neither variable."
        ) from None


@lru_cache(maxsize=4)
def _certificates(bundle: str, _as_it_is: Hashable) -> ssl.SSLContext:
    """Read a bundle, once while it is as it is: a system's takes 25 ms, and each attempt of a task opens a session."""
    folder = Path(bundle).is_dir()
    return ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)


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


def _no_redirect(response: requests.Response) -> None:
    return None


def _may_have_been_sent(error: Exception) -> bool:
    not_sendable = (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidHeader,
    )
    if isinstance(error, not_sendable):
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
