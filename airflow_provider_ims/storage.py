"""Reads and writes whole files, local ones and those of object stores, and says why it could not."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeGuard, cast

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PART_SUFFIX = ".part"
"""What a local file's name ends with, after a dot before it, until the file is whole."""

FILE_MODE = 0o640
FOLDER_MODE = 0o750
"""Who may read local files and folders that are made here, at most: they hold a taxpayer's documents."""


class Trouble(StrEnum):
    """Why a file could not be read or written, in words; all but ``FULL`` and ``PASSES`` stay as they are."""

    MISSING = "it is not there"
    FORBIDDEN = "this worker may not"
    NO_FILE = "no file can be there"
    NO_CLIENT = "this worker has nothing that can use such a path"
    FULL = "there is no room left"
    PASSES = "the place does not answer as it should, which may pass"


_ADVICE = {
    Trouble.MISSING: "Bring it back, or correct the path.",
    Trouble.FORBIDDEN: "Give this worker the right, or choose another place.",
    Trouble.NO_FILE: "Correct the path, or choose another one.",
    Trouble.NO_CLIENT: "Correct the path's scheme, or install what reaches it on all workers.",
    Trouble.FULL: "Make room there, or choose another place.",
    Trouble.PASSES: "Try again later.",
}

_ON_A_DISK = "This path is on the worker's own disk; what another worker wrote to its own is not seen here."

_OF_ERRNO = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), Trouble.FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), Trouble.FORBIDDEN),
    **dict.fromkeys((errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP), Trouble.NO_FILE),
    errno.ENOENT: Trouble.MISSING,
}
_OF_CLASS: tuple[tuple[type[Exception], Trouble], ...] = (
    # Object stores raise these of Python's without a number.
    (FileNotFoundError, Trouble.MISSING),
    (PermissionError, Trouble.FORBIDDEN),
    (IsADirectoryError, Trouble.NO_FILE),
    (NotADirectoryError, Trouble.NO_FILE),
    (FileExistsError, Trouble.NO_FILE),
    (ImportError, Trouble.NO_CLIENT),
)
_OF_STATUS = {401: Trouble.FORBIDDEN, 403: Trouble.FORBIDDEN, 404: Trouble.MISSING, 410: Trouble.MISSING}
_OF_NAME = dict.fromkeys(("NoSuchBucket", "NoSuchKey", "ResourceNotFoundError"), Trouble.MISSING)
_PASSING_CODES = {"ExpiredToken", "ExpiredTokenException", "RequestTimeTooSkewed", "TokenRefreshRequired"}
"""S3 says 403 to these, and the client has newer credentials, or another clock, a moment later."""


class StorageError(OSError):
    """
    A file or folder cannot be used, such as for its scheme or for want of its connection.

    :param path: the file or folder
    :param error: why
    """

    _what = "used"
    _left = ""

    def __init__(self, path: object, error: Exception) -> None:
        self.reason: Exception = error.reason if isinstance(error, StorageError) else error
        self.trouble = trouble_of(error)
        self.advice = _ADVICE[self.trouble]
        now = " now" if self.passes else ""
        said = _said(self.reason)
        self.why = f"{self.trouble} ({said})"
        if self.trouble is Trouble.MISSING and is_local(path):
            self.advice = f"{_ON_A_DISK}\n{self.advice}"
        what = f"{shown(path)} cannot be {self._what}{now}: {self.trouble}."
        super().__init__("\n".join(line for line in (what, said, self._left, self.advice) if line))

    @property
    def no_file(self) -> str:
        """What is wrong with a path that should be a file's, to stand behind its name."""
        return f"is no file that this worker can read: {self.why}\n{self.advice}"

    @property
    def passes(self) -> bool:
        """Whether the same again may work later."""
        return self.trouble in {Trouble.FULL, Trouble.PASSES}


class CannotRead(StorageError):
    """A file could not be read."""

    _what = "read"


class CannotWrite(StorageError):
    """A file could not be written, or not be removed, and nothing of a new one is left under its name."""

    _what = "written"
    _left = "No part of it was left there."


def trouble_of(error: Exception) -> Trouble:
    """
    Say what an exception means that was raised while a file was read or written.

    The clients of object stores (botocore, aiohttp, gcsfs, azure ...) have classes of their own, most of which are not
    importable here: they are known by their HTTP status or name. What nobody knows passes.

    :param error: what ``fsspec`` or the system raised
    """
    if isinstance(error, StorageError):
        return error.trouble
    chain = list(_chain(error))
    if any(_code_of(each) in _PASSING_CODES for each in chain):
        return Trouble.PASSES
    for each in chain:
        if (known := _known_trouble(each)) is not None:
            return known
    return Trouble.PASSES


def _known_trouble(error: BaseException) -> Trouble | None:
    for cls, trouble in _OF_CLASS:
        if isinstance(error, cls):
            return trouble
    if isinstance(error, OSError) and error.errno in _OF_ERRNO:
        return _OF_ERRNO[error.errno]
    if type(error) is ValueError:  # a scheme that nobody knows, a path with NUL; its subclasses are about content
        return Trouble.NO_CLIENT
    if (status := _status_of(error)) in _OF_STATUS:
        return _OF_STATUS[status]
    names = (cls.__name__ for cls in type(error).__mro__)
    return next((_OF_NAME[name] for name in names if name in _OF_NAME), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that it was raised from."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        yield link
        link = link.__cause__


def _code_of(error: BaseException) -> str:
    """Return the code in which botocore tells what S3 said."""
    response = getattr(error, "response", None)
    said = response.get("Error") if isinstance(response, dict) else None
    return str(said.get("Code", "")) if isinstance(said, dict) else ""


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an exception carries, wherever its library puts it."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        metadata = response.get("ResponseMetadata")
        found = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None
        found = found or _code_of(error)
    else:
        places = ((error, "status"), (error, "status_code"), (error, "code"), (response, "status_code"))
        found = next((value for place, name in places if (value := getattr(place, name, None)) is not None), None)
    try:
        return int(found)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _said(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f"{type(error).__name__}: {text[:300]}"


def shown(path: object) -> str:
    """Return a path or URI for a person, without a password that somebody put into it."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", str(path))


def is_local(path: object) -> bool:
    """
    Say whether a path is one of the worker's own disk, and not of an object store.

    :param path: a path or URI, as text or as an object
    """
    protocol = getattr(path, "protocol", None)
    if protocol is None:
        scheme, separator, _ = str(path).partition("://")
        protocol = scheme if separator else ""
    return protocol in {"", "file", "local"}


def local_place(path: Path) -> ObjectStoragePath:
    """
    Return a path of this machine in the same form as :func:`place`, without loading Airflow for it.

    :param path: absolute, so that it stays the same place if the working directory changes
    """
    from upath import UPath

    return cast("ObjectStoragePath", UPath(path))


def place(path: str | PathLike[str] | ObjectStoragePath) -> ObjectStoragePath:
    """
    Return a path or URI as one that can be used.

    :param path: as ``ObjectStoragePath`` takes it; what :func:`local_place` returned stays what it is
    :raises StorageError: when it names no place, nothing here can use its scheme, or its connection cannot be had
    """
    if not is_given(str(path).strip()):
        raise StorageError(repr(path), IsADirectoryError("it names no file and no folder"))
    if isinstance(path, Path) and getattr(path, "protocol", None) == "":
        return cast("ObjectStoragePath", path)
    from airflow.sdk import ObjectStoragePath

    try:
        found = ObjectStoragePath(str(path))
        filesystem(found)
    except Exception as error:
        raise StorageError(path, error) from error
    return found


def filesystem(path: ObjectStoragePath) -> Any:
    """
    Return the client of a path's store.

    ``ObjectStoragePath`` itself goes on without its connection when that cannot be had, and is forbidden everything.
    """
    import fsspec  # type: ignore[import-untyped]

    try:
        return path.fs
    except ValueError:  # no provider of Airflow's brings the scheme (memory, ftp ...); fsspec may know it by itself
        if getattr(path, "conn_id", None) or path.storage_options.get("conn_id"):  # before Airflow 3.3 among options
            raise
        return fsspec.filesystem(path.protocol)


def read_whole(path: ObjectStoragePath | str) -> bytes:
    """
    Read a file.

    :param path: the file, also as ``ObjectStoragePath`` takes it
    :raises CannotRead: when it cannot be read
    """
    try:
        found = place(path) if isinstance(path, str) else path
        content: bytes = filesystem(found).cat_file(found.path)
    except Exception as error:  # each object store has exceptions of its own
        raise CannotRead(path, error) from error
    return content


def names_in(folder: ObjectStoragePath) -> list[str]:
    """
    Return the names of what is in a folder, sorted; none if there is no such folder.

    :raises CannotRead: when nobody knows
    """
    try:
        client = filesystem(folder)
        client.invalidate_cache()  # an object store's listing may be remembered from before
        names = [str(name).rstrip("/").rpartition("/")[2] for name in client.ls(folder.path, detail=False)]
    except Exception as error:
        if trouble_of(error) is Trouble.MISSING or isinstance(error, NotADirectoryError):
            return []
        raise CannotRead(folder, error) from error
    return sorted(name for name in names if name)


def remove(path: ObjectStoragePath) -> None:
    """
    Remove a file, if it is there.

    :raises CannotWrite: when it may still be there
    """
    try:
        filesystem(path).rm_file(path.path)
    except Exception as error:
        if trouble_of(error) is not Trouble.MISSING:
            raise CannotWrite(path, error) from error


def write_whole(path: ObjectStoragePath, data: bytes) -> None:
    """
    Write a file that is either there as a whole or not at all.

    A local file is written under another name, flushed to the disk and renamed; an object store gets it in one
    put, which shows nothing before its end. Local files can be read by owner and group at most.

    :param path: the file; its directory is made
    :param data: all of it
    :raises CannotWrite: when it is not there; what was there before is
    """
    _write(path, lambda file: file.write(data), lambda client: client.pipe_file(path.path, data))


def as_json(content: object, indent: int | None = None) -> bytes:
    """Return JSON as UTF-8; lone surrogates, which UTF-8 has not, are escaped as JSON does it."""
    return json.dumps(content, ensure_ascii=False, indent=indent).encode("utf-8", "backslashreplace")


def copy_whole(source: Path, path: ObjectStoragePath) -> None:
    """
    Like :func:`write_whole`, for data that is too much to hold in memory.

    :param source: a local file
    :param path: the file to write
    :raises CannotWrite: when it is not there; what was there before is
    """

    def copy(file: IO[bytes]) -> None:
        with source.open("rb") as data:
            shutil.copyfileobj(data, file)

    _write(path, copy, lambda client: client.put_file(str(source), path.path))


def _write(path: ObjectStoragePath, fill: Callable[[IO[bytes]], object], put: Callable[[Any], object]) -> None:
    try:
        if is_local(path):
            local = Path(path.path)
            _make_folder(local.parent)
            _replace(local, fill)
        else:
            client = filesystem(path)
            client.makedirs(path.parent.path, exist_ok=True)
            put(client)
    except Exception as error:  # each object store has exceptions of its own
        raise CannotWrite(path, error) from error


def _make_folder(path: Path) -> None:
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(FOLDER_MODE, exist_ok=True)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def _replace(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}")
    try:
        with open(part, "xb", opener=_opened_for_few) as file:  # Path.open takes no opener
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _flush_directory(path.parent)


def _opened_for_few(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def _flush_directory(path: Path) -> None:
    with suppress(OSError):  # not every system can; the file itself is on the disk
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def is_given(path: str | None) -> TypeGuard[str]:
    """Say whether a templated path names a place; an empty one and a rendered ``None`` do not."""
    return bool(path) and path != "None"
