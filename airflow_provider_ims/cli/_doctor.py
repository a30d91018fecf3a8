"""``airflow-ims doctor``: tries a real account and says which inferred facts hold."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ims.cli._arguments import WrongUsage
from airflow_provider_ims.cli._screen import ExitCode, Screen
from airflow_provider_ims.doctor.findings import Verdict, findings
from airflow_provider_ims.doctor.transcript import Transcript
from airflow_provider_ims.models.payload import ResetPayload
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
    payload = _payload(given)
    if given.transcript and given.transcript.exists():
        raise WrongUsage(f"{given.transcript} is there already; a transcript is not written over")
    from airflow_provider_ims.doctor.examination import Examination
    from airflow_provider_ims.exceptions import GstnError

    def say(step: Step) -> None:
        screen.say(f"{'ok    ' if step.went_well else 'FAILED'} {step.name}: {step.told}")

    examination = Examination(
        given.conn_id, given.gstin, section=given.section, wait=given.wait, payload=payload, say=say
    )
    try:
        with _quiet():
            transcript = examination.run()
    except GstnError as error:
        raise WrongUsage(str(error)) from None
    if given.transcript:
        given.transcript.write_text("\n".join(transcript.lines()) + "\n", encoding="utf-8")
        screen.say(
            f"The transcript is in {given.transcript}: no secrets, names, numbers or amounts. Look before you send."
        )
    steps = [{"step": each.name, "ok": each.went_well, "told": each.told} for each in examination.steps]
    screen.add(steps=steps)
    code = _tell(transcript, screen)
    return code if all(each["ok"] for each in steps) else ExitCode.FAULTS


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
