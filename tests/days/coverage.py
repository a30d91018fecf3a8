"""Which fault met which state of a task's journal: the table of a run of many days."""

from __future__ import annotations

import re
from collections import Counter

STATES = ("nothing", "unsent", "intent", "submitted", "ended", "no store")
"""
How far the journal was: nothing in it; not sent, as GSTN was busy or a session was missing; sent or about to be, its
fate not known; taken by the service; result kept. Or there is no journal that outlives a worker, below Airflow 3.3.
"""

Cells = Counter[tuple[str, str]]

# Why a fault can never meet a state: fault, state, reason.
NEVER: tuple[tuple[str, str, str], ...] = (
    (r"PUT: .*", "submitted|ended", "a request that was accepted is not sent again, and what is sent has an intent"),
    (r"PUT: .*", "nothing|unsent", "the intent is written before the request goes out"),
    (
        r"(result|page|report|file write): .*",
        "unsent",
        "a task that waits for its turn reads no result and writes no file",
    ),
)


def table(coverage: Cells) -> str:
    """Return the table, and the empty cells with the reason where there is one."""
    faults = sorted({fault for fault, _ in coverage})
    wide = max((len(fault) for fault in faults), default=5) + 2
    lines = [f"{'fault':{wide}}" + "".join(f"{state:>11}" for state in STATES)]
    empty: dict[str, list[str]] = {}
    for fault in faults:
        counts = [coverage[fault, state] for state in STATES]
        lines.append(f"{fault:{wide}}" + "".join(f"{count or '-':>11}" for count in counts))
        for state, count in zip(STATES, counts, strict=True):
            if not count:
                empty.setdefault(why_empty(fault, state) or "NOT EXPLAINED", []).append(f"{fault} x {state}")
    for why, cells in sorted(empty.items()):
        lines.append(f"\n{len(cells)} empty: {why}")
        lines.extend(f"  {cell}" for cell in cells)
    return "\n".join(lines)


def why_empty(fault: str, state: str) -> str:
    """Return why a fault can never meet a state, or nothing."""
    for of_fault, of_state, why in NEVER:
        if re.fullmatch(of_fault, fault) and re.fullmatch(of_state, state):
            return why
    return ""
