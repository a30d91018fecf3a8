"""
One deadline for a whole call with ``requests``, whose own timeouts only bound the silence between two bytes.

A server that sends one byte now and then, of the headers or of the body, would hold a call, and the lock under which a
login is made, for as long as it likes. At the deadline the socket is shut down, whatever the call is waiting for.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from contextvars import ContextVar
from http.client import HTTPResponse
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool

_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


class Deadline:
    """
    The end of a call, as a context manager; calls of an :class:`Adapter` within it end at it.

    :param seconds: from now on
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        _current.reset(self._token)
        with self._lock:
            self._connection = self._socket = None  # it may serve another call now

    def use(self, connection: HTTPConnection) -> None:
        """
        Note the connection that the call uses now.

        :raises TimeoutError: when the deadline has passed
        """
        with self._lock:
            self._connection, self._socket = connection, connection.sock
            if self.is_over:
                raise TimeoutError("the deadline of the call has passed")

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            # A connection lets go of its socket when the reply ends with it, long before the reply is read.
            open_socket = (self._connection.sock if self._connection else None) or self._socket
            if open_socket is not None:
                # Not SSLSocket's own, which would let the reader go on without TLS.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(open_socket, socket.SHUT_RDWR)


class Adapter(HTTPAdapter):
    """Sends requests over connections that end with a :class:`Deadline`."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> ConnectionPool:
        """Return the pool of connections for a request."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        if isinstance(pool, HTTPConnectionPool) and not issubclass(pool.ConnectionCls, _Ending):
            pool.ConnectionCls = type("Connection", (_Ending, pool.ConnectionCls), {})
        return pool


class _Response(HTTPResponse):
    """Forgets what among its headers is none; urllib3 would write it into the log."""

    def begin(self) -> None:
        super().begin()
        self.msg.defects.clear()
        self.msg.set_payload("")


class _Ending(HTTPConnection):
    """Tells the deadline of the call which connection it is on."""

    response_class = _Response

    def connect(self) -> None:
        self._tell()
        super().connect()
        self._tell()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._tell()
        super().request(*args, **kwargs)

    def _tell(self) -> None:
        if (deadline := _current.get()) is not None:
            deadline.use(self)


def mount(session: requests.Session) -> None:
    """Let a session send over connections that end with a :class:`Deadline`."""
    for prefix in ("https://", "http://"):
        session.mount(prefix, Adapter())
