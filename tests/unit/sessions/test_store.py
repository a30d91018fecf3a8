"""Which store is used where, and what it keeps."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_ims.exceptions import GstnInvalidConnection
from airflow_provider_ims.sessions import store
from airflow_provider_ims.sessions.store import (
    MemorySessionStore,
    SessionStore,
    VariableSessionStore,
    session_store,
)


class VaultStore(MemorySessionStore):
    """A store that a user could have written."""

    is_shared = True


class NoStore:
    pass


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch):
    """Set ``[gstn] session_store``."""

    def set_to(path: str) -> None:
        monkeypatch.setenv("AIRFLOW__GSTN__SESSION_STORE", path)

    store._named_store.cache_clear()
    yield set_to
    store._named_store.cache_clear()


def test_outside_a_task_or_trigger_it_is_this_processs_memory(caplog):
    caplog.set_level("DEBUG", logger=store.__name__)
    found = session_store()
    assert isinstance(found, MemorySessionStore)
    assert found is session_store()
    assert not found.is_shared
    assert "memory only" in caplog.text


def test_in_a_task_or_trigger_it_is_airflows_variables(monkeypatch):
    monkeypatch.setattr(store, "in_supervised_process", lambda: True)
    found = session_store()
    assert isinstance(found, VariableSessionStore)
    assert found.is_shared


def test_a_users_own_store_is_named_by_its_path(setting):
    setting(f"{__name__}.VaultStore")
    assert type(session_store()).__name__ == "VaultStore"
    assert session_store() is session_store()


@pytest.mark.parametrize("path", ["no.such.module.Store", f"{__name__}.Missing", f"{__name__}.NoStore", "nodots"])
def test_a_path_that_is_no_store_is_told(setting, path):
    setting(path)
    with pytest.raises(GstnInvalidConnection, match=path):
        session_store()


@pytest.mark.parametrize("awaited", [True, False])
def test_a_store_keeps_and_forgets(awaited):
    kept: SessionStore = MemorySessionStore()

    def call(name: str, *arguments: str):
        if awaited:
            return asyncio.run(getattr(kept, f"a{name}")(*arguments))
        return getattr(kept, name)(*arguments)

    assert call("get", "a") is None
    call("set", "a", "1")
    call("set", "a", "2")
    assert call("get", "a") == "2"
    call("delete", "a")
    call("delete", "a")
    assert call("get", "a") is None
