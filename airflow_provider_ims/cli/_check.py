"""``airflow-ims check``: what is wrong with a request or with rows."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from airflow_provider_ims.cli._arguments import WrongUsage, columns_of
from airflow_provider_ims.cli._plan import Given, read_plan, sources_of, tell_of_plan
from airflow_provider_ims.cli._screen import ExitCode, Screen
from airflow_provider_ims.cli._totals import Totals
from airflow_provider_ims.models.faults import Fault, InvalidPayload
from airflow_provider_ims.models.payload import MAX_BODY_BYTES, ResetPayload
from airflow_provider_ims.models.printable import counted
from airflow_provider_ims.planning.errors import RowsRejected
from airflow_provider_ims.planning.output import REJECTS, Output
from airflow_provider_ims.planning.planner import Rules, make_plan
from airflow_provider_ims.planning.rejects import fault_of
from airflow_provider_ims.spreadsheets import read_sheet
from airflow_provider_ims.storage import local_place
from airflow_provider_ims.tables.documents import AMOUNTS

_MAX_REQUEST = 10 * MAX_BODY_BYTES
"""Bytes of a request that is still read, to say how much too large it is."""


def run(given: argparse.Namespace, screen: Screen) -> ExitCode:
    """Check what is given."""
    paths = [Path(name) for name in given.files]
    requests = [path for path in paths if _is_request(path, given.file_format)]
    if requests and len(paths) > 1:
        raise WrongUsage(f"{requests[0]} is a request: check each request by itself")
    if requests:
        return _check_request(requests[0], given, screen)
    return _check_rows(given, screen)


def _is_request(path: Path, file_format: str | None) -> bool:
    """Say whether a file is one request: JSON that begins with an object. Rows are a list, or lines."""
    if (file_format or path.suffix.lstrip(".")).lower() != "json":
        return False
    try:
        with path.open("rb") as file:
            return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    except OSError:
        return False  # the reader of rows says what is wrong with it


def _check_request(path: Path, given: argparse.Namespace, screen: Screen) -> ExitCode:
    with path.open("rb") as file:
        content = file.read(_MAX_REQUEST + 1)
    if len(content) > _MAX_REQUEST:
        raise WrongUsage(f"{path} is above {_MAX_REQUEST:,} bytes; the service takes requests of {MAX_BODY_BYTES:,}")
    screen.add(file=str(path), kind="request")
    try:
        payload = ResetPayload.parse(content, strict_gstin=given.strict_gstin, allow_no_action=given.allow_no_action)
    except InvalidPayload as error:
        screen.add(valid=False)
        screen.say(f"{path}: {counted(len(error.faults), 'fault')}")
        screen.faults(error.faults, most=given.faults, hint=" (--faults N shows more)")
        return ExitCode.FAULTS
    totals = Totals()
    for section, documents in payload.sections():
        totals.add(section, documents)
    size = len(payload.body())
    screen.add(rtin=payload.rtin, bytes=size)
    screen.say(f"{path}: a request of GSTIN {payload.rtin}, {size:,} bytes as sent")
    _tell(totals, screen)
    for doubt in payload.doubtful_gstins():
        screen.warn(str(doubt))
    if size > MAX_BODY_BYTES:
        rule = f"a request of at most {MAX_BODY_BYTES:,} bytes; make a plan, which splits it"
        screen.faults([Fault(str(path), f"{size:,} bytes", rule)], most=1)
        screen.add(valid=False)
        return ExitCode.FAULTS
    screen.add(valid=True)
    return ExitCode.GOOD


def _check_rows(given: argparse.Namespace, screen: Screen) -> ExitCode:
    rules = Rules(on_invalid="skip", strict_gstin=given.strict_gstin, allow_no_action=given.allow_no_action)
    wanted = Given(columns_of(given), given.file_format, given.delimiter)
    screen.add(files=[str(name) for name in given.files], kind="rows")
    with tempfile.TemporaryDirectory(prefix="ims-check-") as name:
        folder = Path(name)
        try:
            with screen.working("Reading") as progress:
                plan = make_plan(sources_of(given.files, wanted), Output(local_place(folder)), rules, progress.reached)
        except RowsRejected:  # every row
            faults = _faults_in(folder / REJECTS)
            screen.add(valid=False, documents=0)
            screen.say(f"{counted(len(faults), 'fault')}; no row is right")
            screen.faults(faults, most=given.faults, hint=" (--faults N shows more)")
            return ExitCode.FAULTS
        totals = read_plan(plan)
        faults = _faults_in(folder / REJECTS)
    screen.add(valid=not plan.rejected)
    tell_of_plan(plan, screen)
    _tell(totals, screen)
    if not plan.rejected:
        return ExitCode.GOOD
    screen.say(f"{plan.rejected:,} of {plan.rows:,} rows are wrong:")
    screen.faults(faults, most=given.faults, hint=" (--faults N shows more; `airflow-ims plan` writes all)")
    return ExitCode.FAULTS


def _faults_in(rejects: Path) -> list[Fault]:
    with rejects.open(encoding="utf-8", newline="") as file:
        rows = read_sheet(file)
        next(rows)
        return [fault_of(row) for row in rows]


def _tell(totals: Totals, screen: Screen) -> None:
    screen.add(documents=totals.documents, sections=totals.sections(), periods=totals.periods)
    screen.table(("section", "documents", *AMOUNTS), totals.rows())
    screen.say(f"Return periods of the suppliers: {', '.join(totals.periods) or 'none'}")
