"""A body is put together piece by piece, uncompressed, and never more of it than was asked for."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ims.hooks._bodies import Body, BodyError


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


WAYS: dict[str, tuple[str | None, Callable[[bytes], bytes]]] = {
    "as it is": (None, bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "GZIP in capitals": (" GZIP ", gzip.compress),
    "gzip of two members": ("gzip", lambda data: gzip.compress(data[:3]) + gzip.compress(data[3:])),
    "deflate with zlib's frame": ("deflate", zlib.compress),
    "deflate without it": ("deflate", raw_deflate),
}


def put_together(encoding: str | None, sent: bytes, most: int, size: int) -> bytes:
    body = Body(encoding, most)
    for start in range(0, len(sent), size):
        body.feed(sent[start : start + size])
    return body.whole()


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None)
@given(data=st.binary(max_size=200), size=st.integers(1, 50))
def test_whatever_the_pieces_are_the_body_is_what_was_sent(way: str, data: bytes, size: int):
    encoding, compress = WAYS[way]
    assert put_together(encoding, compress(data), len(data), size) == data


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_one_byte_too_many_is_too_many(way: str, size: int):
    encoding, compress = WAYS[way]
    with pytest.raises(BodyError, match="larger than 999 bytes"):
        put_together(encoding, compress(b"x" * 1000), 999, size)


def test_of_a_bomb_no_more_is_uncompressed_than_fits():
    body = Body("gzip", 1000)
    kept: list[int] = []
    keep = body._keep
    body._keep = lambda piece: (kept.append(len(piece)), keep(piece))  # type: ignore[method-assign,assignment]
    with pytest.raises(BodyError, match="larger than"):
        body.feed(gzip.compress(b"0" * 50_000_000))
    assert sum(kept) == 1001


@pytest.mark.parametrize("sent", [gzip.compress(b"{}" * 100, mtime=0)[:-9], gzip.compress(b"{}", mtime=0)[:10]])
def test_a_body_whose_end_is_missing_is_none(sent: bytes):
    with pytest.raises(BodyError, match="end of the reply is missing"):
        put_together("gzip", sent, 1000, 10)


@pytest.mark.parametrize(
    ("encoding", "sent"), [("gzip", b"{}"), ("deflate", b"\xff\xff{}"), ("gzip", gzip.compress(b"{}", mtime=0) + b"xx")]
)
def test_a_body_that_is_not_compressed_as_it_says_is_none(encoding: str, sent: bytes):
    with pytest.raises(BodyError, match="not compressed as it says"):
        put_together(encoding, sent, 1000, 10)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "made-up"])
def test_a_compression_that_nobody_asked_for_is_refused(encoding: str):
    with pytest.raises(BodyError, match="not asked for"):
        Body(encoding, 1000)
