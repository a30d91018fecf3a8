"""Sending a reset, which is never sent twice."""

from __future__ import annotations

import ipaddress
import json
import logging
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnBusy,
    GstnInvalidRequest,
    GstnPayloadTooLarge,
    GstnServiceUnavailable,
    GstnSessionExpired,
    GstnThrottled,
)
from airflow_provider_ims.hooks import _base
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.models import ResetPayload


@pytest.fixture
def session(simulator, payload):
    simulator.gst.open_session(payload.rtin)


@pytest.mark.usefixtures("session")
class TestWithSession:
    def test_a_reset_is_accepted_once_and_resets_every_document(self, simulator, hook, payload):
        reference_id = hook.submit_reset(payload)
        simulator.finish_tasks()
        result = hook.get_task_result(reference_id)
        assert (result.outcome, result.processed, result.refused) == ("processed", 8, [])
        assert (simulator["resets"], simulator["logins"]) == (1, 1)
        assert {document["status"] for document in simulator.gst.state()["documents"]} == {"N"}

    def test_a_second_reset_of_a_busy_gstin_is_transient(self, simulator, hook, payload):
        hook.submit_reset(payload)
        with pytest.raises(GstnBusy, match="IMSSAV0015") as caught:
            hook.submit_reset(payload)
        assert payload.rtin in str(caught.value)
        assert simulator["resets"] == 1

    def test_a_reply_lost_after_acceptance_is_not_answered_with_a_second_request(self, simulator, hook, payload):
        simulator.fault("reset", "drop_after")
        with pytest.raises(GstnAmbiguousSubmission, match="GST portal"):
            hook.submit_reset(payload)
        assert (simulator["resets"], simulator["reset_calls"]) == (1, 1)

    @pytest.mark.parametrize(
        "fault", [{"kind": "http", "status": 503}, {"kind": "http", "status": 500}, {"kind": "garbage"}]
    )
    def test_a_reply_that_leaves_it_open_is_ambiguous(self, simulator, hook, payload, fault):
        simulator.fault("reset", **fault)
        with pytest.raises(GstnAmbiguousSubmission):
            hook.submit_reset(payload)
        assert simulator["reset_calls"] == 1

    def test_a_reply_too_slow_is_ambiguous(self, simulator, submitted, payload, monkeypatch):
        connection = simulator.server.connection
        connection["extra"]["timeout"] = 1
        monkeypatch.setenv("AIRFLOW_CONN_HASTY", json.dumps(connection))
        simulator.fault("reset", "slow", seconds=30)
        with GstnHook("hasty") as hook, pytest.raises(GstnAmbiguousSubmission, match="(?i)timeout"):
            hook.submit_reset(payload)

    def test_throttled_means_nothing_was_done(self, simulator, hook, payload):
        simulator.fault("reset", "http", status=429, retry_after=3)
        with pytest.raises(GstnThrottled) as caught:
            hook.submit_reset(payload)
        assert caught.value.retry_after == 3
        assert simulator["resets"] == 0

    def test_an_expired_token_is_renewed_and_the_reset_sent_once(self, simulator, hook, payload):
        hook.test_connection()
        simulator.fault("reset", "expire_token")
        hook.submit_reset(payload)
        assert simulator["resets"] == 1

    def test_a_request_of_another_gstin_than_the_hooks_is_not_sent(self, simulator, payload):
        with GstnHook(gstin="27AAPFU0939F1ZV") as hook, pytest.raises(GstnInvalidRequest) as caught:
            hook.submit_reset(payload)
        assert "27AAPFU0939F1ZV" in str(caught.value)
        assert payload.rtin in str(caught.value)
        assert simulator["logins"] == 0

    def test_a_request_over_four_million_bytes_is_not_sent(self, simulator, hook, sample):
        first = sample["invdata"]["b2b"][0]
        many = [{**first, "inum": f"A{number}"} for number in range(22_000)]
        payload = ResetPayload.parse({**sample, "invdata": {"b2b": many}})
        with pytest.raises(GstnPayloadTooLarge, match=f"{len(payload.body()):,} bytes with 22,000 documents"):
            hook.submit_reset(payload)
        assert simulator["logins"] == 0


def test_without_a_gstn_session_the_gstin_and_the_next_step_are_named(simulator, hook, payload):
    with pytest.raises(GstnSessionExpired, match="Open a GSTN session") as caught:
        hook.submit_reset(payload)
    assert payload.rtin in str(caught.value)


def test_nobody_listening_is_safe_to_retry(simulator, payload, free_port, monkeypatch):
    connection = simulator.server.connection
    connection["host"] = f"http://127.0.0.1:{free_port}"
    monkeypatch.setenv("AIRFLOW_CONN_NOBODY", json.dumps(connection))
    with GstnHook("nobody") as hook, pytest.raises(GstnServiceUnavailable, match="nothing was sent"):
        hook.submit_reset(payload)


@pytest.fixture
def tls_port(tmp_path):
    """A port where somebody speaks TLS with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "tls.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_certificate_that_nobody_vouches_for_means_that_nothing_was_sent(simulator, payload, tls_port, monkeypatch):
    connection = simulator.server.connection
    connection["host"] = f"https://127.0.0.1:{tls_port}"
    monkeypatch.setenv("AIRFLOW_CONN_STRANGER", json.dumps(connection))
    with GstnHook("stranger") as hook, pytest.raises(GstnServiceUnavailable, match="nothing was sent"):
        hook.submit_reset(payload)


def test_no_secret_in_any_log_line(simulator, hook, payload, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    simulator.gst.open_session(payload.rtin)
    hook.submit_reset(payload)
    [kept] = _base._KNOWN_TOKENS.values()
    token = kept.token.value
    logged = caplog.text + "".join(capfd.readouterr())
    for secret in ("simulator-password", token):
        assert secret not in logged
