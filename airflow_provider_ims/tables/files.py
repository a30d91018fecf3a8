"""Files at any ``ObjectStoragePath`` as DuckDB can read them: local, unpacked, and text as UTF-8."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

from airflow_provider_ims.storage import CannotRead, filesystem, is_local, shown
from airflow_provider_ims.tables.database import no_room
from airflow_provider_ims.tables.errors import NOT_WRITTEN, FileUnavailable, FileUnusable, TableError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

FORMATS: Final = ("json", "jsonl", "ndjson", "csv", "parquet")
"""The kinds of files that rows are read from, as their names end."""

_WORKBOOKS: Final = ("xlsx", "xlsm", "xlsb", "xls", "ods")

_CHUNK = 1 << 20

_KINDS = {
    b"PK\x03\x04": "an Excel workbook or another ZIP file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file without .gz after its name",
    b"%PDF": "a PDF",
    b"<": "HTML or XML",
}
"""What a file begins with that is no CSV or JSON, whatever its name says."""


class Text(NamedTuple):
    """
    A text file that DuckDB can read.

    :param path: a local file in UTF-8
    :param encoding: what it was written in
    """

    path: Path
    encoding: str


def format_of(path: ObjectStoragePath, file_format: str | None = None) -> str:
    """
    Return which of :data:`FORMATS` a file has.

    :param path: the file; ``.gz`` after its suffix says that it is compressed
    :param file_format: what its owner says; ``None``: the file's suffix
    :raises FileUnusable: when nobody knows the format
    """
    found = (file_format or path.name.removesuffix(".gz").rpartition(".")[2]).lower()
    if found in _WORKBOOKS:
        raise FileUnusable(
            str(path),
            "is a workbook, no format that is known here.\nSave the sheet as CSV UTF-8, and name that file instead",
        )
    if found not in FORMATS:
        raise FileUnusable(
            str(path), f"{found!r} is no format that is known here; give file_format as one of {', '.join(FORMATS)}"
        )
    return found


def local_file(path: ObjectStoragePath, folder: Path) -> Path:
    """
    Return a file on the local disk: itself, or a copy of what is remote or packed.

    One copy in one stream, for everything that is not local: DuckDB reads a file in several places at once and more
    than once, and its own way through fsspec asks the store for each piece anew.

    :param path: the file; ``.gz`` after its suffix says that it is compressed
    :param folder: where a copy is put
    :raises FileUnusable: when there is no such file, it may not be read or is empty, or it is not gzip
    :raises FileUnavailable: when it cannot be read now
    """
    if is_local(path) and not path.name.endswith(".gz"):
        local = Path(path.path)
        try:
            with local.open("rb") as stream:
                start = stream.read(1)
        except Exception as error:
            raise _unread(CannotRead(path, error), path) from None
        if not start:
            raise empty_file(str(path))
        return local.resolve()
    copy = folder / f"{len(list(folder.iterdir()))}-{path.name.removesuffix('.gz')}"
    save(path, copy)
    return copy


def save(path: ObjectStoragePath, copy: Path, then: str = NOT_WRITTEN) -> None:
    """
    Copy a file to the local disk, decompressed if its name ends with ``.gz``.

    :param path: the file
    :param copy: the local file to make
    :param then: what it means that it cannot be read now
    :raises FileUnusable: as :func:`opened` does, and when there is nothing in it
    :raises FileUnavailable: when it cannot be read now
    :raises NoRoom: when the local disk has no room for it
    """
    with opened(path, then) as stream:
        try:
            with copy.open("xb") as target:
                shutil.copyfileobj(stream, target, _CHUNK)
        except OSError as error:
            if error.errno is None:  # the source's
                raise
            raise no_room(error) from error
    if not copy.stat().st_size:
        raise empty_file(str(path))


def digest_of(local: Path) -> str:
    """Return the SHA-256 of a local file's bytes."""
    with local.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def empty_file(name: str) -> FileUnusable:
    """Return the error for a file of no bytes, which no export writes on purpose."""
    return FileUnusable(name, "is empty, not even a heading: is it the right file, and did its export finish?")


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
def opened(path: ObjectStoragePath, then: str = NOT_WRITTEN) -> Iterator[IO[bytes]]:
    """
    Open a file for reading, decompressed if its name ends with ``.gz``.

    :param path: the file
    :param then: what it means that it cannot be read now
    :raises FileUnusable: when there is no such file, it may not be read or is empty, or it is not gzip
    :raises FileUnavailable: when it cannot be read now
    """
    try:
        try:
            stream = cast("IO[bytes]", filesystem(path).open(path.path, "rb"))
        except Exception as error:  # each object store has exceptions of its own
            raise CannotRead(path, error) from error
        with stream:
            whole = cast("IO[bytes]", _Stream(path, stream))
            yield gzip.GzipFile(fileobj=whole, mode="rb") if path.name.endswith(".gz") else whole  # type: ignore[misc]
    except CannotRead as error:
        raise _unread(error, path, then) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise FileUnusable(shown(path), f"is not a whole gzip file ({error}); write it again") from None


def utf8_text(local: Path, name: str, folder: Path, encoding: str | None = None) -> Text:
    """
    Return a text file in UTF-8: itself, or a copy of one in another encoding.

    Without an encoding given it is UTF-8, UTF-16 if it begins with that one's mark, else Windows' own (cp1252), which
    Excel writes: names may come out garbled then, figures and GSTINs do not.

    :param local: the file
    :param name: what its owner calls it, for the error
    :param folder: where a copy is put
    :param encoding: as Python names it
    :raises FileUnusable: when it is no text, or not in the encoding
    """
    with local.open("rb") as stream:
        start = stream.read(4)
    for mark, kind in _KINDS.items():
        if start.startswith(mark):
            other = ", or give its file_format" if mark == b"PAR1" else ""
            raise FileUnusable(name, f"is {kind}, not text: export it as CSV UTF-8{other}")
    known = encoding or _by_its_mark(start) or ("utf-8" if _is_utf8(local) else "cp1252")
    try:
        known = codecs.lookup(known).name
    except LookupError:
        raise FileUnusable(name, f"encoding={encoding!r} is none that Python knows") from None
    if known in {"utf-8", "ascii"} and (encoding is None or _is_utf8(local)):
        return Text(local, known)
    copy = folder / f"{len(list(folder.iterdir()))}-utf8-{local.name}"
    guessed = encoding is None and known == "cp1252"
    try:
        with (
            local.open(encoding=known, errors="replace" if guessed else "strict", newline="") as source,
            copy.open("x", encoding="utf-8", newline="") as target,
        ):
            while text := source.read(_CHUNK):
                if "\0" in text:
                    raise FileUnusable(name, "has zero bytes in it, so it is no text file; export it again")
                target.write(text)
    except UnicodeError as error:
        raise FileUnusable(name, f"is not written in {known} ({error}); say which with encoding=...") from None
    return Text(copy, known)


def with_like_line_ends(local: Path, folder: Path) -> Path:
    r"""
    Return a text file all of whose lines end alike: itself, or a copy of one that several programs have written.

    :param local: the file, in an encoding in which a line's end is one byte or two
    :param folder: where a copy is put
    """
    counts = {b"\r\n": 0, b"\n": 0, b"\r": 0}
    with local.open("rb") as stream:
        for piece in _whole_line_ends(stream):
            for end in counts:
                counts[end] += piece.count(end)
    both = counts.pop(b"\r\n")
    if sum(count > 0 for count in (both, *(count - both for count in counts.values()))) < 2:
        return local
    copy = folder / f"{len(list(folder.iterdir()))}-lines-{local.name}"
    with local.open("rb") as stream, copy.open("xb") as target:
        for piece in _whole_line_ends(stream):
            target.write(_LINE_END.sub(b"\n", piece))
    return copy


def with_rows_for_empty_lines(local: Path, folder: Path, row: bytes) -> Path:
    """
    Return a CSV file without empty lines, which DuckDB would not count: itself, or a copy with rows in their place.

    A file with cells of several lines is left as it is: in there, an empty line is none.

    :param local: the file, all of whose lines end alike
    :param folder: where a copy is put
    :param row: what stands in the line of a row in which no cell is filled
    """
    if not _has_empty_lines(local):
        return local
    copy = folder / f"{len(list(folder.iterdir()))}-rows-{local.name}"
    with local.open("rb") as source, copy.open("xb") as target:
        for line in source:
            if line.count(b'"') % 2:
                break
            target.write(row + line if line in _EMPTY_LINES else line)
        else:
            return copy
    copy.unlink()
    return local


def _has_empty_lines(local: Path) -> bool:
    held = b""
    with local.open("rb") as stream:
        while data := stream.read(_CHUNK):
            piece = held + data
            if b"\n\n" in piece or b"\n\r\n" in piece:
                return True
            held = piece[-2:]
    return False


_EMPTY_LINES: Final = (b"\n", b"\r\n")
_LINE_END = re.compile(rb"\r+\n?")  # \r\r\n is what a program makes of \r\n that ends lines once more


def _whole_line_ends(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what is in a stream, never parting the bytes of one line's end."""
    held = b""
    while data := stream.read(_CHUNK):
        data = held + data
        kept = data.rstrip(b"\r")
        held = data[len(kept) :]
        yield kept
    yield held


def _by_its_mark(start: bytes) -> str | None:
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else None


def _is_utf8(local: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with local.open("rb") as stream:
            while data := stream.read(_CHUNK):
                decoder.decode(data)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _unread(trouble: CannotRead, path: ObjectStoragePath, then: str = NOT_WRITTEN) -> TableError:
    if trouble.passes:
        return FileUnavailable(f"{trouble}\n{then}")
    return FileUnusable(shown(path), trouble.no_file)
