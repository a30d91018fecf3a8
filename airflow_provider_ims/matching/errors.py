"""Why documents and books cannot be matched; each text is for the person who must act."""

from __future__ import annotations

from airflow_provider_ims.models.faults import SomeRowsRejected


class MatchError(ValueError):
    """Documents and books cannot be matched as they are, or as it was asked for; nothing was written."""


class RowsRejected(SomeRowsRejected, MatchError):
    """Some rows of the books cannot be read, and the user wants all or nothing."""
