"""
How right the matching of documents and books is, how fast, and how much memory it takes, beside the floor.

The floor is DuckDB doing one exact join of the same two files (own GSTIN, supplier and number) and writing it as
Parquet, without a memory limit. Each measurement runs in a Python of its own.

    python -m bench.reconcile [--documents 1000000] [--times 2] [--large 5000000]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench.apart import program_apart
from bench.books import write_files

SAME = ("exact", "format", "rounding", "date", "format, rounding and date", "amended, by the original's number")
"""What happened to true pairs that differ in format, rounding and date only."""

_JOIN = """
import json, sys, time
import duckdb
documents, books, folder = sys.argv[1:]
wall, cpu = time.perf_counter(), time.process_time()
with duckdb.connect() as database:
    database.execute(f'''COPY (SELECT * FROM '{documents}' d JOIN '{books}' b
        ON d.rtin = b."Our GSTIN" AND d.stin = b."Vendor GSTIN" AND d.number = b."Bill No")
        TO '{folder}/joined.parquet' (FORMAT parquet)''')
print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}))
"""

# VmHWM and not ru_maxrss: the latter begins with what the parent had when this process was made.
_RECONCILE = """
import json, sys, time
import duckdb
from airflow.sdk import ObjectStoragePath
from airflow_provider_ims.matching import BookFile, reconcile
from bench.books import COLUMNS
def kib(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))
documents, books, folder = map(ObjectStoragePath, sys.argv[1:])
duckdb.connect().close()
idle = kib("VmRSS")
wall, cpu = time.perf_counter(), time.process_time()
summary = reconcile([documents], [BookFile(books)], folder / "reconciled", columns=COLUMNS)
took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
print(json.dumps({**took, "peak_mb": (kib("VmHWM") - idle) / 1000 * 1.024, "documents": summary["documents"]}))
"""


def measure(documents: int = 1_000_000, times: int = 2, large: int = 5_000_000) -> dict[str, float]:
    """
    Measure, and print two small tables.

    :param documents: number of documents, and of rows in the books
    :param times: how often the two are run, in turns; the fastest of each counts, since only others slow them down
    :param large: a larger number, at which memory is measured once; 0: not at all
    :return: ``reconcile.ratio_to_join`` (CPU), ``reconcile.ratio_to_join_parquet`` (CPU, the books as Parquet),
        ``reconcile.seconds_1m``, ``reconcile.peak_mb_1m``, ``reconcile.peak_mb_5m``, ``reconcile.seconds_5m`` and the
        accuracy: ``reconcile.precision``, ``reconcile.recall``, ``reconcile.probable_precision``,
        ``reconcile.probable_recall``
    """
    with tempfile.TemporaryDirectory(prefix="ims-bench-") as name:
        folder = Path(name)
        best: dict[str, dict[str, dict[str, float]]] = {}
        for books in ("books.csv", "books.parquet"):
            files = write_files(folder, documents, books)
            joins, runs = [], []
            for _ in range(times):
                joins.append(program_apart(_JOIN, folder, *files, folder))
                runs.append(program_apart(_RECONCILE, folder, *files, folder))
            best[books] = {
                kind: {key: min(run[key] for run in found) for key in found[0]}
                for kind, found in (("join", joins), ("reconcile", runs))
            }
            best[books]["reconcile"]["peak_mb"] = max(run["peak_mb"] for run in runs)
        found = {
            "reconcile.ratio_to_join": _ratio(best["books.csv"]),
            "reconcile.ratio_to_join_parquet": _ratio(best["books.parquet"]),
            "reconcile.seconds_1m": best["books.csv"]["reconcile"]["wall"],
            "reconcile.peak_mb_1m": best["books.csv"]["reconcile"]["peak_mb"],
        }
        found |= _accuracy(folder / "reconciled" / "reconciliation.parquet")
        print(f"{documents:,} documents x {documents:,} rows of books; fastest of {times}")
        print(f"{'':34}{'CPU s':>9}{'wall s':>9}{'MB above idle':>15}")
        for books, kinds in best.items():
            for kind, run in kinds.items():
                print(f"{kind + ', ' + books:34}{run['cpu']:9.2f}{run['wall']:9.2f}{run.get('peak_mb', 0):15.0f}")
        if large:
            run = program_apart(_RECONCILE, folder, *write_files(folder, large, "books.parquet"), folder)
            found |= {"reconcile.seconds_5m": run["wall"], "reconcile.peak_mb_5m": run["peak_mb"]}
            print(f"{f'reconcile, {large:,}':34}{run['cpu']:9.2f}{run['wall']:9.2f}{run['peak_mb']:15.0f}")
    return found


def _ratio(kinds: dict[str, dict[str, float]]) -> float:
    return kinds["reconcile"]["cpu"] / kinds["join"]["cpu"]


def _accuracy(result: Path) -> dict[str, float]:
    import duckdb

    with duckdb.connect() as database:
        rows = database.execute(
            "SELECT coalesce(\"book_Label\", 'not in the books'), match, count(*), count(*) FILTER (hash = book_id),"
            f" count(*) FILTER (hash <> book_id) FROM read_parquet('{result}') GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    sure, likely = ("matched", "within_tolerance"), ("probable",)
    right = {words: sum(row[3] for row in rows if row[1] in words) for words in (sure, likely)}
    wrong = {words: sum(row[4] for row in rows if row[1] in words) for words in (sure, likely)}

    def recall(labels: tuple[str, ...], words: tuple[str, ...]) -> float:
        found = sum(row[3] for row in rows if row[0] in labels and row[1] in words)
        return float(found / sum(row[2] for row in rows if row[0] in labels))

    words = sorted({row[1] for row in rows})
    print(f"{'what happened on the way':36}" + "".join(f"{word:>18}" for word in words))
    for label in sorted({row[0] for row in rows}):
        counts = {row[1]: row[2] for row in rows if row[0] == label}
        print(f"{label:36}" + "".join(f"{counts.get(word, 0):>18,}" for word in words))
    return {
        "reconcile.precision": right[sure] / (right[sure] + wrong[sure]),
        "reconcile.recall": recall(SAME, sure),
        "reconcile.probable_precision": right[likely] / (right[likely] + wrong[likely]),
        "reconcile.probable_recall": recall(("wrong digit",), likely),
    }


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--large", type=int, default=5_000_000)
    asked = parser.parse_args()
    for name, value in measure(asked.documents, asked.times, asked.large).items():
        print(f"{name:<40} {value:>12,.5f}")


if __name__ == "__main__":
    main()
