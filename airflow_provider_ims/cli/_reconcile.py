"""``airflow-ims reconcile``: documents x books -> decisions, as ``ImsReconcileOperator`` makes them."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_ims.cli._arguments import WrongUsage, columns_of, json_object
from airflow_provider_ims.cli._screen import ExitCode, Screen
from airflow_provider_ims.matching import BookColumns, BookFile, Decisions, MatchRules, Options, reconcile
from airflow_provider_ims.models.calendar import Calendar
from airflow_provider_ims.snapshots.snapshot import usable
from airflow_provider_ims.storage import local_place


def run(given: argparse.Namespace, screen: Screen) -> ExitCode:
    """Match and decide."""
    calendar = _calendar(given)
    found = usable(
        [local_place(path.absolute()) for path in given.snapshot],
        max_age=timedelta(hours=given.max_age),
        allow_incomplete=given.allow_incomplete,
    )
    books = [
        BookFile(local_place(path.absolute()), given.file_format, given.delimiter, given.encoding)
        for path in given.books
    ]
    output = local_place(given.output.absolute())
    with screen.working("Matching"):
        summary = reconcile(
            [each.documents for each in found],
            books,
            output,
            columns=BookColumns(columns_of(given)),
            rules=_rules(given.rules),
            decisions=Decisions.of_file(local_place(given.decisions.absolute())) if given.decisions else None,
            options=Options(
                on_invalid=given.on_invalid,
                other_gstins=given.other_gstins,
                date_order=given.date_order,
                allow_empty_books=given.allow_empty_books,
            ),
            rtins=[each.head.gstin for each in found],
            expected={(each.head.gstin, each.head.snapshot): each.head.documents for each in found},
        )
    warnings = [*(text for each in found for text in each.head.warnings), *summary["warnings"]]
    for warning in warnings:
        screen.warn(warning)
    _tell(summary, given.output, calendar, screen)
    return ExitCode.FAULTS if summary["rejected"] else ExitCode.GOOD


def _tell(summary: dict[str, Any], output: Path, calendar: Calendar, screen: Screen) -> None:
    now = datetime.now(UTC)
    notes = (
        [*calendar.warnings(summary["rtins"], now), *calendar.notes(summary["rtins"], now)]
        if summary["decisions"].get("reset")
        else []
    )
    screen.add(**summary, notes=notes, output=str(output))
    screen.table(
        ("match", "action", "decision", "documents", "book rows", "tax", "tax in books"),
        [
            [
                each["match"],
                each["action"],
                each["decision"],
                each["documents"],
                each["book_rows"],
                each["tax"],
                each["book_tax"],
            ]
            for each in summary["counts"]
        ],
        text=3,
    )
    for note in notes:
        screen.warn(note)
    decided = ", ".join(f"{word} {count:,}" for word, count in sorted(summary["decisions"].items()))
    screen.say(f"Decided: {decided or 'nothing'}. The files are in {output}")


def _rules(path: Path | None) -> MatchRules:
    if path is None:
        return MatchRules()
    try:
        return MatchRules(**json_object(path, "--rules"))
    except TypeError as error:
        raise WrongUsage(f"--rules {path}: {error}") from None


def _calendar(given: argparse.Namespace) -> Calendar:
    arguments = dict(json_object(given.calendar, "--calendar")) if given.calendar else {}
    if given.filing:
        arguments["filing"] = given.filing
    try:
        return Calendar.of(arguments)
    except ValueError as error:
        raise WrongUsage(f"--calendar {given.calendar}: {error}" if given.calendar else str(error)) from None
