"""Whatever the service calls a reset, and whatever a person types, no file is named outside its folder."""

from __future__ import annotations

import re
from uuid import uuid4

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


@pytest.mark.parametrize("text", [str(uuid4()), "r-1", "0123", "665f1c2ab", "a" * 64])
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
@pytest.mark.parametrize("name", ["reset.json", "2026-11/reset.json", "a*.csv", "manual__2026-11-24T10:00:00+05:30"])
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
