"""The reference of the site: a page for each module of the list in docs/public.md, made from docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

PACKAGE = "airflow_provider_ims"
LIST = Path(__file__).with_name("public.md")


def listed() -> dict[str, list[str]]:
    """Return what is public: module, without the package's name -> its names."""
    found = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("- `"):
            module, *names = re.findall(r"`([\w.]+)`", line)
            found[module] = names
    return found


def pages() -> dict[str, str]:
    """Return the pages as reStructuredText: module -> text."""
    return {module: _page(module, names) for module, names in listed().items()}


def _page(module: str, names: list[str]) -> str:
    parts = [f"``{module}``", "=" * (len(module) + 4), "", f".. automodule:: {PACKAGE}.{module}", "   :no-members:", ""]
    loaded = importlib.import_module(f"{PACKAGE}.{module}")
    for name in names:
        kind = _kind(getattr(loaded, name))
        option = (
            "   :show-inheritance:" if kind in {"class", "exception"} else "   :no-value:" if kind == "data" else ""
        )
        parts += [f".. auto{kind}:: {PACKAGE}.{module}.{name}", option, ""]
    return "\n".join(parts)


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if inspect.isroutine(value) else "data"
