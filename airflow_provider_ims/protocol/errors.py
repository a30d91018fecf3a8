"""Names each error that the service can answer with."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_ims.models.error_codes import FIX_REQUEST, TRY_LATER, Kind, Meaning, meaning_of
from airflow_provider_ims.protocol.text import read_json, strike
from airflow_provider_ims.protocol.wire import Reply, Request

_MAX_TEXT = 300
LONGEST_RETRY_AFTER = 3600.0
"""Seconds; more is not believed: a wait must come back before its deadline, whatever a header says."""

DO_NOT_RESEND = "It may have been done or not: look at the documents on the GST portal before sending it again."


class ServiceError(Exception):
    """
    The service, or the way to it, did not give what was asked for.

    :param kind: what kind of fault it is; decides how software goes on
    :param call: what was being done, in words
    :param code: the service's or GSTN's code, empty if there is none
    :param message: GSTN's own words, empty if there are none
    :param advice: what a person does now
    :param place: what the fault is about: a parameter, a GSTIN, a task
    :param http_status: HTTP status, if there was a reply
    :param retry_after: seconds that the service asked to wait, if it did
    """

    def __init__(
        self,
        kind: Kind,
        call: str,
        *,
        code: str = "",
        message: str = "",
        advice: str = "",
        place: str = "",
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.kind = kind
        self.call = call
        self.code = code
        self.message = message
        self.advice = advice
        self.place = place
        self.http_status = http_status
        self.retry_after = retry_after
        what = ", ".join(part for part in (code, message, f"HTTP {http_status}" if http_status else "") if part)
        about = f" ({place})" if place else ""
        super().__init__(f"{call}{about}: {kind.value}{f' [{what}]' if what else ''}. {advice}".strip())

    def as_lost_reply(self) -> ServiceError:
        """Return this as the error of a request of which nobody can say whether it was done."""
        return self._as(Kind.LOST_REPLY, DO_NOT_RESEND)

    def as_passing(self) -> ServiceError:
        """Return this as the error of a question that is to be asked again."""
        return self._as(Kind.UNREADABLE, self.advice)

    def with_advice(self, advice: str, kind: Kind | None = None) -> ServiceError:
        """
        Return this with another advice, of a call that knows better what it means.

        :param advice: what a person does now
        :param kind: what kind of fault it is there; ``None``: the same
        """
        return self._as(kind or self.kind, advice)

    def _as(self, kind: Kind, advice: str) -> ServiceError:
        return ServiceError(
            kind,
            self.call,
            code=self.code,
            message=self.message,
            advice=advice,
            place=self.place,
            http_status=self.http_status,
            retry_after=self.retry_after,
        )


def read_data(reply: Reply, call: str) -> Any:
    """
    Return the ``data`` of a reply, in either envelope.

    The envelopes are ``{"data"|"error"}`` and the one with ``"status": "0"|"1"``, as text or number; that a reply is in
    one of them, whatever the call, is inferred (envelope). The body decides, not the HTTP status: a 200 can carry an
    error, and a 502 can carry a business answer of GSTN. What bears no code of the service's is not its answer,
    whatever its HTTP status: a page of a proxy, or of another host. It says nothing of the login, the request or the
    task.

    :param reply: the reply
    :param call: what was being done, for the error
    :raises ServiceError: when the reply is an error, or not of this shape
    """
    envelope = _json_object(reply)
    if envelope is not None:
        error = envelope.get("error")
        if error or str(envelope.get("status")) == "0":
            raise _coded_error(error if isinstance(error, Mapping) else {"message": error}, reply, call)
        if 200 <= reply.status < 300 and "data" in envelope:
            return envelope["data"]
    raise _uncoded_error(reply, call)


def unreachable(call: str, host: str, reason: str) -> ServiceError:
    """Return the error for a connection that was never made, so that nothing was sent."""
    return ServiceError(
        Kind.UNREACHABLE,
        call,
        message=f"{host}: {reason}",
        advice=f"Check {'auth_url' if call.startswith('theodore') else 'the host'} in the connection and the way to it"
        " from this worker.",
    )


def no_reply(request: Request, host: str, reason: str) -> ServiceError:
    """Return the error for a request that was sent, or may have been, and got no whole reply."""
    advice = TRY_LATER if request.repeatable else request.if_lost
    if "SSL" in reason and request.url.startswith("https:"):
        advice = f"Does {host} speak https? If not, write http:// before it in the connection. {advice}"
    return ServiceError(
        Kind.OUTAGE if request.repeatable else Kind.LOST_REPLY,
        request.call,
        message=f"{host}: {reason}",
        advice=advice,
    )


def unreadable(call: str, what: str, reply: Reply | None = None) -> ServiceError:
    """Return the error for a reply that is not what the contract says."""
    return ServiceError(
        Kind.UNREADABLE,
        call,
        message=what,
        advice="Check the host in the connection; if it is right, report this to Vayana.",
        http_status=reply.status if reply else None,
    )


def _json_object(reply: Reply) -> Mapping[str, Any] | None:
    try:
        envelope = read_json(reply.body, reply.secrets)
    except (ValueError, RecursionError):
        return None
    return envelope if isinstance(envelope, dict) else None


def _coded_error(error: Mapping[str, Any], reply: Reply, call: str) -> ServiceError:
    code = error.get("message")
    args = error.get("args")
    args = args if isinstance(args, Mapping) else {}
    message = ""
    gstn = args.get("gstn-err")
    if isinstance(gstn, Mapping):
        code = gstn.get("code") or gstn.get("error_cd") or code
        message = _text(gstn.get("message") or gstn.get("error_msg"), reply)
    meaning = meaning_of(str(code))
    # A code that we know is told as it is, even if a short secret is a part of it.
    code = str(code).strip() if meaning else _text(code, reply)
    if not code:
        return _uncoded_error(reply, call)
    if meaning is None and (isinstance(gstn, Mapping) or code == "err-gstn-returned"):
        meaning = Meaning(Kind.REFUSED, "GSTN refused. Look the code up, or ask Vayana what it means.")
    if meaning is None:
        meaning = _meaning_of_status(reply.status)
    if meaning is None:
        meaning = Meaning(Kind.REFUSED, "The service refused. Ask Vayana what the code means.")
    return ServiceError(
        meaning.kind,
        call,
        code=code,
        message=message,
        advice=meaning.advice,
        place=_place(args, reply),
        http_status=reply.status,
        retry_after=_retry_after(reply),
    )


def _place(args: Mapping[str, Any], reply: Reply) -> str:
    for name in ("parameter-name", "version", "task-id"):
        if args.get(name):
            return f"{name} {_text(args[name], reply)}"
    return ""


def _uncoded_error(reply: Reply, call: str) -> ServiceError:
    meaning = _meaning_of_page(reply.status)
    if meaning is None:
        return unreadable(call, "the reply is not the JSON that was expected", reply)
    return ServiceError(
        meaning.kind,
        call,
        advice=meaning.advice,
        http_status=reply.status,
        retry_after=_retry_after(reply),
    )


def _meaning_of_page(http_status: int) -> Meaning | None:
    """Say what an HTTP status means in a reply that is not the service's; 2xx means nothing here."""
    meaning = _meaning_of_status(http_status)
    if meaning is None or http_status in {408, 413, 429} or http_status >= 500:
        return meaning  # every gateway means the same by these
    return Meaning(
        Kind.UNREADABLE,
        "This is no answer of the service's: a proxy or gateway gave it, or the host in the connection is wrong."
        " If it does not pass, check the host, and the way to it from this worker.",
    )


def _meaning_of_status(http_status: int) -> Meaning | None:
    """Say what an HTTP status means where the service's code is not in the table; 2xx means nothing here."""
    match http_status:
        case 401 | 403:
            return Meaning(Kind.LOGIN, "Check login, password and org_id of the connection.")
        case 404:
            return Meaning(Kind.REQUEST, "Check the host in the connection: it does not know this address.")
        case 413:
            return Meaning(Kind.REQUEST, "The request is larger than the service takes. Send fewer documents.")
        case 408:
            return Meaning(Kind.OUTAGE, TRY_LATER)
        case 429:
            return Meaning(Kind.THROTTLED, "Ask less often.")
        case status if status >= 500:
            return Meaning(Kind.OUTAGE, TRY_LATER)
        case status if status >= 400:
            return Meaning(Kind.REQUEST, FIX_REQUEST)
        case status if status >= 300:
            return Meaning(Kind.REQUEST, "The host sends us elsewhere. Correct the host in the connection.")
        case _:
            return None


def _retry_after(reply: Reply) -> float | None:
    value = (reply.header("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_RETRY_AFTER)
    sent = reply.header("Date")
    try:
        if value and sent:
            asked = (parsedate_to_datetime(value) - parsedate_to_datetime(sent)).total_seconds()
            return min(max(0.0, asked), LONGEST_RETRY_AFTER)
    except (ValueError, TypeError):
        pass
    return None


def _text(value: object, reply: Reply) -> str:
    return "" if value is None else strike(str(value), reply.secrets).strip()[:_MAX_TEXT]
