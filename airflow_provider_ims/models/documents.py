"""The documents of an IMS request, one class for each shape that GSTN's schema knows."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from airflow_provider_ims.models.amounts import TAX_MAX, VAL_MAX, DocumentValue, TaxAmount
from airflow_provider_ims.models.gstin import GSTIN_PATTERN

# Source of every rule here: GSTN's JSON schema of the IMS reset request.
_DATE_RULE = "a real date as DD-MM-YYYY"
_DATE = re.compile(r"[0-9]{2}-[0-9]{2}-[0-9]{4}")
_NUMBER_PATTERN = r"^[0/-]*[1-9A-Za-z][0-9A-Za-z/-]*$"


def real_date(value: str) -> str:
    """
    Return a date as it stands.

    :raises PydanticCustomError: when it is not a real date as DD-MM-YYYY
    """
    try:
        if _DATE.fullmatch(value):
            date(int(value[6:]), int(value[3:5]), int(value[:2]))
            return value
    except ValueError:
        pass
    raise PydanticCustomError("date", _DATE_RULE)


Gstin = Annotated[str, StringConstraints(pattern=GSTIN_PATTERN)]
ReturnPeriod = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])(19|20)[0-9]{2}$")]
DocumentNumber = Annotated[str, StringConstraints(pattern=_NUMBER_PATTERN, max_length=16)]
DocumentDate = Annotated[str, AfterValidator(real_date)]
PlaceOfSupply = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|[12][0-9]|3[0-8]|96|97)$")]
SourceForm = Literal["R1", "R1A", "IFF"]
InvoiceType = Literal["R", "DE", "SEWP", "SEWOP", "CBW"]
Action = Literal["A", "R", "P", "N"]

_GSTIN_RULE = "a GSTIN of 15 characters: state, PAN in capitals, entity, kind, check digit"
_NUMBER_RULE = "1 to 16 letters, digits, / or -, as text, not only zeros and signs"
_TAX_RULE = f"a number from 0 to {TAX_MAX:,f} with at most 2 decimals"

RULES: dict[str, str] = {
    "rtin": _GSTIN_RULE,
    "stin": _GSTIN_RULE,
    "rtnprd": "the supplier's period as MMYYYY, month 01 to 12",
    "srcform": f"one of {', '.join(get_args(SourceForm))}",
    "inum": _NUMBER_RULE,
    "oinum": _NUMBER_RULE,
    "nt_num": _NUMBER_RULE,
    "ont_num": _NUMBER_RULE,
    "idt": _DATE_RULE,
    "oidt": _DATE_RULE,
    "nt_dt": _DATE_RULE,
    "ont_dt": _DATE_RULE,
    "inv_typ": f"one of {', '.join(get_args(InvoiceType))}",
    "pos": "a state code of two digits as text: 01 to 38, 96 or 97",
    "val": f"a number from 0 to {VAL_MAX:,f} with at most 2 decimals",
    "txval": _TAX_RULE,
    "iamt": _TAX_RULE,
    "camt": _TAX_RULE,
    "samt": _TAX_RULE,
    "cess": _TAX_RULE,
    "prev_status": f"the action that GSTN holds now: one of {', '.join(get_args(Action))}",
}
"""What each field must hold, in words, for the person who has to mend it."""


class Document(BaseModel):
    """
    What the documents of all sections have in common.

    :param stin: GSTIN of the supplier
    :param rtnprd: return period of the supplier, MMYYYY
    :param srcform: return in which the supplier reported it
    :param pos: place of supply, state code of two digits
    :param val: value of the document in rupees
    :param txval: taxable value in rupees
    :param iamt: integrated tax in rupees
    :param camt: central tax in rupees
    :param samt: state tax in rupees
    :param cess: cess in rupees
    :param prev_status: action that GSTN holds now; works as an optimistic lock
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    number_field: ClassVar[str] = "inum"
    date_field: ClassVar[str] = "idt"

    stin: Gstin
    rtnprd: ReturnPeriod
    srcform: SourceForm
    pos: PlaceOfSupply
    val: DocumentValue
    txval: TaxAmount
    iamt: TaxAmount
    camt: TaxAmount
    samt: TaxAmount
    cess: TaxAmount
    prev_status: Action

    @property
    def number(self) -> str:
        """Number of the invoice or note."""
        return str(getattr(self, self.number_field))

    @property
    def date(self) -> str:
        """Date of the invoice or note, DD-MM-YYYY."""
        return str(getattr(self, self.date_field))


class Ecom(Document):
    """A supply through an e-commerce operator, section 9(5): no ``inv_typ``."""

    inum: DocumentNumber
    idt: DocumentDate


class Ecoma(Ecom):
    """An amended supply through an e-commerce operator."""

    oinum: DocumentNumber
    oidt: DocumentDate


class B2b(Ecom):
    """An invoice."""

    inv_typ: InvoiceType


class B2ba(B2b):
    """An amended invoice."""

    oinum: DocumentNumber
    oidt: DocumentDate


class Note(Document):
    """A debit or credit note."""

    number_field: ClassVar[str] = "nt_num"
    date_field: ClassVar[str] = "nt_dt"

    nt_num: DocumentNumber
    nt_dt: DocumentDate
    inv_typ: InvoiceType


class AmendedNote(Note):
    """An amended debit or credit note."""

    ont_num: DocumentNumber
    ont_dt: DocumentDate


SECTIONS: dict[str, type[Document]] = {
    "b2b": B2b,
    "b2ba": B2ba,
    "b2bdn": Note,
    "b2bdna": AmendedNote,
    "b2bcn": Note,
    "b2bcna": AmendedNote,
    "ecom": Ecom,
    "ecoma": Ecoma,
}
"""The sections of a reset request, as GSTN spells them, with the shape of their documents."""

# GSTN's error report and its download call notes by other names than its request does. Confirmed: dn (Vayana's sample)
# and cn (a live reply); inferred (report-keys): dna and cna.
_OTHER_NAMES = {"dn": "b2bdn", "dna": "b2bdna", "cn": "b2bcn", "cna": "b2bcna"}


def section_of(name: object) -> str:
    """Return a section in the request's spelling, from whatever GSTN calls it; an unknown name stays as it is."""
    folded = str(name).strip().lower()
    return _OTHER_NAMES.get(folded, folded)
