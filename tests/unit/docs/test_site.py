"""The site has every page and every public name; whether it builds is seen by ``make docs``."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

from docs import reference

ROOT = Path(__file__).parents[3]


def navigated() -> set[str]:
    # Sphinx's configuration is read as text: loading it changes the environment for Airflow.
    text = (ROOT / "docs/conf.py").read_text(encoding="utf-8")
    table = text.partition("NAVIGATION = {")[2].partition("\n}\n")[0]
    entries = re.findall(r'"([^"]+)"', re.sub(r'^    "[^"]+":', "", table, flags=re.MULTILINE))
    return {entry.rpartition("/")[2].rstrip(">") for entry in entries}


def test_every_page_has_its_place_in_the_navigation():
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} | {"CHANGELOG", "CONTRIBUTING", "SECURITY"}
    assert pages <= navigated()


def test_the_reference_has_a_page_for_each_public_module_and_an_entry_for_each_public_name():
    pages = reference.pages()
    assert list(pages) == list(reference.listed())
    for module, names in reference.listed().items():
        entries = re.findall(rf"^\.\. auto(\w+):: {reference.PACKAGE}\.{module}\.(\w+)$", pages[module], re.MULTILINE)
        assert [name for _, name in entries] == names
        found = importlib.import_module(f"{reference.PACKAGE}.{module}")
        for kind, name in entries:
            assert (kind in {"class", "exception"}) == isinstance(getattr(found, name), type), name


def test_every_public_class_and_function_says_what_it_is_for():
    for module, names in reference.listed().items():
        found = importlib.import_module(f"{reference.PACKAGE}.{module}")
        for name in names:
            value = getattr(found, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert (value.__doc__ or "").strip(), f"{module}.{name}"
