"""Writes files whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PART_SUFFIX = ".part"
"""What a local file's name ends with, after a dot before it, until the file is whole."""


class CannotWrite(OSError):
    """
    A file could not be written, and nothing of it is left under its name.

    :param path: the file
    :param error: why
    """

    def __init__(self, path: object, error: Exception) -> None:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        super().__init__(
            f"{path} cannot be written ({type(error).__name__}: {said}). No part of it was left there. See to room and"
            " rights at that place, or choose another one, and run this again."
        )


def write_whole(path: ObjectStoragePath, data: bytes) -> None:
    """
    Write a file that is either there as a whole or not at all.

    A local file is written under another name, flushed to the disk and renamed; an object store gets it in one
    put, which shows nothing before its end.

    :param path: the file; its directory is made
    :param data: all of it
    :raises CannotWrite: when it is not there; what was there before is
    """
    _write(path, lambda file: file.write(data), lambda: _filesystem(path).pipe_file(path.path, data))


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

    _write(path, copy, lambda: _filesystem(path).put_file(str(source), path.path))


def _write(path: ObjectStoragePath, fill: Callable[[IO[bytes]], object], put: Callable[[], object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.protocol in {"", "file", "local"}:
            _replace(Path(path.path), fill)
        else:
            put()
    except CannotWrite:
        raise
    except Exception as error:  # each object store has exceptions of its own
        raise CannotWrite(path, error) from error


def _filesystem(path: ObjectStoragePath) -> Any:
    import fsspec  # type: ignore[import-untyped]

    try:
        return path.fs
    except ValueError:  # no provider of Airflow's brings the scheme (memory, ftp ...); fsspec may know it by itself
        return fsspec.filesystem(path.protocol)


def _replace(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}")
    try:
        with part.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _flush_directory(path.parent)


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
