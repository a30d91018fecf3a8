"""
Lives simulated days.

    python -m tests.days SEED              replay one day, tell its story; shortened if it went wrong
    python -m tests.days FILE.json         the same for a day that was kept
    python -m tests.days FROM-TO           live many, on all cores; prints a table of faults and states
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import days
from .plan import DayPlan, draw


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", help="a seed, a file, or FROM-TO")
    parser.add_argument("--keep", help="write the shortened day to this file")
    parser.add_argument("--whole", action="store_true", help="tell the day as it is, do not shorten it")
    parser.add_argument("--first", action="store_true", help="stop at the first violation")
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0 for one a core")
    arguments = parser.parse_args()
    first, dash, last = arguments.what.partition("-")
    if dash and first.isdigit() and last.isdigit():
        return days.many(int(first), int(last), jobs=arguments.jobs, only_first=arguments.first)
    plan = draw(int(arguments.what)) if arguments.what.isdigit() else DayPlan.of_json(Path(arguments.what).read_text())
    verdict = days.live(plan)
    if verdict.violations and not arguments.whole:
        verdict = days.shorten(verdict)
    print(days.tell(verdict))
    if arguments.keep:
        Path(arguments.keep).write_text(verdict.plan.as_json() + "\n")
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
