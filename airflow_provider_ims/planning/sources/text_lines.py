"""Lines of a text file, a block at a time, whatever bytes are in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, cast

from airflow_provider_ims.tables.errors import FileUnusable

_BLOCK = 256 * 1024
_LONGEST = 16 * 1024 * 1024


class BadLine(str):
    """A line with bytes that are not UTF-8; they stand in it as Python's surrogate escapes."""

    __slots__ = ()

    def fault(self) -> str:
        """Say which byte it is, and where in the line."""
        raw = self.encode("utf-8", "surrogateescape")
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            return f"UTF-8 text; byte {error.start + 1} of the line is 0x{raw[error.start]:02x}. Save the file as UTF-8"
        raise AssertionError("a BadLine is one that does not decode")


class _Blocks(io.BufferedIOBase):
    """Gives a text reader a file's bytes a block at a time."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        return self._stream.read(_BLOCK)


def text_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    """
    Yield the lines of a file without their line ends.

    :param stream: the file
    :param name: the file, for the error
    :return: an iterator; a line that is not UTF-8 comes as a :class:`BadLine`
    :raises FileUnusable: when a line never ends
    """
    text = io.TextIOWrapper(
        cast("IO[bytes]", _Blocks(stream)), encoding="utf-8", errors="surrogateescape", newline="\n"
    )
    is_first = True
    while line := text.readline(_LONGEST + 1):
        if line.endswith("\n"):
            line = line[:-1]
        elif len(line) > _LONGEST:
            raise FileUnusable(name, f"has a line of more than {_LONGEST:,} bytes: is it the right format?")
        if not line.isascii() and not _is_text(line):
            line = BadLine(line)
        elif is_first:
            line = line.removeprefix("\ufeff")  # a mark that some Windows programs put before UTF-8 text
        is_first = False
        yield line


def _is_text(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:  # what stands for a byte that is no UTF-8
        return False
    return True
