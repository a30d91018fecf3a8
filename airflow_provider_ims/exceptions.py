"""
What can go wrong, one exception for each thing that a caller treats differently.

Everything is a :class:`GstnError`. What trying again cannot mend is also Airflow's ``AirflowFailException``,
so that no retry is spent on it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

from airflow_provider_ims._compat import AirflowException, AirflowFailException
from airflow_provider_ims.models.error_codes import Kind, meaning_of
from airflow_provider_ims.models.faults import Fault, InvalidPayload
from airflow_provider_ims.models.printable import clean_lines, fitted
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.storage import StorageError

_E = TypeVar("_E", bound=Exception)

__all__ = [
    "GstnAirflowUnavailable",
    "GstnAmbiguousSubmission",
    "GstnBusy",
    "GstnError",
    "GstnInvalidConnection",
    "GstnInvalidPayload",
    "GstnInvalidRequest",
    "GstnLoginError",
    "GstnNoDocuments",
    "GstnOtpRefused",
    "GstnPayloadTooLarge",
    "GstnPermanentError",
    "GstnRefused",
    "GstnResetFailed",
    "GstnResetNotDone",
    "GstnResetPartial",
    "GstnResultNotReady",
    "GstnServiceUnavailable",
    "GstnSessionExpired",
    "GstnStorageUnavailable",
    "GstnTaskFailed",
    "GstnTaskNotFound",
    "GstnThrottled",
    "GstnTokenLimit",
    "GstnTransientError",
    "GstnUnreadableReply",
]


MOST_REFUSED = 100
"""Refused documents that an exception tells of."""


class GstnError(AirflowException):
    """
    Something went wrong between Airflow, the service and GSTN.

    :param text: the whole story for the person who must act, what and who in its first line; never holds a secret
    :param code: the service's or GSTN's code, empty if there is none
    :param advice: what to do now (also in the text)
    :param place: what it is about: a parameter, a task
    :param http_status: HTTP status of the reply, if there was one
    :param retry_after: seconds that the service asked to wait, if it did
    """

    def __init__(
        self,
        text: str,
        *,
        code: str = "",
        advice: str = "",
        place: str = "",
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        Exception.__init__(self, fitted(clean_lines(text)))
        self.code = code
        self.advice = advice
        self.place = place
        self.http_status = http_status
        self.retry_after = retry_after


class GstnTransientError(GstnError):
    """It may work later, unchanged."""


class GstnPermanentError(GstnError, AirflowFailException):
    """It will not work later either; a person or another request is needed."""


class GstnServiceUnavailable(GstnTransientError):
    """The service or GSTN is down, cannot be reached, or did not answer in time; nothing was changed."""


class GstnAirflowUnavailable(GstnTransientError):
    """Airflow's API server, its database or a secrets backend cannot be reached; what it keeps is not known."""


class GstnThrottled(GstnTransientError):
    """The service wants fewer requests; ``retry_after`` holds its wish."""


class GstnBusy(GstnTransientError):
    """GSTN still works on an earlier save or reset of the same GSTIN (``IMSSAV0015``)."""


class GstnTokenLimit(GstnTransientError):
    """The theodore user has 10 sessions already."""


class GstnUnreadableReply(GstnTransientError):
    """The reply to a question was not what the contract says, such as a page of a proxy."""


class GstnResultNotReady(GstnTransientError):
    """The result was asked for before the task was complete."""


class GstnStorageUnavailable(GstnTransientError):
    """A file or an object store cannot be read or written now."""


class GstnInvalidConnection(GstnPermanentError):
    """The connection is missing, or fields of it are missing or wrong."""


class GstnLoginError(GstnPermanentError):
    """theodore does not accept the user, the password or the organisation."""


class GstnSessionExpired(GstnPermanentError):
    """There is no live GSTN session for the GSTIN; a person has to open one."""


class GstnOtpRefused(GstnPermanentError):
    """GSTN did not accept the one-time password."""


class GstnInvalidRequest(GstnPermanentError):
    """The service or GSTN finds fault with the request itself."""


class GstnRefused(GstnPermanentError):
    """GSTN refused, for a reason of its own."""


class GstnTaskNotFound(GstnPermanentError):
    """The service knows no such task, or not any more."""


class GstnAmbiguousSubmission(GstnPermanentError):
    """The request was sent and its reply is lost: it may have been done or not. Never resent blindly."""


class GstnNoDocuments(GstnPermanentError):
    """GSTN holds no documents of the kind that was asked for."""


class GstnTaskFailed(GstnPermanentError):
    """The service says that the task failed."""


class _ResetEndedBadly(GstnPermanentError):
    """
    A reset has ended, and not every document of it is reset.

    :param text: the whole story
    :param code: GSTN's code, empty if there is none for all
    :param advice: what to do now (also in the text)
    :param refused: the first hundred refused documents, for callbacks: rows with ``section, stin, number, date, rtnprd,
        code, message, remedy``
    """

    def __init__(self, text: str, *, code: str = "", advice: str = "", refused: Sequence[Any] = ()) -> None:
        super().__init__(text, code=code, advice=advice)
        self.refused = list(refused[:MOST_REFUSED])


class GstnResetFailed(_ResetEndedBadly):
    """GSTN refused the whole reset, or its answer is not one that we can call success."""


class GstnResetNotDone(GstnResetFailed):
    """
    The task is complete, and nothing of the reset was done: GSTN was busy or down, or had no session for the GSTIN.

    :param text: the whole story
    :param cause: what the same code would have been at the submission: :class:`GstnBusy`,
        :class:`GstnSessionExpired`, :class:`GstnServiceUnavailable` ...
    :param is_certain: whether the code is surely the task's own; a gateway in between may answer an outage code too
    """

    def __init__(self, text: str, *, cause: GstnError | None = None, is_certain: bool = True, code: str = "") -> None:
        super().__init__(text, code=code or (cause.code if cause else ""))
        self.cause = cause
        self.is_certain = is_certain


class GstnResetPartial(_ResetEndedBadly):
    """GSTN reset some documents and refused others."""


class GstnPayloadTooLarge(GstnPermanentError):
    """The request is larger than the service takes."""


class GstnInvalidPayload(GstnPermanentError, InvalidPayload):
    """
    The reset request is not valid; nothing was sent.

    :param text: every fault, for a person
    :param faults: every fault, for software
    """

    def __init__(self, text: str, faults: Sequence[Fault] = ()) -> None:
        GstnError.__init__(self, text)
        self.faults = list(faults)


_OF_KIND: dict[Kind, type[GstnError]] = {
    Kind.TOKEN_EXPIRED: GstnLoginError,
    Kind.LOGIN: GstnLoginError,
    Kind.TOKEN_LIMIT: GstnTokenLimit,
    Kind.GSTN_SESSION: GstnSessionExpired,
    Kind.OTP: GstnOtpRefused,
    Kind.BUSY: GstnBusy,
    Kind.THROTTLED: GstnThrottled,
    Kind.OUTAGE: GstnServiceUnavailable,
    Kind.UNREACHABLE: GstnServiceUnavailable,
    Kind.NOT_FOUND: GstnTaskNotFound,
    Kind.NOT_READY: GstnResultNotReady,
    Kind.NO_DOCUMENTS: GstnNoDocuments,
    Kind.REQUEST: GstnInvalidRequest,
    Kind.REFUSED: GstnRefused,
    Kind.UNREADABLE: GstnUnreadableReply,
    Kind.LOST_REPLY: GstnAmbiguousSubmission,
}

_BY_NAME: dict[str, type[GstnError]] = {
    cls.__name__: cls
    for cls in (
        *_OF_KIND.values(),
        GstnAirflowUnavailable,
        GstnInvalidConnection,
        GstnTaskFailed,
        GstnPermanentError,
    )
}


def of_service_error(error: ServiceError) -> GstnError:
    """Return the exception for an error that the protocol named."""
    return _OF_KIND[error.kind](
        str(error),
        code=error.code,
        advice=error.advice,
        place=error.place,
        http_status=error.http_status,
        retry_after=error.retry_after,
    )


def of_storage_error(error: StorageError, what: str, then: str = "") -> GstnError:
    """
    Return the exception for a file that could not be read or written.

    :param error: the file, and why
    :param what: what that means for the person who must act; the first line
    :param then: what happens, or is to be done, once that is mended
    """
    cls = GstnStorageUnavailable if error.passes else GstnInvalidRequest
    return cls("\n".join(line for line in (what, str(error), then) if line), advice=error.advice)


def of_code(code: str, text: str) -> GstnError:
    """
    Return the exception for a code of the service or of GSTN that came in a result.

    :param code: a code of the table; any other gives a :class:`GstnRefused`
    :param text: the whole story, without the advice
    """
    meaning = meaning_of(code)
    kind = meaning.kind if meaning else Kind.REFUSED
    advice = meaning.advice if meaning else ""
    return _OF_KIND[kind](f"{text} {advice}".strip(), code=code, advice=advice)


def retold(error: _E, text: str) -> _E:
    """Return the same exception, with all that it carries, and another text."""
    again = copy.copy(error)
    again.args = (fitted(clean_lines(text)),)
    return again


def by_name(name: str, text: str, code: str = "") -> GstnError:
    """
    Return an exception that was carried as text, such as in a trigger's event.

    :param name: class name; one that is not known gives a :class:`GstnPermanentError`
    :param text: the exception's text
    :param code: the exception's code
    """
    return _BY_NAME.get(name, GstnPermanentError)(text, code=code)
