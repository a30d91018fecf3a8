"""
The service, as cheap as it can be, in a process of its own: its CPU is not counted and it is never the bottleneck.

    python -m bench.service FOLDER [--plain]

It logs everybody in, and no task ever ends. It stops when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import itertools
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

HOST = "127.0.0.1"
STATUS_PATH = "/enriched/tasks/v1.0/status/"
NOT_YET_PATH = "/not-yet/"
"""Answers as the status does, but with 404: what ``HttpSensorTrigger`` takes for "not yet"."""
COUNT_PATH = "/count"
"""Tells how many of these two were answered."""

CHECKOUT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Address:
    """
    Where the service listens.

    :param url: base URL
    :param ca: file of the certificate that vouches for it; ``None`` without TLS
    """

    url: str
    ca: str | None

    @property
    def connection(self) -> str:
        """The Airflow connection of type ``gstn``, as ``AIRFLOW_CONN_...`` takes it."""
        extra: dict[str, Any] = {"org_id": "org-1", "auth_url": f"{self.url}/theodore"}
        if self.ca:
            extra["verify_ssl"] = self.ca
        return json.dumps(
            {"conn_type": "gstn", "host": self.url, "login": "bench@acme.test", "password": "x", "extra": extra}
        )


@contextmanager
def service(*, tls: bool = True) -> Iterator[Address]:
    """
    Run the service while the block runs.

    :param tls: whether it speaks TLS, with a certificate made for this run
    """
    with tempfile.TemporaryDirectory(prefix="ims-bench-") as folder:
        command = [sys.executable, "-m", "bench.service", folder, *([] if tls else ["--plain"])]
        # No ProcessSet, whose children have no standard input and output to talk by: this one says there where it
        # listens, and ends itself when its input does, so also when this process is killed.
        with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
            try:
                assert process.stdout is not None  # noqa: S101
                yield Address(**json.loads(process.stdout.readline()))
            finally:
                process.kill()


class _Connection(asyncio.Protocol):
    """One connection; a request is read only as far as its reply depends on it."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that has come in whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            end += 4 + _length_of_body(self._received[:end])
            if len(self._received) < end:
                return
            request, self._received = self._received[:end], self._received[end:]
            self._transport.write(_reply(request))


def _length_of_body(head: bytes) -> int:
    if head.startswith(b"GET "):
        return 0
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return int(lengths[0]) if lengths else 0


_answered = itertools.count()


def _reply(request: bytes) -> bytes:
    path = request[request.index(b" ") + 1 : request.index(b" ", 8)]
    if path == COUNT_PATH.encode():
        return _written(b"200 OK", b'{"data":%d}' % next(_answered))
    if path.startswith((STATUS_PATH.encode(), NOT_YET_PATH.encode())):
        next(_answered)
    if path.startswith(STATUS_PATH.encode()):
        return _written(b"200 OK", _status_of(path[len(STATUS_PATH) :]))
    if path.startswith(NOT_YET_PATH.encode()):
        return _written(b"404 Not Found", _status_of(path[len(NOT_YET_PATH) :]))
    if path == b"/theodore/authtokens":
        organisation = {"organisation": {"id": "org-1", "name": "Acme"}}
        token = {"token": "t" * 64, "expiry": (time.time() + 6 * 3600) * 1000, "associatedOrgs": [organisation]}
        return _written(b"200 OK", json.dumps({"data": token}).encode())
    return _written(b"200 OK", b'{"data":{}}')


def _status_of(reference_id: bytes) -> bytes:
    return b'{"data":{"id":"%b","status":"processing","jobs":{"total":1,"pending":1}}}' % reference_id


def _written(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return head + body


def _certificate(folder: Path) -> Path:
    """Make a certificate for this run that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "tls.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    return file


async def _serve(folder: Path, *, plain: bool) -> None:
    context, certificate = None, None
    if not plain:
        certificate = _certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(_Connection, HOST, 0, ssl=context, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    url = f"{'http' if plain else 'https'}://{HOST}:{port}"
    print(json.dumps({"url": url, "ca": certificate and str(certificate)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    asyncio.run(_serve(options.folder, plain=options.plain))
