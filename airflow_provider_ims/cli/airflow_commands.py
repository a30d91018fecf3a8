"""``airflow ims check | plan | reconcile | doctor``, where the Airflow takes commands of providers (3.2 and newer)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_provider_ims.cli._arguments import COMMANDS

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

__all__ = ["commands", "run"]


def commands() -> list[CLICommand]:
    """Return the commands for Airflow's own command line."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

    return [
        GroupCommand(
            name="ims",
            help="Work on files for GST's Invoice Management System",
            subcommands=[
                ActionCommand(
                    name=command.name,
                    help=command.summary,
                    description=command.description,
                    func=lazy_load_command(f"{__name__}.run"),
                    args=[Arg(each.flags, **each.options) for each in command.arguments],
                )
                for command in COMMANDS
            ],
        )
    ]


def run(given: argparse.Namespace) -> None:
    """
    Run what Airflow has parsed.

    :raises SystemExit: with the exit code
    """
    from airflow_provider_ims.cli.main import run_parsed

    raise SystemExit(run_parsed(given))
