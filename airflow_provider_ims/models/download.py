"""The documents that GSTN holds, as the download of IMS invoices gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_ims.models.documents import section_of
from airflow_provider_ims.models.payload import DocumentKey


def actions_of(pages: Iterable[Mapping[str, Any]]) -> dict[DocumentKey, str]:
    """
    Return the action that GSTN holds for each document.

    :param pages: pages of a download: section -> records. What is no record is passed over: a document that is
        not in the answer is one of which nothing is known
    :return: document -> ``A``, ``R``, ``P``, ``N`` or whatever word GSTN uses
    """
    actions: dict[DocumentKey, str] = {}
    for page in pages:
        for name, records in page.items():
            for record in records if isinstance(records, list) else []:
                if not isinstance(record, Mapping):
                    continue
                number = record.get("inum") or record.get("nt_num")
                parts = (record.get("stin"), number, record.get("rtnprd"))
                if all(isinstance(part, str) and part for part in parts):
                    actions[DocumentKey.of(section_of(name), *map(str, parts))] = str(record.get("action") or "")
    return actions
