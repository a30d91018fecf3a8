"""``airflow-ims doctor``: tries a real account and says which inferred facts hold."""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ims.cli._arguments import WrongUsage
from airflow_provider_ims.cli._screen import ExitCode, Screen
from airflow_provider_ims.doctor.findings import Verdict, findings
from airflow_provider_ims.doctor.transcript import Transcript
from airflow_provider_ims.models.gstin import GSTIN_PATTERN, check_digit_fits
from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.models.printable import clean, fitted
from airflow_provider_ims.storage import local_place, read_whole

if TYPE_CHECKING:
    from airflow_provider_ims.doctor.examination import Step


def run(given: argparse.Namespace, screen: Screen) -> ExitCode:
    """Examine, or read a transcript again."""
    if given.replay:
        transcript = _read(given.replay)
        return _tell(transcript, screen)
    if not given.conn_id or not given.gstin:
        raise WrongUsage("Give the connection's id and --gstin, or --replay a transcript")
    if not re.fullmatch(GSTIN_PATTERN, given.gstin):
        raise WrongUsage(f"--gstin {clean(given.gstin)[:40]} is not a GSTIN of 15 characters with its PAN in capitals")
    if not check_digit_fits(given.gstin):
        screen.warn(f"The check digit of --gstin {given.gstin} is wrong: only the sandbox has such GSTINs.")
    payload = _payload(given)
    with _record(given.transcript) as record:
        return _examine(given, payload, record, screen)


def _examine(
    given: argparse.Namespace, payload: ResetPayload | None, record: _Record | None, screen: Screen
) -> ExitCode:
    from airflow_provider_ims.doctor.examination import Examination
    from airflow_provider_ims.exceptions import GstnError

    def say(step: Step) -> None:
        told = " ".join(step.told.split("\n"))
        screen.say(fitted(f"{'ok    ' if step.went_well else 'FAILED'} {step.name}: {told}"))
        if record:
            record.write(examination.transcript)

    examination = Examination(
        given.conn_id, given.gstin, section=given.section, wait=given.wait, payload=payload, say=say
    )
    was_stopped = False
    try:
        with _quiet():
            examination.run()
    except GstnError as error:
        raise WrongUsage(str(error)) from None
    except KeyboardInterrupt:
        was_stopped = True
    if record:
        record.write(examination.transcript)
        if record.fault:
            screen.warn(f"{record.path} could not be written as a whole ({record.fault}).")
        else:
            screen.say(
                f"The transcript is in {record.path}: no secrets, names, numbers or amounts. Look before you send."
            )
    steps = examination.steps
    screen.add(steps=[{"step": each.name, "ok": each.went_well, "told": each.told} for each in steps])
    code = _tell(examination.transcript, screen)
    if was_stopped:
        screen.add(error="Stopped.")
        screen.warn("Stopped; the table says what was seen up to there.")
        return ExitCode.PASSES
    return code if all(each.went_well for each in steps) else ExitCode.FAULTS


class _Record:
    """
    A transcript that is written step by step, so that it is there whatever happens.

    :param path: its file
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.fault = ""

    def write(self, transcript: Transcript) -> None:
        """Write what has come since; a disk that is full does not end the examination."""
        lines = list(transcript.lines())
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines[self.lines :])
        except OSError as error:
            self.fault = error.strerror or type(error).__name__
        else:
            self.lines = len(lines)


@contextmanager
def _record(path: Path | None) -> Iterator[_Record | None]:
    """Make the file of a transcript before anything is asked, and leave none if nothing was."""
    if path is None:
        yield None
        return
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        raise WrongUsage(f"{path} is there already; a transcript is not written over") from None
    except OSError as error:
        raise WrongUsage(f"--transcript {path} cannot be written ({error.strerror})") from None
    record = _Record(path)
    try:
        yield record
    finally:
        if not record.lines:
            path.unlink(missing_ok=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the steps tell what happens, and not the log of the hook too."""
    log = logging.getLogger("airflow_provider_ims")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _payload(given: argparse.Namespace) -> ResetPayload | None:
    if given.reset is None:
        return None
    if not given.yes:
        raise WrongUsage("--reset sends a request that changes documents at GSTN; say --yes if that is meant")
    payload = ResetPayload.parse(read_whole(local_place(given.reset.absolute())))
    if payload.rtin != given.gstin:
        raise WrongUsage(f"--reset {given.reset} is for GSTIN {payload.rtin}, not {given.gstin}")
    return payload


def _read(path: Path) -> Transcript:
    try:
        return Transcript.of_lines(read_whole(local_place(path.absolute())).decode().splitlines())
    except (ValueError, TypeError) as error:
        raise WrongUsage(f"{path}: no transcript of the doctor ({error})") from None


def _tell(transcript: Transcript, screen: Screen) -> ExitCode:
    found = findings(transcript)
    if transcript.is_simulated:
        screen.warn("The simulator answered: nothing here says anything of the real service.")
    screen.add(
        findings=[
            {"fact": each.fact.id, "says": each.fact.says, "verdict": str(each.verdict), "saw": each.saw}
            for each in found
        ],
        simulator=transcript.is_simulated,
    )
    screen.table(
        ("fact", "says", "verdict", "saw"),
        [(each.fact.id, each.fact.says, each.verdict, each.saw) for each in found],
        text=4,
    )
    contradicted = [each for each in found if each.verdict is Verdict.CONTRADICTED]
    for each in contradicted:
        screen.say(f"{each.fact.id} is not so. {each.fact.otherwise}")
    return ExitCode.FAULTS if contradicted else ExitCode.GOOD
