"""Session stores: where tokens and session ids live between the tasks that use them."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from functools import cache
from importlib import import_module
from typing import ClassVar

from airflow_provider_ims._compat import conf, in_supervised_process
from airflow_provider_ims._metadata import (
    adelete_variable,
    aget_variable,
    aset_variable,
    delete_variable,
    get_variable,
    set_variable,
)
from airflow_provider_ims.exceptions import GstnInvalidConnection

__all__ = ["MemorySessionStore", "SessionStore", "VariableSessionStore"]


log = logging.getLogger(__name__)


class SessionStore(ABC):
    """
    Keeps secrets by key. Name your own class in ``[gstn] session_store``.

    Whatever it is, it must keep its values encrypted at rest and out of logs. A store that cannot be reached raises
    (best :class:`GstnAirflowUnavailable`, which Airflow's retries wait out): ``None`` means that nothing is kept, and
    costs the taxpayer a one-time password. Awaited calls come from the triggerer's event loop and must not block it;
    by default the plain ones run in a thread.
    """

    is_shared: ClassVar[bool] = True
    """Whether other processes see what this one keeps; if not, a token is logged out when its hook is closed."""

    @abstractmethod
    def get(self, key: str) -> str | None:
        """Return what is kept under a key, or ``None``."""

    @abstractmethod
    def set(self, key: str, value: str) -> None:
        """Keep a value under a key."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Forget a key; one that is not there is no fault."""

    async def aget(self, key: str) -> str | None:
        """Return what is kept under a key, or ``None``."""
        return await asyncio.to_thread(self.get, key)

    async def aset(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        await asyncio.to_thread(self.set, key, value)

    async def adelete(self, key: str) -> None:
        """Forget a key; one that is not there is no fault."""
        await asyncio.to_thread(self.delete, key)


class MemorySessionStore(SessionStore):
    """Keeps secrets in this process, for tests and for scripts."""

    is_shared = False

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """Return what is kept under a key, or ``None``."""
        return self.kept.get(key)

    def set(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        self.kept[key] = value

    def delete(self, key: str) -> None:
        """Forget a key; one that is not there is no fault."""
        self.kept.pop(key, None)


class VariableSessionStore(SessionStore):
    """
    Keeps secrets in Airflow Variables, which are encrypted at rest with Airflow's Fernet key.

    The keys begin with ``gstn_token__``, ``gstn_token_claim__``, ``gstn_session_token__``, ``gstn_tasks__``,
    ``gstn_sent__``, ``gstn_sent_ids__`` and ``gstn_reconciled__``; what has ``token`` in its name is masked in the UI,
    the API and the logs.

    An Airflow that cannot be reached is :class:`GstnAirflowUnavailable`, never an absent key.
    """

    def get(self, key: str) -> str | None:
        """Return what is kept under a key, or ``None``."""
        return get_variable(key)

    def set(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        set_variable(key, value)

    def delete(self, key: str) -> None:
        """Forget a key; one that is not there is no fault."""
        delete_variable(key)

    async def aget(self, key: str) -> str | None:
        """Return what is kept under a key, or ``None``."""
        return await aget_variable(key)

    async def aset(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        await aset_variable(key, value)

    async def adelete(self, key: str) -> None:
        """Forget a key; one that is not there is no fault."""
        await adelete_variable(key)


_PROCESS_MEMORY = MemorySessionStore()


def session_store() -> SessionStore:
    """
    Return the store that this Airflow is set to use.

    It is ``[gstn] session_store``, or Airflow Variables. Variables can be written only from a task or a trigger
    that Airflow supervises; anywhere else (a script, a notebook) the default is this process's memory.

    :raises GstnInvalidConnection: when the setting names no session store
    """
    path = conf.get("gstn", "session_store", fallback="")
    if path:
        return _named_store(path)
    if in_supervised_process():
        return VariableSessionStore()
    log.debug("Not in a task or trigger of Airflow's: tokens are kept in this process's memory only.")
    return _PROCESS_MEMORY


@cache
def _named_store(path: str) -> SessionStore:
    module, _, name = path.rpartition(".")
    try:
        store = getattr(import_module(module), name)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise GstnInvalidConnection(f"[gstn] session_store names {path!r}, which cannot be used: {error}") from None
    if not isinstance(store, SessionStore):
        raise GstnInvalidConnection(f"[gstn] session_store names {path!r}, which is no SessionStore.")
    return store
