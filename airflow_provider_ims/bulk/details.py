"""What a document's request and plan say of it beside its outcome: amounts, and the user's own columns."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.exceptions import of_storage_error
from airflow_provider_ims.models.columns import unique_names
from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.models.plan import PlannedRequest
from airflow_provider_ims.planning import carried
from airflow_provider_ims.results.report import DocumentRow
from airflow_provider_ims.storage import StorageError, Trouble, read_whole
from airflow_provider_ims.tables.documents import MONEY, TAXES
from airflow_provider_ims.workbooks.columns import Column, Kind, column_of

TRADE_NAME = "trade_name"

log = logging.getLogger(__name__)


class Details(NamedTuple):
    """
    What is known of a document.

    :param amounts: in the order of :data:`MONEY`, rupees
    :param place: where its row stands in the user's data, with ``carry``
    :param carried: the user's column -> value
    """

    amounts: tuple[Any, ...] = (None,) * len(MONEY)
    place: str = ""
    carried: Mapping[str, Any] = {}

    @property
    def taxes(self) -> list[Any]:
        """IGST, CGST, SGST and cess."""
        return [amount for name, amount in zip(MONEY, self.amounts, strict=True) if name in TAXES]


def shown_column(name: str) -> Column:
    """Return how a column of ``result.csv`` is shown; one that is carried keeps the user's name."""
    ours = {"rtin", *DocumentRow._fields, TRADE_NAME, *MONEY, "place"}
    return column_of(name) if name in ours or name.startswith("book_") else Column(name, Kind.ANY)


class DetailColumns:
    """
    The columns of what is known of documents.

    :param names: the user's columns that are carried
    :param taken: names of columns that are there already
    """

    def __init__(self, names: Sequence[str], taken: Sequence[str]) -> None:
        self._own = [name for name in names if name != TRADE_NAME]
        self.names = [TRADE_NAME, *MONEY, *(("place",) if names else ())]
        self.columns = [column_of(name) for name in self.names]
        own = unique_names(self._own, (*taken, *self.names))
        self.names += own
        self.columns += map(shown_column, own)
        self._has_place = bool(names)

    def cells(self, found: Details) -> list[Any]:
        """Return the cells of a document."""
        place = [found.place] if self._has_place else []
        own = (found.carried.get(name) for name in self._own)
        return [found.carried.get(TRADE_NAME), *found.amounts, *place, *own]


def carried_columns(chunks: Sequence[PlannedRequest]) -> list[str]:
    """Return the user's columns that a plan carries; all of its requests have the same."""
    for chunk in chunks:
        if found := _carried(chunk):
            return found.columns
    return []


def details_of(chunk: PlannedRequest) -> dict[DocumentKey, Details]:
    """
    Return what is known of each document of a request; nothing, if its file is not the one that was planned.

    :raises GstnStorageUnavailable: when a file cannot be read now
    """
    content = _read(ObjectStoragePath(chunk.path))
    if content is None or hashlib.sha256(content).hexdigest() != chunk.sha256:
        log.warning("%s is not the file that was planned; the amounts of its documents are left out.", chunk.path)
        return {}
    own = _carried(chunk)
    rows = own.rows if own and len(own.rows) == chunk.documents else [("", {})] * chunk.documents
    found: dict[DocumentKey, Details] = {}
    invdata = json.loads(content, parse_float=Decimal)["invdata"]
    documents = ((section, document) for section, listed in invdata.items() for document in listed)
    for (section, document), (place, values) in zip(documents, rows, strict=False):
        found[_key(section, document)] = Details(tuple(document.get(name) for name in MONEY), place, values)
    return found


def _key(section: str, document: Mapping[str, Any]) -> DocumentKey:
    model = SECTIONS[section]
    number, date = document[model.number_field], document[model.date_field]
    return DocumentKey.of(section, document["stin"], number, date, document["rtnprd"])


def _carried(chunk: PlannedRequest) -> carried.Carried | None:
    path = ObjectStoragePath(chunk.path)
    content = _read(path.with_name(path.stem + carried.SUFFIX))
    return None if content is None else carried.read(content, chunk.sha256)


def _read(path: ObjectStoragePath) -> bytes | None:
    try:
        return read_whole(path)
    except StorageError as error:
        if error.trouble is Trouble.MISSING:
            return None
        raise of_storage_error(error, "What a plan says of its documents is not to be had.") from error
