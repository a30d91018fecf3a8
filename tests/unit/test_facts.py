"""The table of inferred facts, the comments that rely on them, the doctor and the documentation are one."""

from __future__ import annotations

import re
from pathlib import Path

import airflow_provider_ims
from airflow_provider_ims.doctor import findings
from airflow_provider_ims.protocol.facts import FACT_IDS, FACTS

PACKAGE = Path(airflow_provider_ims.__file__).parent
ABOUT_FACTS = {"facts.py", "_doctor.py", "_arguments.py"}


def test_every_fact_has_one_id_and_is_looked_for():
    assert len(FACT_IDS) == len(FACTS)
    assert set(findings._LOOKS) == FACT_IDS


def test_every_comment_that_relies_on_an_inferred_fact_names_it():
    relied_on = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name in ABOUT_FACTS or path.parent.name == "doctor":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "inferred" in line:
                named = re.findall(r"inferred(?::| \()\s?([a-z-]+)", line)
                assert named, f"{path.relative_to(PACKAGE)} line {number}: which fact of protocol/facts.py?"
                assert set(named) <= FACT_IDS, f"{path.relative_to(PACKAGE)} line {number}: {named}"
                relied_on.update(named)
    assert len(relied_on) > 10


def test_the_documentation_lists_every_fact_as_the_table_has_it():
    page = (PACKAGE.parent / "docs/doctor.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z-]+)` \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    assert listed == [tuple(fact) for fact in FACTS]
