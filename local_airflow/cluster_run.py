"""
The bulk example on a cluster whose hosts die, and what the service saw of it.

    python -m local_airflow.cluster_run --gstins 40 --kills 5
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import requests

from local_airflow.cluster import CHECKOUT, DEFECT_OF_AIRFLOW, MARK, Cluster
from local_airflow.slots import Slots

DAG_ID = "ims_bulk_reset"
REQUESTS = 3  # of each GSTIN
DOCUMENTS = 20  # of each request
TASK_SECONDS = 10  # as deploy/compose.yaml says
BUCKET, FOLDER = "ims", "bulk"
LOGINS_BEYOND_FIRST = 3
# Which host dies, one after another, over the run.
VICTIMS = ("worker", "triggerer", "scheduler", "worker", "worker")
AWAY_SECONDS = 10  # until what supervises a host has started it again
RUN_SECONDS = 3600


class Simulator:
    """What is asked of the simulator."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/admin"
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str, **params: str) -> Any:
        """Return what one of its routes is answered."""
        answer = self._session.get(f"{self._url}/{path}", params=params, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: Any) -> None:
        """Tell it something."""
        self._session.post(f"{self._url}/{path}", json=body, timeout=60).raise_for_status()


def gstins(count: int) -> list[str]:
    """Return GSTINs in GSTN's form, of many taxpayers in many states."""
    return [f"{number % 37 + 1:02}MAYAS{number // 37:04}J1ZX" for number in range(count)]


def run(home: Path, count: int, kills: int) -> tuple[dict[str, float], list[str]]:
    """
    Run the example on a new cluster.

    :param count: GSTINs
    :param kills: how many of :data:`VICTIMS` die
    :return: what was measured, and what is wrong, a line each
    """
    rtins = gstins(count)
    environment = {"IMS_CLUSTER_DOCUMENTS": str(DOCUMENTS)}
    with Cluster(home, Path(__file__).with_name("cluster_dags"), environment) as cluster:
        kind = "a mount namespace each" if cluster.hosts.isolated else "HOME, TMPDIR and AIRFLOW_HOME each"
        _say(f"The cluster is up at {cluster.url} ({kind}); logs are in {cluster.logs}")
        simulator = Simulator(cluster.simulator_url)
        store = _store(cluster)
        store.put_object(Bucket=BUCKET, Key=f"{FOLDER}/documents.csv", Body=_documents(simulator, rtins))
        with Slots(cluster.url, every=0.25, counted=["running_slots"]) as slots:
            began = time.monotonic()
            run_id = cluster.trigger_dag(DAG_ID, {"source": "documents.csv"}, timeout=300)
            _kill_while_it_runs(cluster, simulator, run_id, count, kills)
            state = cluster.wait_for_run(DAG_ID, run_id, timeout=RUN_SECONDS)
            took = time.monotonic() - began
        for host in cluster.started_again:
            _say(f"{host} was ended by a defect of Airflow ({DEFECT_OF_AIRFLOW}) and started again")
        wrong = [] if state == "success" else [f"the run ended as {state}: {_failed(cluster, run_id)}"]
        wrong += _wrong_at_airflow(cluster, run_id)
        wrong += _wrong_at_service(simulator, rtins)
        wrong += _wrong_in_store(store, rtins)
        measured = _measured(simulator, slots, took, count)
    wrong += [f"still runs: {process}" for process in _left(cluster.mark)]
    return measured, wrong


def _documents(simulator: Simulator, rtins: list[str]) -> bytes:
    """Open a session for each GSTIN and let GSTN hold its accepted documents; return them as a spreadsheet does."""
    sample = json.loads((CHECKOUT / "example_dags" / "ims_reset_sample.json").read_text())
    invoice = sample["invdata"]["b2b"][0]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["rtin", "section", *invoice])
    writer.writeheader()
    for rtin in rtins:
        simulator.post("sessions", {"gstin": rtin})
        held = []
        for number in range(REQUESTS * DOCUMENTS):
            row = {**invoice, "inum": f"INV-{number}"}
            writer.writerow({**row, "rtin": rtin, "section": "b2b"})
            held.append({"rtin": rtin, "section": "b2b", "number": row["inum"], "status": invoice["prev_status"]})
            held[-1] |= {"stin": row["stin"], "rtnprd": row["rtnprd"], "date": row["idt"]}
        simulator.post("documents", held)
    return text.getvalue().encode()


def _kill_while_it_runs(cluster: Cluster, simulator: Simulator, run_id: str, count: int, kills: int) -> None:
    """Take hosts away at even distances of the way, and start each again."""
    away: tuple[str, float] | None = None
    killed = 0
    while cluster.run_state(DAG_ID, run_id) in ("queued", "running") and (killed < kills or away):
        cluster.check_alive()
        resets = simulator.get("counters")["resets"]
        if away and time.monotonic() > away[1]:
            cluster.restart(away[0])
            _say(f"{away[0]} is started again")
            away = None
        elif away is None and killed < kills and resets >= count * REQUESTS * (killed + 1) / (kills + 2):
            host = cluster.alike(VICTIMS[killed])[0]
            cluster.kill(host)
            _say(f"{host} is killed at {resets} of {count * REQUESTS} requests")
            killed += 1
            away = host, time.monotonic() + AWAY_SECONDS
        time.sleep(0.5)
    if killed < kills:
        raise RuntimeError(f"the run ended after {killed} of {kills} kills")


def _failed(cluster: Cluster, run_id: str) -> list[str]:
    tasks = cluster.task_instances(DAG_ID, run_id)
    return [f"{task['task_id']}[{task['map_index']}] {task['state']}" for task in tasks if task["state"] != "success"]


def _wrong_at_airflow(cluster: Cluster, run_id: str) -> Iterator[str]:
    tasks = cluster.task_instances(DAG_ID, run_id)
    again = sum(task["try_number"] > 1 for task in tasks)
    _say(f"{again} of {len(tasks)} tasks needed a further try")
    if unfinished := [task["task_id"] for task in tasks if task["state"] in ("running", "deferred", "queued")]:
        yield f"Airflow still has at work: {unfinished}"


def _wrong_at_service(simulator: Simulator, rtins: list[str]) -> Iterator[str]:
    counts = simulator.get("documents/counts")
    for rtin in rtins:
        by_action = counts.get(rtin, {}).get("b2b", {})
        if by_action != {"A": 0, "R": 0, "P": 0, "N": REQUESTS * DOCUMENTS}:
            yield f"{rtin}: documents by action are {by_action}"
        counters = simulator.get("counters", gstin=rtin)
        if (counters["resets"], counters["reset_calls"]) != (REQUESTS, REQUESTS):
            yield f"{rtin}: {counters['resets']} resets in {counters['reset_calls']} calls, not {REQUESTS}"
    counters = simulator.get("counters")
    _say(f"At the service: {counters}")
    if not 1 <= counters["logins"] <= 1 + LOGINS_BEYOND_FIRST:
        yield f"{counters['logins']} logins"
    if counters["live_tokens"] != 1:
        yield f"{counters['live_tokens']} tokens are alive"
    if running := [task["id"] for task in simulator.get("state")["tasks"] if task["status"] != "completed"]:
        yield f"not completed at the service: {running}"


def _wrong_in_store(store: Any, rtins: list[str]) -> Iterator[str]:
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    records = {
        key: json.loads(store.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        for key in keys
        if key.startswith(f"{FOLDER}/audit/")
    }
    # Of a request whose worker died before it saw the answer there are two: that it was being sent, and what was found.
    settled = [record for key, record in records.items() if not key.endswith(".sending.jsonl")]
    _say(f"{len(records) - len(settled)} requests lost their worker before it saw the service's answer")
    for rtin in rtins:
        outcomes = [record["outcome"] for record in settled if record["rtin"] == rtin]
        if len(outcomes) != REQUESTS or not all(each == "processed" or each.startswith("found") for each in outcomes):
            yield f"{rtin}: its audit records say {outcomes}"
        if sum(f"/{rtin}/" in key and key.endswith("/result.csv") for key in keys) != 1:
            yield f"{rtin}: there is no result.csv, or more than one"


def _measured(simulator: Simulator, slots: Slots, took: float, count: int) -> dict[str, float]:
    """Put numbers together; the overhead is the time at the service between two requests of a GSTIN."""
    ends: dict[str, float] = {}
    overheads = []
    for task in simulator.get("state")["tasks"]:
        if task["gstin"] in ends:
            overheads.append(task["started"] - ends[task["gstin"]])
        ends[task["gstin"]] = task["ready_at"]
    requests_made = count * REQUESTS
    return {
        "cluster.gstins": count,
        "cluster.run_seconds": took,
        "cluster.service_seconds_per_request": TASK_SECONDS,
        "cluster.overhead_seconds_per_request": statistics.median(overheads),
        "cluster.overhead_seconds_p90": statistics.quantiles(overheads, n=10)[-1],
        "cluster.slot_seconds_per_request": slots.seconds / requests_made,
        "cluster.api_p99_ms": statistics.quantiles(slots.answers, n=100)[-1] * 1000,
    }


def _left(mark: str) -> list[str]:
    """Return what runs of a cluster that has been stopped."""
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                left.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return left


def _store(cluster: Cluster) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=cluster.s3_url, **keys)


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run it, print what was measured, and fail if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m local_airflow.cluster_run", description=__doc__)
    parser.add_argument("--gstins", type=int, default=40)
    parser.add_argument("--kills", type=int, default=len(VICTIMS), choices=range(len(VICTIMS) + 1))
    parser.add_argument("--home", type=Path, default=CHECKOUT / ".cluster")
    given = parser.parse_args()
    os.nice(5)
    measured, wrong = run(given.home, given.gstins, given.kills)
    for name, value in measured.items():
        sys.stdout.write(f"{name:<40} {value:>10,.2f}\n")
    for line in wrong:
        sys.stderr.write(f"WRONG: {line}\n")
    if not wrong:
        sys.stdout.write(f"{given.gstins} GSTINs x {REQUESTS} requests: nothing lost, nothing sent twice.\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
