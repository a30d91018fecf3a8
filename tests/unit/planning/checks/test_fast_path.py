"""Shapes are derived from the models, and from nothing that they do not know."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import AfterValidator

from airflow_provider_ims.models.documents import SECTIONS, B2b, DocumentNumber
from airflow_provider_ims.planning.checks.fast_path import fast_path_of
from tests.unit.builders import FIELDS


@pytest.mark.parametrize("section", FIELDS)
def test_every_section_has_a_shape_with_its_fields(section: str):
    fast = fast_path_of(section, text_amounts=False, allow_no_action=False)
    assert fast.width == len(FIELDS[section]) + 2
    assert sorted(name for name in FIELDS[section] if f'"{name}":' in fast.template) == sorted(FIELDS[section])


def test_a_rule_of_a_model_that_shapes_do_not_know_is_an_error(monkeypatch: pytest.MonkeyPatch):
    class Stricter(B2b):
        inum: Annotated[DocumentNumber, AfterValidator(str.upper)]

    monkeypatch.setitem(SECTIONS, "stricter", Stricter)
    with pytest.raises(TypeError, match="inum has a rule that is not known here"):
        fast_path_of("stricter", text_amounts=False, allow_no_action=False)
