"""What deploy/compose.yaml says of each service, to start the same on one machine without Docker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

COMPOSE = Path(__file__).parents[1] / "deploy" / "compose.yaml"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - the word in the file, which becomes the loopback address here
_VALUE = re.compile(r"\$\{(?P<name>\w+)(:\?[^}]*)?\}")


class Program(NamedTuple):
    """
    One service of the file.

    :param command: what its container runs; empty: what its image does
    :param environment: settings, values of the file ``.env`` still as ``${NAME}``
    :param replicas: how many of it run
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    replicas: int

    @property
    def port(self) -> str | None:
        """The port on which it listens, as its command says."""
        return self.command[self.command.index("--port") + 1] if "--port" in self.command else None


def programs(compose: Path = COMPOSE) -> dict[str, Program]:
    """Return each service of the file by its name."""
    services: dict[str, dict[str, Any]] = yaml.safe_load(compose.read_text(encoding="utf-8"))["services"]
    return {
        name: Program(
            tuple(service.get("command", ())),
            service.get("environment", {}),
            service.get("deploy", {}).get("replicas", 1),
        )
        for name, service in services.items()
    }


class Local:
    """
    Puts addresses of this machine in place of those in the file.

    :param ports: for each service that listens, its port here
    :param database_url: SQLAlchemy URL of the database here
    :param values: what the file takes from ``.env``
    """

    def __init__(self, ports: Mapping[str, int], database_url: str, values: Mapping[str, str]) -> None:
        listening = {name: program.port for name, program in programs().items() if program.port}
        self._ports = {port: str(ports[name]) for name, port in listening.items()}
        self._addresses = {f"{name}:{port}": f"127.0.0.1:{ports[name]}" for name, port in listening.items()}
        self._database_url = database_url
        self._values = values

    def command(self, program: Program) -> list[str]:
        """Return its command as it is to be run here."""
        words = [self._ports.get(word, word) for word in program.command]
        return [self._text(word.replace(EVERYWHERE, "127.0.0.1")) for word in words]

    def environment(self, program: Program) -> dict[str, str]:
        """Return its settings as they are here."""
        return {name: self._text(value) for name, value in program.environment.items()}

    def _text(self, text: str) -> str:
        text = _VALUE.sub(lambda found: self._values[found["name"]], text)
        text = re.sub(r"postgresql\+psycopg2://\S*@postgres/\w+", lambda _: self._database_url, text)
        for there, here in self._addresses.items():
            text = text.replace(there, here)
        return text
