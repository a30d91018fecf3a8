"""What is wrong with an input, told all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from airflow_provider_ims.models.printable import counted

_SHOWN = 50


class Fault(NamedTuple):
    """
    One thing that is wrong with an input.

    :param place: where, as a path: ``invdata.b2b[3].idt``
    :param value: what stands there now; ``None`` when it is missing
    :param rule: what should stand there, in words
    """

    place: str
    value: object
    rule: str

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.place}: {self.rule}"
        shown = _shown(self.value)
        return f"{self.place}: {shown if len(shown) <= 60 else shown[:57] + '...'} - {self.rule}"


def _shown(value: object) -> str:
    try:
        return str(value) if isinstance(value, Decimal) else repr(value)  # an amount as it is written
    except ValueError:  # Python writes no integers of thousands of digits
        return "a number of thousands of digits"


class InvalidPayload(ValueError):
    """
    The request would be refused by GSTN's schema, or is not what its author can have meant.

    :param faults: everything that is wrong, in the order of the input
    :param documents: beginning of a fault's place, such as ``invdata.b2b[3]`` -> the document as a person knows it
    """

    def __init__(self, faults: Sequence[Fault], documents: Mapping[str, str] | None = None) -> None:
        self.faults = list(faults)
        self.documents = dict(documents or {})
        lines: list[str] = []
        for name, group in groupby(self.faults[:_SHOWN], self._document):
            told = [str(fault) for fault in group]
            if name and len(told) > 1:
                lines += [f"  {name}:", *(f"    {fault}" for fault in told)]
            else:
                lines += [f"  {name}: {fault}" if name else f"  {fault}" for fault in told]
        if len(self.faults) > _SHOWN:
            lines.append(f"  ... and {len(self.faults) - _SHOWN} more")
        count = counted(len(self.faults), "fault")
        super().__init__("\n".join([f"The request has {count}; nothing was sent:", *lines]))

    def _document(self, fault: Fault) -> str:
        return self.documents.get(fault.place.partition("]")[0] + "]", "")


class CountsDisagree(ValueError):
    """Something is lost, there twice or miscounted: a defect of this package, whatever the input is."""


class SomeRowsRejected(ValueError):
    """
    Some rows of an input are not what they must be, and the user wants all or nothing.

    :param text: the whole story
    :param faults: the first faults
    """

    def __init__(self, text: str, faults: Sequence[Fault]) -> None:
        super().__init__(text)
        self.faults = list(faults)
