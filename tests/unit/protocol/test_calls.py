"""The reset call."""

from __future__ import annotations

import json

import pytest

from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.protocol.calls import RESET
from airflow_provider_ims.protocol.errors import ServiceError
from tests.unit.builders import ACCESS, RTIN, TOKEN, gstn_error, long, reply, request_of_all_sections, settings


def test_a_reset_is_put_with_the_recipients_gstin_in_the_header():
    payload = ResetPayload.parse(request_of_all_sections())
    request = RESET.build(settings(), ACCESS, payload.rtin, payload.body())
    assert (request.method, request.url) == ("PUT", "https://eas.test/enriched/gstn/v1.0/ims-invoice-status-reset")
    assert request.headers == {
        "accept": "application/json",
        "Content-Type": "application/json",
        "X-FLYNN-N-ORG-ID": "org-1",
        "X-FLYNN-N-USER-TOKEN": TOKEN,
        "X-FLYNN-N-GSTN-GSP-CODE": "vay",
        "X-FLYNN-N-GSTIN": RTIN,
    }
    assert request.body == payload.body()
    assert json.loads(request.body)["rtin"] == request.headers["X-FLYNN-N-GSTIN"]


def test_the_name_of_the_gstin_header_can_be_set():
    request = RESET.build(settings(gstin_header="X-FLYNN-N-GSTN-GSTIN"), ACCESS, RTIN, b"{}")
    assert request.headers["X-FLYNN-N-GSTN-GSTIN"] == RTIN
    assert "X-FLYNN-N-GSTIN" not in request.headers


def test_a_reset_may_not_be_sent_twice():
    assert not RESET.build(settings(), ACCESS, RTIN, b"{}").repeatable


def test_a_reset_answers_with_a_reference_id():
    assert RESET.read(reply(long({"task-id": "t-1"})), RTIN, b"{}") == "t-1"


def test_every_error_of_a_reset_names_the_gstin():
    for got, kind in (
        (reply(gstn_error("AUTH4038"), 502), Kind.GSTN_SESSION),
        (reply(gstn_error("IMSSAV0015"), 502), Kind.BUSY),
        (reply(b"<html>", 502), Kind.LOST_REPLY),
        (reply(b"{}"), Kind.LOST_REPLY),
    ):
        with pytest.raises(ServiceError, match=RTIN) as caught:
            RESET.read(got, RTIN, b"{}")
        assert caught.value.kind is kind
