"""Many days: on all cores, judged, shortened, counted."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from functools import partial

_HOME = None
if "AIRFLOW_HOME" not in os.environ:
    _HOME = tempfile.TemporaryDirectory(prefix="ims-days-home-")
    os.environ["AIRFLOW_HOME"] = _HOME.name

from . import clock, day  # noqa: E402
from . import coverage as coverage_table  # noqa: E402
from .day import Verdict  # noqa: E402
from .plan import SECTIONS, DayPlan, draw, without  # noqa: E402

MOST_TRIES = 300
"""How many days are lived, at most, to shorten one."""


def live(plan: DayPlan) -> Verdict:
    """Live one day in a laboratory of its own."""
    with day.laboratory():
        return day.run(plan)


def shorten(verdict: Verdict) -> Verdict:
    """Leave out of a day whatever it takes not to go wrong in the same way."""
    with day.laboratory():
        return shortened(verdict)


def shortened(verdict: Verdict) -> Verdict:
    """Do :func:`shorten` in the laboratory that is there."""
    best = verdict
    kind = _kind(verdict.violations[0])
    tries = 0
    changed = True
    while changed and tries < MOST_TRIES:
        changed = False
        for smaller in _smaller(best.plan):
            tries += 1
            tried = day.run(smaller)
            if any(_kind(each) == kind for each in tried.violations):
                best, changed = tried, True
                break
    return best


def _smaller(plan: DayPlan) -> list[DayPlan]:
    found = [without(plan, index) for index in range(len(plan.mishaps))]
    if len(plan.flows) > 1:
        found += [replace(plan, flows=plan.flows[:n] + plan.flows[n + 1 :]) for n in range(len(plan.flows))]
    for number, flow in enumerate(plan.flows):
        fewer = []
        if len(flow.requests) > 1:
            fewer += [
                replace(flow, requests=flow.requests[:n] + flow.requests[n + 1 :]) for n in range(len(flow.requests))
            ]
        for place, part in enumerate(flow.requests):
            if len(part) > 1:
                for n in range(len(part)):
                    parts = (*flow.requests[:place], part[:n] + part[n + 1 :], *flow.requests[place + 1 :])
                    fewer.append(replace(flow, requests=parts))
        found += [replace(plan, flows=(*plan.flows[:number], each, *plan.flows[number + 1 :])) for each in fewer]
    names = {name for flow in plan.flows for name in (flow.run_id, flow.rtin)}
    numbers = {wanted.number for flow in plan.flows for part in flow.requests for wanted in part}
    return [each for each in found if _fits(each, names, numbers)]


def _fits(plan: DayPlan, names: set[str], numbers: set[str]) -> bool:
    """Say whether each mishap is still about something that is there."""
    here = {name for flow in plan.flows for name in (flow.run_id, flow.rtin)}
    here |= {wanted.number for flow in plan.flows for part in flow.requests for wanted in part}
    words = {word for mishap in plan.mishaps for word in mishap.detail.split()}
    return not (words & (names | numbers)) - here


def _kind(violation: str) -> str:
    """Return a violation without what differs from day to day."""
    words = [word for word in violation.splitlines()[0].split() if not any(letter.isdigit() for letter in word)]
    return " ".join(word for word in words if word not in SECTIONS)[:70]


def tell(verdict: Verdict) -> str:
    """Tell a day in words."""
    flows = [
        f"  {flow.run_id}: {flow.kind} of {sum(len(part) for part in flow.requests)} documents of {flow.rtin} in"
        f" {len(flow.requests)} requests, on_ambiguous={flow.on_ambiguous!r}, on_failure={flow.on_failure!r},"
        f" on_partial={flow.on_partial!r}, deferrable={flow.deferrable}, retries={flow.retries}"
        for flow in verdict.plan.flows
    ]
    head = [f"Day {verdict.plan.seed}" + ("" if verdict.plan.keeps_state else ", Airflow without task state"), *flows]
    wrong = [f"  goes wrong: {mishap.as_json()}" for mishap in verdict.plan.mishaps]
    end = [f"VIOLATION: {each}" for each in verdict.violations] or ["Nothing was violated."]
    return "\n".join([*head, *wrong, *verdict.story, *end])


_OfBlock = tuple[int, list[tuple[int, list[str]]], coverage_table.Cells]


def _block(seeds: tuple[int, int], *, only_first: bool) -> _OfBlock:
    coverage: coverage_table.Cells = Counter()
    wrong = []
    with day.laboratory():
        for seed in range(*seeds):
            verdict = _try(seed)
            coverage.update(verdict.coverage)
            if verdict.violations:
                wrong.append((seed, verdict.violations))
                if only_first:
                    break
    return seeds[1] - seeds[0], wrong, coverage


def _try(seed: int) -> Verdict:
    plan = draw(seed)
    try:
        return day.run(plan)
    except Exception as error:
        import traceback

        return Verdict(plan, [f"the day itself broke: {type(error).__name__}: {error}\n{traceback.format_exc()}"])


def many(first: int, last: int, *, jobs: int = 0, only_first: bool = False) -> int:
    """Live the days of many seeds; return how many went wrong, 1 at most."""
    began = clock.REAL["monotonic"]()
    size = 20
    blocks = [(start, min(start + size, last)) for start in range(first, last, size)]
    live_block = partial(_block, only_first=only_first)
    done, wrong = 0, []
    coverage: Counter[tuple[str, str]] = Counter()
    with multiprocessing.get_context("fork").Pool(jobs or os.cpu_count()) as pool:
        for count, faults, seen in pool.imap_unordered(live_block, blocks):
            done += count
            coverage.update(seen)
            wrong += faults
            for seed, violations in faults:
                sys.stderr.write(f"\nday {seed}: {violations[0].splitlines()[0][:200]}\n")
            seconds = clock.REAL["monotonic"]() - began
            bar = "#" * int(40 * done / (last - first))
            sys.stderr.write(f"\r[{bar:40}] {done} days, {done / seconds:.1f} a second, {len(wrong)} went wrong ")
            sys.stderr.flush()
            if wrong and only_first:
                pool.terminate()
                break
    sys.stderr.write("\n")
    if only_first:
        for seed, violations in sorted(wrong)[:1]:
            print(f"day {seed}: {violations[0].splitlines()[0]}")
        return 1 if wrong else 0
    kinds: dict[str, list[int]] = {}
    for seed, violations in sorted(wrong):
        for each in violations:
            kinds.setdefault(_kind(each), []).append(seed)
    for kind, seeds in sorted(kinds.items(), key=lambda pair: -len(pair[1])):
        print(f"{len(seeds):6}  {kind}  (days {', '.join(map(str, seeds[:6]))})")
    print(coverage_table.table(coverage))
    print(f"{done} days in {clock.REAL['monotonic']() - began:.0f} s, {len(wrong)} of them went wrong")
    return 1 if wrong else 0
