"""``airflow-ims plan``: requests from rows, as ``ImsPlanOperator`` makes them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_ims.cli._arguments import columns_of
from airflow_provider_ims.cli._screen import ExitCode, Screen
from airflow_provider_ims.cli._totals import Totals
from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.planning.output import Output
from airflow_provider_ims.planning.planner import Plan, Rules, make_plan
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.files import file_source
from airflow_provider_ims.planning.sources.rows import Source
from airflow_provider_ims.storage import local_place, read_whole
from airflow_provider_ims.tables.documents import AMOUNTS


class Given(NamedTuple):
    """How the files are to be read."""

    columns: Mapping[str, Any]
    file_format: str | None
    delimiter: str | None


def run(given: argparse.Namespace, screen: Screen) -> ExitCode:
    """Make a plan."""
    rules = Rules(
        given.on_invalid,
        given.max_bytes,
        given.max_documents,
        strict_gstin=given.strict_gstin,
        allow_no_action=given.allow_no_action,
        allow_empty=given.allow_empty,
    )
    sources = sources_of(given.files, Given(columns_of(given), given.file_format, given.delimiter))
    with screen.working("Planning") as progress:
        plan = make_plan(sources, Output(local_place(given.output.absolute())), rules, progress.reached)
    totals = read_plan(plan)
    screen.add(output=str(given.output), sections=totals.sections(), rejects=plan.rejects)
    tell_of_plan(plan, screen)
    screen.table(("section", "documents", *AMOUNTS), totals.rows())
    screen.say(f"The plan is in {given.output}")
    if plan.rejected:
        screen.say(f"{plan.rejected:,} of {plan.rows:,} rows were skipped; they are in {plan.rejects}")
        return ExitCode.FAULTS
    return ExitCode.GOOD


def sources_of(files: Sequence[str], given: Given) -> list[Source]:
    """Return the rows of local files."""
    columns = Columns(given.columns)
    return [
        file_source(local_place(Path(name).absolute()), columns, given.file_format, given.delimiter or ",")
        for name in files
    ]


def read_plan(plan: Plan) -> Totals:
    """Return what the requests of a plan add up to, read from the requests themselves."""
    totals = Totals()
    for entry in plan.gstins:
        for chunk in entry.chunks:
            payload = ResetPayload.parse(read_whole(local_place(Path(chunk.path))), allow_no_action=True)
            for section, documents in payload.sections():
                totals.add(section, documents)
    return totals


def tell_of_plan(plan: Plan, screen: Screen) -> None:
    """Show the GSTINs of a plan, and what was noticed."""
    gstins = [
        {
            "rtin": entry.rtin,
            "documents": entry.documents,
            "requests": len(entry.chunks),
            "bytes": entry.bytes,
        }
        for entry in plan.gstins
    ]
    screen.add(
        rows=plan.rows,
        documents=plan.documents,
        rejected=plan.rejected,
        gstins=gstins,
        conversions=plan.conversions,
        warnings=plan.warnings,
    )
    for warning in plan.warnings:
        screen.warn(warning)
    screen.table(("GSTIN (rtin)", "documents", "requests", "bytes"), [list(entry.values()) for entry in gstins])
    for conversion, count in sorted(plan.conversions.items()):
        screen.say(f"{count:,} {conversion}")
