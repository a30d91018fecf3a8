"""How the awaited hook reaches the service."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_ims.exceptions import GstnInvalidConnection
from airflow_provider_ims.hooks._transport import AwaitedTransport, open_session, send
from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.wire import Request
from tests.unit.builders import settings

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Listener:
    """Answers every request with 200 and keeps what it was sent."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.heads: list[str] = []
        self._tls = tls

    async def __aenter__(self) -> Listener:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=self._tls)
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
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
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)
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


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that nobody vouches for but itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path_factory.mktemp("tls") / "own.pem"
    file.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, *plain))
    return file


@pytest.fixture(params=["plain", "awaited"])
def ask_over_tls(request: pytest.FixtureRequest, own: Path):
    """Ask a service with that certificate, by either hook's way; whether it answered."""

    async def ask(verify_ssl: bool | str) -> bool:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(own)
        async with Listener(tls) as service:
            connection = settings(eas_url=service.url, auth_url=service.url, verify_ssl=verify_ssl)
            question = Request("a question", "GET", f"{service.url}/x", {})
            try:
                await (asyncio.to_thread(plainly, connection, question) if plain else awaited(connection, question))
            except ServiceError as error:
                return error.kind is not Kind.UNREACHABLE
            return True

    def plainly(connection: Settings, question: Request) -> None:
        with open_session(connection) as session:
            assert send(session, question, connection).status == 200

    async def awaited(connection: Settings, question: Request) -> None:
        transport = await AwaitedTransport.open(connection)
        try:
            assert (await transport.send(question)).status == 200
        finally:
            await transport.close()

    plain = request.param == "plain"
    return ask


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("variable", BUNDLES)
@pytest.mark.parametrize(
    ("verify_ssl", "environment", "answers"),
    [
        ("own", "others", True),
        ("others", "own", False),
        (False, "others", True),
        (True, "own", True),
        (True, "others", False),
        (True, None, False),
        ("own", None, True),
    ],
)
async def test_the_connection_decides_whom_to_trust_and_the_environment_only_where_it_says_nothing(
    own, ask_over_tls, monkeypatch, variable, verify_ssl: Any, environment, answers
):
    bundles = {"own": str(own), "others": certifi.where()}
    if environment:
        monkeypatch.setenv(variable, bundles[environment])
    assert await ask_over_tls(bundles.get(verify_ssl, verify_ssl)) is answers


async def test_a_bundle_of_the_environment_that_cannot_be_read_is_named(own, ask_over_tls, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(GstnInvalidConnection, match=r"nowhere\.pem"):
        await ask_over_tls(True)


async def test_a_bundle_that_has_changed_since_the_last_session_is_read_again(own, ask_over_tls, tmp_path):
    bundle = tmp_path / "bundle.pem"
    for content, answers in ((Path(certifi.where()), False), (own, True), (Path(certifi.where()), False)):
        bundle.write_bytes(content.read_bytes())
        assert await ask_over_tls(str(bundle)) is answers
