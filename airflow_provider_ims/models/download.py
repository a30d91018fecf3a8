"""The documents that GSTN holds, as the download of IMS invoices gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from airflow_provider_ims.models.document_key import DocumentKey, UndatedKey
from airflow_provider_ims.models.documents import SECTIONS, Document, real_date, section_of


def actions_of(pages: Iterable[Mapping[str, Any]]) -> dict[DocumentKey, str]:
    """
    Return the action that GSTN holds for each document.

    :param pages: pages of a download: section -> records. What is no record is passed over: a document that is
        not in the answer is one of which nothing is known
    :return: document -> ``A``, ``R``, ``P``, ``N`` or whatever word GSTN uses; empty where the download leaves it open:
        the document is listed twice, or a record without a readable date may be about it. To reset such a document
        once more does no harm, since GSTN refuses it; to take it for reset may leave it as it was
    """
    in_doubt: set[DocumentKey | UndatedKey] = set()
    actions: dict[DocumentKey, str] = {}
    for page in pages:
        for name, records in page.items():
            for record in records if isinstance(records, list) else []:
                if not isinstance(record, Mapping):
                    continue
                section = section_of(name)
                own = SECTIONS.get(section, Document)
                number = _first(record, own.number_field, "inum", "nt_num")
                parts = (record.get("stin"), number, record.get("rtnprd"))
                if not all(isinstance(part, str) and part for part in parts):
                    continue
                named = UndatedKey.of(section, *map(str, parts))
                date = _readable(_first(record, own.date_field, "idt", "nt_dt"))
                if date is None:
                    in_doubt.add(named)
                    continue
                key = DocumentKey.of(named.section, named.stin, named.number, date, named.rtnprd)
                if key in actions:
                    in_doubt.add(key)
                actions[key] = str(record.get("action") or "")
    return {key: "" if key in in_doubt or key.undated in in_doubt else action for key, action in actions.items()}


def _first(record: Mapping[str, Any], *names: str) -> object:
    return next((record[name] for name in names if record.get(name)), None)


def _readable(date: object) -> str | None:
    try:
        return real_date(date.strip()) if isinstance(date, str) else None
    except PydanticCustomError:
        return None
