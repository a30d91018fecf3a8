"""Three hundred days; those that went wrong once; and that a day is the same whenever it is lived."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_ims.simulator.server import SimulatorServer

from . import day, days
from .mutants import ROOT, broken, mutants
from .plan import DayPlan, draw

DAYS, BLOCK = 300, 25
KEPT = sorted(Path(__file__).with_name("kept").glob("*.json"))


def judged(plan: DayPlan) -> None:
    verdict = day.run(plan)
    if verdict.violations:
        pytest.fail(days.tell(days.shortened(verdict)), pytrace=False)


@pytest.mark.parametrize("first", range(0, DAYS, BLOCK))
def test_no_day_goes_wrong(first: int) -> None:
    with day.laboratory():
        for seed in range(first, first + BLOCK):
            judged(draw(seed))


@pytest.mark.parametrize("kept", KEPT, ids=[path.stem for path in KEPT])
def test_a_day_that_went_wrong_once_goes_well_now(kept: Path) -> None:
    with day.laboratory():
        judged(DayPlan.of_json(kept.read_text()))


def test_an_ordinary_day_resets_every_document() -> None:
    with day.laboratory():
        for seed in range(20):
            verdict = day.run(replace(draw(seed), mishaps=()))
            assert verdict.violations == []
            assert verdict.not_reset == 0


_TELL = """
import hashlib
from tests.days import days
from tests.days.plan import draw
print(hashlib.sha256("".join(days.tell(days.live(draw(seed))) for seed in (3, 17)).encode()).hexdigest())
"""


def test_a_day_is_the_same_in_every_process() -> None:
    here = hashlib.sha256("".join(days.tell(days.live(draw(seed))) for seed in (3, 17)).encode()).hexdigest()
    elsewhere = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _TELL],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "AIRFLOW_HOME"} | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert elsewhere.stdout.split()[-1] == here


def test_days_leave_the_rest_of_the_process_alone() -> None:
    folder = tempfile.gettempdir()
    with SimulatorServer(), day.laboratory():  # which stops by its own thread's clock
        judged(draw(3))
    assert tempfile.gettempdir() == folder


def test_a_plan_survives_its_file() -> None:
    plan = draw(12)
    assert DayPlan.of_json(plan.as_json()) == plan


@pytest.mark.parametrize("name", mutants())
def test_what_the_mutants_change_is_there(name: str) -> None:
    for edit in mutants()[name]:
        source = (ROOT / edit["file"]).read_text()
        assert broken(source, edit) != source
