"""Whether a payload is the request that was sent, and if not, in what it differs."""

from __future__ import annotations

import pytest

from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.models.sent_request import SentRequest
from tests.unit.builders import RTIN, document, numbered, payload, request

SENT = payload(b2b=numbered("b2b", "1", "2"), ecom=[document("ecom")])
OTHER_RTIN = "20MAYAS0100J1ZX"


def test_the_same_documents_in_another_order_are_the_same_request():
    assert SentRequest.of(SENT).difference(payload(ecom=[document("ecom")], b2b=numbered("b2b", "2", "1"))) == ""


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (request(OTHER_RTIN, b2b=numbered("b2b", "1", "2")), ["for GSTIN " + OTHER_RTIN, "for GSTIN " + RTIN]),
        (request(b2b=numbered("b2b", "1", "2", "3")), ["3 documents (3 b2b)", "3 (2 b2b, 1 ecom)"]),
        (request(b2b=numbered("b2b", "1", "2")), ["2 documents (2 b2b)", "3 (2 b2b, 1 ecom)"]),
        (request(b2b=numbered("b2b", "1", "9"), ecom=[document("ecom")]), ["as many documents", "another one"]),
        (request(b2b=numbered("b2b", "1", "2", val=5), ecom=[document("ecom")]), ["differs in a field"]),
    ],
)
def test_another_request_is_told_by_what_differs(other: dict, says: list[str]):
    difference = SentRequest.of(SENT).difference(ResetPayload.parse(other))
    assert all(part in difference for part in says)


def test_what_is_kept_names_no_document_and_is_small():
    kept = SentRequest.of(payload(b2b=numbered("b2b", *map(str, range(1, 5001))))).model_dump_json()
    assert len(kept) < 200
    assert SentRequest.of_text(kept) == SentRequest.of_text(kept)
    assert SentRequest.of_text(kept).documents == 5000


@pytest.mark.parametrize("text", [None, "", "null", "[]", "{}", "no JSON"])
def test_what_cannot_be_read_is_none(text):
    assert SentRequest.of_text(text) is None
