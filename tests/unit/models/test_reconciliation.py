"""What a look at GSTN's documents told, written so small that it fits into a task's state."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.models.reconciliation import Reconciliation, as_places, of_places
from tests.unit.builders import document, numbered, payload

MANY = payload(
    b2b=numbered("b2b", *map(str, range(1, 31))),
    b2bcn=numbered("b2bcn", *map(str, range(1, 11))),
    ecom=[document("ecom")],
)
KEYS = sorted(key for key, _ in MANY.documents())


def found(places: str = "0-2", payload: ResetPayload = MANY, *, sent: bool = True) -> Reconciliation:
    return Reconciliation(fingerprint=payload.fingerprint(), already_reset=places, sent=sent)


@settings(deadline=None)
@given(st.sets(st.sampled_from(KEYS)))
def test_documents_are_found_again_by_their_places(chosen: set[DocumentKey]):
    places = as_places(chosen, MANY)
    assert of_places(places, MANY) == chosen
    assert found(places).count == len(chosen)
    assert found(places).keys(MANY) == chosen


@settings(deadline=None, max_examples=30)
@given(chosen=st.sets(st.sampled_from(KEYS)), order=st.permutations(range(30)))
def test_they_are_found_again_whatever_order_the_documents_come_in(chosen: set[DocumentKey], order: list[int]):
    documents = numbered("b2b", *map(str, range(1, 31)))
    shuffled = payload(
        ecom=[document("ecom")],
        b2bcn=numbered("b2bcn", *map(str, range(10, 0, -1))),
        b2b=[documents[place] for place in order],
    )
    assert found(as_places(chosen, MANY)).keys(shuffled) == chosen


@pytest.mark.parametrize(
    ("places", "text"),
    [
        ([], ""),
        ([0], "0"),
        ([0, 1], "0-1"),
        ([0, 2], "0,2"),
        ([3, 4, 5, 9, 39, 40], "3-5,9,39-40"),
        (range(41), "0-40"),
    ],
)
def test_neighbours_are_written_as_a_run(places, text):
    assert as_places({KEYS[place] for place in places}, MANY) == text


def test_thousands_of_documents_fit_into_a_few_letters():
    thousands = payload(b2b=numbered("b2b", *map(str, range(1, 5001))))
    keys = {key for key, _ in thousands.documents()}
    assert as_places(keys, thousands) == "0-4999"


def test_documents_of_another_request_have_no_place():
    assert as_places({DocumentKey("b2b", "S", "N", "23-01-2023", "012023")}, MANY) == ""


def test_it_survives_being_kept_as_text():
    kept = found("0-4,7", sent=False)
    assert Reconciliation.of_text(kept.model_dump_json()) == kept


@pytest.mark.parametrize("text", [None, "", "null", "[]", "{}", "no JSON", '{"fingerprint": "f", "sent": true}'])
def test_what_cannot_be_read_is_none(text):
    assert Reconciliation.of_text(text) is None


def test_it_says_nothing_of_a_request_that_differs_in_one_amount():
    other = payload(b2b=[document(val=1180)])
    kept = found("0", payload(b2b=[document(val=1181)]))
    assert kept.keys(other) == set()
    assert kept.count == 1
