"""Whatever the service calls a reset, and whatever a person types, no file is named outside its folder."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ims.exceptions import GstnInvalidRequest
from airflow_provider_ims.file_names import below, file_name

ODD = [
    "",
    ".",
    "..",
    "../../etc/cron.d/x",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    "con",
    "NUL",
    "com1",
    "con.txt",
    "-rf",
    "~root",
    "a b",
    "a\nb",
    "a\x00b",
    "\x1b[2J",
    "\ud800",
    "a" * 5000,
    "ID",
    "id.",
    "27AAPFU0939F1ZV-0123456789abcdef.sending",
    "s3://bucket/key",
    "अ",
]


@pytest.mark.parametrize("text", ["887df11a-5fab-40a9-be31-c0de30631d65", "r-1", "0123", "665f1c2ab", "a" * 64])
def test_an_ordinary_id_is_its_own_name(text: str):
    assert file_name(text) == text


def is_safe(name: str) -> bool:
    device = r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?"
    return bool(re.fullmatch(r"[a-z0-9_][a-z0-9._-]{0,72}", name)) and not re.fullmatch(device, name)


@pytest.mark.parametrize("text", ODD)
def test_an_odd_id_gives_a_name_that_every_system_takes(text: str):
    assert is_safe(file_name(text))


@given(st.text(st.characters(exclude_categories=())))
def test_so_does_any_text(text: str):
    assert is_safe(file_name(text))


def test_different_ids_have_different_names_also_where_capitals_do_not_count():
    texts = [*ODD, *map(file_name, ODD), "id", "Id", "a/b ", "a_b"]
    names = [file_name(text).lower() for text in dict.fromkeys(texts)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("folder", ["/data/ims", "/data/ims/", "s3://aws_default@bucket/ims"])
@pytest.mark.parametrize("name", ["reset.json", "2026-11/reset.json", "a*.csv", "a b+c.csv", "nightly-3"])
def test_a_name_is_below_the_folder(folder: str, name: str):
    assert below(folder, name) == f"{folder.rstrip('/')}/{name}"
    assert below(folder, "results", name) == f"{folder.rstrip('/')}/results/{name}"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x.json",
        "a/../../x.json",
        "a/./x",
        "a//x",
        "/etc/passwd",
        "a/",
        " .. /x",
        "..\\x.json",
        "C:x.json",
        "s3://other/x.json",
        "file:///etc/passwd",
        "zip://x::/etc/passwd",
        "x::y",
        "a\nb",
        "a\x00b",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_with_what_to_type(name: str):
    with pytest.raises(GstnInvalidRequest, match="is not the name of a file in the DAG's folder") as caught:
        below("/data/ims", name)
    assert "no '..', no absolute path, no URI" in str(caught.value)
    assert len(str(caught.value).splitlines()[0]) < 120


@pytest.mark.parametrize("folder", ["", " ", None])
def test_without_a_folder_nothing_is_read(folder: str):
    with pytest.raises(GstnInvalidRequest, match="No folder is set"):
        below(folder, "reset.json")


RUN_IDS = [
    "manual__2026-11-24T10:00:00+05:30",
    "scheduled__2026-11-24T14:30:00+00:00",
    "scheduled__2026-11-24T14:30:00-00:00",
    "scheduled__2026-11-24T14-30-00-00-00",
    "ab:c",
    "ab|c",
    "ab.",
    "ab",
]


def test_the_folder_of_a_run_has_a_name_that_windows_takes_and_no_other_run_has_it(tmp_path):
    paths = [below(str(tmp_path), "plans", run_id, "after") for run_id in RUN_IDS]
    names = [path.removeprefix(f"{tmp_path}/plans/").removesuffix("/after") for path in paths]
    assert len({name.lower() for name in names}) == len(RUN_IDS)
    for name in names:
        assert re.fullmatch(r"[\w-][\w.-]*[\w-]", name)
    assert names[0].startswith("manual__2026-11-24T10-00-00-05-30.")
    assert paths == [below(str(tmp_path), "plans", run_id, "after") for run_id in RUN_IDS]


def test_a_run_that_began_under_its_id_goes_on_there(tmp_path):
    run_id = RUN_IDS[0]
    (tmp_path / "plans" / run_id).mkdir(parents=True)
    assert below(str(tmp_path), "plans", run_id) == f"{tmp_path}/plans/{run_id}"
    assert run_id not in below(str(tmp_path), "snapshots", run_id)


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_an_object_store_keeps_the_id_of_the_run(run_id: str):
    assert below("s3://aws_default@bucket/ims", "plans", run_id) == f"s3://aws_default@bucket/ims/plans/{run_id}"


def test_a_pattern_of_names_is_taken_as_it_is():
    assert below("/data", "export_10:00_*.csv") == "/data/export_10:00_*.csv"


def test_a_file_that_is_there_is_taken_whatever_its_name(tmp_path):
    (tmp_path / "ab:c.csv").write_text("")
    assert below(str(tmp_path), "ab:c.csv") == f"{tmp_path}/ab:c.csv"
