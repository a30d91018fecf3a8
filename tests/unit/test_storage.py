"""A file is there as a whole, or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_ims.storage import CannotWrite, copy_whole, write_whole


@pytest.fixture
def store() -> MemoryFileSystem:
    """An object store, as Airflow's ObjectStoragePath knows it."""
    found = MemoryFileSystem()
    attach("memory", fs=found)
    return found


def test_a_local_file_is_written_with_its_directory(tmp_path: Path):
    target = tmp_path / "a" / "b" / "c.json"
    write_whole(ObjectStoragePath(str(target)), b"first")
    write_whole(ObjectStoragePath(f"file://{target}"), b"second")
    assert target.read_bytes() == b"second"
    assert [path.name for path in target.parent.iterdir()] == ["c.json"]


def test_a_file_has_the_rights_of_any_new_file(tmp_path: Path):
    write_whole(ObjectStoragePath(str(tmp_path / "a")), b"")
    (tmp_path / "b").touch()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)


def test_a_large_file_is_copied(tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    copy_whole(source, ObjectStoragePath(str(tmp_path / "target")))
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int):
    target = tmp_path / "a.json"
    target.write_bytes(b"before")

    def fail(handle: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CannotWrite) as caught:
        write_whole(ObjectStoragePath(str(target)), b"after")
    assert str(target) in str(caught.value)
    assert os.strerror(error) in str(caught.value)
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_directory_that_is_a_file_is_told(tmp_path: Path):
    (tmp_path / "a").touch()
    with pytest.raises(CannotWrite, match="choose another one"):
        write_whole(ObjectStoragePath(str(tmp_path / "a" / "b")), b"")


def test_an_object_store_gets_one_put(store: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch):
    path = ObjectStoragePath("memory://bucket/plan/a.json")
    puts: list[tuple[str, Any]] = []
    monkeypatch.setattr(store, "pipe_file", lambda name, data: puts.append((name, data)))
    write_whole(path, b"data")
    assert puts == [(path.path, b"data")]


@pytest.mark.usefixtures("store")
def test_an_object_store_keeps_what_it_is_given(tmp_path: Path):
    write_whole(ObjectStoragePath("memory://bucket/plan/a.json"), b"data")
    (tmp_path / "local").write_bytes(b"more")
    copy_whole(tmp_path / "local", ObjectStoragePath("memory://bucket/plan/b.csv"))
    assert ObjectStoragePath("memory://bucket/plan/a.json").read_bytes() == b"data"
    assert ObjectStoragePath("memory://bucket/plan/b.csv").read_bytes() == b"more"


def test_an_object_store_that_refuses_is_named(store: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("AccessDenied")

    monkeypatch.setattr(store, "pipe_file", refuse)
    with pytest.raises(CannotWrite, match="AccessDenied"):
        write_whole(ObjectStoragePath("memory://bucket/a.json"), b"")
