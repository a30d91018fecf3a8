"""What a person at a terminal, or a program that reads JSON, gets to see."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.cli._arguments import WrongUsage
from airflow_provider_ims.matching.errors import MatchError
from airflow_provider_ims.matching.errors import RowsRejected as BooksRejected
from airflow_provider_ims.models.faults import CountsDisagree, Fault, InvalidPayload
from airflow_provider_ims.planning.errors import PlanError, RowsRejected
from airflow_provider_ims.snapshots.errors import SnapshotUnavailable, SnapshotUnusable
from airflow_provider_ims.storage import StorageError
from airflow_provider_ims.tables.errors import FileUnavailable, NoRoom, TableError

if TYPE_CHECKING:
    from rich.console import Console


class ExitCode(IntEnum):
    """How the command ended."""

    GOOD = 0
    FAULTS = 1
    UNUSABLE = 2
    PASSES = 3


_FAULTS = (InvalidPayload, RowsRejected, BooksRejected)
_PASSING = (FileUnavailable, NoRoom, SnapshotUnavailable)
_UNUSABLE = (WrongUsage, PlanError, MatchError, CountsDisagree, TableError, SnapshotUnusable)


class Screen:
    """
    Where a command tells what it found: tables on standard output, the rest on standard error; or one JSON object.

    :param as_json: print JSON and nothing else
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.code = ExitCode.UNUSABLE
        self._found: dict[str, Any] = {}

    def add(self, **found: Any) -> None:
        """Add to what is printed as JSON."""
        self._found.update(found)

    def say(self, text: str) -> None:
        """Tell a person one thing."""
        if not self.as_json:
            self._console().print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Tell a person what is not wrong but worth a look."""
        if not self.as_json:
            self._console(errors=True).print(f"Warning: {text}", markup=False, highlight=False, soft_wrap=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]], *, text: int = 1) -> None:
        """
        Show a table.

        :param text: how many of the first columns are words; the others are numbers
        """
        if self.as_json or not rows:
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD)
        for place, name in enumerate(header):
            table.add_column(name, justify="left" if place < text else "right", overflow="fold", no_wrap=place >= text)
        for row in rows:
            table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
        self._console().print(table)

    def faults(self, faults: Sequence[Fault], *, most: int, hint: str = "") -> None:
        """
        Show what is wrong.

        :param most: how many
        :param hint: where the rest is to be seen
        """
        self.add(faults=_as_json(faults[:most]), more_faults=max(0, len(faults) - most))
        for each in faults[:most]:
            self.say(f"  {each}")
        if len(faults) > most:
            self.say(f"  ... and {len(faults) - most:,} more{hint}")

    @contextmanager
    def working(self, what: str) -> Iterator[Progress]:
        """
        Show that something goes on, on a terminal only.

        :param what: what is done, in words
        """
        if self.as_json or not sys.stderr.isatty():
            yield Progress()
            return
        with self._console(errors=True).status(what) as status:
            yield Progress(lambda text: status.update(f"{what}: {text}"))

    @contextmanager
    def telling_errors(self) -> Iterator[None]:
        """Tell what went wrong in words, instead of a traceback."""
        try:
            yield
        except _FAULTS as error:
            self._failed(ExitCode.FAULTS, str(error), error.faults)
        except StorageError as error:
            self._failed(ExitCode.PASSES if error.passes else ExitCode.UNUSABLE, str(error))
        except _PASSING as error:
            self._failed(ExitCode.PASSES, str(error))
        except _UNUSABLE as error:
            self._failed(ExitCode.UNUSABLE, str(error))
        except KeyboardInterrupt:
            self._failed(ExitCode.PASSES, "Stopped; no result was left.")

    def _failed(self, code: ExitCode, text: str, faults: Sequence[Fault] = ()) -> None:
        self.code = code
        self.add(error=text)
        if faults:
            self.add(faults=_as_json(faults))
        if not self.as_json:
            self._console(errors=True).print(text, markup=False, highlight=False, soft_wrap=True)

    def finish(self, code: ExitCode) -> int:
        """Print the JSON, if that is wanted, and return the exit code."""
        if self.as_json:
            found = {"exit_code": int(code), **self._found}
            sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=True, default=str) + "\n")
        return int(code)

    def _console(self, *, errors: bool = False) -> Console:
        from rich.console import Console

        return Console(stderr=errors)


class Progress:
    """
    Shows now and then how many rows have been read.

    :param show: what shows it; ``None``: nothing does
    """

    def __init__(self, show: Any = None) -> None:
        self._show = show
        self._began = self._shown = time.monotonic()

    def reached(self, rows: int) -> None:
        """Take note of how many there are so far."""
        now = time.monotonic()
        if self._show is not None and now - self._shown >= 0.2:
            self._shown = now
            self._show(f"{rows:,} rows, {rows / (now - self._began):,.0f} a second")


def _as_json(faults: Sequence[Fault]) -> list[dict[str, object]]:
    return [{"place": each.place, "value": _plain(each.value), "rule": each.rule} for each in faults]


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
