"""
The taxpayer's session with GSTN: one-time password, session, refresh, logout.

Source: Vayana's pages on GSTN authentication, v3.0 (one route, the header ``action`` tells the calls apart).
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from airflow_provider_ims.models.error_codes import OPEN_SESSION, Kind
from airflow_provider_ims.models.printable import clean
from airflow_provider_ims.protocol.access import Access, TokenKeeper, headers, secrets_of
from airflow_provider_ims.protocol.errors import ServiceError, read_data, unreadable
from airflow_provider_ims.protocol.kept_token import digest
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.text import original_text, spellings
from airflow_provider_ims.protocol.wire import Exchange, Exclusive, Load, Mask, Pause, Reply, Request, Save

SESSION_SECONDS = 6 * 3600.0
"""Life of a GSTN session, and of each extension (GSTN, as other GSPs document it; no reply tells it)."""

TASK_DAYS = 7
"""Vayana keeps a task's data for so long; an older one cannot be asked about."""

_SECRETS = ("otp", "gst-session-id")

_UNANSWERED = frozenset({Kind.OUTAGE, Kind.UNREADABLE, Kind.LOST_REPLY})
"""Kinds of fault after which nobody can say whether an extension was done."""

_FOR_A_PERSON = frozenset({"AUTH4037", "AUTH403"})
"""GSTN's codes for "API access is off" and "too many sessions": no extension was done before them."""

log = logging.getLogger(__name__)


class GstnSession(NamedTuple):
    """
    A taxpayer's session, as this provider opened or extended it.

    :param session_id: what refresh and logout need, a secret
    :param opened_at: when the one-time password was verified, seconds since the epoch
    :param renewed_at: when it was last opened or extended, seconds since the epoch
    :param unanswered_at: when an extension was asked for whose reply is lost, seconds since the epoch; 0 for never
    """

    session_id: str
    opened_at: float
    renewed_at: float
    unanswered_at: float = 0.0

    @property
    def ends_at(self) -> float:
        """When it ends unless it is extended before, seconds since the epoch."""
        return self.renewed_at + SESSION_SECONDS

    def __repr__(self) -> str:
        return (
            f"GstnSession(session_id=***, opened_at={self.opened_at}, renewed_at={self.renewed_at},"
            f" unanswered_at={self.unanswered_at})"
        )


class GstnSessions:
    """
    Opens, extends and ends the sessions of taxpayers, and keeps their ids in the session store.

    No method asks for a one-time password but :meth:`request_otp`, which a person has run.

    :param settings: the connection
    :param tokens: keeps the theodore token that every call needs
    :param clock: seconds since the epoch
    """

    def __init__(self, settings: Settings, tokens: TokenKeeper, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._tokens = tokens
        self._clock = clock
        # A session belongs to organisation and GSTIN (inferred: session-owner).
        self._owner = digest(settings.eas_url, settings.org_id or settings.handle)

    def request_otp(self, gstin: str, username: str) -> Exchange[str]:
        """Have GSTN send a one-time password; return the id that goes with it."""
        return (
            yield from self._tokens.call(
                lambda access: request_otp(self._settings, access, gstin, username),
                lambda reply: read_otp_request(reply, gstin),
            )
        )

    def verify_otp(self, gstin: str, otp_request_id: str, otp: str) -> Exchange[GstnSession]:
        """Open a session with a one-time password."""
        yield Mask(otp)
        session_id = yield from self._tokens.call(
            lambda access: verify_otp(self._settings, access, gstin, otp_request_id, otp),
            lambda reply: read_session(reply, gstin),
        )
        now = self._clock()
        session = GstnSession(session_id, now, now)
        # The session is open, whatever becomes of the note: to fail here would cost the taxpayer another password.
        if not (yield from self._keep(gstin, session, required=False)):
            log.error(
                "The session of GSTIN %s is open for 6 hours, but its id could not be kept: it cannot be extended or"
                " logged out by this Airflow. Open another one before it ends.",
                gstin,
            )
        return session

    def refresh(self, gstin: str, min_age: float = 0.0) -> Exchange[GstnSession]:
        """
        Extend the session that is in the store.

        :param min_age: leave a session alone that was opened or extended less than so many seconds ago
        """
        extended: GstnSession = yield Exclusive(self._session_key(gstin), self._refresh(gstin, min_age))
        return extended

    def _refresh(self, gstin: str, min_age: float) -> Exchange[GstnSession]:
        session = yield from self._needed(gstin)
        asked_at = self._clock()
        if asked_at - session.renewed_at < min_age:
            return session
        if asked_at < session.ends_at:
            # Noted before it is sent: the reply, or this process, may be lost, and GSTN may call the session by
            # another id from then on.
            yield from self._keep(gstin, session._replace(unanswered_at=asked_at))
        try:
            session_id = yield from self._tokens.call(
                lambda access: refresh(self._settings, access, gstin, session.session_id),
                lambda reply: read_session(reply, gstin),
            )
        except ServiceError as error:
            if error.kind is Kind.GSTN_SESSION:
                return (yield from self._refused(gstin, session, error))
            if error.kind not in _UNANSWERED:
                yield from self._keep(gstin, session, required=False)
            raise
        # What GSTN calls it now stands nowhere else yet: a store that cannot be read must not lose it.
        stored = yield from self.find(gstin, required=False)
        if stored is not None and stored.opened_at > session.opened_at:
            return stored  # a person has opened a newer one meanwhile
        session = GstnSession(session_id, session.opened_at, self._clock())
        yield from self._keep(gstin, session)
        return session

    def _refused(self, gstin: str, session: GstnSession, error: ServiceError) -> Exchange[GstnSession]:
        """Go on after GSTN did not know a session's id: there may be a newer one, or one that nobody was told."""
        newer = yield from self._newer(gstin, session)
        if newer is not None:
            return newer
        ends_at = session.unanswered_at + SESSION_SECONDS
        if session.unanswered_at and self._clock() < ends_at and error.code not in _FOR_A_PERSON:
            # The extension whose reply was lost was done then (inferred: session-lost-extension), under an id that we
            # do not know. Resets need no id: to have the taxpayer type a password is too early as long as they work.
            log.warning(
                "GSTN knows the session of GSTIN %s by an id that was lost with a reply. It should serve for %d more"
                " minutes and cannot be extended: open another one before.",
                gstin,
                (ends_at - self._clock()) / 60,
            )
            session = session._replace(renewed_at=session.unanswered_at)
            yield from self._keep(gstin, session)
            return session
        yield Save(self._session_key(gstin), None)
        raise error

    def logout(self, gstin: str) -> Exchange[None]:
        """End the session that is in the store."""
        yield Exclusive(self._session_key(gstin), self._logout(gstin))

    def _logout(self, gstin: str) -> Exchange[None]:
        session = yield from self._needed(gstin)
        try:
            yield from self._tokens.call(
                lambda access: logout(self._settings, access, gstin, session.session_id),
                lambda reply: read_logout(reply, gstin),
            )
        except ServiceError as error:
            if error.kind is Kind.GSTN_SESSION and (yield from self._newer(gstin, session)) is None:
                yield Save(self._session_key(gstin), None)
            raise
        stored = yield from self.find(gstin)
        if stored is None or stored.session_id == session.session_id:
            yield Save(self._session_key(gstin), None)

    def _newer(self, gstin: str, session: GstnSession) -> Exchange[GstnSession | None]:
        """Return what the store holds instead of a session that GSTN does not know, if it is another one."""
        stored = yield from self.find(gstin)
        if stored is not None and stored.session_id == session.session_id:
            # Another host may have extended it, and be about to write what GSTN calls it now.
            yield Pause(random.uniform(1.0, 3.0))  # noqa: S311 - jitter, not a secret
            stored = yield from self.find(gstin)
        return None if stored is None or stored.session_id == session.session_id else stored

    def find(self, gstin: str, *, required: bool = True) -> Exchange[GstnSession | None]:
        """
        Return the session that is in the store, if there is one; it may have ended.

        :param required: see :class:`.wire.Load`
        """
        kept = _read_json((yield Load(self._session_key(gstin), required)))
        try:
            session = GstnSession(
                str(kept["session_id"]),
                float(kept["opened_at"]),
                float(kept["renewed_at"]),
                float(kept.get("unanswered_at", 0.0)),
            )
        except (KeyError, TypeError, ValueError):
            return None
        yield Mask(session.session_id)
        return session

    def remember_task(self, gstin: str, reference_id: str) -> Exchange[None]:
        """Note that a task of this taxpayer runs, so that nobody logs out under it."""
        yield Exclusive(self._tasks_key(gstin), self._add_task(gstin, reference_id))

    def _add_task(self, gstin: str, reference_id: str) -> Exchange[None]:
        tasks = yield from self.tasks(gstin)
        yield Save(self._tasks_key(gstin), json.dumps({**tasks, reference_id: self._clock()}))

    def tasks(self, gstin: str) -> Exchange[dict[str, float]]:
        """Return the tasks that were noted in the last 7 days: reference id and time."""
        kept = _read_json((yield Load(self._tasks_key(gstin))))
        oldest = self._clock() - TASK_DAYS * 86400
        return {str(name): at for name, at in kept.items() if isinstance(at, (int, float)) and at > oldest}

    def forget_tasks(self, gstin: str) -> Exchange[None]:
        """Forget the tasks that were noted."""
        yield Save(self._tasks_key(gstin), None)

    def _keep(self, gstin: str, session: GstnSession, *, required: bool = True) -> Exchange[bool]:
        yield Mask(session.session_id)
        return bool((yield Save(self._session_key(gstin), json.dumps(session._asdict()), required=required)))

    def _needed(self, gstin: str) -> Exchange[GstnSession]:
        session = yield from self.find(gstin)
        if session is None:
            raise ServiceError(
                Kind.GSTN_SESSION,
                f"GSTN session of GSTIN {gstin}",
                message="none is known to this Airflow",
                advice=OPEN_SESSION,
            )
        return session

    def _session_key(self, gstin: str) -> str:
        return f"gstn_session_token__{self._owner}__{gstin}"

    def _tasks_key(self, gstin: str) -> str:
        return f"gstn_tasks__{self._owner}__{gstin}"


def _read_json(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def request_otp(settings: Settings, access: Access, gstin: str, username: str) -> Request:
    """Build the request for a one-time password; GSTN sends it to the taxpayer's mobile and mail."""
    request = _authenticate(settings, access, gstin, "OTPREQUEST", {"gstin": gstin, "username": username})
    return request._replace(
        repeatable=False,  # each one sends a message to the taxpayer's phone
        if_lost="A one-time password that arrives now cannot be used; request another one.",
    )


def verify_otp(settings: Settings, access: Access, gstin: str, otp_request_id: str, otp: str) -> Request:
    """Build the exchange of a one-time password for a session of 6 hours."""
    return _authenticate(settings, access, gstin, "AUTHTOKEN", {"otp-request-id": otp_request_id, "otp": otp})


def refresh(settings: Settings, access: Access, gstin: str, session_id: str) -> Request:
    """Build the extension of a session, as long as the taxpayer's consent on the portal lasts."""
    return _authenticate(settings, access, gstin, "REFRESHTOKEN", {"gst-session-id": session_id})


def logout(settings: Settings, access: Access, gstin: str, session_id: str) -> Request:
    """Build the end of a session. Tasks that are still running fail by it."""
    return _authenticate(settings, access, gstin, "LOGOUT", {"gst-session-id": session_id})


def read_otp_request(reply: Reply, gstin: str) -> str:
    """Read the id that goes with the one-time password."""
    return _id(reply, "otp-request-id", f"OTP request for GSTIN {gstin}")


def read_session(reply: Reply, gstin: str) -> str:
    """Read a session's id, after a verified password or a refresh; a refresh can return another id."""
    call = f"GSTN session of GSTIN {gstin}"
    _id(reply, "gst-session-id", call)
    return clean(original_text(reply.body, "data", "gst-session-id") or "")


def read_logout(reply: Reply, gstin: str) -> None:
    """Read the reply to a logout: 200 is the signal, no body is documented."""
    if not 200 <= reply.status < 300 or reply.body.strip():
        read_data(reply, f"GSTN logout of GSTIN {gstin}")


def _authenticate(settings: Settings, access: Access, gstin: str, action: str, body: Mapping[str, str]) -> Request:
    return Request(
        call=f"GSTN {action} for GSTIN {gstin}",
        method="POST",
        url=f"{settings.eas_url}/basic/gstn/v3.0/taxpayerapi/{settings.gstn_api_version}/authenticate",
        headers={**headers(settings, access, gstin=gstin, with_body=True), "action": action},
        body=json.dumps(body).encode(),
        secrets=spellings(*(body[name] for name in _SECRETS if name in body)) + secrets_of(settings, access),
    )


def _id(reply: Reply, name: str, call: str) -> str:
    data = read_data(reply, call)
    found = data.get(name) if isinstance(data, Mapping) else None
    if not isinstance(found, str) or not found:
        raise unreadable(call, f"the reply holds no {name}", reply)
    return found
