"""The pages for the person with the task say what the code does."""

from __future__ import annotations

import inspect
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims import exceptions
from airflow_provider_ims.cli.main import parser
from airflow_provider_ims.models.calendar import period_dates
from airflow_provider_ims.models.documents import RULES, SECTIONS
from airflow_provider_ims.models.error_codes import remedy_for
from airflow_provider_ims.results.report import RefusedRow
from airflow_provider_ims.simulator.__main__ import _parser as simulator_parser
from docs import fields

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"


def rows(page: str, after: str = "") -> list[list[str]]:
    """The cells of the first table after a text, without its header."""
    text = (DOCS / page).read_text().partition(after)[2] if after else (DOCS / page).read_text()
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]


def test_the_page_of_fields_is_what_the_models_say():
    assert fields.PAGE.read_text() == fields.page(), "run: python -m docs.fields"


def test_the_page_of_fields_explains_every_section_and_field():
    assert list(fields.OF_SECTION) == list(SECTIONS)
    named = {cells[0].strip("`") for cells in rows("fields.md", "## The fields of a document")}
    assert named == set(RULES) - {"rtin"}
    assert named == {name for model in SECTIONS.values() for name in model.model_fields}


def test_a_change_of_a_model_changes_the_page(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(RULES, "pos", "another rule")
    assert "another rule" in fields.page()
    monkeypatch.setitem(SECTIONS, "ecom", SECTIONS["b2b"])
    assert fields.page().count("yes") == fields.PAGE.read_text().count("yes") + 1


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_the_readme_leads_to_every_page(page: Path):
    readme = (ROOT / "README.md").read_text()
    # adding-a-call.md is for those who change the package, who come by the page on the house.
    assert f"docs/{page.name})" in readme or f"({page.name})" in (DOCS / "architecture.md").read_text()


def test_the_tests_that_pages_name_are_there():
    named = {name for page in DOCS.glob("*.md") for name in re.findall(r"tests/[\w/]+\.py", page.read_text())}
    assert len(named) > 30
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_the_page_on_refused_documents_has_the_remedies_of_the_table_of_codes():
    codes = rows("refused.md")
    assert len(codes) == 4
    for code, remedy in codes:
        assert remedy == remedy_for(code.strip("`")), code


def test_the_days_of_the_page_on_periods_are_the_calendars():
    [period] = re.findall(r"<!-- clock: (\d{6}) -->", (DOCS / "period.md").read_text())
    dates = period_dates(period)
    days = [cells[0] for cells in rows("period.md", f"clock: {period} -->")]
    expected = [dates.monthly_suppliers, dates.quarterly_suppliers, dates.draft_2b, dates.due_3b]
    assert days[1:] == [f"{day.day} {day:%B %Y}".removesuffix(f" {day.year}") for day in expected]
    assert days[0] == f"from 1 {date(dates.due_3b.year, dates.due_3b.month, 1):%B}"


def test_the_example_of_the_page_on_periods_holds():
    [block] = re.findall(r"```python\n(.*?)```", (DOCS / "period.md").read_text(), re.DOTALL)
    exec(compile(block, "docs/period.md", "exec"), {})  # noqa: S102 - our own page


def test_the_page_on_callbacks_names_what_every_error_has():
    named = [cells[0].strip("`") for cells in rows("notify.md", "## What a callback gets")]
    taken = set(inspect.signature(exceptions.GstnError.__init__).parameters) - {"self", "text"}
    assert sorted(named) == sorted({*taken, "refused"})
    assert vars(exceptions.GstnResetPartial("1 refused")).keys() >= set(named)


@pytest.mark.parametrize("kind", [exceptions.GstnResetPartial, exceptions.GstnResetFailed])
def test_the_example_of_a_callback_tells_what_was_refused(kind: type[exceptions.GstnResetPartial]):
    [block] = re.findall(r"```python\n(def suppliers_to_ask.*?)```", (DOCS / "notify.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, "docs/notify.md", "exec"), names)  # noqa: S102 - our own page
    row = RefusedRow("b2b", "24MAYAS0100J1JD", "B1", "23-01-2023", "012023", "IMSSAV0010", "edited", "Look.")
    assert names["suppliers_to_ask"]({"exception": kind("1 refused", refused=[row])}) == {
        "24MAYAS0100J1JD": ["B1 of 23-01-2023: IMSSAV0010 Look."]
    }
    assert names["suppliers_to_ask"]({"exception": None}) == names["suppliers_to_ask"]({}) == {}


def test_the_page_on_callbacks_names_exceptions_that_there_are():
    named = re.findall(r"Gstn\w+", (DOCS / "notify.md").read_text())
    assert len(named) > 5
    for name in named:
        assert name.endswith("Operator") or hasattr(exceptions, name), name


def test_the_commands_of_the_page_on_trying_are_taken():
    text = (DOCS / "trying.md").read_text()
    for words in re.findall(r"airflow-ims ((?:check|plan|doctor) [^`|\n]*)", text):
        given = parser().parse_args(words.split())
        assert given.command in {"check", "plan"} or (given.conn_id and given.gstin), words
    [simulate] = re.findall(r"^airflow-ims simulate (.*)$", text, re.MULTILINE)
    assert simulator_parser("airflow-ims simulate").parse_args(simulate.split()).session
    for conf in re.findall(r"--conf '(.*)'$", text, re.MULTILINE):
        given = json.loads(conf)
        assert (ROOT / "example_dags" / given["payload"]).exists()
        assert given.keys() <= {"payload", "dry_run", "force_resubmit"}


def test_the_glossary_is_in_order_and_explains_the_words_of_the_field():
    words = [cells[0] for cells in rows("glossary.md")]
    sorting = [re.sub(r"[`*]", "", word).lower() for word in words]
    assert sorting == sorted(sorting)
    listed = {part.strip("` ").lower() for word in words for part in word.split(",")}
    assert listed >= {
        "theodore",
        "eas",
        "gsp",
        "ims",
        "2b",
        "3b",
        "rtin",
        "stin",
        "otp",
        "gstn",
        "reference id",
        "rtnprd",
    }
