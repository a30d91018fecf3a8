"""
How the guides and the reference become a site: ``make docs``.

The pages are the Markdown files as they stand in the repository, README first; the source folder is therefore the
repository itself. Nothing is fetched: not when the site is built, and not when it is read.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["AIRFLOW_HOME"] = str(ROOT / "build/airflow")  # importing Airflow writes its settings there
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"

from docs import reference  # noqa: E402 - the repository is no installed package

if TYPE_CHECKING:
    from sphinx.application import Sphinx

NAVIGATION = {
    "Begin": ["trying", "connection", "sessions", "glossary", "faq"],
    "Reset documents": ["reset", "fields", "period", "refused", "errors", "notify"],
    "Thousands of documents": ["plan", "bulk", "command"],
    "The monthly loop": ["reconciliation", "matching"],
    "What happened": ["gst-page", "assets"],
    "Run it": [
        "Celery, Kubernetes, managed Airflow </docs/deployment>",
        "compatibility",
        "/deploy/README",
        "upgrade",
        "reliability",
        "secrets",
        "permissions",
        "doctor",
    ],
    "Names": ["public", *(f"reference/{module}" for module in reference.listed()), "hook", "simulator"],
    "Change it": ["/CONTRIBUTING", "architecture", "adding-a-call", "/tests/days/README", "/SECURITY", "/CHANGELOG"],
}
"""Caption -> pages of docs/ in the order in which a newcomer reads; what begins with a slash stands beside README."""

project = "airflow-provider-ims"
author = "the authors of airflow-provider-ims"
version = release = installed("airflow-provider-ims")

root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/**",
    "deploy/README.md",
    "tests/days/README.md",
]
exclude_patterns = [".*", "build", "dist", "bench", "demo", "example_dags", "local_airflow", "*/__pycache__"]
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_heading_anchors = 3

add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "exclude-members": "model_config, model_post_init, template_ext"}
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Have Sphinx call what follows."""
    app.connect("builder-inited", _write_reference)
    app.connect("source-read", _add_navigation)
    app.connect("autodoc-skip-member", _skip_member)
    app.connect("build-finished", _finish)


def _write_reference(app: Sphinx) -> None:
    folder = ROOT / "docs/reference"
    folder.mkdir(exist_ok=True)
    pages = {folder / f"{module}.rst": text for module, text in reference.pages().items()}
    for path in set(folder.iterdir()) - pages.keys():
        path.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Give README the tables of contents that the repository's pages do not need."""
    if name != root_doc:
        return
    for caption, pages in NAVIGATION.items():
        paths = [page if page.startswith("/") or "<" in page else f"/docs/{page}" for page in pages]
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *paths, "```", ""])


def _skip_member(app: Sphinx, what: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of named tuples that say no more than their number; the class explains them."""
    return True if str(getattr(member, "__doc__", "")).startswith("Alias for field number") else None


def _finish(app: Sphinx, failed: Exception | None) -> None:
    """Hold the reference against the list of what is public; make README the page that a browser opens first."""
    if failed is not None or app.builder.format != "html":
        return
    kinds = {"class", "exception", "function", "data"}
    objects = app.env.domains["py"].get_objects()
    # Sphinx also notes where a name is defined; such a second entry has priority -1.
    shown = {name for name, _, kind, _, _, priority in objects if kind in kinds and priority != -1}
    wanted = {f"{reference.PACKAGE}.{module}.{name}" for module, names in reference.listed().items() for name in names}
    if shown != wanted:
        raise ValueError(f"the reference is not the list of docs/public.md: {sorted(shown ^ wanted)}")
    out = Path(app.outdir)
    shutil.copyfile(out / f"{root_doc}.html", out / "index.html")
