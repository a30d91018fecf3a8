"""What is raised to Airflow: which exception for which fault, and whether it is worth a retry."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle

import pytest

from airflow_provider_ims import exceptions
from airflow_provider_ims._compat import AirflowException, AirflowFailException
from airflow_provider_ims.exceptions import GstnError, GstnInvalidPayload, GstnPermanentError, GstnTransientError
from airflow_provider_ims.models import Fault, InvalidPayload
from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.models.printable import fitted
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.theodore import read_login
from tests.unit.builders import PASSWORD, TOKEN, reply, short, short_error

RAISED_FOR = {
    Kind.TOKEN_EXPIRED: "GstnLoginError",
    Kind.LOGIN: "GstnLoginError",
    Kind.TOKEN_LIMIT: "GstnTokenLimit",
    Kind.GSTN_SESSION: "GstnSessionExpired",
    Kind.OTP: "GstnOtpRefused",
    Kind.BUSY: "GstnBusy",
    Kind.THROTTLED: "GstnThrottled",
    Kind.OUTAGE: "GstnServiceUnavailable",
    Kind.UNREACHABLE: "GstnServiceUnavailable",
    Kind.NOT_FOUND: "GstnTaskNotFound",
    Kind.NOT_READY: "GstnResultNotReady",
    Kind.NO_DOCUMENTS: "GstnNoDocuments",
    Kind.REQUEST: "GstnInvalidRequest",
    Kind.REFUSED: "GstnRefused",
    Kind.UNREADABLE: "GstnUnreadableReply",
    Kind.LOST_REPLY: "GstnAmbiguousSubmission",
}

WORTH_A_RETRY = {
    "GstnTransientError",
    "GstnAirflowUnavailable",
    "GstnServiceUnavailable",
    "GstnStorageUnavailable",
    "GstnThrottled",
    "GstnBusy",
    "GstnTokenLimit",
    "GstnUnreadableReply",
    "GstnResultNotReady",
}

EVERY = [
    thing
    for thing in vars(exceptions).values()
    if inspect.isclass(thing) and issubclass(thing, GstnError) and thing.__module__ == exceptions.__name__
]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_fault_has_its_exception(kind: Kind):
    error = ServiceError(
        kind, "IMS reset", code="CODE1", message="words", advice="Do this.", place="task-id t", http_status=502
    )
    error.retry_after = 7.0
    raised = exceptions.of_service_error(error)
    assert type(raised).__name__ == RAISED_FOR[kind]
    assert str(raised) == fitted(str(error))
    assert (raised.code, raised.advice, raised.place, raised.http_status, raised.retry_after) == (
        "CODE1",
        "Do this.",
        "task-id t",
        502,
        7.0,
    )


@pytest.mark.parametrize("cls", EVERY)
def test_every_exception_is_airflows_and_says_whether_a_retry_is_worth_it(cls: type[GstnError]):
    assert issubclass(cls, AirflowException)
    if cls is GstnError:
        return
    assert issubclass(cls, GstnTransientError) is (cls.__name__ in WORTH_A_RETRY)
    assert issubclass(cls, GstnPermanentError) is (cls.__name__ not in WORTH_A_RETRY)
    assert issubclass(cls, AirflowFailException) is (cls.__name__ not in WORTH_A_RETRY)


def test_a_lost_reply_is_never_retried_by_airflow():
    assert issubclass(exceptions.GstnAmbiguousSubmission, AirflowFailException)


@pytest.mark.parametrize("cls", EVERY)
def test_every_exception_survives_airflows_serialisation(cls: type[GstnError]):
    path, args, kwargs = cls("what happened").serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(*args, **kwargs)
    assert type(again) is cls
    assert str(again) == "what happened"


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_every_exception_can_be_copied_and_pickled(cls: type[GstnError], again):
    error = cls("what happened")
    error.code, error.retry_after = "X", 7.0
    copied = again(error)
    assert type(copied) is cls
    assert (str(copied), copied.code, copied.retry_after) == ("what happened", "X", 7.0)


def test_an_invalid_payload_is_both_airflows_and_ours():
    fault = Fault("rtin", "x", "a GSTIN")
    error = GstnInvalidPayload("two words", [fault])
    assert isinstance(error, InvalidPayload)
    assert isinstance(error, AirflowFailException)
    assert error.faults == [fault]
    assert pickle.loads(pickle.dumps(error)).faults == [fault]  # noqa: S301
    assert GstnInvalidPayload("two words").faults == []


@pytest.mark.parametrize("name", [*RAISED_FOR.values(), "GstnInvalidConnection", "GstnTaskFailed"])
def test_an_exception_that_was_carried_as_text_comes_back(name: str):
    raised = exceptions.by_name(name, "what happened", "X")
    assert type(raised).__name__ == name
    assert (str(raised), raised.code) == ("what happened", "X")


@pytest.mark.parametrize("name", ["", "ValueError", "KeyError", "GstnTimeTravel", "builtins.eval", "GstnError"])
def test_a_name_that_is_not_known_is_a_permanent_error(name: str):
    raised = exceptions.by_name(name, "what happened")
    assert type(raised) is GstnPermanentError
    assert (str(raised), raised.code) == ("what happened", "")


@pytest.mark.parametrize(
    "answer",
    [
        reply(short_error("err-invalid-credentials"), 401),
        reply(short({"token": TOKEN}), 200),
        reply(short({"token": TOKEN, "expiry": PASSWORD}), 200),
        reply(f"<html>{TOKEN} {PASSWORD}</html>".encode(), 500),
    ],
)
def test_no_secret_of_a_login_reaches_an_exception(answer):
    with pytest.raises(ServiceError) as caught:
        read_login(answer)
    raised = exceptions.of_service_error(caught.value)
    shown = f"{raised} {raised!r} {vars(raised)} {raised.args}"
    assert TOKEN not in shown
    assert PASSWORD not in shown
