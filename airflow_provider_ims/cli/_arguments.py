"""What the commands take, once for ``airflow-ims`` and for ``airflow ims``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.models.payload import MAX_BODY_BYTES


class Argument(NamedTuple):
    """One argument, as ``argparse`` and Airflow's own command line take it."""

    flags: tuple[str, ...]
    options: dict[str, Any]


class Command(NamedTuple):
    """
    One command.

    :param summary: one line about it
    :param description: the rest
    """

    name: str
    summary: str
    description: str
    arguments: Sequence[Argument]


def _argument(*flags: str, **options: Any) -> Argument:
    return Argument(flags, options)


def _pair(text: str) -> tuple[str, str | None]:
    name, separator, field = text.rpartition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FIELD")
    return name, field or None


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


class _Once(argparse.Action):
    """Takes an option that must not be given twice: of two, argparse takes the last without a word."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice; it takes one")
        setattr(namespace, self.dest, values)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 86400")
    return number


_FILES = _argument(
    "files", nargs="+", metavar="FILE", help="file with one row a document: CSV, JSON, JSON lines, Parquet"
)
_COLUMNS = (
    _argument(
        "--column",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=FIELD",
        help="what a column of the file is; without FIELD it is left out. May be repeated",
    ),
    _argument(
        "--columns",
        type=Path,
        metavar="FILE.json",
        help="the same for all columns, as the operator's argument `columns` takes it",
    ),
)
_FORMAT = _argument(
    "--format", dest="file_format", help="json, jsonl, csv or parquet, when the file's name does not say"
)
_JSON = _argument("--json", action="store_true", help="print one JSON object and nothing else")
_FAULTS = _argument(
    "--faults", type=_at_least_one, default=20, metavar="N", help="how many faults to print (default: %(default)s)"
)
_ROW_RULES = (
    _argument("--strict-gstin", action="store_true", help="refuse GSTINs whose check digit is wrong"),
    _argument("--allow-no-action", action="store_true", help="accept documents whose prev_status is N already"),
    _argument("--delimiter", help="what stands between two cells of a CSV file"),
)
_ON_INVALID = _argument(
    "--on-invalid",
    choices=("fail", "skip"),
    default="fail",
    help="when rows are wrong: fail with nothing made, or skip them (default: %(default)s)",
)
_OUTPUT = _argument(
    "--output", type=Path, required=True, metavar="FOLDER", help="for this result alone; an earlier one is removed"
)

CHECK = Command(
    "check",
    "say what is wrong with a request or with rows, and what they add up to",
    "Check a request (a JSON object with rtin, reqtyp and invdata) or files with one row a document,\n"
    "as ImsResetOperator and ImsPlanOperator would. Nothing is written and nothing is sent.",
    (_FILES, *_COLUMNS, _FORMAT, *_ROW_RULES, _FAULTS, _JSON),
)
PLAN = Command(
    "plan",
    "make requests from rows, as ImsPlanOperator does",
    "Check each row and write the requests that reset the documents, as full as the service takes them.\n"
    "Nothing is sent.",
    (
        _FILES,
        _OUTPUT,
        *_COLUMNS,
        _FORMAT,
        *_ROW_RULES,
        _ON_INVALID,
        _argument(
            "--max-bytes",
            type=int,
            default=MAX_BODY_BYTES,
            help="largest size of a request in bytes (default: %(default)s)",
        ),
        _argument("--max-documents", type=_at_least_one, help="largest number of documents of a request"),
        _argument("--allow-empty", action="store_true", help="files without a row are no fault"),
        _FAULTS,
        _JSON,
    ),
)
RECONCILE = Command(
    "reconcile",
    "match snapshots with the books and decide, as ImsReconcileOperator does",
    "Match the documents of snapshots with the books, and decide what is to be done with each. Nothing is sent.",
    (
        _argument(
            "--snapshot",
            action="append",
            required=True,
            type=Path,
            metavar="FOLDER",
            help="what ImsDownloadOperator wrote for a GSTIN; may be repeated",
        ),
        _argument("--books", nargs="+", required=True, type=Path, metavar="FILE", help="files of the books"),
        _OUTPUT,
        *_COLUMNS,
        _FORMAT,
        _argument("--delimiter", help="what stands between two cells of a CSV file (default: what its heading shows)"),
        _argument("--encoding", help="of text files, as Python names it"),
        _argument("--rules", type=Path, metavar="FILE.json", help="arguments of MatchRules"),
        _argument("--decisions", type=Path, metavar="FILE.csv", help="match,action,decision"),
        _ON_INVALID,
        _argument(
            "--other-gstins",
            choices=("reject", "leave_out"),
            default="reject",
            help="rows of the books for a GSTIN without a snapshot (default: %(default)s)",
        ),
        _argument("--date-order", choices=("DMY", "MDY"), help="of dates such as 04/10/2026"),
        _argument(
            "--filing",
            choices=("monthly", "quarterly"),
            help="how often GSTR-3B is filed, for what is said of its due date (default: monthly)",
        ),
        _argument(
            "--calendar",
            type=Path,
            metavar="FILE.json",
            help="the operator's argument `calendar`: filing, days that GSTN has moved, ...",
        ),
        _argument("--max-age", type=float, default=24, metavar="HOURS", help="oldest snapshot (default: %(default)s)"),
        _argument("--allow-incomplete", action="store_true", help="take snapshots of some sections"),
        _argument("--allow-empty-books", action="store_true", help="books without a row are no fault"),
        _FAULTS,
        _JSON,
    ),
)
DOCTOR = Command(
    "doctor",
    "try a real account: what the service does, and which inferred facts hold",
    "Log in, ping, look for a session, download a small section, ask for a task that does not exist and for a result\n"
    "too early, and say of each inferred fact whether it was confirmed. Reads only, without --reset and --yes.\n"
    "Needs the connection: AIRFLOW_CONN_..., or this Airflow's database.",
    (
        _argument("conn_id", nargs="?", metavar="CONN_ID", help="id of the connection"),
        _argument("--gstin", action=_Once, help="the taxpayer whose documents are asked for"),
        _argument(
            "--section", choices=tuple(SECTIONS), default="b2bcna", help="what is downloaded (default: %(default)s)"
        ),
        _argument("--wait", type=_seconds, default=300, metavar="SECONDS", help="for a task (default: %(default)s)"),
        _argument("--reset", type=Path, metavar="FILE.json", help="a request to send, which changes documents at GSTN"),
        _argument("--yes", action="store_true", help="send it"),
        _argument("--transcript", type=Path, metavar="FILE.jsonl", help="write what was asked and answered, redacted"),
        _argument("--replay", type=Path, metavar="FILE.jsonl", help="read a transcript instead of asking"),
        _JSON,
    ),
)
COMMANDS = (CHECK, PLAN, RECONCILE, DOCTOR)


class WrongUsage(ValueError):
    """An argument is not what it must be."""


def columns_of(given: argparse.Namespace) -> dict[str, Any]:
    """
    Return the columns that ``--columns`` and ``--column`` name together; the latter count where both do.

    :raises WrongUsage: when the file of ``--columns`` is no JSON object
    """
    return {**(json_object(given.columns, "--columns") if given.columns else {}), **dict(given.column)}


def json_object(path: Path, flag: str) -> Mapping[str, Any]:
    """
    Read a small JSON file with an object.

    :param flag: the argument, for the error
    :raises WrongUsage: when it is none
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise WrongUsage(f"{flag} {path}: no JSON file that can be read ({error})") from None
    if not isinstance(found, dict):
        raise WrongUsage(f"{flag} {path}: takes a JSON object")
    return found
