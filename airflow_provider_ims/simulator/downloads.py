"""GSTN's side of the download of IMS invoices: what is asked for, and the view that is handed out in pages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from .errors import bad_parameter, gstn_error
from .ims import GSTN_KEYS, Documents
from .options import Document, Options, Status
from .records import download_record
from .tasks import Result

_SECTIONS = {
    "B2B": "b2b",
    "B2BA": "b2ba",
    "DN": "b2bdn",
    "DNA": "b2bdna",
    "CN": "b2bcn",
    "CNA": "b2bcna",
    "ECOM": "ecom",
    "ECOMA": "ecoma",
}


@dataclass(frozen=True)
class Wanted:
    """What a download asks for: a section, as the reset spells it, and the documents of one action or of any."""

    section: str
    status: str | None

    @classmethod
    def checked(cls, section: str | None, status: str | None) -> Self:
        """Read the parameters of the call. How Vayana refuses a wrong one is not published: this is our invention."""
        if section not in _SECTIONS:
            raise bad_parameter("section")
        if status not in (None, "A", "R", "P", "N"):
            raise bad_parameter("status")
        return cls(_SECTIONS[section], status)


def download(documents: Documents, options: Options, gstin: str, wanted: Wanted) -> Result:
    """Return what GSTN holds now."""
    held = [(document, document.status) for document in documents.held(gstin, wanted.section)]
    seen = [(document, action) for document, action in held if wanted.status in (None, action)]
    if not seen and options.empty_download == "error":
        raise gstn_error("RET11416", "No documents found")
    key = GSTN_KEYS.get(wanted.section, wanted.section) if options.download_keys == "gstn" else wanted.section
    size = options.page_documents
    pages = [partial(_page, key, seen[start : start + size]) for start in range(0, len(seen), size)]
    return Result({"pages": len(pages)}, pages)


def _page(key: str, seen: list[tuple[Document, Status]]) -> dict[str, Any]:
    return {key: [download_record(document, action) for document, action in seen]}
