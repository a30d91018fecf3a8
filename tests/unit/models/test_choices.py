"""One of a few words, or an error that names them."""

from __future__ import annotations

from typing import Literal

import pytest

from airflow_provider_ims.models.choices import check_choice

Kind = Literal["warn", "fail", "ignore"]


@pytest.mark.parametrize(("value", "kind"), [("warn", Kind), ("ignore", Kind), (None, Literal[Kind, None])])
def test_a_word_that_is_known_passes(value: object, kind: object):
    assert check_choice("on_window", value, kind) is None


@pytest.mark.parametrize("value", ["", "WARN", None, ["warn"], 1])
def test_any_other_is_refused_with_those_that_are_taken(value: object):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_choice("on_window", value, Kind)
    assert str(caught.value) == f"on_window is {value!r}; it takes warn, fail or ignore"


def test_the_error_is_of_the_kind_that_is_wanted_and_names_none():
    with pytest.raises(KeyError, match="date_order is 'YMD'; it takes DMY, MDY or None"):
        check_choice("date_order", "YMD", Literal["DMY", "MDY", None], KeyError)
