"""Why documents and books cannot be matched; each text is for the person who must act."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_ims.models.faults import Fault


class MatchError(ValueError):
    """Documents and books cannot be matched as they are, or as it was asked for; nothing was written."""


class RowsRejected(MatchError):
    """
    Some rows of the books cannot be read, and the user wants all or nothing.

    :param text: the whole story
    :param faults: the first faults
    """

    def __init__(self, text: str, faults: Sequence[Fault]) -> None:
        super().__init__(text)
        self.faults = list(faults)


class CountsDisagree(MatchError):
    """A document or a row of the books is missing or there twice: a defect of this package."""
