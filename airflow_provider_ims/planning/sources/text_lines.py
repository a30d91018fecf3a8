"""Lines of a text file, a block at a time, whatever bytes are in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

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


def text_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    """
    Yield the lines of a file without their line ends.

    :param stream: the file
    :param name: the file, for the error
    :return: an iterator; a line that is not UTF-8 comes as a :class:`BadLine`
    :raises FileUnusable: when a line never ends
    """
    held, is_first, ended = b"", True, False
    while not ended:
        block = stream.read(_BLOCK)
        ended = not block
        whole, end, held = (held + block).rpartition(b"\n") if block else (held, held, b"")
        if len(held) > _LONGEST or (len(whole) > _LONGEST and len(whole.partition(b"\n")[0]) > _LONGEST):
            raise FileUnusable(name, f"has a line of more than {_LONGEST:,} bytes: is it the right format?")
        if not end:  # no whole line yet, or nothing after the last one
            continue
        text = whole.decode("utf-8", "surrogateescape")
        lines = text.split("\n")
        if not text.isascii() and not _is_text(text):
            lines = [line if _is_text(line) else BadLine(line) for line in lines]
        if is_first and type(lines[0]) is str:
            lines[0] = lines[0].removeprefix("\ufeff")  # a mark that some Windows programs put before UTF-8 text
        is_first = False
        yield from lines


def _is_text(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:  # what stands for a byte that is no UTF-8
        return False
    return True
