"""
Write docs/fields.md, the fields of every section, from the models that check them.

    python -m docs.fields

Run it from the checkout after a change to the models; a test fails while the page is another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.models.documents import RULES, SECTIONS, Document
from airflow_provider_ims.planning.sources.columns import FOR_ALL
from airflow_provider_ims.workbooks.columns import column_of

PAGE = Path(__file__).with_name("fields.md")

OF_SECTION = {
    "b2b": "invoice",
    "b2ba": "amended invoice",
    "b2bdn": "debit note",
    "b2bdna": "amended debit note",
    "b2bcn": "credit note",
    "b2bcna": "amended credit note",
    "ecom": "supply through an e-commerce operator, section 9(5)",
    "ecoma": "amended supply through an e-commerce operator",
}
OF_FIELD = {
    "reqtyp": "what is asked for",
    "inum": "number of the invoice",
    "idt": "date of the invoice",
    "oinum": "number of the original invoice",
    "oidt": "date of the original invoice",
    "nt_num": "number of the note",
    "nt_dt": "date of the note",
    "ont_num": "number of the original note",
    "ont_dt": "date of the original note",
    "prev_status": "action that GSTN holds now",
}
"""What the workbooks' headings do not say, or say with another sense."""

HEAD = """\
# The fields of every section

<!-- This page is written by `python -m docs.fields` from the models that check a request. Do not edit it. -->

What a reset request holds, as `airflow_provider_ims.models` checks it before anything is sent. The rules are those of
GSTN's JSON schema of the request. A row for [`ImsPlanOperator`](plan.md) has the same fields, with `rtin` and `section`
in each row.
"""

TAIL = """\
No field may be missing, and none that is not in the section's column may be there. A document is told from another by
section, `stin`, number, date and `rtnprd`; letter case does not count.

In the rows of a [plan](plan.md) these names stand for what the section calls so:

{for_all}

`prev_status` is a lock: if GSTN holds another action by now, or the supplier has edited the document, GSTN refuses that
document with `IMSSAV0010`. So a request is built from what GSTN holds *now*; see [refused.md](refused.md).

The words of `inv_typ` as GSTR-2B uses them (inferred: the pages on the reset do not explain them): `R` regular, `DE`
deemed export, `SEWP` and `SEWOP` SEZ supply with and without payment of tax, `CBW` from a customs bonded warehouse. Of
`srcform`: `R1` GSTR-1, `R1A` GSTR-1A, `IFF` the invoice furnishing facility of quarterly filers. Take both as the
download gives them.

[example_dags/ims_reset_sample.json](../example_dags/ims_reset_sample.json) has one document in each section.
"""


def page() -> str:
    """Return the page as it must be."""
    fields = list(dict.fromkeys(name for model in SECTIONS.values() for name in model.model_fields))
    sections = list(SECTIONS)
    parts = [
        HEAD,
        "## The request\n",
        _table(
            ("field", "what it is", "what it must hold"),
            [
                ("`rtin`", _meaning("rtin"), RULES["rtin"]),
                ("`reqtyp`", _meaning("reqtyp"), ResetPayload.reqtyp_rule()),
                ("`invdata`", "the documents", "an object: section -> list of documents"),
            ],
        ),
        "## The sections\n",
        _table(("section", "its documents are"), [(f"`{name}`", OF_SECTION[name]) for name in sections]),
        "## The fields of a document\n",
        _table(
            ("field", "what it is", "JSON", "what it must hold"),
            [(f"`{name}`", _meaning(name), _json_type(name), RULES[name]) for name in fields],
        ),
        "## Which section has which field\n",
        _table(
            ("field", *(f"`{name}`" for name in sections)),
            [
                (f"`{name}`", *("yes" if name in model.model_fields else "" for model in SECTIONS.values()))
                for name in fields
            ],
        ),
        TAIL.format(for_all="\n".join(f"- {_stands_for(name)}" for name in FOR_ALL)),
    ]
    return "\n".join(parts)


def _meaning(name: str) -> str:
    if name in OF_FIELD:
        return OF_FIELD[name]
    heading = column_of(name).heading.removesuffix(f" ({name})")
    return heading[:1].lower() + heading[1:] if not heading.startswith("GST") else heading


def _json_type(name: str) -> str:
    return "number" if RULES[name].startswith("a number") else "text"


def _stands_for(name: str) -> str:
    models: Iterable[type[Document]] = SECTIONS.values()
    if name in {"number", "date"}:
        own = dict.fromkeys(model.number_field if name == "number" else model.date_field for model in models)
    else:
        own = dict.fromkeys(("oinum", "ont_num") if name == "original_number" else ("oidt", "ont_dt"))
    return f"`{name}` for {' or '.join(f'`{field}`' for field in own)}"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page())
