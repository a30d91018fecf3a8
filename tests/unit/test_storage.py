"""A file is there as a whole, or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_ims._compat import AirflowFailException
from airflow_provider_ims.exceptions import of_storage_error
from airflow_provider_ims.storage import (
    CannotRead,
    CannotWrite,
    StorageError,
    Trouble,
    copy_whole,
    local_place,
    names_in,
    place,
    read_whole,
    remove,
    write_whole,
)


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


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "file", "folder"), [(0, 0o640, 0o750), (0o022, 0o640, 0o750), (0o077, 0o600, 0o700)])
def test_only_owner_and_group_read_what_is_written(
    tmp_path: Path, umask: Callable[[int], int], mask: int, file: int, folder: int
):
    (tmp_path / "source").write_bytes(b"more")
    umask(mask)
    write_whole(ObjectStoragePath(str(tmp_path / "new" / "er" / "a")), b"")
    copy_whole(tmp_path / "source", ObjectStoragePath(str(tmp_path / "new" / "b")))
    assert {mode(tmp_path / "new" / "er" / "a"), mode(tmp_path / "new" / "b")} == {file}
    assert {mode(tmp_path / "new"), mode(tmp_path / "new" / "er")} == {folder}


def test_a_file_that_anybody_could_read_is_replaced_by_one_that_few_can(tmp_path: Path, umask: Callable[[int], int]):
    (tmp_path / "a").touch(0o666)
    tmp_path.chmod(0o755)
    write_whole(ObjectStoragePath(str(tmp_path / "a")), b"")
    assert mode(tmp_path / "a") == 0o640
    assert mode(tmp_path) == 0o755  # a folder that was there is its owner's


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_large_file_is_copied(tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    copy_whole(source, ObjectStoragePath(str(tmp_path / "target")))
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


@pytest.mark.usefixtures("store")
def test_a_path_object_of_a_scheme_that_no_provider_brings_is_a_place_like_its_text():
    write_whole(place("memory://bucket/a.json"), b"data")
    for given in ("memory://bucket/a.json", ObjectStoragePath("memory://bucket/a.json")):
        assert read_whole(place(given)) == b"data"


def test_a_local_place_and_a_path_of_python_are_places(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"data")
    local = local_place(tmp_path / "a")
    assert place(local) is local
    assert read_whole(place(local)) == read_whole(place(tmp_path / "a")) == b"data"


@pytest.mark.usefixtures("store")
def test_a_file_that_another_worker_may_have_on_its_own_disk_is_told_as_such(tmp_path: Path):
    for given, is_local in ((tmp_path / "a", True), (f"file://{tmp_path}/a", True), ("memory://bucket/a", False)):
        with pytest.raises(CannotRead, match="it is not there") as caught:
            read_whole(place(given))
        what, *facts = str(caught.value).split("\n")
        assert what == f"{place(given)} cannot be read: it is not there."
        assert facts[0].startswith("FileNotFoundError: ")
        assert ("This path is on the worker's own disk; what another worker wrote" in facts[1]) == is_local
        assert facts[-1] == "Bring it back, or correct the path."


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


class ClientError(Exception):
    """As botocore's: what S3 said is in ``response``."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


class HttpError(Exception):
    """As those of gcsfs (``code``), aiohttp (``status``) and Azure (``status_code``)."""

    def __init__(self, **status: object) -> None:
        super().__init__("an HTTP error")
        self.__dict__.update(status)


class RequestsError(Exception):
    """As requests' HTTPError: the reply is in ``response``."""

    def __init__(self, status: int) -> None:
        super().__init__("an HTTP error")
        self.response = SimpleNamespace(status_code=status)


class EndpointConnectionError(Exception):
    """As botocore's, which carries nothing but its name."""


class ResourceNotFoundError(Exception):
    """As Azure's when no reply is in it."""


def because(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


MISSING = [
    FileNotFoundError("as s3fs raises it, without a number"),
    OSError(errno.ENOENT, "gone"),
    ClientError("NoSuchKey", 404),
    ClientError("404", 404),
    HttpError(code=404),
    HttpError(status=404),
    HttpError(status_code=410),
    ResourceNotFoundError("The specified blob does not exist"),
    because(OSError(errno.EIO, "wrapped"), FileNotFoundError("beneath")),
]
FORBIDDEN = [
    PermissionError("Access Denied"),
    OSError(errno.EACCES, "may not"),
    OSError(errno.EROFS, "read-only"),
    because(PermissionError("Access Denied"), ClientError("AccessDenied", 403)),
    HttpError(code=403),
    HttpError(code="403"),
    HttpError(status_code=401),
    RequestsError(403),
]
NO_FILE = [OSError(number, "no file") for number in (errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG)]
NO_CLIENT = [ImportError("Install s3fs to access S3"), ValueError("No filesystem registered for scheme s4")]
FULL = [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "Disk quota exceeded")]
PASSES = [
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.EBUSY, "Please reduce your request rate."),
    OSError(errno.ESTALE, "Stale file handle"),
    TimeoutError(),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    EndpointConnectionError("Could not connect to the endpoint URL"),
    ClientError("SlowDown", 503),
    ClientError("InternalError", 500),
    because(PermissionError("The provided token has expired."), ClientError("ExpiredToken", 400)),
    because(PermissionError("The difference is too large."), ClientError("RequestTimeTooSkewed", 403)),
    HttpError(code=503),
    HttpError(status=429),
    RequestsError(500),
    RuntimeError("Session is closed"),
    json.JSONDecodeError("a page of a proxy where JSON was expected", "<html>", 0),
]


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        *((error, Trouble.MISSING) for error in MISSING),
        *((error, Trouble.FORBIDDEN) for error in FORBIDDEN),
        *((error, Trouble.NO_FILE) for error in NO_FILE),
        *((error, Trouble.NO_CLIENT) for error in NO_CLIENT),
        *((error, Trouble.FULL) for error in FULL),
        *((error, Trouble.PASSES) for error in PASSES),
    ],
)
def test_what_passes_and_what_stays_is_told_apart(
    store: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, error: Exception, trouble: Trouble
):
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(store, "pipe_file", fail)
    monkeypatch.setattr(store, "cat_file", fail)
    for act in (lambda path: write_whole(path, b""), read_whole):
        with pytest.raises(StorageError, match=str(trouble)) as caught:
            act(ObjectStoragePath("memory://bucket/a.json"))
        assert caught.value.passes is (trouble in {Trouble.FULL, Trouble.PASSES})
        assert isinstance(of_storage_error(caught.value, "x"), AirflowFailException) is not caught.value.passes


def test_a_file_is_read_as_it_was_written(tmp_path: Path):
    for path in (ObjectStoragePath(str(tmp_path / "a")), str(tmp_path / "a"), f"file://{tmp_path / 'a'}"):
        write_whole(ObjectStoragePath(str(path)), b"\xff\x00")
        assert read_whole(path) == b"\xff\x00"


@pytest.mark.parametrize("path", ["no-such-scheme://b/a", "s3://b/\x00", "/no/\x00"])
def test_a_path_that_nothing_can_use_is_told_once(path: str):
    with pytest.raises(CannotRead) as caught:
        read_whole(path)
    assert not caught.value.passes
    assert str(caught.value).count("cannot be") == 1


def test_a_connection_that_cannot_be_had_is_not_done_without(monkeypatch: pytest.MonkeyPatch):
    # ObjectStoragePath alone would go on as nobody, be forbidden everything, and that would look as if it stayed so.
    def away(self: object) -> None:
        raise RuntimeError("the API server is away")

    monkeypatch.setattr(ObjectStoragePath, "fs", property(away))
    with pytest.raises(CannotRead, match="API server is away") as caught:
        read_whole("memory://some_conn@bucket/a.json")
    assert caught.value.passes


def test_a_password_in_a_uri_is_not_told():
    with pytest.raises(CannotRead) as caught:
        read_whole("no-such-scheme://user:hunter2@host/a.json")
    assert "hunter2" not in str(caught.value)
    assert "no-such-scheme://user:***@host/a.json" in str(caught.value)


def test_a_folder_is_listed_by_names_and_an_absent_one_is_empty(tmp_path: Path, store: MemoryFileSystem):
    for folder in (str(tmp_path / "f"), "memory://bucket/f"):
        assert names_in(place(folder)) == []
        write_whole(place(f"{folder}/b"), b"")
        write_whole(place(f"{folder}/a/c"), b"")
        assert names_in(place(folder)) == ["a", "b"]
        remove(place(f"{folder}/b"))
        remove(place(f"{folder}/b"))
        assert names_in(place(folder)) == ["a"]


@pytest.mark.parametrize("nothing", [None, "None", "", " "])
def test_nothing_is_no_place(nothing: Any):
    with pytest.raises(StorageError, match="it names no file and no folder") as caught:
        place(nothing)
    assert caught.value.trouble is Trouble.NO_FILE  # and not that nothing is there, which may mean "not sent"
