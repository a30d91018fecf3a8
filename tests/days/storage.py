"""The object store of a simulated day: files in memory, and what can happen to them."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from airflow.sdk.io.store import _STORE_CACHE, ObjectStore
from fsspec import AbstractFileSystem

from .mishaps import Mishap

ROOT = "memory://tax"


class DayFileSystem(AbstractFileSystem):
    """
    What ``memory://`` means on a simulated day.

    ``edge`` is told of each read and write, with its path, and carries out what goes wrong at it.
    """

    protocol = "memory"
    root_marker = "/"
    cachable = True
    files: ClassVar[dict[str, bytes]] = {}
    edge: ClassVar[Callable[[str, str, Callable[[], Any]], Any]] = staticmethod(lambda where, path, act: act())

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return "/" + str(path).removeprefix("memory://").strip("/")

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if "r" in mode:
            return io.BytesIO(self.cat_file(path))
        return _Upload(self, path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        path = self._strip_protocol(path)
        return self.edge("file read", path, lambda: self._held(path))[start:end]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        path = self._strip_protocol(path)

        def write() -> None:
            if mode == "create" and path in self.files:
                raise FileExistsError(errno.EEXIST, "File exists", path)
            self.files[path] = bytes(value)

        self.edge("file write", path, write)

    def put_file(self, lpath: str, rpath: str, callback: Any = None, mode: str = "overwrite", **kwargs: Any) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes(), mode=mode)

    def get_file(self, rpath: str, lpath: Any, callback: Any = None, outfile: Any = None, **kwargs: Any) -> None:
        Path(lpath).write_bytes(self.cat_file(rpath))

    def rm_file(self, path: str) -> None:
        path = self._strip_protocol(path)
        self.edge("file write", path, lambda: self._held(path) and self.files.pop(path))

    _rm = rm_file

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        for each in path if isinstance(path, list) else [path]:
            own = self._strip_protocol(each)
            for name in [name for name in self.files if name == own or (recursive and name.startswith(f"{own}/"))]:
                self.rm_file(name)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        return self.edge("file read", path, lambda: self._info(path))

    def _info(self, path: str) -> dict[str, Any]:
        if path in self.files:
            return {"name": path, "size": len(self.files[path]), "type": "file"}
        if path == "/" or any(name.startswith(f"{path}/") for name in self.files):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        own = path.rstrip("/") + "/"

        def names() -> list[str]:
            below = {own + name[len(own) :].split("/")[0] for name in self.files if name.startswith(own)}
            if not below and path not in self.files:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
            return sorted(below) or [path]

        found = self.edge("file read", path, names)
        return [self._info(name) for name in found] if detail else found

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Folders are only parts of names here."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Folders are only parts of names here."""

    def created(self, path: str) -> Any:
        raise NotImplementedError

    def _held(self, path: str) -> bytes:
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path) from None


class _Upload(io.BytesIO):
    def __init__(self, fs: DayFileSystem, path: str) -> None:
        super().__init__()
        self._fs, self._path = fs, path

    def close(self) -> None:
        if not self.closed:
            value = self.getvalue()
            super().close()
            self._fs.pipe_file(self._path, value)


def storage_error(mishap: Mishap, path: str) -> OSError:
    """Return what a client of an object store raises when something is wrong with it."""
    number, said = {
        "full": (errno.ENOSPC, "No space left on device"),
        "forbidden": (errno.EACCES, "Permission denied"),
    }.get(mishap.detail, (errno.EIO, "Input/output error"))
    return OSError(number, said, path)


def install() -> None:
    """Let ``memory://`` mean this store, for fsspec and for Airflow."""
    fsspec.register_implementation("memory", DayFileSystem, clobber=True)
    _STORE_CACHE["memory"] = ObjectStore(protocol="memory", conn_id=None, fs=DayFileSystem())


def uninstall() -> None:
    """Let it mean again what it meant."""
    from fsspec.implementations.memory import MemoryFileSystem

    fsspec.register_implementation("memory", MemoryFileSystem, clobber=True)
    _STORE_CACHE.pop("memory", None)
