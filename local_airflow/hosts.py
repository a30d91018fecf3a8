"""Hosts that share no file: each a mount namespace of its own where the machine allows it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

LOCAL_SETTINGS = Path(__file__).parents[1] / "deploy" / "airflow_local_settings.py"
TEMPORARY = Path("/tmp")  # noqa: S108 - the directory that every host has for itself
# Others' directories are covered by an empty file system, /tmp is the host's own, and so is the host's name.
ENTER = """
set -e
name=$1 own=$2 all=$3 names=$4 shown=$5
shift 5
echo "$name" >/proc/sys/kernel/hostname
mount --make-rprivate /
mount --bind "$names" /etc/hosts
IFS=:
for path in $shown; do
    mkdir -p "$own/tmp/${path#/tmp/}"
    mount --bind "$path" "$own/tmp/${path#/tmp/}"
done
unset IFS
mount --rbind "$own/tmp" /tmp
mount -t tmpfs -o ro tmpfs "$all"
cd /tmp/home
exec "$@"
"""


class Hosts:
    """
    Makes a command one that runs on a host of its own.

    :param directory: for the files of all hosts
    :param shown: directories that every host sees, as the image of a container or a socket
    """

    def __init__(self, directory: Path, shown: Sequence[Path]) -> None:
        self._directory = directory
        self._shown = [path for path in shown if path.is_relative_to(TEMPORARY)]
        self.isolated = bool(_unshare())

    def add(self, name: str) -> None:
        """Make a host's directories, with the settings that Airflow reads as a module."""
        for folder in ("tmp/home", "tmp/airflow/config"):
            (self._directory / name / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(LOCAL_SETTINGS, self._directory / name / "tmp" / "airflow" / "config")
        lines = [f"127.0.0.1 localhost {host.name}" for host in sorted(self._directory.iterdir())]
        self._names.write_text("\n".join(lines) + "\n")

    @property
    def _names(self) -> Path:
        return self._directory.with_name("names-of-hosts")

    def command(self, name: str, command: Sequence[str]) -> list[str]:
        """Return what starts `command` on a host."""
        if not self.isolated:
            return list(command)
        shown = ":".join(map(str, self._shown))
        own = self._directory / name
        arguments = (name, str(own), str(self._directory), str(self._names), shown)
        return [*_unshare(), "sh", "-c", ENTER, "host", *arguments, *command]

    def environment(self, name: str) -> Mapping[str, str]:
        """Return where a host has its files, as its programs see them."""
        top = TEMPORARY if self.isolated else self._directory / name / "tmp"
        return {"HOME": f"{top}/home", "TMPDIR": str(top), "AIRFLOW_HOME": f"{top}/airflow"}


@cache
def _unshare() -> tuple[str, ...]:
    """Return what enters new namespaces here; nothing if the machine does not allow it."""
    program = shutil.which("unshare")
    for options in ((), ("--map-root-user",)):
        command = (program or "unshare", *options, "--mount", "--uts")
        probe = "echo probe >/proc/sys/kernel/hostname && mount --make-rprivate / && mount -t tmpfs tmpfs /tmp"
        if sys.platform == "linux" and program:
            result = subprocess.run([*command, "sh", "-c", probe], check=False, capture_output=True)  # noqa: S603
            if result.returncode == 0:
                return command
    return ()
