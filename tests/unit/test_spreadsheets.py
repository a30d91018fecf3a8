"""No cell of ours is run by a spreadsheet, and each reads back as it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ims.spreadsheets import SheetWriter, read_sheet

RUNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def written(*rows: list[object]) -> str:
    file = io.StringIO(newline="")
    sheet = SheetWriter(file, ["a", "b"])
    for row in rows:
        sheet.write(row)
    return file.getvalue()


def seen(text: str) -> list[list[str]]:
    """The cells as a spreadsheet gets them."""
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("first", RUNS)
def test_what_would_run_is_shown_as_text(first: str):
    [_, row] = seen(written([f'{first}HYPERLINK("http://x")', "b"]))
    assert row == [f'\'{first}HYPERLINK("http://x")', "b"]


@pytest.mark.parametrize("cell", ["INV-1", "a=b", "1+1", "'quoted'", "O'Neil", "@"[:0], "24AAQCA8719H1ZC"])
def test_everything_else_is_written_as_it_is(cell: str):
    assert seen(written([cell, "b"]))[1] == [cell, "b"]


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))) | st.sampled_from(["'=1", "''-", "'", "=", "''x"])))
def test_each_cell_reads_back_as_it_was(cells: list[str]):
    text = written(*([cell, "b"] for cell in cells))
    assert all(not row[0] or row[0][0] not in RUNS for row in seen(text))
    assert list(read_sheet(io.StringIO(text, newline=""))) == [["a", "b"], *([cell, "b"] for cell in cells)]


def test_none_is_an_empty_cell_and_a_lone_surrogate_is_escaped():
    text = written([None, "\ud800"])
    assert seen(text)[1] == ["", "\\ud800"]
    text.encode()
