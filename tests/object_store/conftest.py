"""A real client of S3 against moto, over a line that can be cut; ``make cluster`` has an environment with both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from airflow.sdk import ObjectStoragePath
from moto.server import ThreadedMotoServer

from tests.contract.conftest import _server, simulator

__all__ = ["_server", "simulator"]

LOOPBACK = "127.0.0.1"


class Line:
    """
    Forwards connections to the object store, until it is cut.

    :param port: the object store's
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self.refused = 0
        self.port = 0

    def __enter__(self) -> Line:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = self._in_loop(asyncio.start_server(self._forward, LOOPBACK, 0))
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *error: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """End all connections, and take no more."""
        self._is_cut = True
        self._in_loop(self._end_all())

    def mend(self) -> None:
        """Take connections again."""
        self._is_cut = False

    def _in_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _end_all(self) -> None:
        for writer in list(self._writers):
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            self.refused += 1
            writer.close()
            return
        there, to_there = await asyncio.open_connection(LOOPBACK, self._target)
        mine = {writer, to_there}
        self._writers |= mine
        try:
            await asyncio.gather(_copy(reader, to_there), _copy(there, writer))
        finally:
            self._writers -= mine


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
    writer.close()


@pytest.fixture(scope="session")
def _moto() -> Iterator[int]:
    server = ThreadedMotoServer(LOOPBACK, 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture(scope="session")
def _line(_moto: int) -> Iterator[Line]:
    with Line(_moto) as line:
        yield line


@pytest.fixture
def line(_line: Line, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """The line to the object store; whole at first."""
    url = f"http://{LOOPBACK}:{_line.port}"
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    yield _line
    _line.mend()


@pytest.fixture
def bucket(line: Line) -> ObjectStoragePath:
    """An empty folder of the object store."""
    name = f"ims-{uuid.uuid4().hex[:12]}"
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=f"http://{LOOPBACK}:{line.port}", **keys).create_bucket(Bucket=name)
    return ObjectStoragePath(f"s3://aws_default@{name}/run")
