"""The hooks: one connection to Vayana's Enriched API, its theodore token and the GSTN sessions behind it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from airflow.sdk import BaseHook

from airflow_provider_ims._compat import AirflowNotFoundException
from airflow_provider_ims.exceptions import (
    GstnBusy,
    GstnError,
    GstnInvalidConnection,
    GstnInvalidRequest,
    GstnPayloadTooLarge,
    GstnTaskNotFound,
    of_service_error,
)
from airflow_provider_ims.hooks.exchanges import acarry_out, carry_out
from airflow_provider_ims.hooks.retries import awaited_reads, reads
from airflow_provider_ims.hooks.transport import asend, open_async_session, open_session, send
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.models.payload import MAX_BODY_BYTES, ResetPayload
from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.models.task import TaskStatus
from airflow_provider_ims.protocol import access, ims, tasks
from airflow_provider_ims.protocol.access import Access, KeptToken, TokenKeeper
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.gstn_session import GstnSession, GstnSessions
from airflow_provider_ims.protocol.settings import InvalidConnection, Settings
from airflow_provider_ims.protocol.wire import Exchange, Reply, Request
from airflow_provider_ims.sessions.store import MemorySessionStore, SessionStore, session_store

if TYPE_CHECKING:
    import aiohttp
    import requests
    from airflow.sdk import Connection

READ_ATTEMPTS = 4

TEST_TIMEOUT = 10.0
"""Seconds that each call of a connection test may take; the form waits a minute in all."""

_T = TypeVar("_T")
_Build = Callable[[Settings, Access], Request]


# Tokens that this process knows, so that its hooks need not ask the store each time.
_KNOWN_TOKENS: dict[str, KeptToken] = {}


class _Named(BaseHook):
    """What Airflow asks of the hooks of a connection type."""

    conn_name_attr: ClassVar[str] = "gstn_conn_id"
    default_conn_name: ClassVar[str] = "gstn_default"
    conn_type: ClassVar[str] = "gstn"
    hook_name: ClassVar[str] = "GSTN (Vayana Enriched API)"

    _clock = staticmethod(time.time)

    def __init__(
        self,
        gstn_conn_id: str = default_conn_name,
        gstin: str | None = None,
        *,
        read_attempts: int = READ_ATTEMPTS,
        store: SessionStore | None = None,
    ) -> None:
        super().__init__()
        self.gstn_conn_id = gstn_conn_id
        self.gstin = gstin
        self.read_attempts = read_attempts
        self._own_store = store

    @cached_property
    def _store(self) -> SessionStore:
        return self._own_store or session_store()

    @cached_property
    def _known_tokens(self) -> dict[str, KeptToken]:
        return _KNOWN_TOKENS if self._own_store is None else {}

    def _settings_of(self, connection: Connection) -> Settings:
        try:
            settings = Settings.from_connection(
                self.gstn_conn_id,
                host=connection.host,
                port=connection.port,
                scheme=connection.schema,
                login=connection.login,
                password=connection.password,
                extra=connection.extra,
            )
        except InvalidConnection as error:
            raise GstnInvalidConnection(str(error)) from None
        if settings.unknown:
            self.log.warning(
                "Connection %r: the extra has fields that mean nothing here: %s. Are they mistyped?",
                self.gstn_conn_id,
                ", ".join(settings.unknown),
            )
        if settings.plain_http:
            self.log.warning(
                "Connection %r: password and token travel unencrypted to %s; use https.",
                self.gstn_conn_id,
                ", ".join(settings.plain_http),
            )
        return settings

    def _no_such_connection(self) -> GstnInvalidConnection:
        return GstnInvalidConnection(
            f"The connection {self.gstn_conn_id!r} is not defined. Add it under Admin > Connections with type"
            f" {self.conn_type!r}, or set AIRFLOW_CONN_{self.gstn_conn_id.upper()}."
        )


class GstnHook(_Named):
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

    @cached_property
    def settings(self) -> Settings:
        """
        The connection, checked.

        :raises GstnInvalidConnection: naming every field that is missing or wrong
        """
        try:
            return self._settings_of(self.get_connection(self.gstn_conn_id))
        except AirflowNotFoundException:
            raise self._no_such_connection() from None

    @cached_property
    def _tokens(self) -> TokenKeeper:
        return TokenKeeper(self.settings, self._known_tokens, self._clock)

    @cached_property
    def _sessions(self) -> GstnSessions:
        return GstnSessions(self.settings, self._tokens, self._clock)

    @cached_property
    def _session(self) -> requests.Session:
        return open_session(self.settings)

    def get_conn(self) -> requests.Session:
        """Return the HTTP session that all calls of this hook share."""
        return self._session

    def close(self) -> None:
        """Close the connections; end the theodore token if nobody else can use it."""
        if "_tokens" in self.__dict__ and not self._store.is_shared:
            try:
                self._run(self._tokens.log_out())
            except GstnError as error:
                self.log.info("The theodore token was not logged out and ends by itself. %s", error)
        if "_session" in self.__dict__:
            self._session.close()

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
                probe._tokens = TokenKeeper(settings, {}, self._clock, login_attempts=1)
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
        return self._run(self._sessions.request_otp(gstin, username))

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
        return _end_of(self._run(self._sessions.verify_otp(gstin, otp_request_id, otp)))

    def find_session(self, gstin: str) -> GstnSession | None:
        """
        Look up the taxpayer's session, as far as this Airflow opened it; no call to GSTN is made.

        :param gstin: the taxpayer
        :return: the session, which may have ended (``ends_at``), or ``None``
        """
        self._check_gstin(gstin)
        return self._run(self._sessions.find(gstin))

    def refresh_session(self, gstin: str, min_age: timedelta = timedelta(0)) -> datetime:
        """
        Extend the taxpayer's session, without a one-time password.

        :param gstin: the taxpayer
        :param min_age: leave a session alone that was opened or extended less than this ago
        :return: when the session ends unless it is extended before, UTC
        :raises GstnSessionExpired: when there is no session, or none that can be extended
        """
        session = self.find_session(gstin)
        if session is not None and self._clock() - session.renewed_at < min_age.total_seconds():
            return _end_of(session)
        return _end_of(self._run(self._sessions.refresh(gstin)))

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
        self._run(self._sessions.logout(gstin))
        self._run(self._sessions.forget_tasks(gstin))

    def submit_reset(self, payload: ResetPayload) -> str:
        """
        Send a reset. It is sent once: a reply that is lost is not answered with a second request.

        :param payload: the request
        :return: the reference id of the task that does it
        :raises GstnPayloadTooLarge: when the body is over 4,000,000 bytes; nothing was sent
        :raises GstnSessionExpired: when there is no live GSTN session for ``rtin``
        :raises GstnBusy: when an earlier request for ``rtin`` is still running
        :raises GstnAmbiguousSubmission: when it may have been accepted or not
        """
        self._check_gstin(payload.rtin)
        body = payload.body()
        if len(body) > MAX_BODY_BYTES:
            raise GstnPayloadTooLarge(
                f"The reset for GSTIN {payload.rtin} is {len(body):,} bytes with {payload.count():,} documents;"
                f" the service takes {MAX_BODY_BYTES:,} bytes. Split it. Nothing was sent."
            )
        reference_id = self._call(
            lambda settings, with_access: ims.reset(settings, with_access, payload.rtin, body),
            lambda reply: ims.read_reset(reply, payload.rtin),
        )
        try:
            self._run(self._sessions.remember_task(payload.rtin, reference_id))
        except Exception:
            # The reset is accepted: whatever the store does, its reference id must reach the caller.
            self.log.warning("Task %s could not be noted; a logout will not know of it.", reference_id, exc_info=True)
        return reference_id

    def get_task_status(self, reference_id: str) -> TaskStatus:
        """
        Ask how far a task is.

        :param reference_id: what the request returned
        :raises GstnTaskNotFound: when the service knows no such task, or not any more (7 days)
        """
        reference_id = _given(reference_id)
        return self._read(
            lambda settings, with_access: tasks.status(settings, with_access, reference_id),
            lambda reply: tasks.read_status(reply, reference_id),
        )

    def get_task_result(self, reference_id: str) -> ResetResult:
        """
        Fetch what came of a reset.

        :param reference_id: what :meth:`submit_reset` returned
        :raises GstnResultNotReady: when the task is not complete
        :raises GstnTaskNotFound: when the service knows no such task, or not any more (7 days)
        """
        reference_id = _given(reference_id)
        return self._read(
            lambda settings, with_access: tasks.result(settings, with_access, reference_id),
            lambda reply: ResetResult.parse(tasks.read_result(reply, reference_id)),
        )

    def _read(self, build: _Build, read: Callable[[Reply], _T]) -> _T:
        result: _T = reads(self.read_attempts)(self._call, build, read)
        return result

    def _call(self, build: _Build, read: Callable[[Reply], _T]) -> _T:
        return self._run(self._tokens.call(lambda with_access: build(self.settings, with_access), read))

    def _run(self, exchange: Exchange[_T]) -> _T:
        try:
            return carry_out(exchange, lambda request: send(self._session, request, self.settings), self._store)
        except ServiceError as error:
            raise of_service_error(error) from None

    def _running_tasks(self, gstin: str) -> list[str]:
        running = []
        for reference_id in self._run(self._sessions.tasks(gstin)):
            try:
                if self.get_task_status(reference_id).state in {"running", "unknown"}:
                    running.append(reference_id)
            except GstnTaskNotFound:
                continue
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


class GstnAsyncHook(_Named):
    """
    Ask about tasks from within an event loop, such as the triggerer's.

    The same as :class:`GstnHook` over one ``aiohttp`` session; use it as an async context manager.

    :param gstn_conn_id: id of an Airflow connection of type ``gstn``
    :param gstin: kept for symmetry with :class:`GstnHook`; reading a task does not need it
    :param read_attempts: how often a read is tried in all
    :param store: where token and sessions are kept; by default what ``[gstn] session_store`` names
    """

    _settings: Settings
    _tokens: TokenKeeper
    _session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        try:
            self._settings = self._settings_of(await self.aget_connection(self.gstn_conn_id))
        except AirflowNotFoundException:
            raise self._no_such_connection() from None
        self._tokens = TokenKeeper(self._settings, self._known_tokens, self._clock)
        self._session = await open_async_session(self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._store.is_shared:
                await self._run(self._tokens.log_out())
        except GstnError as error_of_logout:
            self.log.info("The theodore token was not logged out and ends by itself. %s", error_of_logout)
        finally:
            await self._session.close()

    async def get_task_status(self, reference_id: str) -> TaskStatus:
        """Ask how far a task is; see :meth:`GstnHook.get_task_status`."""
        reference_id = _given(reference_id)
        return await self._read(
            lambda settings, with_access: tasks.status(settings, with_access, reference_id),
            lambda reply: tasks.read_status(reply, reference_id),
        )

    async def get_task_result(self, reference_id: str) -> ResetResult:
        """Fetch what came of a reset; see :meth:`GstnHook.get_task_result`."""
        reference_id = _given(reference_id)
        return await self._read(
            lambda settings, with_access: tasks.result(settings, with_access, reference_id),
            lambda reply: ResetResult.parse(tasks.read_result(reply, reference_id)),
        )

    async def _read(self, build: _Build, read: Callable[[Reply], _T]) -> _T:
        async def once() -> _T:
            return await self._run(self._tokens.call(lambda with_access: build(self._settings, with_access), read))

        return await awaited_reads(self.read_attempts)(once)

    async def _run(self, exchange: Exchange[_T]) -> _T:
        try:
            return await acarry_out(exchange, lambda request: asend(self._session, request), self._store)
        except ServiceError as error:
            raise of_service_error(error) from None


def _end_of(session: GstnSession) -> datetime:
    return datetime.fromtimestamp(session.ends_at, UTC)


def _given(reference_id: Any) -> str:
    text = "" if reference_id is None else str(reference_id).strip()
    if text in {"", "None"}:
        raise GstnInvalidRequest("The reference id is empty. Did the task that sends the reset push one?")
    return text
