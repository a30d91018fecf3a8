"""Nothing that was started stays: after a stop, after an exception, after the parent's death."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local_airflow.families import is_alive
from local_airflow.postgres import PostgresServer
from local_airflow.processes import ProcessSet
from local_airflow.service import Service

CHECKOUT = Path(__file__).parents[2]
SECONDS = 120

# A leader, a child in a process group of its own, as Airflow's tasks are, that outlives its own parent, and one in a
# session of its own. None of them minds SIGTERM. Each writes its id when it is there.
FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def here(name):
    with open(f"{sys.argv[1]}/{name}.part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"{sys.argv[1]}/{name}.part", f"{sys.argv[1]}/{name}.pid")
    while True:
        time.sleep(60)
if os.fork() == 0:
    if os.fork() == 0:
        os.setpgid(0, 0)
        here("orphan")
    os._exit(0)
os.wait()
if os.fork() == 0:
    os.setsid()
    here("own-session")
here("leader")
"""

PARENT = """
import sys, time
from pathlib import Path
from local_airflow.processes import ProcessSet
from local_airflow.postgres import PostgresServer
folder = Path(sys.argv[1])
with ProcessSet() as processes, PostgresServer() as postgres:
    for number in (1, 2):
        (folder / str(number)).mkdir()
        command = [sys.executable, "-c", sys.argv[2], str(folder / str(number))]
        processes.spawn(f"family {number}", command, env={}, cwd=folder, log=folder / "log")
    while len(list(folder.glob("*/*.pid"))) < 6:
        time.sleep(0.02)
    print(processes.watchdog.pid, postgres.pid, postgres.directory, flush=True)
    time.sleep(600)
"""


def ended(processes: list[psutil.Process]) -> bool:
    psutil.wait_procs(processes, timeout=SECONDS)
    return not any(map(is_alive, processes))


def there(folder: Path) -> list[psutil.Process]:
    return [psutil.Process(int(file.read_text())) for file in folder.rglob("*.pid")]


@pytest.fixture
def family_in(tmp_path: Path) -> Callable[[ProcessSet], list[psutil.Process]]:
    """Start the family, wait for all three of it and return them."""

    def start(processes: ProcessSet) -> list[psutil.Process]:
        command = [sys.executable, "-c", FAMILY, str(tmp_path)]
        processes.spawn("family", command, env={}, cwd=tmp_path, log=tmp_path / "log")
        while len(found := there(tmp_path)) < 3:
            assert not processes.dead(), processes.log_tail("family")
        return found

    return start


def test_a_stop_ends_all_that_was_started_and_the_watchdog(family_in):
    with ProcessSet() as processes:
        family = family_in(processes)
        watchdog = psutil.Process(processes.watchdog.pid)
        processes.stop(grace=0.1)
        assert not any(map(is_alive, [*family, watchdog]))


def test_a_process_that_ends_by_itself_is_told_with_its_exit_code_and_its_log(tmp_path):
    with ProcessSet() as processes:
        processes.spawn(
            "short", ["/bin/sh", "-c", "cat; echo said; exit 3"], env={}, cwd=tmp_path, log=tmp_path / "log"
        )
        assert processes.wait("short", SECONDS) == 3
        assert processes.log_tail("short") == "said"


def test_a_start_that_fails_is_followed_by_a_stop():
    stops = []

    class Broken(Service):
        def start(self) -> None:
            raise RuntimeError("no")

        def stop(self) -> None:
            stops.append(self)

    with pytest.raises(RuntimeError, match="no"), Broken():
        pass
    assert len(stops) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_death_of_the_parent_leaves_nothing_behind(tmp_path, number):
    parent = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", PARENT, str(tmp_path), FAMILY], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        watchdog, postgres, directory = parent.stdout.readline().split()
        server = psutil.Process(int(postgres))
        processes = [*there(tmp_path), server, *server.children(), psutil.Process(int(watchdog))]
        assert len(processes) > 8
        assert all(map(is_alive, processes))
        assert Path(directory).is_dir()
    finally:
        parent.send_signal(number)
        parent.wait()
    assert ended(processes)
    assert not Path(directory).exists()


def test_a_child_that_no_watchdog_knows_does_not_begin(tmp_path, monkeypatch):
    # The parent is killed between the start of a child and the note about it.
    begun = tmp_path / "begun"
    processes = ProcessSet()
    with monkeypatch.context() as patched:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(processes.watchdog, "watch", die)
        with pytest.raises(KeyboardInterrupt):
            processes.spawn("child", ["/usr/bin/touch", str(begun)], env={}, cwd=tmp_path, log=tmp_path / "log")
    leader = processes._leaders["child"]
    assert leader.stdin is not None
    leader.stdin.close()  # as the end of the parent does
    assert leader.wait(SECONDS) != 0
    assert not begun.exists()
    processes.stop()


def test_postgres_stops_with_its_data():
    with PostgresServer() as postgres:
        directory = postgres.directory
        server = psutil.Process(postgres.pid)
        assert directory.is_dir()
    assert not is_alive(server)
    assert not directory.exists()


def test_what_another_thread_kills_has_not_ended_by_itself(tmp_path: Path):
    with ProcessSet() as processes:
        for name in ("killed", "ended"):
            command = ["/bin/sh", "-c", "sleep 600" if name == "killed" else "exit 1"]
            processes.spawn(name, command, env={}, cwd=tmp_path, log=tmp_path / "log")
        psutil.Process(processes.pid("ended")).wait(SECONDS)
        seen: list[str] = []
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                seen.extend(processes.dead())

        looking = threading.Thread(target=look)
        looking.start()
        try:
            for _ in range(20):
                processes.kill("killed")
                processes.spawn("killed", ["/bin/sh", "-c", "sleep 600"], env={}, cwd=tmp_path, log=tmp_path / "log")
        finally:
            over.set()
            looking.join()
    assert set(seen) == {"ended"}
