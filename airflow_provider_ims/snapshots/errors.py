"""Why a snapshot cannot be made or used; each text is for the person who must act."""

from __future__ import annotations


class PageUnreadable(ValueError):
    """A page of a download is not what it must be, so that documents might be lost."""


class SnapshotUnusable(ValueError):
    """A snapshot is missing, broken, not whole, too old, or not the one that it should be."""


class SnapshotUnavailable(ValueError):
    """A snapshot cannot be read now; the same again may work later."""
