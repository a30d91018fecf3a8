"""What the documentation shows is what the tests run."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from airflow_provider_ims import exceptions
from airflow_provider_ims._compat import AirflowException
from airflow_provider_ims.get_provider_info import get_provider_info
from airflow_provider_ims.models.error_codes import MEANINGS
from airflow_provider_ims.protocol import settings

ROOT = Path(__file__).parents[3]
INCLUDE = re.compile(
    r"<!-- include: (?P<file>\S+) (?P<marker>\S+) -->\n```python\n(?P<shown>.*?)```\n<!-- end include -->", re.DOTALL
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def part_of(file: str, marker: str) -> str:
    text = (ROOT / file).read_text()
    return text.split(f"# [START {marker}]\n")[1].split(f"# [END {marker}]")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_included_code_is_the_file_it_names(page):
    for found in INCLUDE.finditer(page.read_text()):
        assert found["shown"] == part_of(found["file"], found["marker"])


def test_the_readme_includes_the_example_dag():
    assert INCLUDE.search((ROOT / "README.md").read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "example_dags").glob("ims_*.py")))
def test_who_triggers_an_example_names_files_of_one_folder_only(name):
    templates = re.findall(r'"\{\{ .*? \}\}', (ROOT / f"example_dags/{name}.py").read_text())
    typed = [template for template in templates if re.search(r"params|run_id|conf", template)]
    # These name no file: two take one of a few words that Airflow checks, the third a reference id (see file_names).
    words = {'"{{ params.dry_run }}', '"{{ params.force_resubmit }}', '"{{ params.attach_to }}'}
    typed = [template for template in typed if template not in words]
    assert typed
    for template in typed:
        assert re.fullmatch(r'"\{\{ below\(var\.value\.ims_folder, [^()]*\) \}\}', template), template


def test_every_exception_is_documented():
    documented = set(re.findall(r"^\| `(Gstn\w+)`", (ROOT / "docs/errors.md").read_text(), re.MULTILINE))
    raised = {name for name in vars(exceptions) if name.startswith("Gstn")}
    assert documented == raised - {"GstnError", "GstnTransientError", "GstnPermanentError"}


def test_every_field_of_the_connection_is_documented():
    documented = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/connection.md").read_text(), re.MULTILINE))
    assert documented == settings._KNOWN_EXTRA


def test_the_page_on_sessions_includes_both_dags():
    included = {found["file"] for found in INCLUDE.finditer((ROOT / "docs/sessions.md").read_text())}
    assert included == {"example_dags/gstn_session.py", "example_dags/gstn_refresh.py"}


def test_the_page_on_sessions_says_of_each_code_what_it_raises():
    rows = re.findall(r"^\| (`[A-Z0-9`, ]+`) \| `(\w+)` \|", (ROOT / "docs/sessions.md").read_text(), re.MULTILINE)
    assert rows
    for codes, raised in rows:
        for code in re.findall(r"\w+", codes):
            assert exceptions._OF_KIND[MEANINGS[code].kind].__name__ == raised, code


def test_every_setting_is_documented():
    documented = re.findall(r"^\| `\[gstn\] (\w+)`", (ROOT / "docs/sessions.md").read_text(), re.MULTILINE)
    assert documented == list(get_provider_info()["config"]["gstn"]["options"])


@pytest.mark.parametrize("gstin", ["20MAYAS0100J1Z", "20mayas0100j1zx", "", " 20MAYAS0100J1ZX", "20MAYAS0100J1ZX\n20"])
def test_a_mistyped_gstin_is_refused_before_the_run_that_asks_for_passwords_begins(gstin):
    found = importlib.util.spec_from_file_location("gstn_session", ROOT / "example_dags/gstn_session.py")
    example = importlib.util.module_from_spec(found)
    found.loader.exec_module(example)
    taxpayers = example.dag.params.get_param("taxpayers")
    good = {"gstin": "27AAPFU0939F1ZV", "username": "portal.user"}
    assert taxpayers.resolve([good]) == [good]
    for wrong in ([good, {**good, "gstin": gstin}], [{**good, "username": ""}], [{"gstin": good["gstin"]}], []):
        with pytest.raises(AirflowException):
            taxpayers.resolve(wrong)
