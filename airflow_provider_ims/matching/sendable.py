"""Whether a document can be sent as GSTN shows it: one odd record must not keep all others from being planned."""

from __future__ import annotations

from typing import Final, get_args

from pydantic import StringConstraints
from pydantic.fields import FieldInfo

from airflow_provider_ims.models.amounts import Limit
from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.tables.documents import TAXES
from airflow_provider_ims.tables.sql import literal

_COLUMN: Final = {
    **dict.fromkeys(("inum", "nt_num"), "number"),
    **dict.fromkeys(("idt", "nt_dt"), "date"),
    **dict.fromkeys(("oinum", "ont_num"), "original_number"),
    **dict.fromkeys(("oidt", "ont_dt"), "original_date"),
}
"""The column of a snapshot that a field comes from, where it is not called like it."""


def unsendable_sql() -> str:
    """
    Return the SQL of the fields of a document that a request does not take as they are, or null.

    It names the columns of a snapshot. The rules are those of the models. A tax that is not in the record is none, and
    is sent as 0; one that is there and cannot be read is neither.
    """
    sections: dict[tuple[str, str], list[str]] = {}
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            if name == "prev_status":
                continue  # it is what makes the decision
            misfit = _misfit(name, _COLUMN.get(name, name), field)
            sections.setdefault((name, misfit), []).append(section)
    faults = []
    for (name, misfit), of_sections in sections.items():
        listed = ", ".join(map(literal, of_sections))
        only = "" if len(of_sections) == len(SECTIONS) else f"section IN ({listed}) AND "
        faults.append(f"CASE WHEN {only}({misfit}) THEN {literal(name)} END")
    return f"nullif(concat_ws(', ', {', '.join(faults)}), '')"


def _misfit(name: str, column: str, field: FieldInfo) -> str:
    """Return the SQL of whether a column's value is none that a field takes."""
    said = next((rule for rule in field.metadata if isinstance(rule, (StringConstraints, Limit))), None)
    if isinstance(said, Limit):
        absent = f"{column} IS NULL"
        if name in TAXES:
            path = literal(f"$.{name}")
            absent += f" AND contains(raw, '\"{name}\"') AND json_extract_string(raw, {path}) IS NOT NULL"
        return f"({absent}) OR {column} < 0 OR {column} > {said.most}"
    misfits = [f"{column} IS NULL"]
    if words := [word for word in get_args(field.annotation) if isinstance(word, str)]:
        misfits.append(f"{column} NOT IN ({', '.join(map(literal, words))})")
    if isinstance(said, StringConstraints):
        misfits.append(f"NOT regexp_matches({column}, {literal(str(said.pattern))})")
        if said.max_length:
            misfits.append(f"length({column}) > {said.max_length}")
    return " OR ".join(misfits)
