"""Text that can be shown and stored anywhere: in a terminal, a log line, PostgreSQL, a file in UTF-8."""

from __future__ import annotations

MAX_TEXT = 2000
"""Characters of one string that are kept; what is longer ends with its length instead."""

REPLACEMENT = "\ufffd"
"""
Stands for each character that cannot be printed.

It can be in no document number that GSTN takes, so that a number which had to be changed never matches a document
that was sent, and looks the same at most as another number that had to be changed.
"""


def clean(text: str) -> str:
    """
    Return a text in one line of at most about :data:`MAX_TEXT` characters, all of them printable.

    White space of any kind becomes a space; every other character that cannot be printed (NUL, ESC, halves of
    surrogate pairs, bidirectional controls, what has no width) becomes :data:`REPLACEMENT`.
    """
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({len(text)} characters)"
    return printable(text)


def clean_lines(text: str) -> str:
    """Return a text of our own making, in lines, of which parts may come from elsewhere; its length stays."""
    return text if text.isprintable() else "\n".join(printable(line) for line in text.split("\n"))


def counted(number: int, one: str, many: str | None = None) -> str:
    """
    Return a number of things in words: ``1 fault``, ``1,000 faults``.

    :param one: the word for one
    :param many: the word for another number; ``None``: with an s after it
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


LONGEST_FIRST_LINE = 119
"""Airflow's log page does not wrap: what and who has to stand in this many characters."""


def fitted(text: str) -> str:
    """
    Return a text whose first line fits Airflow's pages; what is too long goes on in the second one.

    It is cut after a sentence if one ends there, else after a part of one, else between words.
    """
    first, newline, rest = text.partition("\n")
    if len(first) <= LONGEST_FIRST_LINE:
        return text
    for mark in (". ", "; ", ": ", ", ", " "):
        at = first.rfind(mark, _SHORTEST_FIRST_LINE, LONGEST_FIRST_LINE + 1)
        if at >= 0:
            end = at + len(mark.rstrip())
            break
    else:
        end = at = LONGEST_FIRST_LINE
    return f"{first[:end]}\n{first[end:].lstrip()}{newline}{rest}"


_SHORTEST_FIRST_LINE = 20


def printable(text: str) -> str:
    """Return a text as :func:`clean` does, at its full length."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " if each.isspace() else REPLACEMENT for each in text)
