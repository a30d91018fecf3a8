"""``python -m airflow_provider_ims.simulator``: run the simulator until it is told to stop."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .gst import Gst
from .options import Document, Options, explain
from .server import SimulatorServer

_DOCUMENTS = TypeAdapter(list[Document])


_CONN_ID = "gstn_default"
_PROG = "python -m airflow_provider_ims.simulator"


def main(arguments: list[str] | None = None, prog: str = _PROG) -> int:
    """Run the command line; ``prog`` is what its help calls it."""
    parser = _parser(prog)
    given = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    wanted = {name: getattr(given, name) for name in ("otp", "task_seconds", "latency_seconds")}
    try:
        options = Options.model_validate({name: value for name, value in wanted.items() if value is not None})
        server = SimulatorServer(options, port=given.port, host=given.host, on_otp=_show_otp)
        if given.documents:
            add_documents(server.gst, given.documents)
    except ValidationError as error:
        parser.error(explain(error.errors()))
    except OSError as error:
        parser.error(str(error))
    for gstin in given.session:
        server.gst.open_session(gstin)
    with contextlib.ExitStack() as running:
        try:
            running.enter_context(server)
        except (OSError, OverflowError) as error:
            sys.stderr.write(f"Cannot listen on {given.host}:{given.port}: {error}\n")
            return 1
        if not _is_loopback(given.host):
            sys.stderr.write(
                f"WARNING: anyone who reaches {given.host}:{server.port} can steer this simulator and read its one-time"
                " passwords and documents. Put no true document and no true password into it.\n"
            )
        _say(f"IMS simulator listening on {server.url}")
        _say(f"AIRFLOW_CONN_GSTN_DEFAULT='{server.connection_json}'")
        _say(_add_command(server.connection))
        _say("Or in Airflow's form, Admin > Connections (what is not named here stays empty):")
        for label, value in _form(server.connection):
            _say(f"  {label:18} {value}")
        threading.Event().wait()
    return 0


def _add_command(connection: dict[str, Any]) -> str:
    """Return the line that puts the connection into Airflow's database."""
    words = ["airflow", "connections", "add", _CONN_ID, "--conn-type", connection["conn_type"]]
    for name in ("host", "login", "password"):
        words += [f"--conn-{name}", connection[name]]
    return shlex.join([*words, "--conn-extra", json.dumps(connection["extra"])])


def _form(connection: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the fields as Airflow's form calls them; the labels are those of the provider's metadata."""
    return [
        ("Connection ID", _CONN_ID),
        ("Connection Type", "GSTN (Vayana Enriched API)"),
        ("EAS base URL", connection["host"]),
        ("theodore user", connection["login"]),
        ("theodore password", connection["password"]),
        ("Organisation id", connection["extra"]["org_id"]),
        ("theodore URL", connection["extra"]["auth_url"]),
    ]


def add_documents(gst: Gst, path: Path) -> None:
    """Add documents from a JSON list or, one a line, from a file of any size."""
    if path.suffix in {".jsonl", ".ndjson"}:
        gst.add_document_lines(path.resolve())
    else:
        gst.add_documents(_DOCUMENTS.validate_json(path.read_bytes()))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="A stand-in for Vayana's Enriched API, its login server and GSTN. It prints the Airflow "
        "connection to use and each OTP it sends; /admin/docs shows how to steer it while it runs.",
    )
    parser.add_argument("--port", type=int, default=8765, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; anyone who reaches it can steer it (default: %(default)s)",
    )
    parser.add_argument("--otp", help="the OTP to send each time, 6 digits (default: a random one each time)")
    parser.add_argument("--task-seconds", type=float, help="how long a task runs (default: 3)")
    parser.add_argument("--latency-seconds", type=float, help="delay of each reply (default: 0)")
    parser.add_argument(
        "--documents",
        type=Path,
        metavar="FILE",
        help="documents GSTN holds: a JSON list [{rtin, section, stin, number, rtnprd, status}, ...], or one a line"
        " (.jsonl)",
    )
    parser.add_argument(
        "--session",
        action="append",
        default=[],
        metavar="GSTIN",
        help="open a GSTN session without OTP; may be repeated",
    )
    return parser


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _show_otp(gstin: str, otp: str) -> None:
    _say(f"OTP for GSTIN {gstin}: {otp}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
