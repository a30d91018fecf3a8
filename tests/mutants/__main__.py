"""
Breaks the package in one small place at a time, and sees whether a test notices.

    python -m tests.mutants [MODULE ...] [--sample N] [--seed S]

``MODULE`` is a file or folder of the package, such as ``models/result.py``; without any, all of ``modules.toml`` are
taken. Prints which mutants no test noticed, and a table; fails if fewer than 95 % were noticed.

Left out by rule, never by hand: what comes to the same bytecode, and what differs in words alone, that is within a
call of a log, or within a text that is a sentence (one with a blank in it); and ``strict`` of a ``zip``, which only
a programmer's error would meet. Of the changes of a word, one is made. Decorators, annotations, defaults of parameters
and what stands outside functions is not mutated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, settings

from tests.mutants.judging import Judge
from tests.mutants.making import mutants_of

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_ims"
ENOUGH = 95.0

_PHASES = [Phase.explicit, Phase.generate]  # nobody reads a failure, so it need not be shrunk


class Row(NamedTuple):
    """The score of a module."""

    module: str
    mutants: int
    noticed: int
    equivalent: int
    wording: int

    @property
    def percent(self) -> float:
        return 100.0 * self.noticed / self.mutants if self.mutants else 100.0

    def __str__(self) -> str:
        return f"{self.module}: {self.noticed} of {self.mutants} noticed, {self.percent:.1f} %"


def judges() -> dict[Path, list[str]]:
    """Return module -> the tests that judge it, as ``modules.toml`` has it."""
    found: dict[Path, list[str]] = {}
    for pattern, tests in tomllib.loads(Path(__file__).with_name("modules.toml").read_text()).items():
        for path in sorted(PACKAGE.glob(pattern)):
            if path.name != "__init__.py":
                found.setdefault(path, tests)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--sample", type=int, metavar="N", help="so many mutants of each module, drawn by the seed")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    os.chdir(ROOT)
    chosen = {
        path: tests
        for path, tests in judges().items()
        if not args.modules or any(path.is_relative_to(PACKAGE / name) for name in args.modules)
    }
    if not chosen:
        parser.error("no such module; tests/mutants/modules.toml names those that are judged")
    settings.register_profile("few", derandomize=True, database=None, deadline=None, max_examples=20, phases=_PHASES)
    rows: list[Row] = []

    def work(judge: Judge) -> None:
        print(f"{args.sample} mutants of each module, seed {args.seed}" if args.sample else "every mutant", flush=True)
        rows.extend(judged(judge, path, tests, args.sample, args.seed) for path, tests in chosen.items())

    tests = sorted({test for tests in chosen.values() for test in tests})
    options = ["--override-ini=addopts=--import-mode=importlib", "--capture=no", "--hypothesis-profile=few"]
    options += ["-p", "no:cacheprovider", "-p", "no:terminal"]
    status = pytest.main([*options, *tests], plugins=[Judge(list(chosen), work)])
    if status or len(rows) < len(chosen):
        return 2
    return 0 if told(rows) >= ENOUGH else 1


def judged(judge: Judge, path: Path, tests: list[str], sample: int | None, seed: int) -> Row:
    """Judge the mutants of a module; those that nobody notices are printed."""
    made = mutants_of(path, sample, seed)
    name, start, noticed = str(path.relative_to(PACKAGE)), time.monotonic(), 0
    for mutant in made.mutants:
        if judge.notices(path, mutant, [ROOT / test for test in tests]):
            noticed += 1
        else:
            print(f"not noticed  {name}:{mutant.lines.start} {mutant.function}: {mutant.change}", flush=True)
    row = Row(name, len(made.mutants), noticed, made.equivalent, made.wording)
    print(f"{row} in {time.monotonic() - start:.0f} s", flush=True)
    return row


def told(rows: list[Row]) -> float:
    """Print the table, and return the share that was noticed, in percent."""
    total = Row("all", *(sum(numbers) for numbers in list(zip(*rows, strict=True))[1:]))
    print(f"\n{'module':32} {'mutants':>8} {'noticed':>8} {'%':>6}   left out: same bytecode, wording")
    for row in [*rows, total]:
        print(f"{row.module:32} {row.mutants:8} {row.noticed:8} {row.percent:6.1f}   {row.equivalent}, {row.wording}")
    return total.percent


if __name__ == "__main__":
    sys.exit(main())
