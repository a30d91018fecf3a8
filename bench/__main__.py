"""All benchmarks in one run: a table, and ``bench/results.json``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench import download, end_to_end, plan, polls, reconcile, waits

RESULTS = Path(__file__).with_name("results.json")

MODULES = {
    "plan": plan,
    "reconcile": reconcile,
    "download": download,
    "polls": polls,
    "waits": waits,
    "end_to_end": end_to_end,
}

TARGETS = {
    "plan.ratio_to_floor": (0.8, "at most"),
    "plan.ratio_to_floor_wall": (0.6, "at most"),
    "plan.csv_ratio_to_floor": (0.8, "at most"),
    "plan.csv_ratio_to_floor_wall": (0.6, "at most"),
    "plan.parquet_ratio_to_floor": (0.8, "at most"),
    "plan.parquet_ratio_to_floor_wall": (0.6, "at most"),
    "plan.ratio_to_pandas": (1.0, "at most"),
    "plan.peak_mb_1m": (589, "at most"),  # the limit and 15 %
    "plan.peak_mb_3m": (589, "at most"),
    "poll.less_cpu_than_http_sensor": (8, "at least"),
    "poll.ratio_to_bare_session": (1.5, "at most"),
    "reconcile.ratio_to_join": (3.0, "at most"),
    "reconcile.peak_mb_1m": (1200, "at most"),
    "reconcile.precision": (0.9999, "at least"),
    "reconcile.recall": (0.999, "at least"),
    "reconcile.probable_precision": (0.98, "at least"),
    "reconcile.probable_recall": (0.95, "at least"),
    "download.ratio_to_floor": (1.5, "at most"),
    "download.peak_mb_1m": (200, "at most"),
    "slots.three_tasks_seconds_per_reset": (2.5, "at most"),
    "slots.three_tasks_overhead_seconds_per_reset": (10, "at most"),
    "waits.core_fraction": (0.25, "at most"),
    "waits.longest_block_ms": (100, "at most"),
}


def main() -> None:
    """Measure one after another, so that none slows another down."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=list(MODULES), action="append")
    chosen = parser.parse_args().only
    results: dict[str, float] = {}
    for name, module in MODULES.items():
        if chosen is None or name in chosen:
            results |= module.measure()
            print()
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    for key, value in results.items():
        target, word = TARGETS.get(key, (None, ""))
        met = "" if target is None else f"   target: {word} {target:g}"
        missed = target is not None and (value > target if word == "at most" else value < target)
        print(f"{key:<45} {value:>12,.4f}{met}{'   MISSED' if missed else ''}")
    print(f"Also in {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS.name}")


if __name__ == "__main__":
    main()
