"""
What a look at GSTN's documents told about a reset whose fate was not known.

Documents are named by their place in the request, sorted by key, so that thousands of them fit into a few letters:
``0-4999,5003``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby

from pydantic import BaseModel, ValidationError

from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.models.payload import ImsRequest


class Reconciliation(BaseModel):
    """
    What is known of a reset that was sent once more after its first fate was not known.

    :param fingerprint: the request
    :param already_reset: places of the documents that GSTN held at "no action", so that they were not sent again
    :param sent: whether a reset was sent for the others; if not, there were none. What GSTN refused in it may have been
        done by the one before
    """

    fingerprint: str
    already_reset: str
    sent: bool

    @classmethod
    def of_text(cls, text: str | None) -> Reconciliation | None:
        """Read what was kept; ``None`` if there is nothing that can be read."""
        try:
            return cls.model_validate_json(text) if text else None
        except ValidationError:
            return None

    @property
    def count(self) -> int:
        """Number of documents that need no reset."""
        return count_of(self.already_reset)

    def keys(self, payload: ImsRequest) -> set[DocumentKey]:
        """Return the documents of a request that need no reset; none if it is another request."""
        if payload.fingerprint() != self.fingerprint:
            return set()
        return of_places(self.already_reset, payload)


def as_places(keys: Collection[DocumentKey], payload: ImsRequest) -> str:
    """Name some documents of a request by their places in it."""
    places = (place for place, key in enumerate(_sorted_keys(payload)) if key in keys)
    runs = []
    for _, run in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0]):
        numbers = [place for _, place in run]
        runs.append(f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0]))
    return ",".join(runs)


def count_of(places: str) -> int:
    """Return how many documents :func:`as_places` named."""
    return sum(1 for _ in _numbers(places))


def of_places(places: str, payload: ImsRequest) -> set[DocumentKey]:
    """Return the documents that :func:`as_places` named."""
    keys = _sorted_keys(payload)
    return {keys[place] for place in _numbers(places)}


def _sorted_keys(payload: ImsRequest) -> list[DocumentKey]:
    return sorted(key for key, _ in payload.documents())


def _numbers(places: str) -> Iterable[int]:
    for run in filter(None, places.split(",")):
        first, _, last = run.partition("-")
        yield from range(int(first), int(last or first) + 1)
