"""The first line of what Airflow shows says what and who, and fits."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ims.models.printable import LONGEST_FIRST_LINE, fitted


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=400))
def test_the_first_line_fits_and_no_word_is_lost(text: str):
    shown = fitted(text)
    assert len(shown.partition("\n")[0]) <= LONGEST_FIRST_LINE < 120
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", text)


@given(st.text(max_size=LONGEST_FIRST_LINE))
def test_what_fits_stays_as_it_is(text: str):
    assert fitted(text) == text


def test_it_is_cut_after_a_sentence_if_one_ends_in_time():
    assert fitted(f"The reset of GSTIN X failed. {'word ' * 40}").startswith("The reset of GSTIN X failed.\nword word")


def test_else_between_the_parts_of_one():
    first, second = fitted(f"{'x' * 60}; {'y' * 100}").split("\n")
    assert (first, second) == ("x" * 60 + ";", "y" * 100)


def test_a_beginning_of_a_few_letters_is_no_line():
    assert fitted(f"No. {'x' * 50} {'y' * 100}").split("\n")[0] == "No. " + "x" * 50


def test_the_lines_after_it_stay():
    assert fitted(f"{'a' * 60}. {'b' * 100}\nc\n").split("\n")[2:] == ["c", ""]
