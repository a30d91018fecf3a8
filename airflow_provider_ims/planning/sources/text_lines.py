"""Lines of a text file, a block at a time, whatever bytes are in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import IO

from airflow_provider_ims.planning.errors import SourceUnusable

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


def text_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    """
    Yield the lines of a file without their line ends.

    :param stream: the file
    :param name: the file, for the error
    :return: an iterator; a line that is not UTF-8 comes as a :class:`BadLine`
    :raises SourceUnusable: when a line never ends
    """
    lines = chain.from_iterable(_blocks(stream, name))
    for line in lines:
        # A mark that some Windows programs put before UTF-8 text.
        yield line[1:] if line.startswith("\ufeff") and not isinstance(line, BadLine) else line
        break
    yield from lines


def _blocks(stream: IO[bytes], name: str) -> Iterator[list[str]]:
    rest = b""
    while block := stream.read(_BLOCK):
        head, newline, tail = block.rpartition(b"\n")
        if newline:
            yield _decoded(rest + head)
            rest = tail
        else:
            rest += tail
            if len(rest) > _LONGEST:
                raise SourceUnusable(name, f"has a line of more than {_LONGEST:,} bytes: is it the right format?")
    if rest:
        yield _decoded(rest)


def _decoded(data: bytes) -> list[str]:
    try:
        return data.decode().split("\n")
    except UnicodeDecodeError:
        return [_line(raw) for raw in data.split(b"\n")]


def _line(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return BadLine(raw.decode("utf-8", "surrogateescape"))
