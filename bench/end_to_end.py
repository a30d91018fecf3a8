"""
What a reset costs on a real Airflow: seconds of a worker slot, and seconds beyond the service's own.

Slots are counted by asking Airflow's pool ten times a second.

    python -m bench.end_to_end
    python -m bench.end_to_end --cluster --gstins 200    # on several hosts, with the packages of `make cluster`
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path

from airflow_provider_ims.simulator.options import Options
from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.slots import Slots
from local_airflow.stack import AirflowStack

CHECKOUT = Path(__file__).parents[1]
RTIN = "20MAYAS0100J1ZX"
RUNS = 3
CHUNKS = 4
TASK_SECONDS = 20.0


def measure() -> dict[str, float]:
    """
    Measure, and print a small table.

    :return: for both patterns, one reset at a time: ``slots.*_seconds_per_reset`` (of a worker slot) and
        ``slots.*_overhead_seconds_per_reset`` (run time beyond the service's own), and the floor of three tasks, of
        which one waits without a worker: ``slots.two_empty_tasks_seconds``;
        ``slots.first_reset_seconds`` is the one that logs in, which the others do not count
    """
    with (
        tempfile.TemporaryDirectory(prefix="ims-bench-") as name,
        SimulatorServer(Options(task_seconds=TASK_SECONDS)) as server,
    ):
        folder = Path(name)
        server.gst.open_session(RTIN)
        (folder / "dags").mkdir()
        for dags in (CHECKOUT / "example_dags", CHECKOUT / "bench" / "dags"):
            (folder / "dags" / dags.name).symlink_to(dags, target_is_directory=True)
        env = {"AIRFLOW_CONN_GSTN_DEFAULT": server.connection_json, "AIRFLOW_VAR_IMS_FOLDER": name}
        with AirflowStack(folder / "home", folder / "dags", env) as airflow:
            # The first one logs in, for hours, and Airflow's API server answers the first of its kind slowly.
            cold = _run_each(airflow, "ims_reset", [{"payload": _request(folder, RUNS)}])
            floor = _run_each(airflow, "bench_nothing", [{}] * RUNS)
            single = _run_each(airflow, "ims_reset", [{"payload": _request(folder, n)} for n in range(RUNS)])
            bulk = _run_each(airflow, "bench_bulk", [{"source": _documents(folder), "output_path": name}], CHUNKS)
    result = {
        "slots.two_empty_tasks_seconds": floor[0],
        "slots.first_reset_seconds": cold[0],
        "slots.three_tasks_seconds_per_reset": single[0],
        "slots.three_tasks_overhead_seconds_per_reset": single[1],
        "slots.bulk_seconds_per_reset": bulk[0],
        "slots.bulk_overhead_seconds_per_reset": bulk[1],
        "slots.service_seconds": TASK_SECONDS,
    }
    print(f"One reset of {TASK_SECONDS:.0f} s at the service, on a real Airflow (LocalExecutor, SQLite):")
    rows = (("the first one", cold), ("three tasks", single), ("bulk, a request", bulk))
    for label, (slot, overhead) in rows:
        print(f"  {label:<16} {slot:5.1f} s of a worker slot, {overhead:5.1f} s beyond the service's own")
    print(f"  {'two empty tasks':<16} {floor[0]:5.1f} s of a worker slot: what Airflow takes for nothing")
    return result


def _run_each(
    airflow: AirflowStack, dag_id: str, confs: list[dict[str, str]], resets_a_run: int = 1
) -> tuple[float, float]:
    took = 0.0
    airflow.wait_for_dag(dag_id)
    with Slots(airflow.url) as slots:
        for conf in confs:
            began = time.monotonic()
            run_id = airflow.trigger_dag(dag_id, conf)
            state = airflow.wait_for_run(dag_id, run_id, timeout=600)
            took += time.monotonic() - began
            if state != "success":
                raise RuntimeError(f"{dag_id} ended as {state}")
    resets = len(confs) * resets_a_run
    return slots.seconds / resets, took / resets - TASK_SECONDS


def _invoice(number: int) -> dict[str, str]:
    sample = json.loads((CHECKOUT / "example_dags" / "ims_reset_sample.json").read_text())
    return {**sample["invdata"]["b2b"][0], "inum": f"BENCH-{number}"}


def _request(folder: Path, number: int) -> str:
    path = folder / f"{number}.json"
    path.write_text(json.dumps({"rtin": RTIN, "reqtyp": "RESET", "invdata": {"b2b": [_invoice(number)]}}))
    return path.name


def _documents(folder: Path) -> str:
    path = folder / "documents.csv"
    with path.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, ["rtin", "section", *_invoice(0)])
        writer.writeheader()
        for number in range(CHUNKS):
            writer.writerow({**_invoice(100 + number), "rtin": RTIN, "section": "b2b"})
    return str(path)


def measure_cluster(gstins: int) -> dict[str, float]:
    """
    Measure the bulk example on several hosts, none of which dies, and print a small table.

    :param gstins: how many GSTINs, of three requests each
    :return: seconds at the service, overhead and worker slot for each request, and the API server's slowest answers
    """
    from local_airflow.cluster_run import run  # its packages are those of the dependency group `cluster`

    measured, wrong = run(CHECKOUT / ".cluster", gstins, kills=0)
    if wrong:
        raise RuntimeError("\n".join(wrong))
    print(f"{gstins} GSTINs on CeleryExecutor, three workers:")
    for name, value in measured.items():
        print(f"  {name:<40} {value:>10,.2f}")
    return measured


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.end_to_end")
    parser.add_argument("--cluster", action="store_true", help="on several hosts")
    parser.add_argument("--gstins", type=int, default=40, help="of the cluster (default: %(default)s)")
    given = parser.parse_args()
    if given.cluster:
        measure_cluster(given.gstins)
    else:
        measure()


if __name__ == "__main__":
    _main()
