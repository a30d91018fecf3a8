"""What the documentation shows is what the tests run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_ims import exceptions
from airflow_provider_ims._compat import AirflowException
from airflow_provider_ims.exceptions import GstnPermanentError
from airflow_provider_ims.get_provider_info import get_provider_info
from airflow_provider_ims.models.error_codes import MEANINGS
from airflow_provider_ims.protocol import settings
from tests.examples import example

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


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "example_dags").glob("*.py")))
def test_what_is_sent_by_an_example_is_kept_where_a_retry_finds_it(name):
    audit = "{{ below(var.value.ims_folder, 'audit') }}"
    for task in example(name).dag.tasks:
        # Below Airflow 3.3 nothing else outlives the worker of a reset.
        if task.task_type in {"ImsResetOperator", "ImsBulkResetOperator", "ImsResultOperator"}:
            assert getattr(task, "partial_kwargs", vars(task)).get("audit_path") == audit, task.task_id


LOOPS = ("ims_reconciliation", "ims_reconciliation_unattended")
FOUND = {"matches": {"matched": 3}, "decisions": {"reset": 2}, "left_out": 1, "book_rows": 3, "rtins": ["A", "B"]}
PLANNED = [{"rtin": "A"}, {"rtin": "B"}]
WELL = dict.fromkeys(("taxpayers", "download_0", "download_1", "reconcile", "reset_0", "reset_1", "verify"), "success")


class Run:
    """A task instance as far as ``summary`` asks it: how the tasks of its run ended, and what it pushed."""

    dag_id, run_id = "loop", "run-1"

    def __init__(self, states):
        self.states, self.pushed = states, None

    def get_task_states(self, dag_id, run_ids):
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        return {self.run_id: self.states}

    def xcom_push(self, key, value):
        self.pushed = value


def summary(name, gstins=("A", "B"), found=FOUND, planned=PLANNED, verified=None, **states):
    run = Run({**WELL, **states})
    ended = example(name).dag.get_task("summary")
    assert (ended.trigger_rule, ended.retries) == ("all_done", 0)
    try:
        return ended.python_callable(gstins, found, planned, verified, ti=run)
    except GstnPermanentError as error:
        return str(error), run.pushed


@pytest.mark.parametrize("name", LOOPS)
def test_the_loop_ends_well_if_nothing_failed(name):
    assert summary(name, verified={"verified": 2, "gone": 1}) == {
        **{"matches": {"matched": 3}, "decisions": {"reset": 2}, "left_out": 1},
        **{"verified": 2, "not_reset": 0, "changed_by_supplier": 0, "gone": 1},
    }
    # Instances of before the run was cleared, when more were mapped.
    assert summary(name, verified={"verified": 2}, reset_2="removed", download_2="removed")["verified"] == 2
    # What a verification of before the run was cleared returned.
    assert summary(name, verified={"verified": 2}, verify="skipped", plan="skipped")["verified"] == 0
    assert summary(name, planned=None, verify="skipped", plan="skipped", reset="skipped")["verified"] == 0


@pytest.mark.parametrize("name", LOOPS)
def test_the_loop_fails_and_names_what_failed_in_it(name):
    said, pushed = summary(name, gstins=["A", "C", "B"], verified={"verified": 2}, download_1="failed")
    assert "No snapshot was taken of C: nothing of it was reset." in said
    assert "Failed: download_1 (C). The log of each says why, and what to do." in said
    assert (pushed["verified"], pushed["decisions"]) == (2, {"reset": 2})
    said, _ = summary(name, verified={"verified": 1}, reset_1="failed", download_again_0="upstream_failed")
    assert "Failed: download_again_0 (A), reset_1 (B)." in said
    assert "No snapshot" not in said
    said, pushed = summary(name, found=None, planned=None, reconcile="failed", plan="upstream_failed", verify="skipped")
    assert "Failed: plan, reconcile." in said
    assert pushed["verified"] == 0
    assert "Failed: taxpayers." in summary(name, gstins=None, found=None, planned=None, taxpayers="failed")[0]
    # Marked as success by hand.
    assert "No snapshot was taken of C" in summary(name, gstins=["A", "B", "C"], download_2="success")[0]
    others = {**FOUND, "book_rows": 0, "decisions": {}}
    assert "Are these the right books?" in summary(name, found=others, verify="skipped")[0]


@pytest.mark.parametrize("name", LOOPS)
def test_nothing_in_the_loop_waits_for_a_mapped_task_that_was_removed(name):
    for task in example(name).dag.tasks:
        # Airflow 3.1 takes a removed instance for one that failed, unless who asks is mapped, too, or takes any end.
        if not task.is_mapped and any(each.is_mapped for each in task.upstream_list):
            assert task.trigger_rule == "all_done", task.task_id


@pytest.mark.parametrize("gstin", ["20MAYAS0100J1Z", "20mayas0100j1zx", "", " 20MAYAS0100J1ZX", "20MAYAS0100J1ZX\n20"])
def test_a_mistyped_gstin_is_refused_before_the_run_that_asks_for_passwords_begins(gstin):
    taxpayers = example("gstn_session").dag.params.get_param("taxpayers")
    good = {"gstin": "27AAPFU0939F1ZV", "username": "portal.user"}
    assert taxpayers.resolve([good]) == [good]
    for wrong in ([good, {**good, "gstin": gstin}], [{**good, "username": ""}], [{"gstin": good["gstin"]}], []):
        with pytest.raises(AirflowException):
            taxpayers.resolve(wrong)
