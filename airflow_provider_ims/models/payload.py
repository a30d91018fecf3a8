"""The body of "IMS Invoice Status Reset": read, checked against GSTN's schema, written exactly."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal, NoReturn, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from airflow_provider_ims.models.amounts import as_json
from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.models.documents import (
    RULES,
    SECTIONS,
    AmendedNote,
    B2b,
    B2ba,
    Document,
    Ecom,
    Ecoma,
    Gstin,
    Note,
)
from airflow_provider_ims.models.faults import Fault, InvalidPayload
from airflow_provider_ims.models.gstin import GSTIN_PATTERN, check_digit, check_digit_fits

MAX_BODY_BYTES = 4_000_000
"""Vayana documents "4MB"; the smaller reading of it is the safe one (inferred: body-limit)."""


@with_config(ConfigDict(extra="forbid", strict=True))
class InvData(TypedDict, total=False):
    """The sections of a request; a plain dict at run time, with the sections that were given."""

    b2b: list[B2b]
    b2ba: list[B2ba]
    b2bdn: list[Note]
    b2bdna: list[AmendedNote]
    b2bcn: list[Note]
    b2bcna: list[AmendedNote]
    ecom: list[Ecom]
    ecoma: list[Ecoma]


class ImsRequest(BaseModel):
    """
    A checked request about documents of one GSTIN: what all that change something at GSTN have in common.

    Build it with :meth:`parse`, which names every fault at once.

    :param rtin: GSTIN of the recipient, whose IMS is meant
    :param reqtyp: GSTN's word for what is asked for
    :param invdata: section -> documents
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    nothing_to_do: ClassVar[Mapping[str, str]] = {}
    """Action that GSTN holds of a document -> why there is nothing to do for it: refused unless it is allowed."""

    rtin: Gstin
    reqtyp: str
    invdata: InvData

    @classmethod
    def parse(
        cls,
        source: Mapping[str, Any] | str | bytes | ImsRequest,
        *,
        strict_gstin: bool = False,
        allow_no_action: bool = False,
    ) -> Self:
        """
        Read and check a request.

        :param source: the request as a dict, or as JSON text or bytes (UTF-8)
        :param strict_gstin: refuse a GSTIN whose check digit is wrong, instead of leaving it to
            :meth:`doubtful_gstins`
        :param allow_no_action: accept documents for which there is nothing to do (:attr:`nothing_to_do`)
        :return: the request; empty sections are left out
        :raises InvalidPayload: with every fault, when anything is wrong
        """
        raw = _as_object(source)
        faults: list[Fault] = []
        payload = None
        try:
            payload = cls.model_validate(raw)
        except ValidationError as error:
            faults.extend(_faults_of(error, cls))
        faults.extend(_faults_between_documents(raw, {} if allow_no_action else cls.nothing_to_do))
        if strict_gstin:
            suppliers = ((f"{place}.stin", document.get("stin")) for place, _, document in _raw_documents(raw))
            faults.extend(_wrong_check_digits([("rtin", raw.get("rtin")), *suppliers]))
        if faults or payload is None:
            raise InvalidPayload(faults, _names_of(raw, faults))
        filled: Any = {section: documents for section, documents in payload.sections() if documents}
        return payload.model_copy(update={"invdata": filled})

    @classmethod
    def reqtyp_rule(cls) -> str:
        """Return what ``reqtyp`` must hold, in words."""
        return f"the text {' or '.join(get_args(cls.model_fields['reqtyp'].annotation))}"

    def sections(self) -> Iterator[tuple[str, list[Document]]]:
        """Yield each section that was given, in GSTN's order, with its documents."""
        given: Mapping[str, Any] = self.invdata
        for section in SECTIONS:
            if section in given:
                yield section, given[section]

    def documents(self) -> Iterator[tuple[DocumentKey, Document]]:
        """Yield every document with its key, in the order in which it is sent."""
        for section, documents in self.sections():
            for document in documents:
                key = DocumentKey.of(section, document.stin, document.number, document.date, document.rtnprd)
                yield key, document

    def counts(self) -> dict[str, int]:
        """Return the number of documents of each section."""
        return {section: len(documents) for section, documents in self.sections()}

    def count(self) -> int:
        """Return the number of documents in all sections."""
        return sum(self.counts().values())

    def periods(self) -> list[str]:
        """Return the return periods of the documents (MMYYYY), each once, in the order of time."""
        periods = {document.rtnprd for _, documents in self.sections() for document in documents}
        return sorted(periods, key=lambda period: (period[2:], period[:2]))

    def only(self, keys: Collection[DocumentKey]) -> Self:
        """Return the same request for some of its documents, in the same order."""
        kept: dict[str, list[Document]] = {}
        for key, document in self.documents():
            if key in keys:
                kept.setdefault(key.section, []).append(document)
        return self.model_copy(update={"invdata": kept})

    def fingerprint(self) -> str:
        """
        Return what tells this request from others: the same for the same documents in any order.

        An amount counts by its value: a file that says 1180.0 where it said 1180 before asks for the same reset.

        :return: SHA-256 in hexadecimal
        """
        documents = sorted(
            f"{section} {self.document_json(document, '{:.2f}'.format)}"
            for section, documents in self.sections()
            for document in documents
        )
        return hashlib.sha256("\n".join([self.rtin, self.reqtyp, *documents]).encode()).hexdigest()

    def doubtful_gstins(self) -> list[Fault]:
        """Return the GSTINs whose check digit is wrong: mistyped, or invented by a sandbox."""
        places: list[tuple[str, object]] = [("rtin", self.rtin)]
        for section, documents in self.sections():
            places += [(f"invdata.{section}[{index}].stin", each.stin) for index, each in enumerate(documents)]
        return list(_wrong_check_digits(places))

    def body(self) -> bytes:
        """Return the request as the UTF-8 JSON that is sent: compact, numbers as numbers."""
        sections = ((name, map(self.document_json, documents)) for name, documents in self.sections())
        return request_json(self.rtin, sections, self.reqtyp)

    def document_json(self, document: Document, amount: Callable[[Decimal], str] = as_json) -> str:
        """
        Return a document as it is sent.

        :param amount: writes an amount
        """
        return document_json(document, amount)


class ResetPayload(ImsRequest):
    """
    A checked request to put documents back to "no action".

    Build it with :meth:`parse`, which names every fault at once.

    :param rtin: GSTIN of the recipient, whose IMS is meant
    :param reqtyp: always ``RESET``
    :param invdata: section -> documents
    """

    nothing_to_do: ClassVar[Mapping[str, str]] = {
        "N": "nothing to reset, GSTN holds no action; leave it out, or allow it (allow_no_action)"
    }

    reqtyp: Literal["RESET"]


def request_json(rtin: str, sections: Iterable[tuple[str, Iterable[str]]], reqtyp: str = "RESET") -> bytes:
    """
    Write a request from documents that are written already.

    :param rtin: GSTIN of the recipient, checked
    :param sections: section -> its documents, in GSTN's order, as :func:`document_json` writes them
    :param reqtyp: GSTN's word for what is asked for
    """
    pieces = [f'{{"rtin":"{rtin}","reqtyp":"{reqtyp}","invdata":{{']
    between_sections = ""
    for section, documents in sections:
        before = f'{between_sections}"{section}":['
        for document in documents:
            pieces += (before, document)
            before = ","
        pieces.append("]" if before == "," else f"{before}]")
        between_sections = ","
    pieces.append("}}")
    return "".join(pieces).encode()  # joined once: a request is megabytes


def document_json(document: Document, amount: Callable[[Decimal], str] = as_json) -> str:
    """Write a document as it is sent, its amounts as ``amount`` writes them."""
    # By hand, since no JSON library writes a Decimal as a bare number. Text needs no escaping: the rules
    # of every text field admit letters, digits, / and - only.
    fields = (
        f'"{name}":{amount(value)}' if isinstance(value, Decimal) else f'"{name}":"{value}"' for name, value in document
    )
    return "{" + ",".join(fields) + "}"


def _as_object(source: object) -> Mapping[str, Any]:
    if isinstance(source, ImsRequest):
        return source.model_dump()
    if isinstance(source, (str, bytes, bytearray)):
        source = _parse_json(source)
    if not isinstance(source, Mapping):
        _refuse("(top)", None, "an object with rtin, reqtyp and invdata")
    return dict(source)


def _refuse(place: str, value: object, rule: str) -> NoReturn:
    raise InvalidPayload([Fault(place, value, rule)])


def _parse_json(text: str | bytes | bytearray) -> object:
    try:
        if not isinstance(text, str):
            text = text.decode()
        return json.loads(
            text.removeprefix("\ufeff"),
            parse_float=Decimal,
            parse_constant=_not_json,
            object_pairs_hook=_without_repeated_keys,
        )
    # What is no request may be any file of the worker's: its content is nobody's to see in a log.
    except UnicodeDecodeError as error:
        _refuse(f"byte {error.start}", None, "UTF-8 text")
    except json.JSONDecodeError as error:
        _refuse(f"line {error.lineno} column {error.colno}", None, f"valid JSON ({error.msg})")
    except InvalidPayload:
        raise
    except (ValueError, ArithmeticError, RecursionError) as error:  # numbers and nesting without end
        _refuse("(top)", None, f"valid JSON ({error})")


def _not_json(word: str) -> NoReturn:
    _refuse("(top)", word, "valid JSON, which has no such number")


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        _refuse(repeated, None, "the same key twice in one JSON object; which one is meant?")
    return result


def _faults_of(error: ValidationError, request: type[ImsRequest]) -> Iterator[Fault]:
    for detail in error.errors(include_url=False):
        place = ""
        for part in detail["loc"]:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
        field = next((part for part in reversed(detail["loc"]) if isinstance(part, str)), "")
        match detail["type"]:
            case "missing":
                yield Fault(place, None, f"is required: {_rule_of(field, request)}")
            case "extra_forbidden":
                yield Fault(place, None, _unknown_key_rule(detail["loc"]))
            case "amount" | "date":
                yield Fault(place, detail["input"], detail["msg"])
            case _:
                is_item = bool(detail["loc"]) and isinstance(detail["loc"][-1], int)
                rule = "an object with the fields of a document" if is_item else _rule_of(field, request)
                yield Fault(place, detail["input"], rule)


def _rule_of(field: str, request: type[ImsRequest]) -> str:
    if field in SECTIONS:
        return "a list of documents"
    if field == "reqtyp":
        return request.reqtyp_rule()
    return RULES.get(field, "an object: section -> list of documents")


def _unknown_key_rule(loc: tuple[int | str, ...]) -> str:
    match loc:
        case ("invdata", _):
            return f"unknown section; GSTN knows {', '.join(SECTIONS)}"
        case ("invdata", str(section), *_):
            return f"unknown field; {section} has {', '.join(sorted(SECTIONS[section].model_fields))}"
        case _:
            return "unknown field; a request has rtin, reqtyp and invdata"


def _names_of(raw: Mapping[str, Any], faults: Iterable[Fault]) -> dict[str, str]:
    """Return the documents that faults are about, as a person knows them, by the beginning of the faults' places."""
    wanted = {fault.place.partition("]")[0] + "]" for fault in faults if fault.place.startswith("invdata.")}
    names = {}
    for place, section, document in _raw_documents(raw):
        number = document.get(SECTIONS[section].number_field)
        if place in wanted and isinstance(number, str) and number:
            stin = document.get("stin")
            supplier = stin[:20] if stin and isinstance(stin, str) else "?"
            names[place] = f"{section} {number[:40]} of supplier {supplier}"
    return names


def _raw_documents(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (place, section, document) of all that looks like a document, in bad input too."""
    invdata = raw.get("invdata")
    if not isinstance(invdata, Mapping):
        return
    for section, documents in invdata.items():
        if section in SECTIONS and isinstance(documents, list):
            for index, document in enumerate(documents):
                if isinstance(document, Mapping):
                    yield f"invdata.{section}[{index}]", section, document
                elif isinstance(document, Document):
                    yield f"invdata.{section}[{index}]", section, document.model_dump()


def _faults_between_documents(raw: Mapping[str, Any], nothing_to_do: Mapping[str, str]) -> Iterator[Fault]:
    seen: dict[DocumentKey, str] = {}
    for place, section, document in _raw_documents(raw):
        held = document.get("prev_status")
        if isinstance(held, str) and held in nothing_to_do:
            yield Fault(f"{place}.prev_status", held, nothing_to_do[held])
        model = SECTIONS[section]
        identity = [document.get(name) for name in ("stin", model.number_field, model.date_field, "rtnprd")]
        texts = [part for part in identity if isinstance(part, str)]
        if len(texts) < len(identity):
            continue
        first = seen.setdefault(DocumentKey.of(section, *texts), place)
        if first != place:
            yield Fault(
                place,
                " ".join(texts),
                f"the same document as {first}: same section, stin, number, date and rtnprd; send it once",
            )
    invdata = raw.get("invdata")
    if isinstance(invdata, Mapping) and not any(invdata.values()):
        yield Fault("invdata", None, "is empty: at least one document is needed")


def _wrong_check_digits(places: Iterable[tuple[str, object]]) -> Iterator[Fault]:
    told: set[object] = set()
    for place, gstin in places:
        if not isinstance(gstin, str) or gstin in told or not re.fullmatch(GSTIN_PATTERN, gstin):
            continue
        if not check_digit_fits(gstin):
            told.add(gstin)
            yield Fault(place, gstin, f"a GSTIN whose check digit is {check_digit(gstin)}; is it mistyped?")
