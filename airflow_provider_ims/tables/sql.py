"""Names and texts inside SQL, where no parameter can stand."""

from __future__ import annotations

from pathlib import Path


def identifier(name: str) -> str:
    """Return a name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | Path) -> str:
    """Return a text as SQL takes it, whatever is in it."""
    return "'" + str(value).replace("'", "''") + "'"
