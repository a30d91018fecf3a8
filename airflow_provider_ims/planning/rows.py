"""What every source of rows has in common."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from airflow_provider_ims.planning.errors import SourceUnavailable, SourceUnusable

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


class Unreadable(NamedTuple):
    """
    A row that cannot even be read as fields and values.

    :param value: what stands there, or its beginning
    :param rule: what should stand there
    """

    value: object
    rule: str


NumberedRow = tuple[int, dict[str, Any] | Unreadable]


class Source(Protocol):
    """
    Where rows come from: a file or a query.

    :param name: the source, as its owner knows it
    :param unit: what its rows are counted in, for places such as ``documents.csv line 17``
    :param text_amounts: amounts stand as text, as in a CSV file
    """

    name: str
    unit: str
    text_amounts: bool

    def rows(self) -> Iterator[NumberedRow]:
        """
        Yield each row with its number, under the API's field names.

        :raises SourceUnusable: when the source as a whole is not what it must be
        :raises SourceUnavailable: when it cannot be read now
        """
        ...


@contextmanager
def opened(path: ObjectStoragePath) -> Iterator[IO[bytes]]:
    """
    Open a file for reading, decompressed if its name ends with ``.gz``.

    :param path: the file
    :raises SourceUnusable: when there is no such file, it may not be read or is empty, or it is not gzip
    :raises SourceUnavailable: when it cannot be read now
    """
    try:
        stream = cast("IO[bytes]", path.open("rb"))
    except (FileNotFoundError, IsADirectoryError, PermissionError, ImportError, ValueError) as error:
        # ImportError, ValueError: a scheme that nothing here can read.
        raise SourceUnusable(str(path), f"is no file that this worker can read ({_reason(error)})") from None
    except OSError as error:
        raise _unavailable(path, error) from None
    try:
        with stream:
            yield gzip.GzipFile(fileobj=stream, mode="rb") if path.name.endswith(".gz") else stream  # type: ignore[misc]
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceUnusable(str(path), f"is not a whole gzip file ({error}); write it again") from None
    except OSError as error:
        raise _unavailable(path, error) from None


def _unavailable(path: ObjectStoragePath, error: OSError) -> SourceUnavailable:
    return SourceUnavailable(f"{path} cannot be read now ({_reason(error)}). Nothing was planned; try again later.")


def _reason(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{type(error).__name__}: {said}"


def empty_file(name: str) -> SourceUnusable:
    """Return the error for a file of no bytes, which no export writes on purpose."""
    return SourceUnusable(name, "is empty, not even a heading: is it the right file, and did its export finish?")
