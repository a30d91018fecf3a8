"""Which CSV files mean the same to everybody: each line a row, each delimiter the end of a cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

_BLOCK = 1 << 20
_LONGEST: Final = 100_000
"""Length of a line in bytes up to which no reader of CSV complains."""

_MARK: Final = b"\xef\xbb\xbf"


class PlainLines(NamedTuple):
    """
    What was copied.

    :param header: the names of the columns
    :param rows: number of lines after the header
    """

    header: list[str]
    rows: int


def copy_plain(stream: IO[bytes], copy: Path, delimiter: str) -> PlainLines | None:
    """
    Copy the rows of a CSV file, each with the number of its line as one more cell before it.

    :param stream: the file
    :param copy: the local file to make
    :param delimiter: what stands between two cells
    :return: ``None`` if it takes a reader of CSV to say what is in the file: there are
        quotes, blank lines, rows with too many or too few cells, or bytes that are no UTF-8
    """
    if not (delimiter.isascii() and len(delimiter) == 1) or delimiter.isalnum() or delimiter in '"\r\n\0':
        return None
    cut = delimiter.encode()
    numbered = b"%d" + cut.replace(b"%", b"%%") + b"%b\n"
    header: bytes | None = None
    number = 1
    with copy.open("xb") as target:
        for block in _whole_lines(stream):
            lines = block.removesuffix(b"\n").split(b"\n")
            if header is None:
                header = lines.pop(0).removeprefix(_MARK)
                width = header.count(cut)
                if not width or len(header) > _LONGEST:
                    return None
            if (
                b'"' in block
                or b"\0" in block
                or b"\r" in block
                or not (block.isascii() or _is_utf8(block))
                or any(line.count(cut) != width for line in lines)
                or max(map(len, lines), default=0) > _LONGEST
            ):
                return None
            target.write(b"".join([numbered % pair for pair in enumerate(lines, number + 1)]))
            number += len(lines)
    return PlainLines(header.decode().split(delimiter), number - 1) if header is not None else None


def _whole_lines(stream: IO[bytes]) -> Iterator[bytes]:
    r"""Yield a file in blocks of whole lines, each of which ends with ``\n``, but for the last one maybe."""
    held = b""
    while len(held) <= _LONGEST and (data := stream.read(_BLOCK)):
        whole, end, rest = (held + data).rpartition(b"\n")
        held = rest
        if whole or end:
            yield (whole + end).replace(b"\r\n", b"\n")
    if held:
        yield held


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
