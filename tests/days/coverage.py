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

# Why a fault does not meet a state, or hardly ever: fault, state, reason. The first that fits holds.
EMPTY: tuple[tuple[str, str, str], ...] = (
    (
        r"(otp|verify|gstn_refresh|typed|question set): .*",
        "unsent|intent|submitted|ended",
        "a session is opened by a run of its own, which sends no reset and has no journal",
    ),
    (r"(otp|verify|gstn_refresh|typed|question set): .*", "no store", "a fifth of the days on which one is opened"),
    (r"PUT: .*", "nothing|unsent|ended", "the intent is written before the request goes out"),
    (
        r"PUT: .*",
        "submitted",
        "a request that was taken is not sent again; this is a later one of a bulk, which is rare",
    ),
    (r"state (get|set): .*", "no store", "that Airflow has no task state to ask"),
    (
        r"(download|page): .*",
        "nothing",
        "GSTN's documents are looked at only where something may have been sent",
    ),
    (
        r"(download|page): .*",
        "unsent|ended",
        "such a look takes a clear with force at this very time, and a fault that meets it: rare",
    ),
    (
        r"(download|page): .*",
        "submitted|no store",
        "a look while a reset runs, or on the fifth of the days without task state: rare",
    ),
    (r"(status|result): .*", "nothing|unsent|ended", "only what was taken and has not ended is asked for"),
    (
        r"(login|variable set|variable get|connection get): .*",
        "unsent|intent|submitted|ended|no store",
        "a token lives for hours and is found by all tasks: later in a day one is fetched only after it was revoked",
    ),
    (
        r"(file read|file write|xcom set|report): .*",
        "nothing|unsent|intent|ended|no store",
        "a short moment on most days",
    ),
    (r"(state get|state set): .*", "unsent|ended", "a short moment on most days"),
    (r"status: .*|result: .*", "intent|no store", "a short moment on most days"),
    (
        r"plan grows",
        "unsent",
        "a plan grows on one day in sixty, and a request waits unsent for minutes: rare",
    ),
    (r"mark (failed|success)", "ended", "with its last result kept a run is over within seconds: nothing to mark"),
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
    """Return why a fault does not meet a state, or nothing."""
    for of_fault, of_state, why in EMPTY:
        if re.fullmatch(of_fault, fault) and re.fullmatch(of_state, state):
            return why
    return ""
