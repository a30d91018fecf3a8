"""Arguments that take one of a few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args


def check_choice(name: str, value: object, kind: object, error: Callable[[str], Exception] = ValueError) -> None:
    """
    Refuse an argument that is none of the words that it takes.

    :param name: the argument's name, for the error
    :param kind: the ``Literal`` of the words; ``None`` may be one of them
    :param error: makes what is raised of its text
    :raises ValueError: or what ``error`` makes, when it is none of them
    """
    if value not in (known := get_args(kind)):
        *others, last = map(str, known)
        raise error(f"{name} is {value!r}; it takes {', '.join(others)} or {last}")
