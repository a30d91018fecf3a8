"""Files of other programs as a table can read them, and a database that keeps its limits."""

from __future__ import annotations

import errno
import gzip
from pathlib import Path

import duckdb  # noqa: TID253
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.storage import CannotWrite
from airflow_provider_ims.tables import files
from airflow_provider_ims.tables.database import checked_memory_limit, open_database, workspace
from airflow_provider_ims.tables.errors import FileUnavailable, FileUnusable, NoRoom, TableError
from airflow_provider_ims.tables.files import local_file, utf8_text, with_like_line_ends


def made(folder: Path, content: bytes, name: str = "books.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    folder = tmp_path / "copies"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("mixed", "alike"),
    [
        (b"a\r\nb\nc\r\n", b"a\r\nb\nc\r\n".replace(b"\r\n", b"\n")),
        (b"a\nb\r\n", b"a\nb\n"),
        (b"a\r\r\nb\r\r\n", b"a\nb\n"),
        (b"a\rb\nc", b"a\nb\nc"),
        (b'a\r\n"b\nb"\r\n', b'a\n"b\nb"\n'),
    ],
)
def test_lines_that_end_in_several_ways_end_alike(
    mixed: bytes, alike: bytes, tmp_path: Path, copies: Path, monkeypatch
):
    for size in (1, 2, 3, 1 << 20):
        monkeypatch.setattr(files, "_CHUNK", size)
        assert with_like_line_ends(made(tmp_path, mixed), copies).read_bytes() == alike


@pytest.mark.parametrize("content", [b"a\r\nb\r\n", b"a\nb\n", b"a\rb\r", b"a", b""])
def test_a_file_whose_lines_end_alike_is_taken_as_it_is(content: bytes, tmp_path: Path, copies: Path, monkeypatch):
    path = made(tmp_path, content)
    for size in (1, 1 << 20):
        monkeypatch.setattr(files, "_CHUNK", size)
        assert with_like_line_ends(path, copies) == path


def test_a_local_file_is_read_in_place_and_a_packed_one_is_unpacked(tmp_path: Path, copies: Path):
    path = made(tmp_path, b"a,b\n")
    assert local_file(ObjectStoragePath(str(path)), copies) == path
    packed = made(tmp_path, gzip.compress(b"a,b\n"), "books.csv.gz")
    assert local_file(ObjectStoragePath(str(packed)), copies).read_bytes() == b"a,b\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "is empty"),
        ("half.csv.gz", gzip.compress(b"a,b\n" * 1000, mtime=0)[:-9], "not a whole gzip file"),
        ("no.csv.gz", b"a,b\n", "not a whole gzip file"),
        ("nothing.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        (None, b"", "no file that this worker can read"),
    ],
)
def test_a_file_that_is_not_what_it_must_be(name: str | None, content: bytes, words: str, tmp_path: Path, copies: Path):
    path = made(tmp_path, content, name) if name else tmp_path / "missing.csv"
    with pytest.raises(FileUnusable, match=words):
        local_file(ObjectStoragePath(str(path)), copies)


def test_a_disk_that_fails_is_another_thing_than_a_file_that_is_wrong(tmp_path: Path, copies: Path, monkeypatch):
    def fail(*arguments: object, **more: object) -> None:
        raise OSError(5, "Input/output error")

    path = made(tmp_path, b"a,b\n")
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(FileUnavailable, match="cannot be read now"):
        local_file(ObjectStoragePath(str(path)), copies)


@pytest.mark.parametrize(
    ("content", "encoding", "text", "known"),
    [
        ("n,₹\n".encode(), None, "n,₹\n", "utf-8"),
        ("\ufeffn,₹\n".encode(), None, "\ufeffn,₹\n", "utf-8"),
        ("n,₹\n".encode("utf-16"), None, "n,₹\n", "utf-16"),
        ("n,é\n".encode("cp1252"), None, "n,é\n", "cp1252"),
        ("n,й\n".encode("cp1251"), "cp1251", "n,й\n", "cp1251"),
    ],
)
def test_text_becomes_utf_8(content: bytes, encoding: str | None, text: str, known: str, tmp_path: Path, copies: Path):
    found = utf8_text(made(tmp_path, content), "books.csv", copies, encoding)
    assert (found.path.read_bytes().decode(), found.encoding) == (text, known)


@pytest.mark.parametrize(
    ("content", "encoding", "words"),
    [
        (b"PK\x03\x04rest", None, "an Excel workbook"),
        (b"PAR1rest", None, "a Parquet file"),
        (b"<html>", None, "HTML or XML"),
        (b"a\x00b,\xff\n", None, "zero bytes"),
        (b"a,b\n", "klingon", "none that Python knows"),
        (b"\xff\xfe\xff", "utf-8", "is not written in utf-8"),
    ],
)
def test_what_is_no_text_says_so(content: bytes, encoding: str | None, words: str, tmp_path: Path, copies: Path):
    with pytest.raises(FileUnusable, match=words):
        utf8_text(made(tmp_path, content), "books.csv", copies, encoding)


def test_a_database_reads_and_writes_what_is_named_and_nothing_else(tmp_path: Path):
    named, other = made(tmp_path, b"a\n1\n", "named.csv"), made(tmp_path, b"a\n1\n", "other.csv")
    with workspace() as folder, open_database(folder, readable=[named]) as database:
        assert database.execute(f"SELECT a FROM read_csv('{named}')").fetchall() == [(1,)]
        for sql in (
            f"SELECT * FROM read_csv('{other}')",
            f"COPY (SELECT 1) TO '{tmp_path}/written.csv'",
            f"ATTACH '{tmp_path}/other.duckdb'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
            "SET memory_limit = '1TB'",
            "SELECT * FROM 'http://127.0.0.1:9/x.csv'",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(sql)
        assert database.execute("SELECT current_setting('memory_limit')").fetchall() == [("953.6 MiB",)]
    assert not folder.exists()


def test_a_database_that_is_too_small_says_what_to_raise():
    with (
        pytest.raises(NoRoom, match="Raise memory_limit, or set TMPDIR"),
        workspace() as folder,
        open_database(folder, memory_limit="4MB") as database,
    ):
        database.execute("SELECT list(i::VARCHAR) FROM range(5000000) t(i)").fetchall()
    assert not folder.exists()


@pytest.mark.parametrize("limit", ["", "1", "lots", "1GB; DROP", "-1GB"])
def test_a_memory_limit_that_is_none(limit: str):
    with pytest.raises(TableError, match="memory_limit"):
        checked_memory_limit(limit)


def test_a_full_disk_of_this_worker_is_no_fault_of_the_file(tmp_path: Path, copies: Path, monkeypatch):
    packed = made(tmp_path, gzip.compress(b"a,b\n"), "books.csv.gz")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.shutil, "copyfileobj", full)
    with pytest.raises(NoRoom, match="No space left on device"):
        local_file(ObjectStoragePath(str(packed)), copies)


def at_opening(folder: Path) -> None:
    (folder / "tables.duckdb").symlink_to("/dev/full")
    with open_database(folder):
        pass


def at_writing(folder: Path) -> None:
    (folder / "rows.parquet").symlink_to("/dev/full")
    with open_database(folder, readable=[Path("/dev/full")]) as database:
        database.execute(f"COPY (FROM range(9)) TO '{folder}/rows.parquet' (FORMAT parquet)")


def beside_it(folder: Path) -> None:
    Path("/dev/full").write_text("a line of a file for the database")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("write", [at_opening, at_writing, beside_it])
def test_a_full_disk_is_told_as_such_whoever_writes(write):
    told = r"does not suffice \((OSError|IOException).*No space left on device(?s:.*)TMPDIR"
    with pytest.raises(NoRoom, match=told), workspace() as folder:
        write(folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    "error", [OSError(errno.ECONNRESET, "gone"), CannotWrite("s3://b/k", OSError(errno.ENOSPC, ""))]
)
def test_what_is_not_of_this_workers_disk_stays_what_it_is(error):
    with pytest.raises(OSError) as told, workspace():  # noqa: PT011  whatever it says
        raise error
    assert told.value is error
