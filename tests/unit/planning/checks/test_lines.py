"""A line of JSON, or the cells of a table, that is judged as it stands is judged as its row is."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_ims.planning.checks.checker import Checker, Valid
from airflow_provider_ims.planning.sources import json_rows
from airflow_provider_ims.planning.sources.rows import Unreadable
from tests.unit.builders import SECTIONS
from tests.unit.models.strategies import documents, gstins
from tests.unit.planning.builders import row

thoroughly = settings(deadline=None, max_examples=300)

valid_rows = st.sampled_from(SECTIONS).flatmap(
    lambda section: st.builds(
        lambda rtin, fields: {"rtin": rtin, "section": section, **fields}, gstins, documents(section)
    )
)
values = st.sampled_from(
    [
        *("1180", "1180.0", "1180.00", "1180.5", "1180.50", "1180.505", "0.30000000000000004", "100.10000000000000001"),
        *("1e3", "1E3", "1.18e3", "1180e-2", "-0", "-0.0", "-1", "01", "1180.", ".5", "+5", "1_000", "0x10", "NaN"),
        *("99999999999.99", "9999999999999.99", "99999999999999.99", "1" * 40, "1" * 5000, "1E400", "Infinity"),
        *(
            '"1180"',
            '"27"',
            '"R1"',
            '"A"',
            '"N"',
            '"b2b"',
            '"ecom"',
            '"B2B"',
            '"0"',
            '"-"',
            '""',
            '" 27"',
            '"INV-1\\n"',
        ),
        *('"\\u0041"', '"\\ud800"', '"\\u0000"', '"\x7f"', '"a:b"', '"a,b"', '"\u0967"', '"\u2028"', '"\\/"', '"\t"'),
        *('"29-02-2024"', '"29-02-2023"', '"2025-01-23"', '"00-00-0000"', '"23/01/2025"', '"27AAPFU0939F1ZV"'),
        *("true", "false", "null", "[]", "{}", '{"a":1}', "[1,2]", "", " ", "\x00", '"', "\udc80", '"caf\udce9"'),
    ]
)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """Lines as programs write them, and as nobody should: values respelled, keys moved, repeated, left out."""
    pairs = [(name, json.dumps(value, default=str).strip()) for name, value in draw(valid_rows).items()]
    if draw(st.booleans()):  # amounts with two decimals, as many programs write them
        pairs = [(name, f"{value}.00" if value.isdigit() else value) for name, value in pairs]
    if draw(st.booleans()):
        pairs = draw(st.permutations(pairs))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(pairs) - 1))
        match draw(st.sampled_from(["respell", "repeat", "drop", "rename", "more"])):
            case "respell":
                pairs[place] = (pairs[place][0], draw(values))
            case "repeat":
                pairs.append(pairs[place] if draw(st.booleans()) else (pairs[place][0], draw(values)))
            case "drop":
                del pairs[place]
            case "rename":
                name = pairs[place][0] or "x"
                pairs[place] = (draw(st.sampled_from([f"\\u00{ord(name[0]):02x}{name[1:]}", "x"])), pairs[place][1])
            case _:
                pairs.append((draw(st.sampled_from(["hash", "", "oinum"])), draw(values)))
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (" :\t", "\r, "), ("\x0b:", ",")]))
    around = draw(st.sampled_from([("", ""), (" ", "\r"), ("\ufeff", ""), ("", ","), ("[", "]"), ("", " \x00")]))
    return around[0] + "{" + comma.join(f'"{name}"{colon}{value}' for name, value in pairs) + "}" + around[1]


def slowly(line: str) -> Any:
    """A line as Python's own decoder reads it."""
    try:
        return json_rows._DECODER.decode(line)
    except (ValueError, ArithmeticError, RecursionError) as error:
        return type(error)


def told(read: Callable[[str], Any], line: str) -> str:
    try:
        return repr(read(line))  # of Decimals with all their digits, and in the order of the keys
    except (ValueError, ArithmeticError, RecursionError) as error:
        return repr(type(error))


@thoroughly
@given(lines(), st.booleans(), st.booleans())
@example(json.dumps(row())[:-1] + ', "val": 1180}', False, False)
@example(json.dumps(row()).replace("1180", "1180.50"), False, False)
@example(json.dumps(row()).replace("1180", "11.8e2"), False, False)
@example(json.dumps(row(idt="31-02-2025")), False, False)
@example(json.dumps(row(prev_status="N")), False, False)
@example(json.dumps(row(prev_status="N")), True, False)
@example(json.dumps(row(stin="24AAQCA8719H1ZD")), False, True)
@example(json.dumps(row(inum="1" * 17)), False, False)
def test_a_line_that_fits_is_what_its_row_is(line: str, allow: bool, strict: bool):
    checker = Checker(allow_no_action=allow, strict_gstin=strict)
    found = checker.check_line(line)
    if found is not None:
        read = slowly(line)
        assert isinstance(read, dict), "a line that Python does not read, or whose keys are there twice"
        assert Checker(allow_no_action=allow, strict_gstin=strict).check(read) == found
        assert not checker.conversions


@thoroughly
@given(valid_rows, st.sampled_from([(",", ":"), (", ", ": ")]), st.booleans())
def test_a_valid_line_fits_in_whatever_order_its_keys_stand(
    found: dict[str, Any], separators: tuple[str, str], backwards: bool
):
    pairs = {name: float(value) if isinstance(value, Decimal) else value for name, value in found.items()}
    line = json.dumps(dict(reversed(pairs.items())) if backwards else pairs, separators=separators)
    document = Checker().check_line(line)
    # Python writes a few large floats with an exponent, which the model reads.
    assert isinstance(document, Valid) or "e" in line.replace("prev", "").replace("sec", "").replace("cess", "")
    if document:
        assert document.row() == json.loads(line, parse_float=Decimal)


@thoroughly
@given(lines())
@example('{"a":' + "1" * 5000 + "}")
@example('{"a":NaN}')
@example('{"a":"\\ud800"}')
@example('{"a":1,"a":2}')
@example('{"a":{"b":1,"b":2}}')
@example('{"a":-0}')
def test_a_line_is_read_as_pythons_decoder_reads_it(line: str):
    assert told(json_rows._decoded, line) == told(json_rows._DECODER.decode, line)


@st.composite
def tables(draw: st.DrawFn, text: bool) -> tuple[list[str | None], list[Any]]:
    """The fields of a table's columns and the cells of a row under them."""
    found = draw(valid_rows)
    nothing: Any = "" if text else None
    cells: dict[str, Any] = {**dict.fromkeys(("oinum", "oidt", "nt_num", "nt_dt"), nothing), **found}
    for _ in range(draw(st.integers(0, 2))):
        odd = st.one_of(
            st.sampled_from(["", None, "x", "N", "27", "1180.00", "01", "1E3", "29-02-2023"]), st.integers()
        )
        name = draw(st.sampled_from(sorted(cells)))
        cells[name] = draw(odd if not text else odd.map(lambda value: "" if value is None else str(value)))
        if draw(st.integers(0, 9)) == 0:
            del cells[name]
    header: list[str | None] = list(cells)
    row_of = [str(value) if text else value for value in cells.values()]
    if draw(st.booleans()):  # a column that is left out
        header.insert(3, None)
        row_of.insert(3, draw(st.sampled_from(["", "note", nothing])))
    match draw(st.integers(0, 9)):
        case 0:
            row_of.append("more")
        case 1:
            row_of.pop()
    return header, row_of


@pytest.mark.parametrize("text", [True, False])
@thoroughly
@given(st.data())
def test_cells_that_fit_are_what_their_row_is(text: bool, data: st.DataObject):
    header, cells = data.draw(tables(text))
    nothing = "" if text else None
    found = Checker(text_amounts=text).cells_checker(header, nothing)(cells)
    if len(cells) != len(header):
        assert found is None
    else:
        named = {field: cell for field, cell in zip(header, cells, strict=True) if field and cell != nothing}
        assert found == Checker(text_amounts=text).check_fast(named)


def test_rows_that_are_no_tuples_are_left_to_the_slow_way():
    class Cells:
        def __len__(self) -> int:
            return len(row())

        def __getitem__(self, place: int) -> Any:
            return list(row().values())[place]

    assert Checker().cells_checker(list(row()), None)(Cells()) is None  # type: ignore[arg-type]


def test_a_key_that_is_there_twice_is_refused_in_a_line_that_would_fit(tmp_path: Any):
    line = json.dumps(row())[:-1] + ', "pos": "24"}'
    assert Checker().check_line(line) is None
    assert isinstance(json_rows._decoded(line), Unreadable)
