"""
What a snapshot of a million documents costs, beside the floor: ``json.loads`` of the same pages.

Both read the same pages from the disk; each measurement runs in a Python of its own.

    python -m bench.download [--documents 1000000] [--times 2]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from bench.apart import program_apart

PER_PAGE = 5_000

_FLOOR = """
import json, sys, time
from pathlib import Path
pages = sorted(Path(sys.argv[1]).glob("*.json"))
cpu, records = time.process_time(), 0
for page in pages:
    records += len(json.loads(page.read_bytes())["data"]["b2b"])
print(json.dumps({"cpu": time.process_time() - cpu, "documents": records}))
"""

# VmHWM and not ru_maxrss: the latter begins with what the parent had when this process was made.
_DOWNLOAD = """
import json, sys, time
from datetime import UTC, datetime
from pathlib import Path
import duckdb
from airflow_provider_ims.hooks._pages import read_page_as_json
from airflow_provider_ims.protocol.wire import Reply
from airflow_provider_ims.snapshots.pages import MEMORY_LIMIT, DocumentsTable
from airflow_provider_ims.tables.database import open_database, workspace
def kib(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))
pages = sorted(Path(sys.argv[1]).glob("*.json"))
duckdb.connect().close()
idle = kib("VmRSS")
wall, cpu = time.perf_counter(), time.process_time()
with workspace() as local, open_database(local, memory_limit=MEMORY_LIMIT, threads=1) as database:
    table = DocumentsTable(database, local, gstin="27AAPFU0939F1ZV", snapshot="s", taken_at=datetime.now(UTC))
    for number, page in enumerate(pages):
        found = read_page_as_json(Reply(200, {}, page.read_bytes(), ("a-secret-token",)), "task", number)
        table.add("b2b", found.data, found.frame)
    documents = table.write(local / "documents.parquet").documents
took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
print(json.dumps({**took, "peak_mb": (kib("VmHWM") - idle) / 1000 * 1.024, "documents": documents}))
"""


def measure(documents: int = 1_000_000, times: int = 2) -> dict[str, float]:
    """
    Measure, and print a small table.

    :param documents: number of documents
    :param times: how often the two are run, in turns; the fastest of each counts, since only others slow them down
    :return: ``download.ratio_to_floor`` (CPU), ``download.seconds_1m``, ``download.peak_mb_1m``
    """
    with tempfile.TemporaryDirectory(prefix="ims-bench-") as name:
        folder = Path(name)
        _write_pages(folder, documents)
        floors, runs = [], []
        for _ in range(times):
            floors.append(program_apart(_FLOOR, folder, folder))
            runs.append(program_apart(_DOWNLOAD, folder, folder))
    if any(run["documents"] != documents for run in (*floors, *runs)):
        raise ValueError("documents were lost on the way")
    floor, cpu = (min(run["cpu"] for run in found) for found in (floors, runs))
    peak, wall = max(run["peak_mb"] for run in runs), min(run["wall"] for run in runs)
    print(f"{documents:,} documents in pages of {PER_PAGE:,}; fastest of {times}")
    print(f"{'':20}{'CPU s':>9}{'wall s':>9}{'MB above idle':>15}")
    print(f"{'json.loads':20}{floor:9.2f}")
    print(f"{'download':20}{cpu:9.2f}{wall:9.2f}{peak:15.0f}")
    return {"download.ratio_to_floor": cpu / floor, "download.seconds_1m": wall, "download.peak_mb_1m": peak}


def _write_pages(folder: Path, documents: int) -> None:
    for number, first in enumerate(range(0, documents, PER_PAGE)):
        records = [_record(place) for place in range(first, min(first + PER_PAGE, documents))]
        (folder / f"{number:06}.json").write_text(json.dumps({"data": {"b2b": records}}, separators=(",", ":")))


def _record(place: int) -> dict[str, object]:
    """Return a document with the fields of a live reply."""
    txval = 1000 + place % 1_000_000 / 100
    return {
        "stin": f"29AAAC{chr(65 + place % 26)}{place % 10000:04}C1Z5",
        "tradenm": f"Supplier {place % 5000} Private Limited",
        "rtnprd": "102026",
        "inum": f"INV/26-27/{place:07}",
        "idt": f"{1 + place % 28:02}-10-2026",
        "inv_typ": "R",
        "pos": "27",
        "val": round(txval * 1.18, 2),
        "txval": round(txval, 2),
        "iamt": round(txval * 0.18, 2),
        "camt": 0,
        "samt": 0,
        "cess": 0,
        "srcform": "R1",
        "srcfilstatus": "Filed",
        "ispendactblocked": "N",
        "isRemarksBlocked": "N",
        "action": "ARPN"[place % 4],
        "hash": f"{place * 2654435761 % 2**64:016x}",
    }


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=2)
    asked = parser.parse_args()
    for name, value in measure(asked.documents, asked.times).items():
        print(f"{name:<40} {value:>12,.5f}")


if __name__ == "__main__":
    main()
