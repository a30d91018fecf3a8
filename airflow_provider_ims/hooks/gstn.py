"""The hooks: one connection to Vayana's Enriched API, its theodore token and the GSTN sessions behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from airflow.sdk import BaseHook

from airflow_provider_ims._compat import AirflowNotFoundException, amask_secret, mask_secret
from airflow_provider_ims.exceptions import (
    GstnError,
    GstnInvalidConnection,
    GstnInvalidRequest,
    GstnPayloadTooLarge,
    GstnSessionExpired,
    of_service_error,
)
from airflow_provider_ims.hooks.retries import awaited_reads, reads
from airflow_provider_ims.hooks.transport import asend, open_async_session, open_session, send
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.models.payload import MAX_BODY_BYTES, ResetPayload
from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.models.task import TaskStatus
from airflow_provider_ims.protocol import access, gstn_session, ims, tasks
from airflow_provider_ims.protocol.access import Access, TokenKeeper
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.settings import InvalidConnection, Settings
from airflow_provider_ims.protocol.wire import Exchange, Mask, Reply, Request

if TYPE_CHECKING:
    import aiohttp
    import requests
    from airflow.sdk import Connection

READ_ATTEMPTS = 4

_T = TypeVar("_T")
_Build = Callable[[Settings, Access], Request]


class _Named(BaseHook):
    """What Airflow asks of the hooks of a connection type."""

    conn_name_attr: ClassVar[str] = "gstn_conn_id"
    default_conn_name: ClassVar[str] = "gstn_default"
    conn_type: ClassVar[str] = "gstn"
    hook_name: ClassVar[str] = "GSTN (Vayana Enriched API)"

    def __init__(
        self,
        gstn_conn_id: str = default_conn_name,
        gstin: str | None = None,
        *,
        read_attempts: int = READ_ATTEMPTS,
    ) -> None:
        super().__init__()
        self.gstn_conn_id = gstn_conn_id
        self.gstin = gstin
        self.read_attempts = read_attempts

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

    Logs in to theodore at the first call, refreshes the token shortly before its end, and logs in again once
    when it is refused. Reads are repeated after faults that may pass; a reset and the calls of the GSTN
    session never are. Use it as a context manager, or call :meth:`close`: theodore allows 10 sessions a user.

    :param gstn_conn_id: id of an Airflow connection of type ``gstn``
    :param gstin: the taxpayer that this hook acts for; a request for another one is refused. ``None`` for any
    :param read_attempts: how often a read is tried in all
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
        return TokenKeeper(self.settings)

    @cached_property
    def _session(self) -> requests.Session:
        return open_session(self.settings)

    @cached_property
    def _gstn_sessions(self) -> dict[str, str]:
        return {}

    def get_conn(self) -> requests.Session:
        """Return the HTTP session that all calls of this hook share."""
        return self._session

    def close(self) -> None:
        """End the theodore token, if there is one, and close the connections."""
        if "_tokens" in self.__dict__:
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
            with self:
                self._call(access.ping, access.read_ping)
        except GstnError as error:
            return False, str(error)
        return True, f"Logged in as {self.settings.handle}; {self.settings.eas_url} answers."

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
        return self._call(
            lambda settings, with_access: gstn_session.request_otp(settings, with_access, gstin, username),
            lambda reply: gstn_session.read_otp_request(reply, gstin),
        )

    def verify_otp(self, gstin: str, otp_request_id: str, otp: str) -> None:
        """
        Open a session of 6 hours with a one-time password.

        :param gstin: the taxpayer
        :param otp_request_id: what :meth:`request_otp` returned
        :param otp: the password that the taxpayer received
        :raises GstnOtpRefused: when GSTN does not accept the password
        """
        self._check_gstin(gstin)
        if not otp or not otp_request_id:
            missing = "one-time password" if otp_request_id else "id of the OTP request"
            raise GstnInvalidRequest(f"GSTIN {gstin}: the {missing} is missing. Nothing was sent.")
        mask_secret(otp)
        self._keep_gstn_session(
            gstin,
            self._call(
                lambda settings, with_access: gstn_session.verify_otp(
                    settings, with_access, gstin, otp_request_id, otp
                ),
                lambda reply: gstn_session.read_session(reply, gstin),
            ),
        )

    def refresh_session(self, gstin: str) -> None:
        """
        Extend the taxpayer's session, without a one-time password.

        :param gstin: the taxpayer
        :raises GstnSessionExpired: when there is no session, or none that can be extended
        """
        session_id = self._gstn_session(gstin)
        self._keep_gstn_session(
            gstin,
            self._call(
                lambda settings, with_access: gstn_session.refresh(settings, with_access, gstin, session_id),
                lambda reply: gstn_session.read_session(reply, gstin),
            ),
        )

    def logout(self, gstin: str) -> None:
        """
        End the taxpayer's session. Tasks of this GSTIN that are still running fail by it.

        :param gstin: the taxpayer
        :raises GstnSessionExpired: when there is no session
        """
        session_id = self._gstn_session(gstin)
        self._call(
            lambda settings, with_access: gstn_session.logout(settings, with_access, gstin, session_id),
            lambda reply: gstn_session.read_logout(reply, gstin),
        )
        del self._gstn_sessions[gstin]

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
        return self._call(
            lambda settings, with_access: ims.reset(settings, with_access, payload.rtin, body),
            lambda reply: ims.read_reset(reply, payload.rtin),
        )

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
        """Carry out the steps of an exchange."""
        try:
            step = next(exchange)
            while True:
                if isinstance(step, Mask):
                    mask_secret(step.secret)
                    step = exchange.send(None)
                    continue
                try:
                    reply = send(self._session, step, self.settings)
                except ServiceError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(reply)
        except StopIteration as end:
            result: _T = end.value
            return result
        except ServiceError as error:
            raise of_service_error(error) from None

    def _check_gstin(self, gstin: str) -> None:
        if not isinstance(gstin, str) or not re.fullmatch(GSTIN_PATTERN, gstin):
            raise GstnInvalidRequest(f"{gstin!r} is not a GSTIN of 15 characters in capitals. Nothing was sent.")
        if self.gstin is not None and gstin != self.gstin:
            raise GstnInvalidRequest(
                f"The request is for GSTIN {gstin}, but this task acts for GSTIN {self.gstin}."
                " Correct one of them. Nothing was sent."
            )

    def _gstn_session(self, gstin: str) -> str:
        self._check_gstin(gstin)
        try:
            return self._gstn_sessions[gstin]
        except KeyError:
            raise GstnSessionExpired(
                f"No GSTN session is known for GSTIN {gstin}. Open one with a one-time password first."
            ) from None

    def _keep_gstn_session(self, gstin: str, session_id: str) -> None:
        mask_secret(session_id)
        self._gstn_sessions[gstin] = session_id


class GstnAsyncHook(_Named):
    """
    Ask about tasks from within an event loop, such as the triggerer's.

    The same as :class:`GstnHook` over one ``aiohttp`` session; use it as an async context manager.

    :param gstn_conn_id: id of an Airflow connection of type ``gstn``
    :param gstin: kept for symmetry with :class:`GstnHook`; reading a task does not need it
    :param read_attempts: how often a read is tried in all
    """

    _settings: Settings
    _tokens: TokenKeeper
    _session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        try:
            self._settings = self._settings_of(await self.aget_connection(self.gstn_conn_id))
        except AirflowNotFoundException:
            raise self._no_such_connection() from None
        self._tokens = TokenKeeper(self._settings)
        self._session = await open_async_session(self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
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
        """Carry out the steps of an exchange; the awaited twin of :meth:`GstnHook._run`."""
        try:
            step = next(exchange)
            while True:
                if isinstance(step, Mask):
                    await amask_secret(step.secret)
                    step = exchange.send(None)
                    continue
                try:
                    reply = await asend(self._session, step)
                except ServiceError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(reply)
        except StopIteration as end:
            result: _T = end.value
            return result
        except ServiceError as error:
            raise of_service_error(error) from None


def _given(reference_id: Any) -> str:
    text = "" if reference_id is None else str(reference_id).strip()
    if text in {"", "None"}:
        raise GstnInvalidRequest("The reference id is empty. Did the task that sends the reset push one?")
    return text
