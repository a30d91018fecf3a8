"""Puts the body of a reply together, uncompressed, and never more of it than was asked for."""

from __future__ import annotations

import zlib
from typing import Protocol


class BodyError(Exception):
    """A body that cannot be kept; the text says why and holds nothing of it."""


class Inflater(Protocol):
    """What ``zlib.decompressobj`` returns."""

    @property
    def eof(self) -> bool:
        """Whether the end of the compressed data was seen."""

    @property
    def unconsumed_tail(self) -> bytes:
        """What is left because of the bound."""

    @property
    def unused_data(self) -> bytes:
        """What comes after the end."""

    def decompress(self, data: bytes, /, max_length: int = 0) -> bytes:
        """Uncompress."""


class Body:
    """
    Takes the pieces of a body as they arrive.

    What is compressed is uncompressed piece by piece up to the bound: 0.4 MB of gzip can stand for 400 MB.

    :param encoding: the reply's ``Content-Encoding``
    :param most: bytes, uncompressed
    :raises BodyError: for an encoding that was not asked for
    """

    def __init__(self, encoding: str | None, most: int) -> None:
        self._encoding = (encoding or "identity").strip().lower()
        if self._encoding not in {"identity", "gzip", "x-gzip", "deflate"}:
            raise BodyError("the reply is compressed in a way that was not asked for")
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0
        self._inflater: Inflater | None = None

    def feed(self, piece: bytes) -> None:
        """
        Take the next piece.

        :raises BodyError: when the body is larger than was asked for, or not compressed as it says
        """
        if self._encoding == "identity":
            self._keep(piece)
            return
        try:
            while piece:
                if self._inflater is None or self._inflater.eof:
                    self._inflater = self._new_inflater(piece)
                # One byte more than may come, so that too much is noticed.
                self._keep(self._inflater.decompress(piece, self._most - self._size + 1))
                piece = self._inflater.unconsumed_tail or self._inflater.unused_data
        except zlib.error:
            raise BodyError("the reply is not compressed as it says") from None

    def whole(self) -> bytes:
        """
        Return the body.

        :raises BodyError: when its end is missing
        """
        if self._inflater is not None and not self._inflater.eof:
            raise BodyError("the end of the reply is missing")
        return b"".join(self._pieces)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._most:
            raise BodyError(f"the reply is larger than {self._most:,} bytes")
        self._pieces.append(piece)

    def _new_inflater(self, start: bytes) -> Inflater:
        if self._encoding != "deflate":
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        # Servers disagree on what "deflate" is: with zlib's frame, whose first byte names this method, or without.
        return zlib.decompressobj(zlib.MAX_WBITS if start[0] & 0x0F == 8 else -zlib.MAX_WBITS)
