"""
How fast ImsPlanOperator plans, and how much memory it takes, beside the floor and beside a script.

The floor is what Python needs to read each line of the same file with ``json.loads`` and write it with ``json.dumps``
into nowhere. The script is what somebody would write instead, with pandas: CSV to one file for each GSTIN, nothing
checked, no duplicate found, no request split. Each measurement runs in a Python of its own.

    python -m bench.plan [--documents 1000000] [--gstins 40] [--times 3]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench.apart import program_apart
from bench.documents import write_csv, write_json_lines, write_parquet

_FLOOR = """
import json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
with open(sys.argv[1], encoding="utf-8") as lines, open("/dev/null", "w", encoding="utf-8") as nowhere:
    for line in lines:
        nowhere.write(json.dumps(json.loads(line)))
print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}))
"""

_SCRIPT = """
import json, pathlib, sys, time
import pandas
amounts = ["val", "txval", "iamt", "camt", "samt", "cess"]
wall, cpu = time.perf_counter(), time.process_time()
rows = pandas.read_csv(sys.argv[1], dtype=str).astype(dict.fromkeys(amounts, float))
folder = pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
for rtin, own in rows.groupby("rtin"):
    sections = [
        f'"{section}":' + some.drop(columns=["rtin", "section"]).dropna(axis=1, how="all").to_json(orient="records")
        for section, some in own.groupby("section")
    ]
    body = f'{{"rtin":"{rtin}","reqtyp":"RESET","invdata":{{' + ",".join(sections) + "}}"
    (folder / f"{rtin}.json").write_text(body)
print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}))
"""

_NAMES = {"jsonl": "", "csv": "csv_", "parquet": "parquet_"}
_LABELS = {
    "floor: loads + dumps": "floor",
    "plan, of JSON lines": "jsonl",
    "plan, of CSV": "csv",
    "plan, of Parquet": "parquet",
    "script with pandas, of CSV": "script",
}

# VmHWM and not ru_maxrss: the latter begins with what the parent had when this process was made.
_PLAN = """
import json, logging, sys, time
from airflow_provider_ims.operators.plan import ImsPlanOperator
logging.disable(logging.INFO)
def kib(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))
operator = ImsPlanOperator(task_id="plan", source=sys.argv[1], output_path=sys.argv[2])
idle = kib("VmRSS")
wall, cpu = time.perf_counter(), time.process_time()
plan = operator.execute({})
took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
print(json.dumps({**took, "peak_mb": (kib("VmHWM") - idle) / 1000 * 1.024, "idle_mb": idle / 1000 * 1.024,
    "documents": sum(entry["documents"] for entry in plan), "requests": sum(len(entry["chunks"]) for entry in plan)}))
"""


def measure(documents: int = 1_000_000, gstins: int = 40, times: int = 3) -> dict[str, float]:
    """
    Measure, and print a small table.

    :param documents: number of documents; memory is measured with three times as many, too
    :param gstins: number of GSTINs
    :param times: how often the two are run, in turns; the fastest of each counts, since only others slow them down
    :return: ``plan.ratio_to_floor`` (CPU time, of JSON lines), ``plan.ratio_to_floor_wall``, ``plan.docs_per_second``,
        ``plan.csv_...`` and ``plan.parquet_...`` likewise; ``plan.peak_mb_1m`` of all three and ``plan.peak_mb_3m``
        (above the idle process with everything imported),
        ``plan.ratio_to_pandas`` (time on the clock, of CSV) and ``plan.ratio_to_pandas_cpu``
    """
    with tempfile.TemporaryDirectory(prefix="ims-bench-") as folder:
        home = Path(folder)
        sources = {kind: home / f"documents.{kind}" for kind in ("jsonl", "csv", "parquet")}
        write_json_lines(sources["jsonl"], documents, gstins)
        write_csv(sources["csv"], documents, gstins)
        write_parquet(sources["parquet"], sources["csv"])
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in ("floor", "script", *sources)}
        for _ in range(times):
            runs["floor"].append(program_apart(_FLOOR, home, sources["jsonl"]))
            runs["script"].append(program_apart(_SCRIPT, home, sources["csv"], home / "script"))
            for kind, source in sources.items():
                runs[kind].append(program_apart(_PLAN, home, source, home / "plan"))
        write_json_lines(sources["jsonl"], 3 * documents, gstins)
        thrice = program_apart(_PLAN, home, sources["jsonl"], home / "plan")
    for plan, expected in (*((plan, documents) for kind in sources for plan in runs[kind]), (thrice, 3 * documents)):
        if plan["documents"] != expected:
            raise AssertionError(f"{plan['documents']} of {expected} documents were planned")
    best = {name: {clock: min(run[clock] for run in of) for clock in ("cpu", "wall")} for name, of in runs.items()}
    peaks = {kind: max(run["peak_mb"] for run in runs[kind]) for kind in sources}
    floor = best["floor"]
    found = {
        **{
            f"plan.{_NAMES[kind]}ratio_to_floor{ending}": best[kind][clock] / floor[clock]
            for kind in sources
            for ending, clock in (("", "cpu"), ("_wall", "wall"))
        },
        "plan.docs_per_second": documents / best["jsonl"]["wall"],
        "plan.peak_mb_1m": max(peaks.values()),
        "plan.peak_mb_3m": thrice["peak_mb"],
        "plan.ratio_to_pandas": best["csv"]["wall"] / best["script"]["wall"],
        "plan.ratio_to_pandas_cpu": best["csv"]["cpu"] / best["script"]["cpu"],
    }
    print(f"{documents:,} documents of {gstins} GSTINs to requests; fastest of {times}, beside the floor")
    print(f"{'':28}{'CPU s':>9}{'':>6}{'wall s':>9}{'':>6}{'MB above idle':>15}")
    for label, name in _LABELS.items():
        took = best[name]
        ratios = (f"{took[clock] / floor[clock]:6.2f}" for clock in ("cpu", "wall"))
        peak = f"{peaks[name]:15.1f}" if name in peaks else ""
        print(f"{label:28}{took['cpu']:9.2f}{next(ratios)}{took['wall']:9.2f}{next(ratios)}{peak}")
    took, more = f"{thrice['cpu']:9.2f}{'':6}{thrice['wall']:9.2f}{'':6}", "plan, 3 times JSON lines"
    print(f"{more:28}{took}{thrice['peak_mb']:15.1f}")
    to_script = found["plan.ratio_to_pandas_cpu"], found["plan.ratio_to_pandas"]
    print("plan of CSV beside the script: {:.2f} (CPU), {:.2f} (wall)".format(*to_script))
    print(f"documents per second, of JSON lines: {found['plan.docs_per_second']:,.0f}")
    return found


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--gstins", type=int, default=40)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    measure(asked.documents, asked.gstins, asked.times)


if __name__ == "__main__":
    main()
