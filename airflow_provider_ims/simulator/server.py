"""The simulator as a real HTTP server in a thread of this process."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import uvicorn  # noqa: TID253 - the program itself; no operator imports this
from starlette.types import Scope

from .gst import Gst
from .http import create_app
from .options import Options

_START_SECONDS = 120
_STOP_SECONDS = 120


class _Server(uvicorn.Server):
    """A uvicorn server that tells when it is up and does not wait for anybody at its end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start and tell it."""
        await super().startup(sockets=sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut the connections first: neither a slow call nor an idle client may hold up the end."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        self.force_exit = True
        await super().shutdown(sockets=sockets)
        # A connection that was being accepted meanwhile would stay open with nobody behind it.
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class SimulatorServer:
    """Context manager: the simulator, listening while the block runs.

    It can be entered again, on the same port and with the same state. Meanwhile connections are refused, while time
    goes on: a task that was running ends. To break off a block, call :meth:`stop` and :meth:`start` in it.

    :param options: how the services behave
    :param port: 0 takes a free one; afterwards see ``port`` and ``url``
    :param host: the address to listen on; there is no access control beyond the simulated one
    :param on_otp: told (GSTIN, OTP) of each OTP that is sent
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        on_otp: Callable[[str, str], None] | None = None,
    ) -> None:
        self.gst = Gst(options, on_otp)
        self.host = host
        self.port = port
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, at the first time on the port that was asked for, then always on the one that was taken.

        :raises OSError: when the port is not free
        """
        # Opened again by its number, the socket knows that it is TCP; else asyncio leaves Nagle's delay of 40 ms on.
        listener = socket.socket(fileno=socket.create_server((self.host, self.port)).detach())
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            create_app(self.gst, self._drop),
            http="h11",
            loop="asyncio",
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="ims-simulator", daemon=True
        )
        self._thread.start()
        if not self._server.up.wait(_START_SECONDS):
            raise RuntimeError("the simulator did not start")

    def stop(self) -> None:
        """Cut all connections and listen no more; nothing happens if it does not listen."""
        if self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError("the simulator did not stop")
        self._thread = None

    def _drop(self, scope: Scope) -> None:
        """Close the TCP connection on which a request came."""
        for connection in list(self._server.server_state.connections):
            if getattr(connection, "client", None) == tuple(scope["client"]):
                connection.transport.abort()

    @property
    def url(self) -> str:
        """The base URL of the Enriched API, which is also that of ``/admin``."""
        return f"http://{self.host}:{self.port}"

    @property
    def auth_url(self) -> str:
        """The base URL of theodore."""
        return f"{self.url}/theodore/apis/v1"

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection to this simulator."""
        options = self.gst.options
        return {
            "conn_type": "gstn",
            "host": self.url,
            "login": options.login,
            "password": options.password,
            "extra": {"org_id": options.org_id, "auth_url": self.auth_url},
        }

    @property
    def connection_json(self) -> str:
        """The Airflow connection as the JSON that ``AIRFLOW_CONN_...`` takes."""
        return json.dumps(self.connection, separators=(",", ":"))
