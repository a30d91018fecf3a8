"""One at a time on this host, whoever asks: processes, threads, coroutines."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_ims.sessions import single_flight
from airflow_provider_ims.sessions.single_flight import aexclusive, exclusive

HOLDER = """
import sys
from airflow_provider_ims.sessions.single_flight import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def key() -> str:
    return f"test_{uuid.uuid4().hex}"


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_flight, "_pause", lambda: 0.001)


class Room:
    """A room for one; remembers the most that were in it."""

    def __init__(self) -> None:
        self.inside = self.most = self.visits = 0

    def enter(self) -> None:
        self.inside += 1
        self.visits += 1
        self.most = max(self.most, self.inside)

    def leave(self) -> None:
        self.inside -= 1


@pytest.mark.usefixtures("no_pauses")
def test_threads_go_one_at_a_time(key):
    threads_go_one_at_a_time(key)


def threads_go_one_at_a_time(key: str) -> None:
    room = Room()

    def visit() -> None:
        for _ in range(5):
            with exclusive(key):
                room.enter()
                threading.Event().wait(0.002)
                room.leave()

    visitors = [threading.Thread(target=visit) for _ in range(6)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert (room.most, room.visits) == (1, 30)


async def test_coroutines_go_one_at_a_time_and_the_loop_goes_on(key):
    await coroutines_go_one_at_a_time(key)


async def coroutines_go_one_at_a_time(key: str) -> None:
    room = Room()

    async def visit() -> None:
        async with aexclusive(key):
            room.enter()
            await asyncio.sleep(0)
            room.leave()

    await asyncio.gather(*(visit() for _ in range(50)))
    assert (room.most, room.visits) == (1, 50)


@pytest.fixture
def held(key):
    """Another process that holds the key until it is told to let go."""
    command = [sys.executable, "-c", HOLDER, key]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own
    try:
        assert holder.stdout.readline() == b"held\n"
        yield holder
    finally:
        holder.communicate(b"\n", timeout=20)


def test_another_process_is_waited_for(key, held, monkeypatch):
    waits = []

    def pause() -> float:
        waits.append(1)
        if len(waits) == 3:
            held.stdin.write(b"let go\n")
            held.stdin.flush()
        return 0.01

    monkeypatch.setattr(single_flight, "_pause", pause)
    with exclusive(key):
        assert held.wait(timeout=20) == 0
    assert len(waits) >= 3


async def test_a_holder_that_hangs_is_passed_over(key, held, monkeypatch, caplog):
    monkeypatch.setattr(single_flight, "LONGEST_WAIT", 0.0)
    async with aexclusive(key):
        pass
    with exclusive(key):
        pass
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_a_process_that_dies_lets_go(key, held):
    held.kill()
    held.wait()
    with exclusive(key):
        pass


def test_different_keys_do_not_wait_for_each_other(key, held):
    with exclusive(f"{key}_other"):
        pass


def test_the_lock_files_are_this_users_alone(key, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with exclusive(key):
        [folder] = tmp_path.iterdir()
        [file] = folder.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert file.stat().st_mode & 0o077 == 0


def a_plain_file(folder: Path) -> None:
    folder.write_text("not a folder")


def a_link_elsewhere(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)


def a_link_to_nowhere(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


def no_parent(folder: Path) -> None:
    folder.parent.rmdir()


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("obstacle", [a_plain_file, a_link_elsewhere, a_link_to_nowhere, no_parent])
def test_without_a_folder_threads_still_go_one_at_a_time_and_one_warning_says_so(
    key, obstacle, tmp_path, monkeypatch, caplog
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    obstacle(temporary / f"airflow-provider-ims-{os.getuid()}")
    only_warns_once_a_process(monkeypatch)
    threads_go_one_at_a_time(key)
    asyncio.run(coroutines_go_one_at_a_time(key))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(temporary) in caplog.text
    assert not list((tmp_path / "temporary").glob("elsewhere/*"))


def fails_with(number: int) -> Callable[..., int]:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE])
def test_a_disk_that_takes_no_file_is_the_same(key, number, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(single_flight.os, "open", fails_with(number))
    only_warns_once_a_process(monkeypatch)
    threads_go_one_at_a_time(key)
    assert len(caplog.records) == 1


def test_no_temporary_folder_at_all_stops_nothing(key, monkeypatch, caplog):
    monkeypatch.setattr(single_flight.tempfile, "gettempdir", fails_with(errno.ENOENT))
    only_warns_once_a_process(monkeypatch)
    with exclusive(key):
        pass
    assert len(caplog.records) == 1


def test_a_file_system_without_locks_stops_nothing(key, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(single_flight.fcntl, "flock", fails_with(errno.ENOLCK))
    only_warns_once_a_process(monkeypatch)
    with exclusive(key):
        pass
    assert len(caplog.records) == 1


def only_warns_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin anew, as a fresh process does."""
    monkeypatch.setattr(single_flight, "_warned", set())
