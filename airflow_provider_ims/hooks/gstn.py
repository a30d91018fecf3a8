"""The hook: one connection to Vayana's Enriched API, its theodore token and the GSTN sessions behind it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow_provider_ims._metadata import find_connection
from airflow_provider_ims.exceptions import (
    GstnBusy,
    GstnError,
    GstnInvalidPayload,
    GstnInvalidRequest,
    GstnNoDocuments,
    GstnPayloadTooLarge,
    GstnTaskNotFound,
    of_service_error,
)
from airflow_provider_ims.hooks._async_hook import GstnAsyncHook
from airflow_provider_ims.hooks._base import GstnBaseHook, given
from airflow_provider_ims.hooks._pages import TaskPage, read_page_as_json
from airflow_provider_ims.hooks._rate_limit import rate_limit_of
from airflow_provider_ims.hooks._retries import reads
from airflow_provider_ims.hooks._runner import run_exchange
from airflow_provider_ims.hooks._simulated import is_marked
from airflow_provider_ims.hooks._transport import open_session, send
from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.models.faults import InvalidPayload
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.models.payload import MAX_BODY_BYTES, ImsRequest, ResetPayload
from airflow_provider_ims.models.sent_request import SentRequest
from airflow_provider_ims.models.task_status import TaskStatus, is_gone
from airflow_provider_ims.protocol import access, tasks
from airflow_provider_ims.protocol.access import Access, Build, TokenKeeper
from airflow_provider_ims.protocol.calls import DOWNLOAD, RESET, Call, Download
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.gstn_session import GstnSession, GstnSessions
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.wire import Exchange, Reply, Request
from airflow_provider_ims.sessions.sent_requests import SentRequests
from airflow_provider_ims.sessions.store import MemorySessionStore

if TYPE_CHECKING:
    import requests

__all__ = ["DOWNLOAD", "RESET", "Call", "GstnAsyncHook", "GstnHook"]

TEST_TIMEOUT = 10.0
"""Seconds that each call of a connection test may take; the form waits a minute in all."""

_T = TypeVar("_T")
_R = TypeVar("_R")


class GstnHook(GstnBaseHook):
    """
    Speak to Vayana's Enriched API from a task.

    Shares one theodore token with all who use the same session store, refreshes it shortly before its end, and
    renews it once when it is refused. Reads are repeated after faults that may pass; a reset and the calls of
    the GSTN session never are. Use it as a context manager, or call :meth:`close`.

    :param gstn_conn_id: id of an Airflow connection of type ``gstn``
    :param gstin: the taxpayer that this hook acts for; a request for another one is refused. ``None`` for any
    :param read_attempts: how often a read is tried in all
    :param store: where token and sessions are kept; by default what ``[gstn] session_store`` names
    """

    is_simulator = False
    """Whether a reply to this hook was the simulator's: then nothing of it is GSTN's word."""

    @cached_property
    def settings(self) -> Settings:
        """
        The connection, checked.

        :raises GstnInvalidConnection: when it is not defined; else naming every field that is missing or wrong
        :raises GstnAirflowUnavailable: when Airflow cannot be asked about it
        """
        return self._settings_of(find_connection(self.gstn_conn_id))

    @cached_property
    def _tokens(self) -> TokenKeeper:
        return TokenKeeper(self.settings, self._known_tokens, self._clock, is_shared=self.store.is_shared)

    @cached_property
    def _gstn_sessions(self) -> GstnSessions:
        return GstnSessions(self.settings, self._tokens, self._clock)

    @cached_property
    def _sent_requests(self) -> SentRequests:
        return SentRequests(self.store, self._clock)

    @cached_property
    def _http(self) -> requests.Session:
        return open_session(self.settings)

    def get_conn(self) -> requests.Session:
        """Return the HTTP session that all calls of this hook share."""
        return self._http

    def close(self) -> None:
        """Close the connections; end the theodore token if nobody else can use it."""
        if "_tokens" in self.__dict__:
            try:
                self._run(self._tokens.log_out())
            except GstnError as error:
                self.log.info("The theodore token was not logged out and ends by itself. %s", error)
        if "_http" in self.__dict__:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """
        Log in, ping and log out; no one-time password is requested and nothing is kept.

        :return: whether it works, and in plain words what was found
        """
        try:
            settings = replace(self.settings, timeout=min(self.settings.timeout, TEST_TIMEOUT))
            with type(self)(self.gstn_conn_id, store=MemorySessionStore()) as probe:
                probe.settings = settings
                probe._tokens = TokenKeeper(settings, {}, self._clock, login_attempts=1, is_shared=False)
                probe._call(access.ping, access.read_ping)
        except GstnError as error:
            return False, str(error)
        return True, f"Logged in as {settings.handle}; {settings.eas_url} answers."

    def request_otp(self, gstin: str, username: str) -> str:
        """
        Have GSTN send the taxpayer a one-time password. Each call sends one.

        :param gstin: the taxpayer
        :param username: the taxpayer's user name on the GST portal
        :return: the id to verify the password with, good for about 10 minutes
        :raises GstnError: see ``exceptions``
        """
        self._check_gstin(gstin)
        if not username:
            raise GstnInvalidRequest(f"GSTIN {gstin}: the GST portal user name is missing. Nothing was sent.")
        return self._run(self._gstn_sessions.request_otp(gstin, username))

    def verify_otp(self, gstin: str, otp_request_id: str, otp: str) -> datetime:
        """
        Open a session of 6 hours with a one-time password, and keep its id in the session store.

        :param gstin: the taxpayer
        :param otp_request_id: what :meth:`request_otp` returned
        :param otp: the password that the taxpayer received
        :return: when the session ends unless it is extended before, UTC
        :raises GstnOtpRefused: when GSTN does not accept the password
        """
        self._check_gstin(gstin)
        if not otp or not otp_request_id:
            missing = "one-time password" if otp_request_id else "id of the OTP request"
            raise GstnInvalidRequest(f"GSTIN {gstin}: the {missing} is missing. Nothing was sent.")
        return _end_of(self._run(self._gstn_sessions.verify_otp(gstin, otp_request_id, otp)))

    def find_session(self, gstin: str) -> GstnSession | None:
        """
        Look up the taxpayer's session, as far as this Airflow opened it; no call to GSTN is made.

        :param gstin: the taxpayer
        :return: the session, which may have ended (``ends_at``), or ``None``
        """
        self._check_gstin(gstin)
        return self._run(self._gstn_sessions.find(gstin))

    def refresh_session(self, gstin: str, min_age: timedelta = timedelta(0)) -> datetime:
        """
        Extend the taxpayer's session, without a one-time password.

        :param gstin: the taxpayer
        :param min_age: leave a session alone that was opened or extended less than this ago
        :return: when the session ends unless it is extended before, UTC
        :raises GstnSessionExpired: when there is no session, or none that can be extended
        """
        self._check_gstin(gstin)
        return _end_of(self._run(self._gstn_sessions.refresh(gstin, min_age.total_seconds())))

    def logout(self, gstin: str, *, force: bool = False) -> None:
        """
        End the taxpayer's session. Tasks of this GSTIN that are still running fail by it.

        :param gstin: the taxpayer
        :param force: do it even while tasks of this GSTIN are known to run
        :raises GstnBusy: when tasks are known to run and it is not forced
        :raises GstnSessionExpired: when there is no session
        """
        self._check_gstin(gstin)
        running = [] if force else self._running_tasks(gstin)
        if running:
            raise GstnBusy(
                f"GSTIN {gstin} has tasks that a logout would make fail: {', '.join(running)}. Wait for them, or"
                " force the logout. Nothing was done."
            )
        self._run(self._gstn_sessions.logout(gstin))
        self._run(self._gstn_sessions.forget_tasks(gstin))

    def submit_reset(
        self,
        payload: ResetPayload | Mapping[str, Any] | str | bytes,
        *,
        before_sending: Callable[[], None] = lambda: None,
    ) -> str:
        """
        Send a reset. It is sent once: a reply that is lost is not answered with a second request.

        :param payload: the request: a dict, JSON text or a :class:`ResetPayload`
        :param before_sending: called when all is ready (logged in, body written), just before the request goes out;
            called again if it goes out again because its token was refused
        :return: the reference id of the task that does it
        :raises GstnInvalidPayload: with every fault of a request that was not checked before; nothing was sent
        :raises GstnPayloadTooLarge: when the body is over 4,000,000 bytes; nothing was sent
        :raises GstnSessionExpired: when there is no live GSTN session for ``rtin``
        :raises GstnBusy: when an earlier request for ``rtin`` is still running
        :raises GstnAmbiguousSubmission: when it may have been accepted or not
        """
        if not isinstance(payload, ResetPayload):
            try:
                payload = ResetPayload.parse(payload)
            except InvalidPayload as error:
                raise GstnInvalidPayload(str(error), error.faults) from None
        return self.submit(RESET, payload, before_sending=before_sending)

    def submit(
        self, call: Call[bytes, Any], payload: ImsRequest, *, before_sending: Callable[[], None] = lambda: None
    ) -> str:
        """
        Send a checked request of any call that changes documents; see :meth:`submit_reset`.

        :param call: which call it is
        :param payload: the request
        :param before_sending: see :meth:`submit_reset`
        """
        rtin = payload.rtin
        self._check_gstin(rtin)
        body = payload.body()
        if len(body) > MAX_BODY_BYTES:
            raise GstnPayloadTooLarge(
                f"The {call.noun} for GSTIN {payload.rtin} is {len(body):,} bytes with {payload.count():,} documents;"
                f" the service takes {MAX_BODY_BYTES:,} bytes. Split it. Nothing was sent."
            )

        reference_id = self._submit(call, rtin, body, before_sending)
        try:
            self._run(self._gstn_sessions.remember_task(rtin, reference_id))
        except Exception:
            # The request is accepted: whatever the store does, its reference id must reach the caller.
            self.log.warning("Task %s could not be noted; a logout will not know of it.", reference_id, exc_info=True)
        try:
            kept = SentRequest.of(payload).model_dump_json()
            self._sent_requests.remember(rtin, reference_id, kept)
        except Exception:
            self.log.warning(
                "What was sent as %s could not be noted; its result will be read for any payload that is given.",
                reference_id,
                exc_info=True,
            )
        return reference_id

    def find_sent_request(self, reference_id: str) -> SentRequest | None:
        """
        Look up what was sent under a reference id.

        :param reference_id: what :meth:`submit_reset` returned
        :return: the request's fingerprint and counts; ``None`` if it was sent from elsewhere, or over a week ago
        """
        return SentRequest.of_text(self._sent_requests.find(reference_id))

    def submit_download(self, gstin: str, section: str, status: str | None = None) -> str:
        """
        Have the documents that GSTN holds made ready for download; nothing is changed by it.

        :param gstin: the taxpayer
        :param section: ``b2b``, ``b2ba``, ``b2bdn``, ``b2bdna``, ``b2bcn``, ``b2bcna``, ``ecom`` or ``ecoma``
        :param status: only documents with this action: ``A``, ``R``, ``P`` or ``N``; ``None`` for all
        :return: the reference id of the task, whose pages :meth:`get_task_pages` reads
        :raises GstnSessionExpired: when there is no live GSTN session for the taxpayer
        """
        self._check_gstin(gstin)
        if section not in SECTIONS:
            raise GstnInvalidRequest(f"{section!r} is no section; GSTN knows {', '.join(SECTIONS)}. Nothing was sent.")
        return self._submit(DOWNLOAD, gstin, Download(section, status))

    def _submit(
        self, call: Call[_T, Any], gstin: str, asked: _T, before_sending: Callable[[], None] = lambda: None
    ) -> str:
        def build(settings: Settings, with_access: Access) -> Request:
            before_sending()
            return call.build(settings, with_access, gstin, asked)

        send = self._read if call.repeatable else self._call
        return send(build, lambda reply: call.read(reply, gstin, asked))

    def get_task_status(self, reference_id: str) -> TaskStatus:
        """
        Ask how far a task is.

        :param reference_id: what the request returned
        :raises GstnTaskNotFound: when the service knows no such task, or not any more (7 days)
        """
        reference_id = given(reference_id)
        return self._read(
            lambda settings, with_access: tasks.status(settings, with_access, reference_id),
            lambda reply: tasks.read_status(reply, reference_id),
        )

    def get_task_result(self, reference_id: str, call: Call[Any, _R] = RESET) -> _R:  # type: ignore[assignment]
        """
        Fetch what came of a task.

        :param reference_id: what the request returned
        :param call: which call it was; says into which model its result is read
        :raises GstnResultNotReady: when the task is not complete
        :raises GstnTaskNotFound: when the service knows no such task, or not any more (7 days)
        """
        return call.parse(self._result(given(reference_id)))

    def get_task_pages(self, reference_id: str) -> Iterator[Mapping[str, Any]]:
        """
        Fetch a task's result that comes in pages, such as a download's, one page at a time.

        Whether the first page is 0 or 1 is not documented: 0 is tried, and 1 if there is none. A service that counts
        from 1 may also take 0 for 1: where the two are alike, there is one page more.

        :param reference_id: what :meth:`submit_download` returned
        :raises GstnResultNotReady: when the task is not complete
        :raises GstnTaskNotFound: when the service knows no such task, or not any more (7 days)
        """
        return self._pages(given(reference_id), tasks.read_page)

    def get_task_pages_as_json(self, reference_id: str) -> Iterator[TaskPage]:
        """
        Fetch a task's result that comes in pages, each as JSON that is not read yet; see :meth:`get_task_pages`.

        :param reference_id: what :meth:`submit_download` returned
        """
        return self._pages(given(reference_id), read_page_as_json)

    def _pages(self, reference_id: str, read: Callable[[Reply, str, int], _T]) -> Iterator[_T]:
        try:
            count = tasks.read_page_count(self._result(reference_id), reference_id)
        except GstnNoDocuments:
            return
        except ServiceError as error:
            raise of_service_error(error) from None
        first, before = 0, None
        again: list[_T] = []
        for index in range(count):
            try:
                page = self._page(reference_id, first + index, read)
                if index == 1 and first == 0 and _content(page) == before:
                    first, again = 1, [page]
                    page = self._page(reference_id, first + index, read)
            except GstnTaskNotFound:
                if again and index == count - 1:
                    yield from again  # it counts from 0, and two of its pages are alike
                    return
                if first + index > 0:
                    raise
                first = 1
                page = self._page(reference_id, first, read)
            before = _content(page) if index == 0 else None
            yield page

    def _result(self, reference_id: str) -> Mapping[str, Any]:
        return self._read(
            lambda settings, with_access: tasks.result(settings, with_access, reference_id),
            lambda reply: tasks.read_result(reply, reference_id),
        )

    def _page(self, reference_id: str, number: int, read: Callable[[Reply, str, int], _T]) -> _T:
        return self._read(
            lambda settings, with_access: tasks.page(settings, with_access, reference_id, number),
            lambda reply: read(reply, reference_id, number),
        )

    def _read(self, build: Build, read: Callable[[Reply], _T]) -> _T:
        result: _T = reads(self.read_attempts)(self._call, build, read)
        return result

    def _call(self, build: Build, read: Callable[[Reply], _T]) -> _T:
        return self._run(self._tokens.call(lambda with_access: build(self.settings, with_access), read))

    def _run(self, exchange: Exchange[_T]) -> _T:
        try:
            return run_exchange(exchange, self._send, self.store)
        except ServiceError as error:
            raise of_service_error(error) from None

    def _send(self, request: Request) -> Reply:
        if pause := rate_limit_of(self.settings).turn():
            time.sleep(pause)
        reply = send(self._http, request, self.settings)
        if not self.is_simulator:
            self.is_simulator = is_marked(reply.headers, request.url)
        return reply

    def _running_tasks(self, gstin: str) -> list[str]:
        running = []
        for reference_id, submitted_at in self._run(self._gstn_sessions.tasks(gstin)).items():
            try:
                if self.get_task_status(reference_id).state in {"running", "unknown"}:
                    running.append(reference_id)
            except GstnTaskNotFound:
                if not is_gone(submitted_at, self._clock()):
                    running.append(reference_id)
        return running

    def _check_gstin(self, gstin: str) -> None:
        if not isinstance(gstin, str) or not re.fullmatch(GSTIN_PATTERN, gstin):
            raise GstnInvalidRequest(
                f"{gstin!r} is not a GSTIN of 15 characters with its PAN in capitals. Nothing was sent."
            )
        if self.gstin is not None and gstin != self.gstin:
            raise GstnInvalidRequest(
                f"The request is for GSTIN {gstin}, but this task acts for GSTIN {self.gstin}."
                " Correct one of them. Nothing was sent."
            )


def _content(page: object) -> object:
    """Return what is in a page, without the reply around it, which may tell the time."""
    return page.data if isinstance(page, TaskPage) else page


def _end_of(session: GstnSession) -> datetime:
    return datetime.fromtimestamp(session.ends_at, UTC)
