"""GSTINs: their form, and the check digit that catches a mistyped one."""

from __future__ import annotations

__all__ = ["GSTIN_PATTERN"]

GSTIN_PATTERN = r"^[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Za-z][1-9A-JZa-jz][0-9A-Za-z]$"
"""State (2), PAN (10), entity, kind, check digit. Source: GSTN's own JSON schema of the IMS reset request."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def check_digit(gstin: str) -> str:
    """
    Return the check digit that the first 14 characters of a GSTIN ask for (Luhn's method, modulo 36).

    :param gstin: a GSTIN of the right form; its last character is not looked at
    """
    total = 0
    for position, character in enumerate(gstin[:14].upper()):
        product = _ALPHABET.index(character) * (1 + position % 2)
        total += product // 36 + product % 36
    return _ALPHABET[-total % 36]


def check_digit_fits(gstin: str) -> bool:
    """
    Say whether the last character of a GSTIN is its check digit.

    The sandbox hands out GSTINs that fail this (the samples of Vayana's own documentation do), so it is a
    warning unless the user asks for more.
    """
    return gstin[14:].upper() == check_digit(gstin)
