"""
The main job for real: the simulator of the service, a real Airflow, one reset of eight documents, then a company.

The company's loop: what GSTN holds, its books, the resets that follow from them, and whether they were done.

    python -m demo [--keep] [--home DIR] [--documents FILE]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from demo import company
from demo.report import Report, Verdict, read_refused
from local_airflow.api import AirflowApi, AirflowError
from local_airflow.processes import ProcessSet
from local_airflow.stack import AirflowStack, environment_without_airflow

CHECKOUT = Path(__file__).resolve().parents[1]
DAGS_FOLDER = CHECKOUT / "example_dags"
SAMPLE = DAGS_FOLDER / "ims_reset_sample.json"
DAG_ID = "ims_reset"
LOOP_DAG_ID = "ims_reconciliation_unattended"
GSTN_USERNAME = "demo"
SIMULATOR_SECONDS = 300
SESSION_SECONDS = 300
RUN_SECONDS = 900
LOOP_SECONDS = 1800
TASK_SECONDS = 10  # long enough to see the wait deferred


class DemoError(RuntimeError):
    """A part of the demo did not do its work; the text names it and where to look."""


class Simulator:
    """The simulator as a process of its own, found by what it prints."""

    def __init__(self, processes: ProcessSet, home: Path, documents: Path | None) -> None:
        self._processes = processes
        self._log = home / "simulator.log"
        command = [sys.executable, "-m", "airflow_provider_ims.simulator", "--port", "0"]
        command += ["--task-seconds", str(TASK_SECONDS)]
        if documents:
            command += ["--documents", str(documents)]
        env = environment_without_airflow() | {"PYTHONUNBUFFERED": "1"}
        processes.spawn("simulator", command, env=env, cwd=home, log=self._log)
        self.url = self._printed(r"listening on (http://\S+)")
        self.connection = self._printed(r"AIRFLOW_CONN_GSTN_DEFAULT='?({.*})")

    def counters(self) -> dict[str, Any]:
        """Return how often each call was made."""
        answer = requests.get(f"{self.url}/admin/counters", timeout=10)
        answer.raise_for_status()
        return answer.json()

    def hold(self, documents: list[dict[str, Any]]) -> None:
        """Let GSTN hold documents."""
        self._post("documents", documents)

    def open_session(self, gstin: str) -> None:
        """Open a GSTN session without a one-time password."""
        self._post("sessions", {"gstin": gstin})

    def _post(self, path: str, body: Any) -> None:
        requests.post(f"{self.url}/admin/{path}", json=body, timeout=30).raise_for_status()

    def _printed(self, pattern: str) -> str:
        deadline = time.monotonic() + SIMULATOR_SECONDS
        while time.monotonic() < deadline and not self._processes.dead():
            if found := re.search(pattern, self._log.read_text(encoding="utf-8")):
                return found[1]
            time.sleep(0.05)
        raise DemoError(f"The simulator did not start. {self._log} ends:\n{self._processes.log_tail('simulator')}")


def run(home: Path, options: argparse.Namespace, report: Report) -> Verdict:
    """Start everything, run the DAG, report, and stop everything, also when it fails or is interrupted."""
    gstin = json.loads(SAMPLE.read_bytes())["rtin"]
    with ProcessSet() as processes:
        simulator = Simulator(processes, home, options.documents)
        report.step("simulator", f"listens on {simulator.url}")
        folder = home / "ims"  # what the Variable ims_folder of the example DAG names
        folder.mkdir()
        shutil.copy(SAMPLE, folder)
        env = {"AIRFLOW_CONN_GSTN_DEFAULT": simulator.connection, "AIRFLOW_VAR_IMS_FOLDER": str(folder)}
        stack = AirflowStack(home, DAGS_FOLDER, env)
        # Opened while Airflow starts, which takes longer.
        session = [sys.executable, str(Path(__file__).with_name("open_session.py"))]
        session += [simulator.url, gstin, GSTN_USERNAME]
        log = home / "gstn-session.log"
        processes.spawn("gstn-session", session, env=stack.environment, cwd=home, log=log)
        report.step("airflow", "starts: database, API server, scheduler, DAG processor, triggerer")
        with stack as airflow:
            report.step("airflow", f"is healthy at {airflow.url}")
            if processes.wait("gstn-session", SESSION_SECONDS) != 0:
                tail = processes.log_tail("gstn-session", lines=5)
                raise DemoError(f"No GSTN session for {gstin}. {log} ends:\n{tail}")
            report.step("session", f"GSTN session opened for {gstin} with a one-time password")
            verdict = run_dag(airflow, report)
            verdict = replace(verdict, reconciliation=reconcile(airflow, simulator, folder, report))
            counters = ", ".join(f"{name} {count}" for name, count in simulator.counters().items() if count)
            report.line(f"Calls that the simulator counted: {counters}")
            if options.keep:
                report.line(f"Airflow's UI is at {airflow.url} (no login), the simulator at {simulator.url}.")
                report.line(f"Logs and results are in {home}. Ctrl-C stops everything.")
                verdict.print()
                report.line(f"What happened to each GSTIN: {airflow.url}/plugin/gst")
                wait_for_interrupt()
            else:
                report.step("airflow", "stops")
            return verdict


def run_dag(airflow: AirflowApi, report: Report) -> Verdict:
    """Run the DAG with the sample, show each change of state, then the result."""
    run_id = airflow.trigger_dag(DAG_ID, {"payload": SAMPLE.name})
    report.step(DAG_ID, f"triggered as {run_id}")
    for change in airflow.watch(DAG_ID, run_id, RUN_SECONDS):
        report.task(change.task_id, change.state)
    for task in airflow.task_instances(DAG_ID, run_id):
        if task["state"] == "failed":
            error = airflow.task_error(DAG_ID, run_id, task["task_id"], task["try_number"])
            report.step(task["task_id"], error or "failed, and its log tells no reason", "red")
    summary = xcom(airflow, run_id, "result")
    if summary is None:
        report.fault("the run ended without a result; the reason stands above")
        return Verdict(reference_id=xcom(airflow, run_id, "reset"))
    reference_id = summary["reference_id"]
    report.result(summary, read_refused(Path(summary["refused_path"])))
    return Verdict(summary["outcome"], reference_id, summary["processed"], summary["errors"])


def reconcile(airflow: AirflowApi, simulator: Simulator, folder: Path, report: Report) -> dict[str, int]:
    """Run the loop of a small company: snapshot, books, reset, verification; return the counts, none if it failed."""
    simulator.hold(list(company.documents()))
    for gstin in company.GSTINS:
        simulator.open_session(gstin)
    company.write_books(folder / "books.csv")
    run_id = airflow.trigger_dag(LOOP_DAG_ID, {"gstins": list(company.GSTINS), "books": "books.csv"})
    report.step(LOOP_DAG_ID, f"triggered as {run_id}: {len(company.GSTINS)} GSTINs, books of an ERP")
    for change in airflow.watch(LOOP_DAG_ID, run_id, LOOP_SECONDS):
        report.task(change.task_id, change.state)
    for task in airflow.task_instances(LOOP_DAG_ID, run_id):
        if task["state"] == "failed":
            error = airflow.task_error(
                LOOP_DAG_ID, run_id, task["task_id"], task["try_number"], map_index=task["map_index"]
            )
            report.step(task["task_id"], error or "failed, and its log tells no reason", "red")
    total = xcom(airflow, run_id, "summary", LOOP_DAG_ID)
    found = xcom(airflow, run_id, "reconcile", LOOP_DAG_ID)
    if total is None or found is None:
        report.fault("the loop ended without a summary; the reason stands above")
        return {}
    counts = {"documents": found["documents"], **total.pop("matches"), **total.pop("decisions"), **total}
    report.line(f"Books: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    return counts


def xcom(airflow: AirflowApi, run_id: str, task_id: str, dag_id: str = DAG_ID) -> Any:
    """Return what the task returned, also one that failed after all; None if it got nowhere."""
    try:
        return airflow.xcom(dag_id, run_id, task_id)
    except KeyError:
        return None


def wait_for_interrupt() -> None:
    """Wait for Ctrl-C or SIGTERM; either is the regular end of --keep."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code: 0 for a result, even a partial one; 1 for a failure."""
    options = parse(arguments)
    # Set also for SIGINT, which a shell script's background job inherits as ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    report = Report()
    verdict, said, interrupted = Verdict(), False, False
    home: Path | None = None
    try:
        home = new_home(options.home)
        verdict = run(home, options, report)
        said = options.keep
    except KeyboardInterrupt:
        interrupted = True
    except (DemoError, AirflowError, TimeoutError, requests.RequestException, OSError) as error:
        report.fault(str(error))
    finally:
        # Nothing is left to stop; a second Ctrl-C must not cut off the last line.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if not said:
            conclude(home, options, report, verdict, interrupted=interrupted)
    return 130 if interrupted else verdict.exit_code


def conclude(
    home: Path | None, options: argparse.Namespace, report: Report, verdict: Verdict, *, interrupted: bool
) -> None:
    """Remove the home unless there is something to look at, and print the last line."""
    if interrupted:
        report.line("Interrupted; everything that was started is stopped.")
    if home and not options.home and (interrupted or verdict.exit_code == 0):
        shutil.rmtree(home)
    elif home:
        report.line(f"Logs and results are in {home}.")
    verdict.print()


def new_home(wanted: Path | None) -> Path:
    """Create AIRFLOW_HOME; a new one for each run, so that no run meets another's database."""
    home = wanted or CHECKOUT / ".demo" / f"{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}"
    home.mkdir(parents=True, exist_ok=True)
    if any(home.iterdir()):
        raise DemoError(f"{home} is not empty. Name a new directory with --home.")
    return home


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="Run one IMS reset on a real Airflow.")
    parser.add_argument("--keep", action="store_true", help="leave Airflow and the simulator running until Ctrl-C")
    parser.add_argument(
        "--home",
        type=absolute,
        help="new or empty directory for AIRFLOW_HOME, never removed (default: under .demo)",
    )
    parser.add_argument(
        "--documents", type=existing_file, help="documents that the simulator knows, to see some refused"
    )
    return parser.parse_args(arguments)


def absolute(text: str) -> Path:
    """Resolve a path against the caller's directory."""
    return Path(text).expanduser().resolve()


def existing_file(text: str) -> Path:
    """Resolve the path of a file that must exist."""
    path = absolute(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"no file {path}")
    return path


if __name__ == "__main__":
    sys.exit(main())
