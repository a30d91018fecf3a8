"""The awaited hook, for an event loop such as the triggerer's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from airflow_provider_ims._metadata import afind_connection
from airflow_provider_ims.exceptions import GstnError, of_service_error
from airflow_provider_ims.hooks._base import GstnBaseHook, given
from airflow_provider_ims.hooks._client_cache import Client, acquire, acquire_again, release
from airflow_provider_ims.hooks._retries import awaited_reads
from airflow_provider_ims.hooks._runner import arun_exchange
from airflow_provider_ims.models.task_status import TaskStatus
from airflow_provider_ims.protocol import tasks
from airflow_provider_ims.protocol.access import Build, TokenKeeper
from airflow_provider_ims.protocol.calls import RESET, Call
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.wire import Exchange, Reply

_T = TypeVar("_T")
_R = TypeVar("_R")


class GstnAsyncHook(GstnBaseHook):
    """
    Ask about tasks from within an event loop, such as the triggerer's.

    The same as :class:`GstnHook` over ``aiohttp``; use it as an async context manager. All that are open at a time for
    one connection share one lookup of it, one set of HTTP connections and one token.

    :param gstn_conn_id: id of an Airflow connection of type ``gstn``
    :param gstin: kept for symmetry with :class:`GstnHook`; reading a task does not need it
    :param read_attempts: how often a read is tried in all
    :param store: where token and sessions are kept; by default what ``[gstn] session_store`` names
    """

    _client: Client
    _tokens: TokenKeeper
    _asked: dict[str, tasks.StatusQuestion]

    async def __aenter__(self) -> Self:
        self._use(await acquire(self._key, self._look_up))
        return self

    def _use(self, client: Client) -> None:
        self._client = client
        self._tokens = TokenKeeper(
            client.settings,
            self._known_tokens,
            self._clock,
            failed=self._failed_renewals,
            is_shared=self.store.is_shared,
        )
        self._asked = {}

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not release(self._key, self._client):
            return
        try:
            await self._run(self._tokens.log_out())
        except GstnError as error_of_logout:
            self.log.info("The theodore token was not logged out and ends by itself. %s", error_of_logout)
        finally:
            await self._client.transport.close()

    @property
    def is_simulator(self) -> bool:
        """Whether a reply was the simulator's: then nothing of it is GSTN's word."""
        return self._client.transport.is_simulator

    @property
    def is_rate_limited(self) -> bool:
        """Whether a request may have to wait for its turn."""
        return self._client.settings.max_requests_per_second is not None

    @property
    def _key(self) -> tuple[str, int | None]:
        return self.gstn_conn_id, None if self._own_store is None else id(self._own_store)

    async def _look_up(self) -> Settings:
        return self._settings_of(await afind_connection(self.gstn_conn_id))

    async def look_again(self) -> bool:
        """
        Look the connection up again: a password that is refused may have been changed while this hook was open.

        :return: whether the connection was changed; it is used from now on
        """
        before = self._client
        client = await acquire_again(self._key, before, self._look_up)
        if client is before:
            return False
        self._use(client)
        if release(self._key, before):
            await before.transport.close()
        return True

    async def get_task_status(self, reference_id: str) -> TaskStatus:
        """Ask how far a task is; see :meth:`GstnHook.get_task_status`."""
        reference_id = given(reference_id)
        if self._client.is_outdated:
            await self.look_again()
        question = self._asked.get(reference_id)
        if question is None:
            question = self._asked[reference_id] = tasks.StatusQuestion(reference_id)
        return await self._read(question.build, question.read)

    async def get_task_result(self, reference_id: str, call: Call[Any, _R] = RESET) -> _R:  # type: ignore[assignment]
        """Fetch what came of a task; see :meth:`GstnHook.get_task_result`."""
        reference_id = given(reference_id)
        return await self._read(
            lambda settings, with_access: tasks.result(settings, with_access, reference_id),
            lambda reply: call.parse(tasks.read_result(reply, reference_id)),
        )

    def _read(self, build: Build, read: Callable[[Reply], _T]) -> Awaitable[_T]:
        if self.read_attempts == 1:  # as triggers ask, thousands of them
            return self._run(self._call(build, read))

        async def once() -> _T:
            return await self._run(self._call(build, read))

        return awaited_reads(self.read_attempts)(once)

    def _call(self, build: Build, read: Callable[[Reply], _T]) -> Exchange[_T]:
        return self._tokens.call(partial(build, self._client.settings), read)

    async def _run(self, exchange: Exchange[_T]) -> _T:
        try:
            return await arun_exchange(exchange, self._client.transport.send, self.store)
        except ServiceError as error:
            raise of_service_error(error) from None
