"""Why a table cannot be had; each text is for the person who must act."""

from __future__ import annotations

from typing import Final

NOT_WRITTEN: Final = "Nothing was written."
"""What it means for most that a file cannot be read now."""


class TableError(ValueError):
    """A table cannot be read or made."""


class FileUnusable(TableError):
    """
    A file is not what it must be: missing, of another kind, broken, empty.

    :param name: the file, as its owner knows it
    :param problem: what is wrong and what to do
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")


class FileUnavailable(TableError):
    """A file cannot be read now; the same again may work later."""


class NoRoom(TableError):
    """Memory or the temporary directory does not suffice."""
