"""Asks the service, step by step. Only reads, unless a request to reset is given."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_ims.doctor.transcript import Transcript
from airflow_provider_ims.exceptions import GstnError, GstnTaskNotFound, GstnTransientError
from airflow_provider_ims.hooks.gstn import RESET, GstnHook
from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.models.printable import counted
from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.protocol import access, tasks
from airflow_provider_ims.protocol.access import Build
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.kept_token import KeptToken
from airflow_provider_ims.protocol.wire import SMALL_REPLY, Reply, Request
from airflow_provider_ims.sessions.store import MemorySessionStore

_PAUSES = (2.0, 4.0, 8.0, 15.0)

_MOST_UNANSWERED = 3
"""Questions for a status, one after the other, that may stay without an answer."""


class Step(NamedTuple):
    """
    One step, as it went.

    :param went_well: whether it did
    :param told: what was found, in words
    """

    name: str
    went_well: bool
    told: str


class _RecordingHook(GstnHook):
    """Keeps every call in a transcript; logs in anew, with a token of its own that it logs out at the end."""

    def __init__(self, gstn_conn_id: str, gstin: str, now: Callable[[], float]) -> None:
        self._now = now
        self._kept = MemorySessionStore()
        super().__init__(gstn_conn_id, gstin=gstin, read_attempts=1, store=self._kept)
        self.step = ""
        self.transcript = Transcript()

    def organisations(self) -> int:
        """Return for how many organisations the user may act, as the login said: names are nobody's business here."""
        tokens = map(KeptToken.of_text, self._kept.kept.values())
        return max((len(kept.token.organisations) for kept in tokens if kept), default=0)

    @property
    def has_token(self) -> bool:
        """Whether a login has given one, and it was not logged out."""
        return bool(self._kept.kept)

    def log_out(self) -> str:
        """End the token."""
        self._run(self._tokens.log_out())
        return "done"

    def ask(self, build: Build, read: Callable[[Reply], Any]) -> Any:
        return self._call(build, read)

    def ask_anonymously(self, call: str, url: str) -> Reply:
        request = Request(call, "GET", url, {"accept": "application/json"}, max_reply=SMALL_REPLY)
        return self._send(request)

    def _send(self, request: Request) -> Reply:
        began = time.monotonic()
        reply = None
        try:
            reply = super()._send(request)
        finally:
            seconds = time.monotonic() - began
            self.transcript.add(self.step, request, reply, at=self._now(), seconds=seconds)
        return reply


class Examination:
    """
    Tries an account.

    :param gstn_conn_id: id of the connection
    :param gstin: the taxpayer whose documents are asked for
    :param section: the section whose documents are downloaded; a small one
    :param wait: how long a task is waited for, seconds
    :param payload: a request to reset, which is then sent; ``None``: nothing is changed
    :param say: is told of each step
    :param sleep: waits, seconds
    :param now: seconds since the epoch
    """

    def __init__(
        self,
        gstn_conn_id: str,
        gstin: str,
        *,
        section: str = "b2bcna",
        wait: float = 300.0,
        payload: ResetPayload | None = None,
        say: Callable[[Step], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._conn_id = gstn_conn_id
        self._gstin = gstin
        self._section = section
        self._wait = wait
        self._payload = payload
        self._say = say
        self._sleep = sleep
        self._now = now
        self.steps: list[Step] = []
        self.transcript = Transcript()

    def run(self) -> Transcript:
        """
        Take all steps; one that fails does not end it unless the next ones cannot work without it.

        :return: what was asked and answered
        :raises GstnInvalidConnection: when the connection is not one that can be tried
        """
        with _RecordingHook(self._conn_id, self._gstin, self._now) as hook:
            settings = hook.settings
            hook.transcript.head |= {
                "version": version("airflow-provider-ims"),
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "hosts": sorted({str(urlsplit(url).hostname) for url in (settings.eas_url, settings.auth_url)}),
                "production": settings.is_production,
                "token_minutes": settings.token_minutes,
                "gstin_header": settings.gstin_header,
                "gstn_api_version": settings.gstn_api_version,
                "further_headers": sorted(settings.extra_headers),
                "documents_sent": self._payload.count() if self._payload else None,
            }
            hook.transcript.hide(settings.password, settings.handle, settings.org_id, self._gstin)
            self.transcript = hook.transcript
            theodore = re.sub(r"/v\d+$", "", settings.auth_url) + "/health"
            self._take("health", hook, lambda: _health(hook, "theodore health", theodore))
            self._take("health", hook, lambda: _health(hook, "ping", f"{settings.eas_url}/ping"))
            if self._take("login and ping", hook, lambda: _ping(hook)):
                self._take("session", hook, self._session)
                self._take("unknown task", hook, lambda: _unknown_task(hook))
                self._download(hook)
                if self._payload is not None:
                    self._reset(hook, self._payload)
            if hook.has_token:
                self._take("logout", hook, hook.log_out)
        return self.transcript

    def _take(self, name: str, hook: _RecordingHook, step: Callable[[], str]) -> bool:
        hook.step = name
        try:
            found = Step(name, True, step())
        except (GstnError, ServiceError) as error:
            found = Step(name, False, str(error))
        self.steps.append(found)
        self._say(found)
        return found.went_well

    def _session(self) -> str:
        with GstnHook(self._conn_id) as kept:
            session = kept.find_session(self._gstin)
            is_shared = kept.store.is_shared
        if session is None and not is_shared:
            return "not looked up: what tasks keep in Variables is not seen from here; the download will tell"
        if session is None:
            return "none that this Airflow opened; whether GSTN has one, the download will tell"
        until = datetime.fromtimestamp(session.ends_at, UTC)
        return f"{'good until' if session.ends_at > time.time() else 'ended at'} {until:%Y-%m-%d %H:%M} UTC"

    def _download(self, hook: _RecordingHook) -> None:
        submitted: list[str] = []

        def submit() -> str:
            submitted.append(hook.submit_download(self._gstin, self._section))
            return "accepted"

        if not self._take("download", hook, submit):
            return
        [reference_id] = submitted
        self._take("result too early", hook, lambda: _early_result(hook, reference_id))
        self._take("download", hook, lambda: self._fetch(hook, reference_id))

    def _fetch(self, hook: _RecordingHook, reference_id: str) -> str:
        word = self._ended(hook, reference_id)
        records = 0
        for page in hook.get_task_pages(reference_id):
            records += sum(len(each) for each in page.values() if isinstance(each, list))
            break  # one page says it
        return f"{word}; {counted(records, 'document')} of {self._section} on the first page"

    def _reset(self, hook: _RecordingHook, payload: ResetPayload) -> None:
        submitted: list[str] = []

        def submit() -> str:
            submitted.append(hook.submit(RESET, payload))
            return f"sent {counted(payload.count(), 'document')} as task {submitted[0]}"

        def result() -> str:
            word = self._ended(hook, submitted[0])
            found: ResetResult = hook.get_task_result(submitted[0], RESET)
            return f"{word}; {found.outcome}: {found.processed} processed, {found.errors} errors"

        if self._take("reset", hook, submit):
            self._take("reset", hook, result)

    def _ended(self, hook: _RecordingHook, reference_id: str) -> str:
        """Wait for a task, and return the service's last word for its status."""
        ends_at, pauses, unanswered, word = self._now() + self._wait, iter(_PAUSES), 0, ""
        while True:
            try:
                status = hook.get_task_status(reference_id)
                if status.state in {"completed", "failed"}:
                    return status.word
                word, unanswered = status.word, 0
            except GstnTaskNotFound:
                word, unanswered = "not found", 0
            except GstnTransientError:
                unanswered += 1
                if unanswered == _MOST_UNANSWERED:
                    raise
            pause = next(pauses, _PAUSES[-1])
            if self._now() + pause > ends_at:
                break
            self._sleep(pause)
        raise ServiceError(Kind.NOT_READY, f"task {reference_id}, after {self._wait:.0f} s still {word!r}")


def _ping(hook: _RecordingHook) -> str:
    hook.ask(access.ping, access.read_ping)
    return f"pong; the user may act for {counted(hook.organisations(), 'organisation')}"


def _health(hook: _RecordingHook, call: str, url: str) -> str:
    return f"{urlsplit(url).path}: HTTP {hook.ask_anonymously(call, url).status}"


def _unknown_task(hook: _RecordingHook) -> str:
    unknown = str(uuid.uuid4())
    try:
        hook.get_task_status(unknown)
    except GstnError:
        return hook.transcript.answers[-1].answer
    return "the service knows a task that nobody made"


def _early_result(hook: _RecordingHook, reference_id: str) -> str:
    try:
        hook.ask(
            lambda settings, with_access: tasks.result(settings, with_access, reference_id),
            lambda reply: tasks.read_result(reply, reference_id),
        )
    except GstnError:
        return hook.transcript.answers[-1].answer
    return "it was there already"
