"""``airflow-ims``: reads the command line and runs what it asks for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from airflow_provider_ims.cli import _arguments as arguments
from airflow_provider_ims.cli._screen import ExitCode, Screen

__all__ = ["main"]

Run = Callable[[argparse.Namespace, Screen], ExitCode]

_EXIT_CODES = """\
exit codes:
  0  done, and nothing is wrong
  1  rows or documents are wrong: see the faults
  2  wrong usage, or a file that is not what it must be
  3  something that may pass: a full disk, a store that does not answer
"""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    :param argv: its words; ``None``: those of this process
    :return: the exit code
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["simulate"]:
        return _simulate(words[1:])
    return run_parsed(parser().parse_args(words))


def run_parsed(given: argparse.Namespace) -> int:
    """
    Run what was asked for.

    :param given: what a command line says; ``subcommand`` (Airflow's) or ``command`` is the command's name
    :return: the exit code
    """
    screen = Screen(as_json=given.json)
    with screen.telling_errors():
        name = getattr(given, "command", None) or given.subcommand
        return screen.finish(_run_of(name)(given, screen))
    return screen.finish(screen.code)


def parser(prog: str = "airflow-ims") -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    found = argparse.ArgumentParser(
        prog=prog,
        description="Work on files for GST's Invoice Management System. Needs no running Airflow and no network.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in arguments.COMMANDS:
        added = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=_EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for argument in command.arguments:
            added.add_argument(*argument.flags, **argument.options)
    commands.add_parser("simulate", help="run the simulator of the service, on this machine only", add_help=False)
    return found


def _run_of(command: str) -> Run:
    if command == "check":
        from airflow_provider_ims.cli._check import run
    elif command == "plan":
        from airflow_provider_ims.cli._plan import run
    elif command == "doctor":
        from airflow_provider_ims.cli._doctor import run
    else:
        from airflow_provider_ims.cli._reconcile import run
    return run


def _simulate(words: Sequence[str]) -> int:
    from airflow_provider_ims.simulator.__main__ import main as simulate

    return simulate(list(words), prog="airflow-ims simulate")


if __name__ == "__main__":
    sys.exit(main())
