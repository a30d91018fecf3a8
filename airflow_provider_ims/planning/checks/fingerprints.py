"""Tells cheaply whether anything was there twice, among more things than memory holds."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO

_HELD = 16_384
_BUCKETS = 128
_ENDS = [(bucket << 57) - (1 << 63) for bucket in range(1, _BUCKETS)]  # cut the 64-bit integers into equal parts


class Fingerprints:
    """
    The hashes of many things, in files by their size, so that one file at a time can be looked through.

    :param folder: a directory that is removed with all that is in it when the plan is done
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[int] = []
        self._open = ExitStack()
        self._buckets: list[IO[bytes]] = []

    def __enter__(self) -> Fingerprints:
        self._buckets = [
            self._open.enter_context((self._folder / f"{bucket}.hashes").open("w+b")) for bucket in range(_BUCKETS)
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()

    def add(self, things: Iterable[Hashable]) -> None:
        """Take some things."""
        self._held.extend(map(hash, things))
        if len(self._held) >= _HELD:
            self._write()

    def _write(self) -> None:
        hashes = array("q", sorted(self._held))
        self._held.clear()
        cuts = [0, *(bisect_left(hashes, end) for end in _ENDS), len(hashes)]
        for bucket, (start, end) in zip(self._buckets, pairwise(cuts), strict=True):
            hashes[start:end].tofile(bucket)

    def repeated(self, most: int) -> set[int] | None:
        """
        Return the hashes that were there more than once.

        Different things may share a hash, so this is where to look closer, no more.

        :param most: largest number of hashes to return
        :return: ``None`` when there are more than that
        """
        self._write()
        found: set[int] = set()
        for bucket in self._buckets:
            bucket.seek(0)
            hashes = sorted(array("q", bucket.read()))  # sorting takes less memory than a set
            found.update(value for value, following in pairwise(hashes) if value == following)
            if len(found) > most:
                return None
        return found
