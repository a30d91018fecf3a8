"""
The id of a task of the service, as Airflow keeps it, and as the service wants it back.

An id is nothing but a name, and the service may choose any. Whatever it chose, the reset is accepted: an id that
cannot be shown or stored as it is must be kept nevertheless, and lead to the same task again.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from airflow_provider_ims.models.printable import MAX_TEXT, clean

ENCODED = "urlencoded:"
"""Begins a reference id that holds characters which cannot be printed; the rest is as it stands in a URL."""


def keep(original: str) -> str:
    """
    Return the reference id for an id that the service gave.

    No two ids have the same one; what it is made of is printable.

    :param original: the id as it was sent
    :raises ValueError: when it is empty, or longer than can be kept
    """
    text = original.strip()
    if text and text == clean(text) and not text.startswith(ENCODED):
        return text
    encoded = ENCODED + quote(original, safe="", errors="surrogatepass")
    if not text or len(encoded) > MAX_TEXT:
        raise ValueError("the task-id is empty or too long")
    return encoded


def url_segment(reference_id: str) -> str:
    """Return a reference id as a part of a URL's path."""
    if reference_id.startswith(ENCODED):
        return reference_id.removeprefix(ENCODED)
    return quote(reference_id, safe="", errors="replace")


def is_shown_as(reference_id: str, shown: object) -> bool:
    """Say whether an id that a reply shows, cleaned as all its text, can be this one."""
    if reference_id.startswith(ENCODED):
        return shown == clean(unquote(reference_id.removeprefix(ENCODED), errors="surrogatepass"))
    return isinstance(shown, str) and shown.strip() == reference_id
