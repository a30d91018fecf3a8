"""What every source of rows has in common."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from airflow_provider_ims.planning.errors import SourceUnavailable, SourceUnusable
from airflow_provider_ims.storage import CannotRead, shown

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_ims.planning.sources.columns import Columns


class Unreadable(NamedTuple):
    """
    A row that cannot even be read as fields and values.

    :param value: what stands there, or its beginning
    :param rule: what should stand there
    """

    value: object
    rule: str


class Row(dict[str, Any]):
    """
    A row under the API's field names, with what is carried beside it.

    :param fields: field -> value
    :param carried: the user's name of a column -> value
    """

    __slots__ = ("carried",)

    def __init__(self, fields: Mapping[str, Any], carried: dict[str, Any]) -> None:
        super().__init__(fields)
        self.carried = carried


NumberedRow = tuple[int, dict[str, Any] | Unreadable]


class Source(Protocol):
    """
    Where rows come from: a file or a query.

    :param name: the source, as its owner knows it
    :param unit: what its rows are counted in, for places such as ``documents.csv line 17``
    :param text_amounts: amounts stand as text, as in a CSV file
    :param columns: the names of its columns
    """

    name: str
    unit: str
    text_amounts: bool
    columns: Columns

    def rows(self) -> Iterator[NumberedRow]:
        """
        Yield each row with its number, under the API's field names.

        :raises SourceUnusable: when the source as a whole is not what it must be
        :raises SourceUnavailable: when it cannot be read now
        """
        ...


class _Stream:
    """A file that is being read, whose store may go away meanwhile."""

    def __init__(self, path: ObjectStoragePath, stream: IO[bytes]) -> None:
        self._path = path
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return cast("bytes", self._asked(self._stream.read, size))

    def seek(self, offset: int, whence: int = 0) -> int:
        return cast("int", self._asked(self._stream.seek, offset, whence))

    def tell(self) -> int:
        return self._stream.tell()

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def _asked(self, ask: Callable[..., object], *arguments: int) -> object:
        try:
            return ask(*arguments)
        except Exception as error:  # each object store has exceptions of its own
            raise CannotRead(self._path, error) from error


@contextmanager
def opened(path: ObjectStoragePath) -> Iterator[IO[bytes]]:
    """
    Open a file for reading, decompressed if its name ends with ``.gz``.

    :param path: the file
    :raises SourceUnusable: when there is no such file, it may not be read or is empty, or it is not gzip
    :raises SourceUnavailable: when it cannot be read now
    """
    try:
        try:
            stream = cast("IO[bytes]", path.open("rb"))
        except Exception as error:  # each object store has exceptions of its own
            raise CannotRead(path, error) from error
        with stream:
            whole = cast("IO[bytes]", _Stream(path, stream))
            yield gzip.GzipFile(fileobj=whole, mode="rb") if path.name.endswith(".gz") else whole  # type: ignore[misc]
    except CannotRead as error:
        if error.passes:
            raise SourceUnavailable(f"{error} Nothing was planned.") from error
        raise SourceUnusable(shown(path), f"is no file that this worker can read: {error.why}") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceUnusable(shown(path), f"is not a whole gzip file ({error}); write it again") from None


def empty_file(name: str) -> SourceUnusable:
    """Return the error for a file of no bytes, which no export writes on purpose."""
    return SourceUnusable(name, "is empty, not even a heading: is it the right file, and did its export finish?")
