"""What a person reads of an exception in Airflow's log, which does not wrap."""

from __future__ import annotations

import copy
import inspect
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims import exceptions
from airflow_provider_ims.exceptions import (
    GstnError,
    GstnInvalidPayload,
    GstnResetFailed,
    GstnResetNotDone,
    GstnResetPartial,
    retold,
)
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.models.faults import InvalidPayload
from airflow_provider_ims.operators._payload import load_payload
from airflow_provider_ims.waits.events import not_complete_in_time
from tests.unit.builders import STIN, document, request

CLASSES = [
    found
    for _, found in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(found, GstnError) and not found.__name__.startswith("_")
]
LONG = "The service said something long about GSTIN 27AAPFU0939F1ZV, which nobody reads to its end. " * 5


@pytest.mark.parametrize("cls", CLASSES)
def test_the_first_line_of_every_exception_fits(cls: type[GstnError]):
    error = cls(LONG)
    first, *rest = str(error).splitlines()
    assert len(first) < 120
    assert " ".join([first, *rest]).split() == LONG.split()


def test_every_exception_that_is_public_is_tried():
    assert {cls.__name__ for cls in CLASSES} == set(exceptions.__all__)


def test_a_deadline_is_told_in_a_line_that_fits():
    text = str(not_complete_in_time(["6f9d7c1e-0000-4000-8000-000000000000"] * 4, "processing"))
    assert len(text.splitlines()[0]) < 120
    assert "\nLast seen: processing.\n" in text


@pytest.mark.parametrize("cls", [GstnResetPartial, GstnResetFailed, GstnResetNotDone])
def test_what_is_told_again_keeps_what_it_carries(cls: Any):
    error = cls("first", code="IMSSAV0010")
    error.advice, error.refused = "do this", ["row"]
    again = retold(error, LONG)
    assert (type(again), again.code, again.advice, again.refused) == (cls, "IMSSAV0010", "do this", ["row"])
    assert str(error) == "first"
    assert len(str(again).splitlines()[0]) < 120


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_a_callback_of_another_process_has_it_all(again: Any):
    error = again(GstnResetPartial("text", code="c", advice="a", refused=[("b2b", STIN)]))
    assert (str(error), error.code, error.advice, error.refused) == ("text", "c", "a", [("b2b", STIN)])


def test_a_hundred_refused_documents_are_enough_for_a_callback():
    assert len(GstnResetFailed("x", refused=list(range(1000))).refused) == 100


def faults_of(**changes: Any) -> str:
    with pytest.raises(InvalidPayload) as caught:
        ResetPayload.parse(request(b2b=[document(inum="INV-1"), document(inum="INV-2", **changes)]))
    return str(caught.value)


def test_faults_stand_under_their_document():
    text = faults_of(idt="1/2/2025", pos="7")
    [name] = [line for line in text.splitlines() if "INV-2" in line]
    assert name == f"  b2b INV-2 of supplier {STIN}:"
    assert text.splitlines().index(name) + 3 == len(text.splitlines())
    assert "INV-1" not in text


def test_an_amount_stands_as_it_is_written():
    text = faults_of(val=Decimal("18000.123"))
    assert "18000.123" in text
    assert "Decimal" not in text


def test_a_file_is_named_and_an_empty_one_is_called_so(tmp_path: Path):
    path = tmp_path / "reset.json"
    path.write_text(" \n")
    with pytest.raises(GstnInvalidPayload, match="this file is empty"):
        load_payload(str(path), ResetPayload)
    path.write_text('{"rtin": "x"}')
    with pytest.raises(GstnInvalidPayload) as caught:
        load_payload(str(path), ResetPayload)
    first, second, *_ = str(caught.value).splitlines()
    assert len(first) < 120
    assert second == f"In {path}:"
