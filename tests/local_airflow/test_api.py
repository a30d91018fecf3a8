"""What Airflow's REST client does where Airflow wants a token of everybody."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from local_airflow.api import AirflowApi

TOKEN = "of-everybody"


class OldAirflow(BaseHTTPRequestHandler):
    """An API server as Airflow 3.1 has it: it gives a token to everybody, and answers nobody without one."""

    def do_GET(self) -> None:
        gives, knows = self.path == "/auth/token", self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(200 if gives or knows else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"access_token": TOKEN} if gives else {"asked": self.path}).encode())

    def log_message(self, *_: Any) -> None:
        pass


class BesideAnotherThread(AirflowApi):
    """Its first question is on its way when another thread gets the token."""

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        response = super()._send(method, url, **options)
        self._session.headers["Authorization"] = f"Bearer {TOKEN}"
        return response


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OldAirflow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("client", [AirflowApi, BesideAnotherThread])
def test_who_asks_without_a_token_gets_one_and_asks_again(url: str, client: type[AirflowApi]) -> None:
    assert client(url).get("dags") == {"asked": "/api/v2/dags"}
