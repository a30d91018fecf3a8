"""What the demo prints: steps with their time, the result as tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

# The ban is on what the scheduler imports at every parse; it never imports the demo.
from rich.console import Console  # noqa: TID253
from rich.markup import escape  # noqa: TID253
from rich.table import Table  # noqa: TID253

from airflow_provider_ims.spreadsheets import read_sheet

COUNTS = ("sent", "reset", "refused", "unknown")
REFUSED_COLUMNS = {
    "section": "section",
    "stin": "supplier",
    "number": "number",
    "rtnprd": "period",
    "code": "code",
    "message": "message",
    "remedy": "what to do",
}
_STYLES = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "red",
    "deferred": "magenta",
    "running": "cyan",
}


@dataclass(frozen=True)
class Verdict:
    """The demo's last line."""

    outcome: str = "failed"
    reference_id: str | None = None
    processed: int = 0
    errors: int = 0
    reconciliation: dict[str, int] | None = None
    """What the second act came to: ``documents`` and the number of each match, decision and verification."""

    @property
    def exit_code(self) -> int:
        """A partial result is a result; only a failure is one."""
        return 1 if self.outcome == "failed" or self.reconciliation == {} else 0

    def print(self) -> None:
        """Print the one JSON object, for whoever called the demo from a script."""
        print(json.dumps(asdict(self)), flush=True)


class Report:
    """Prints to a terminal or, as plain text of a fixed width, to a file."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)

    def step(self, who: str, what: str, style: str = "") -> None:
        """Print one thing that happened, with the time of day."""
        now = f"{datetime.now().astimezone():%H:%M:%S}"
        self._console.print(f"[dim]{now}[/]  [bold]{who:<10}[/] [{style or 'default'}]{escape(what)}[/]")

    def task(self, task_id: str, state: str | None) -> None:
        """Print a task's new state."""
        note = " (waits in the triggerer, holds no worker)" if state == "deferred" else ""
        self.step(task_id, f"{state or 'no status'}{note}", _STYLES.get(state or "", ""))

    def fault(self, what: str) -> None:
        """Print why the demo failed."""
        self._console.print(f"[bold red]Failed:[/] {escape(what)}")

    def line(self, text: str = "") -> None:
        """Print plain text."""
        self._console.print(escape(text), soft_wrap=True)

    def result(self, summary: Mapping[str, Any], refused: Sequence[Mapping[str, str]]) -> None:
        """Print what became of the documents, section by section, then those refused and what to do."""
        self.line(f"Reset {summary['reference_id']}: {summary['outcome']}")
        sections = summary["sections"]
        total = {name: sum(counts[name] for counts in sections.values()) for name in COUNTS}
        columns = [name for name in COUNTS if name != "unknown" or total[name]]
        table = Table("section")
        for name in columns:
            table.add_column(name, justify="right")
        for section, counts in sections.items():
            table.add_row(section, *(str(counts[name]) for name in columns))
        table.add_section()
        table.add_row("total", *(str(total[name]) for name in columns))
        self._console.print(table)
        if refused:
            self.line("Refused documents:")
            table = Table(*REFUSED_COLUMNS.values())
            for document in refused:
                table.add_row(*(escape(document[name]) for name in REFUSED_COLUMNS))
            self._console.print(table)


def read_refused(path: Path) -> list[dict[str, str]]:
    """Read the refused documents that the result task wrote; none if it wrote no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = read_sheet(file)
    return [dict(zip(header, row, strict=True)) for row in rows]
