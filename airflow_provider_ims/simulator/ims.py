"""GSTN's side of the reset: the schema of the request, the documents and the result."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .options import Document, Options
from .sessions import GSTIN

_COMMON = "stin rtnprd srcform pos val txval iamt camt samt cess prev_status"
FIELDS = {
    "b2b": f"{_COMMON} inv_typ inum idt",
    "b2ba": f"{_COMMON} inv_typ inum idt oinum oidt",
    "b2bdn": f"{_COMMON} inv_typ nt_num nt_dt",
    "b2bcn": f"{_COMMON} inv_typ nt_num nt_dt",
    "b2bdna": f"{_COMMON} inv_typ nt_num nt_dt ont_num ont_dt",
    "b2bcna": f"{_COMMON} inv_typ nt_num nt_dt ont_num ont_dt",
    "ecom": f"{_COMMON} inum idt",
    "ecoma": f"{_COMMON} inum idt oinum oidt",
}
# Samples of real results show "dn" and "cn"; "dna" and "cna" are inferred (report-keys).
GSTN_KEYS = {"b2bdn": "dn", "b2bdna": "dna", "b2bcn": "cn", "b2bcna": "cna"}
_WRONG_STATUS = ("IMSSAV0010", "Either previous action is incorrect/ invoice might have edited by supplier")


def _text(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _amount(limit: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= Decimal(limit):
            return False
        exponent = Decimal(value).as_tuple().exponent
        return isinstance(exponent, int) and exponent >= -2

    return check


def _is_number(value: Any) -> bool:
    return _text(r"[A-Za-z0-9/-]{1,16}")(value) and not _text(r"[0/-]+")(value)


def _is_date(value: Any) -> bool:
    if not _text(r"[0-9]{2}-[0-9]{2}-[0-9]{4}")(value):
        return False
    try:
        dt.date(int(value[6:]), int(value[3:5]), int(value[:2]))
    except ValueError:
        return False
    return True


_RULES: dict[str, Callable[[Any], bool]] = {
    "stin": _text(GSTIN.pattern),
    "rtnprd": _text("(0[1-9]|1[0-2])(19|20)[0-9]{2}"),
    "srcform": _text("R1|R1A|IFF"),
    "pos": _text("0[1-9]|[12][0-9]|3[0-8]|96|97"),
    "val": _amount("9999999999999.99"),
    **dict.fromkeys(("txval", "iamt", "camt", "samt", "cess"), _amount("99999999999.99")),
    "prev_status": _text("[ARPN]"),
    "inv_typ": _text("R|DE|SEWP|SEWOP|CBW"),
    **dict.fromkeys(("inum", "oinum", "nt_num", "ont_num"), _is_number),
    **dict.fromkeys(("idt", "oidt", "nt_dt", "ont_dt"), _is_date),
}


def identity_fields(section: str) -> tuple[str, str]:
    """Return the names of a document's number and date."""
    return ("nt_num", "nt_dt") if "nt_num" in FIELDS[section].split() else ("inum", "idt")


def schema_fault(body: Any) -> str | None:
    """Return the first place that GSTN's schema refuses; floats must have been read as Decimal."""
    if not isinstance(body, dict) or set(body) != {"rtin", "reqtyp", "invdata"}:
        return "the request needs exactly rtin, reqtyp and invdata"
    if not _RULES["stin"](body["rtin"]):
        return "rtin"
    if body["reqtyp"] != "RESET":
        return "reqtyp"
    sections = body["invdata"]
    if not isinstance(sections, dict) or not sections or not set(sections) <= set(FIELDS):
        return "invdata"
    for section, records in sections.items():
        if not isinstance(records, list):
            return f"invdata.{section}"
        wanted = set(FIELDS[section].split())
        for index, record in enumerate(records):
            place = f"invdata.{section}[{index}]"
            if not isinstance(record, dict) or set(record) != wanted:
                return f"{place}: missing or unknown keys"
            for name, value in record.items():
                if not _RULES[name](value):
                    return f"{place}.{name}"
    return None


def whole_failure(code: str, message: str) -> dict[str, Any]:
    """Return the result of a request that failed as a whole."""
    return {"status_cd": "ER", "transTypCd": "SAV", "err_cd": code, "err_msg": message}


class Documents:
    """The documents of all taxpayers and the action held for each."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._sections: defaultdict[tuple[str, str], dict[tuple[str, str, str], list[Document]]]
        self._sections = defaultdict(lambda: defaultdict(list))

    def add(self, document: Document) -> None:
        """Add a document, or replace what is of the same identity: whatever the date if either has none."""
        of_number = self._sections[document.rtin, document.section][document.stin, document.number, document.rtnprd]
        of_number[:] = [other for other in of_number if document.date and other.date not in (None, document.date)]
        of_number.append(document)

    def held(self, rtin: str, section: str) -> list[Document]:
        """Return the documents of one section of a taxpayer."""
        return [document for of_number in self._sections[rtin, section].values() for document in of_number]

    def edit(self, rtin: str, section: str, stin: str, number: str, record: dict[str, Any]) -> int:
        """
        Change what a supplier reported of a document; the action that was taken on it is lost, as GSTN does it.

        :return: how many documents have this number
        """
        found = self._of_number(rtin, section, stin, number)
        for document in found:
            document.record = {**document.whole_record(), **record}
            document.status = "N"
        return len(found)

    def withdraw(self, rtin: str, section: str, stin: str, number: str) -> int:
        """
        Take back what a supplier reported.

        :return: how many documents had this number
        """
        found = self._of_number(rtin, section, stin, number)
        for of_number in self._sections[rtin, section].values():
            of_number[:] = [document for document in of_number if all(document is not gone for gone in found)]
        return len(found)

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return GSTIN -> section -> action -> number of documents."""
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for rtin, section in sorted(self._sections):
            for document in self.held(rtin, section):
                of_section = counts.setdefault(rtin, {}).setdefault(section, dict.fromkeys("ARPN", 0))
                of_section[document.status] += 1
        return counts

    def _of_number(self, rtin: str, section: str, stin: str, number: str) -> list[Document]:
        return [each for each in self.held(rtin, section) if (each.stin, each.number) == (stin, number)]

    def state(self) -> list[dict[str, Any]]:
        """Return all documents, without their records."""
        every = (document for rtin, section in list(self._sections) for document in self.held(rtin, section))
        return [document.model_dump(exclude={"record"}, exclude_none=True) for document in every]

    def reset(self, body: Any) -> dict[str, Any]:
        """Carry out a reset request and return GSTN's result."""
        fault = schema_fault(body)
        if fault is not None:
            return whole_failure("IMSSAV005", f"Schema validation failed: {fault}")
        processed = refused = 0
        report: dict[str, dict[str, list[dict[str, str]]]] = {}
        for section, records in body["invdata"].items():
            for record in records:
                number, date = (record[name] for name in identity_fields(section))
                if self._reset_one(body["rtin"], section, number, date, record):
                    processed += 1
                    continue
                refused += 1
                key = GSTN_KEYS.get(section, section) if self._options.report_keys == "gstn" else section
                rows = report.setdefault(key, {}).setdefault(record["stin"], [])
                rows.append({"rtnprd": record["rtnprd"], "inum": number})
        result: dict[str, Any] = {
            "status_cd": "PE" if refused else "P",
            "transTypCd": "SAV",
            "proc_cnt": str(processed),
            "err_cd": "",
            "err_msg": "",
        }
        if refused:
            code, message = _WRONG_STATUS
            result["err_cnt"] = str(refused)
            result["error_report"] = {
                key: [
                    {"stin": stin, "error_cd": code, "error_msg": message, "inv": rows}
                    for stin, rows in suppliers.items()
                ]
                for key, suppliers in report.items()
            }
        return result

    def _reset_one(self, rtin: str, section: str, number: str, date: str, record: dict[str, Any]) -> bool:
        stin, rtnprd = record["stin"], record["rtnprd"]
        of_number = self._sections[rtin, section][stin, number, rtnprd]
        document = next((each for each in of_number if each.date in (None, date)), None)
        if document is None:
            if self._options.strict_documents:
                return False
            names: dict[str, Any] = {"rtin": rtin, "section": section, "status": record["prev_status"]}
            document = Document(stin=stin, number=number, date=date, rtnprd=rtnprd, record=record, **names)
            self.add(document)
        document.date = date
        if document.status != record["prev_status"]:
            return False
        document.status = "N"
        return True
