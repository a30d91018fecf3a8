"""What a task came to, as Markdown on its page in Airflow: *Rendered Templates*, last field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import BaseOperator

SUMMARY = "summary_md"
LONGEST = 3500
"""Characters, so that Airflow shows all of it: it cuts a field at 4,096 unless told otherwise."""


class ShowsSummary(BaseOperator):
    """
    A task whose page shows what it came to.

    Airflow keeps the template fields of a task instance, and takes them anew after its end; so this one is empty until
    then. It is shown however the task ends.
    """

    overwrite_rtif_after_execution = True
    template_fields: Sequence[str] = (SUMMARY,)
    template_fields_renderers: ClassVar[dict[str, str]] = {SUMMARY: "md"}
    summary_md: str | None = None

    def show_summary(self, summary: Mapping[str, Any]) -> None:
        """Show what the task returns, or pushes to XCom before it fails."""
        self.summary_md = markdown(summary)


def markdown(summary: Mapping[str, Any]) -> str:
    """
    Return a table of what a task came to; lists are left out.

    :param summary: what the task returns
    """
    lines = ["| | |", "|---|---|"]
    for name, value in _flat(summary):
        shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        line = f"| {_cell(name)} | {_cell(shown)} |"
        if sum(map(len, lines)) + len(lines) + len(line) > LONGEST:
            lines.append("| ... | more in XCom |")
            break
        lines.append(line)
    return "\n".join(lines)


def _flat(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in summary.items():
        shown = prefix + name.replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{shown}: ")
        elif isinstance(value, (str, int, float)) and value != "":
            yield shown, value


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
