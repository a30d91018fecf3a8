"""What GSTN answers to a reset, in every shape that was seen, and what it means for each document."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models import RefusedDocument, ResetResult
from tests.unit.builders import OTHER_STIN, RTIN, STIN, document, numbered, payload


def entry(*numbers: str, stin: str = STIN, rtnprd: str = "012023", code: str = "IMSSAV0010") -> dict[str, Any]:
    """One entry of an error report: a supplier, an error, its documents."""
    inv = [{"rtnprd": rtnprd, "inum": number} for number in numbers]
    return {"stin": stin, "error_cd": code, "error_msg": "edited by the supplier", "inv": inv}


def result(status_cd: Any = "PE", **more: Any) -> ResetResult:
    return ResetResult.parse({"status_cd": status_cd, "transTypCd": "SAV", **more})


def partial(report: dict[str, Any], err_cnt: Any = "1", proc_cnt: Any = None) -> ResetResult:
    return result("PE", proc_cnt=proc_cnt, err_cnt=err_cnt, err_cd="", err_msg="", error_report=report)


def outcomes(of: ResetResult, **sections: Any) -> dict[str, str]:
    """What became of each document, by section and number."""
    account = of.account(payload(**sections))
    return {f"{key.section} {key.number}": outcome for key, outcome in account.outcomes.items()}


def test_a_result_in_the_documented_shape():
    read = ResetResult.parse(
        {
            "status_cd": "PE",
            "transTypCd": "SAV",
            "proc_cnt": "10",
            "err_cnt": "3",
            "err_cd": "",
            "err_msg": "",
            "error_report": {
                "b2b": [
                    {
                        "stin": "32ABCDE1234A1Z7",
                        "error_cd": "IMSSAV0010",
                        "error_msg": "Previous action is incorrect",
                        "inv": [{"rtnprd": "042023", "inum": "INV-1"}, {"rtnprd": "042023", "inum": "INV-2"}],
                    }
                ],
                "dn": [
                    {
                        "stin": "32ABCDE1234A1Z7",
                        "error_cd": "IMSSAV0010",
                        "error_msg": "Previous action is incorrect",
                        "inv": [{"rtnprd": "042023", "inum": "DN-1"}],
                    }
                ],
            },
        }
    )
    assert read.outcome == "partial"
    assert (read.processed, read.errors, read.unexplained) == (10, 3, 0)
    assert [row[:6] for row in read.refused] == [
        ("b2b", "32ABCDE1234A1Z7", "INV-1", "042023", "IMSSAV0010", "Previous action is incorrect"),
        ("b2b", "32ABCDE1234A1Z7", "INV-2", "042023", "IMSSAV0010", "Previous action is incorrect"),
        ("b2bdn", "32ABCDE1234A1Z7", "DN-1", "042023", "IMSSAV0010", "Previous action is incorrect"),
    ]
    assert all("Download the document" in row.remedy for row in read.refused)


def test_the_columns_of_a_refused_document_are_fixed():
    assert RefusedDocument._fields == ("section", "stin", "number", "rtnprd", "code", "message", "remedy")


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("P", "processed"),
        ("PE", "partial"),
        ("ER", "failed"),
        ("IP", "running"),
        ("p", "processed"),
        (" pe ", "partial"),
        ("REC", "unknown"),
        ("1", "unknown"),
        ("0", "unknown"),
        (1, "unknown"),
        ("PP", "unknown"),
        ("SUCCESS", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        (True, "unknown"),
        (["P"], "unknown"),
    ],
)
def test_gstns_word_decides_the_outcome_and_an_unknown_one_is_never_success(word: Any, outcome: str):
    assert result(word).outcome == outcome


def test_a_result_without_a_word_is_unknown():
    assert ResetResult.parse({}).outcome == "unknown"


@settings(deadline=None)
@given(st.text())
def test_only_p_is_success(word: str):
    assert (result(word).outcome == "processed") is (word.strip().upper() == "P")


@pytest.mark.parametrize("kind", ["SAV", "RST", "", None, 0])
def test_the_kind_of_transaction_is_never_looked_at(kind: Any):
    assert ResetResult.parse({"status_cd": "P", "transTypCd": kind}).outcome == "processed"


@pytest.mark.parametrize(
    ("count", "read"),
    [("10", 10), (10, 10), ("0", 0), (0, 0), (" 7 ", 7), ("", None), (None, None), ("many", None), ("-1", None)],
)
def test_counts_come_as_text_as_numbers_or_empty(count: Any, read: int | None):
    assert result("P", proc_cnt=count).processed == read


def test_counts_that_are_missing_are_not_invented():
    assert result("P").processed is None
    assert result("P").errors == 0


@pytest.mark.parametrize("err_cnt", ["", None, "some"])
def test_without_a_count_the_rows_of_the_report_are_counted(err_cnt: Any):
    assert partial({"b2b": [entry("1", "2")], "cn": [entry("3")]}, err_cnt=err_cnt).errors == 3


@pytest.mark.parametrize("counts", [{}, {"err_cnt": "0"}, {"err_cnt": ""}, {"proc_cnt": "8", "err_cnt": None}])
def test_a_clean_result_has_no_refusals(counts: dict):
    empty = [None, {}, "", {"b2b": []}, {"b2b": {}}, {"b2b": None, "cn": ""}]
    for report in ({}, *({"error_report": each} for each in empty)):
        clean = result("P", **counts, **report)
        assert (clean.outcome, clean.refused, clean.errors) == ("processed", [], 0)


@pytest.mark.parametrize("contradiction", [{"err_cnt": "1"}, {"error_report": {"b2b": [entry("1")]}}])
def test_processed_with_refusals_is_partial_whatever_the_word_says(contradiction: dict):
    assert result("P", **contradiction).outcome == "partial"


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("dn", "b2bdn"),
        ("dna", "b2bdna"),
        ("cn", "b2bcn"),
        ("cna", "b2bcna"),
        ("CN", "b2bcn"),
        *((name, name) for name in ("b2b", "b2ba", "b2bdn", "b2bdna", "b2bcn", "b2bcna", "ecom", "ecoma")),
        ("B2B", "b2b"),
        ("impg", "impg"),
    ],
)
def test_a_row_bears_the_section_name_of_the_request(name: str, section: str):
    [row] = partial({name: [entry("1")]}).refused
    assert row.section == section


@pytest.mark.parametrize("inv", [None, [], {}, "", "missing"])
def test_an_error_without_documents_is_one_row_without_a_number(inv: Any):
    bare = entry()
    bare["inv"] = inv
    if inv == "missing":
        del bare["inv"]
    [row] = partial({"b2b": [bare]}).refused
    assert (row.stin, row.number, row.rtnprd, row.code) == (STIN, "", "", "IMSSAV0010")


def test_a_single_document_or_entry_may_come_without_its_list():
    single = entry()
    single["inv"] = {"inum": "1", "rtnprd": "012023"}
    [row] = partial({"b2b": single}).refused
    assert (row.stin, row.number, row.rtnprd) == (STIN, "1", "012023")


def test_a_number_may_come_as_a_number_and_under_the_notes_own_name():
    odd = entry()
    odd["inv"] = [{"inum": 7, "rtnprd": "012023"}, {"nt_num": "N-8", "rtnprd": 12023}]
    assert [(row.number, row.rtnprd) for row in partial({"cn": [odd]}).refused] == [("7", "012023"), ("N-8", "12023")]


def test_a_document_may_bear_its_own_error():
    own = entry("1")
    own["inv"][0] |= {"error_cd": "IMSSAV0054", "error_msg": "its own"}
    [row] = partial({"b2b": [own]}).refused
    assert (row.code, row.message) == ("IMSSAV0054", "its own")


@pytest.mark.parametrize(
    ("report", "seen"),
    [
        ("schema validation failed", "schema validation failed"),
        (["b2b failed"], "b2b failed"),
        (404, "404"),
        ({"b2b": "all of them"}, "all of them"),
        ({"b2b": ["INV-1 is wrong"]}, "INV-1 is wrong"),
        ({"b2b": [17]}, "17"),
        ({"b2b": [["INV-1"]]}, "INV-1"),
        ({"b2b": [{**entry(), "inv": "INV-1"}]}, "INV-1"),
        ({"b2b": [{**entry(), "inv": ["INV-1"]}]}, "INV-1"),
        ({"b2b": [{**entry(), "inv": [["INV-1"]]}]}, "INV-1"),
    ],
)
def test_what_is_not_of_the_documented_shape_is_shown_and_not_dropped(report: Any, seen: str):
    [row] = partial(report).refused
    assert seen in row.number + row.message
    assert result("P", error_report=report).outcome == "partial"


@pytest.mark.parametrize(("report", "section"), [("all of them", ""), ({"cn": ["all of them"]}, "b2bcn")])
def test_a_refusal_in_words_names_its_section_at_most(report: Any, section: str):
    [row] = partial(report).refused
    assert row[:-1] == (section, "", "", "", "", "all of them")
    assert "GST portal" in row.remedy


def test_a_refusal_in_very_many_words_is_cut_short():
    [row] = partial("x" * 501).refused
    assert row.message == "x" * 500


def test_a_field_that_is_no_text_is_told_in_few_words():
    long = ["x" * 1999] * 1000
    row = {"stin": long, "inv": [{"inum": {"a": long}, "error_cd": long, "error_msg": {"a": long}}]}
    read = result(long, err_cd=long, err_msg={"a": long}, error_report={"b2b": [row]})
    for text in (read.status_cd, read.code, read.message, *read.refused[0]):
        assert len(text) < 2100


def test_what_cannot_be_read_does_not_hide_what_comes_after_it():
    read = partial({"b2b": ["all of them", entry("1")]})
    assert [row.number for row in read.refused] == ["", "1"]


def test_code_and_message_may_bear_the_names_that_the_whole_result_uses():
    odd = {"stin": STIN, "err_cd": "IMSSAV0054", "err_msg": "in other words", "inv": [{"inum": "1"}]}
    [row] = partial({"b2b": [odd]}).refused
    assert (row.code, row.message) == ("IMSSAV0054", "in other words")
    assert "itcRedReq" in row.remedy


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["b2b", "cn", "x", "inv", "stin", "inum", "error_cd"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["status_cd", "proc_cnt", "err_cnt", "err_cd", "error_report"]), _json))
def test_no_result_is_too_odd_to_be_read_and_accounted_for(data: dict[str, Any]):
    read = ResetResult.parse(data)
    assert read.raw == data
    sent = payload(b2b=numbered("b2b", "1", "2"), b2bcn=[document("b2bcn")])
    account = read.account(sent)
    assert len(account.outcomes) == 3
    assert account.stray or account.total("refused") or not read.refused


@pytest.mark.parametrize("code", ["IMSSAV0015", "AUTH4033", "GEN4004", " imssav0015 "])
def test_nothing_was_done_if_gstn_was_busy_or_down_or_had_no_session(code: str):
    assert result("ER", err_cd=code).nothing_done


@pytest.mark.parametrize(
    "done",
    [
        result("ER", err_cd="IMSSAV005"),
        result("ER"),
        result("ER", err_cd="IMSSAV0015", error_report={"b2b": [entry("1")]}),
        result("PE", err_cd="IMSSAV0015"),
        result("P", err_cd="IMSSAV0015"),
        result("P"),
    ],
)
def test_any_other_end_may_have_done_something(done: ResetResult):
    assert not done.nothing_done


def test_codes_and_words_for_the_whole_request_are_kept():
    failed = result("ER", err_cd="IMSSAV005", err_msg=" schema validation failed ")
    assert (failed.code, failed.message) == ("IMSSAV005", "schema validation failed")
    assert result("P").code == ""


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("IMSSAV0010", "Download the document from IMS again"),
        ("imssav0010", "Download the document from IMS again"),
        ("IMSSAV0015", "one save or reset per GSTIN at a time"),
        ("IMSSAV0054", "itcRedReq"),
        ("IMS2B007", "GSTR-3B is filed"),
        ("IMSSAV9999", "not in our table"),
        ("", "not in our table"),
    ],
)
def test_a_refused_document_comes_with_what_to_do_about_it(code: str, remedy: str):
    [row] = partial({"b2b": [entry("1", code=code)]}).refused
    assert remedy in row.remedy


@pytest.mark.parametrize(
    ("err_cnt", "listed", "unexplained"), [("3", 3, 0), ("3", 1, 2), ("3", 0, 3), ("1", 3, 0), (None, 2, 0)]
)
def test_refusals_that_are_counted_but_not_listed_are_unexplained(err_cnt: Any, listed: int, unexplained: int):
    report = {"b2b": [entry(*map(str, range(1, listed + 1)))]} if listed else {}
    assert partial(report, err_cnt=err_cnt).unexplained == unexplained


def test_of_a_processed_request_every_document_is_reset():
    assert outcomes(result("P"), b2b=numbered("b2b", "1", "2"), ecom=[document("ecom")]) == {
        "b2b 1": "reset",
        "b2b 2": "reset",
        "ecom INV-1": "reset",
    }


def test_of_a_failed_request_every_document_is_refused():
    assert outcomes(result("ER", err_cd="IMSSAV005"), b2b=numbered("b2b", "1", "2")) == {
        "b2b 1": "refused",
        "b2b 2": "refused",
    }


@pytest.mark.parametrize("word", ["IP", "REC", "", "SUCCESS"])
def test_of_a_request_without_a_clear_end_every_document_is_unknown(word: str):
    assert outcomes(result(word), b2b=numbered("b2b", "1", "2")) == {"b2b 1": "unknown", "b2b 2": "unknown"}


def test_of_a_partial_result_the_listed_documents_are_refused_and_the_others_reset():
    read = partial({"b2b": [entry("1")], "ecom": [entry("3")]}, err_cnt="2")
    assert outcomes(read, b2b=numbered("b2b", "1", "2"), ecom=numbered("ecom", "2", "3")) == {
        "b2b 1": "refused",
        "b2b 2": "reset",
        "ecom 2": "reset",
        "ecom 3": "refused",
    }
    assert read.account(payload(b2b=numbered("b2b", "1"), ecom=numbered("ecom", "3"))).stray == []


@pytest.mark.parametrize(
    ("name", "section"), [("dn", "b2bdn"), ("dna", "b2bdna"), ("cn", "b2bcn"), ("cna", "b2bcna"), ("b2bcn", "b2bcn")]
)
def test_a_refused_note_is_found_under_gstns_name_for_its_section(name: str, section: str):
    read = partial({name: [entry("N-1")]})
    assert outcomes(read, **{section: numbered(section, "N-1", "N-2")}) == {
        f"{section} N-1": "refused",
        f"{section} N-2": "reset",
    }


def test_a_refused_credit_note_does_not_touch_the_debit_note_of_the_same_number():
    read = partial({"cn": [entry("N-1")]})
    assert outcomes(read, b2bdn=numbered("b2bdn", "N-1"), b2bcn=numbered("b2bcn", "N-1")) == {
        "b2bdn N-1": "reset",
        "b2bcn N-1": "refused",
    }


def test_the_report_may_write_number_and_gstin_in_another_letter_case():
    read = partial({"b2b": [entry("INV-A", stin=STIN.lower())]})
    assert outcomes(read, b2b=numbered("b2b", "inv-a")) == {"b2b INV-A": "refused"}


def test_documents_of_the_same_number_are_told_apart_by_supplier_and_period():
    read = partial({"b2b": [entry("1", rtnprd="022023")]})
    sent = [document(inum="1"), document(inum="1", rtnprd="022023"), document(inum="1", stin=OTHER_STIN)]
    assert list(read.account(payload(b2b=sent)).outcomes.values()) == ["reset", "refused", "reset"]


def test_a_row_under_an_unknown_section_is_tied_to_the_only_document_that_it_can_mean():
    read = partial({"invoices": [entry("1")]})
    account = read.account(payload(b2b=numbered("b2b", "1", "2")))
    assert list(account.outcomes.values()) == ["refused", "reset"]
    assert account.stray == []


def test_a_row_that_can_mean_two_documents_makes_both_unknown():
    read = partial({"invoices": [entry("1")]})
    account = read.account(payload(b2b=numbered("b2b", "1", "2"), ecom=numbered("ecom", "1")))
    assert list(account.outcomes.values()) == ["unknown", "reset", "unknown"]
    assert account.stray == read.refused


def test_a_refusal_of_something_that_was_not_sent_is_told():
    read = partial({"b2b": [entry("1", "777")]}, err_cnt="2")
    account = read.account(payload(b2b=numbered("b2b", "1", "2")))
    assert [row.number for row in account.stray] == ["777"]
    assert account.outcomes[next(iter(account.outcomes))] == "refused"


@pytest.mark.parametrize(
    ("section", "stin", "unsure"),
    [
        ("b2b", STIN, ["b2b 1"]),
        ("cn", STIN, ["b2bcn 3"]),
        ("invoices", STIN, ["b2b 1", "b2bcn 3"]),
        ("ecom", STIN, ["b2b 1", "b2bcn 3"]),
        ("b2b", OTHER_STIN, ["b2b 2"]),
        ("b2b", RTIN, ["b2b 1", "b2b 2"]),
        ("cn", RTIN, ["b2bcn 3"]),
        ("ecom", RTIN, ["b2b 1", "b2b 2", "b2bcn 3"]),
    ],
)
def test_a_refusal_of_a_number_that_was_not_sent_may_mean_what_has_its_supplier_and_section(
    section: str, stin: str, unsure: list[str]
):
    """Of its supplier if nothing has both, of its section if nothing is the supplier's; else it may mean anything."""
    read = partial({section: [entry("0777", stin=stin)]})
    sent = [*numbered("b2b", "1"), *numbered("b2b", "2", stin=OTHER_STIN)]
    said = outcomes(read, b2b=sent, b2bcn=numbered("b2bcn", "3"))
    assert [name for name, outcome in said.items() if outcome == "unknown"] == unsure
    assert {outcome for name, outcome in said.items() if name not in unsure} <= {"reset"}


@pytest.mark.parametrize(
    ("vague", "unsure"),
    [
        ({"stin": STIN}, ["b2b 1", "b2b 2"]),
        ({"stin": STIN, "inv": [{"inum": "2"}]}, ["b2b 2"]),
        ({"stin": STIN, "inv": [{"rtnprd": "012023"}]}, ["b2b 1", "b2b 2"]),
        ({"inv": [{"inum": "3", "rtnprd": "012023"}]}, ["b2b 3"]),
        ({}, ["b2b 1", "b2b 2", "b2b 3"]),
    ],
)
def test_a_row_that_names_no_document_makes_all_that_it_may_mean_unknown(vague: dict, unsure: list[str]):
    read = partial({"b2b": [{"error_cd": "IMSSAV0010", **vague}]})
    sent = [*numbered("b2b", "1", "2"), *numbered("b2b", "3", stin=OTHER_STIN)]
    said = outcomes(read, b2b=sent, ecom=numbered("ecom", "9"))
    assert [name for name, outcome in said.items() if outcome == "unknown"] == unsure
    assert len(read.account(payload(b2b=sent)).stray) == 1


def test_a_report_that_is_only_words_makes_every_document_unknown():
    read = result("PE", error_report="2 documents failed")
    assert set(outcomes(read, b2b=numbered("b2b", "1", "2")).values()) == {"unknown"}


def test_refusals_that_are_not_listed_leave_every_other_document_unknown():
    read = partial({"b2b": [entry("1")]}, err_cnt="2")
    assert outcomes(read, b2b=numbered("b2b", "1", "2", "3")) == {
        "b2b 1": "refused",
        "b2b 2": "unknown",
        "b2b 3": "unknown",
    }


def test_an_account_counts_by_section_in_the_order_of_the_request():
    read = partial({"b2b": [entry("1")], "cn": [{"stin": STIN, "error_cd": "X"}]}, err_cnt="2")
    sent = payload(b2bcn=[document("b2bcn")], b2b=numbered("b2b", "1", "2"))
    account = read.account(sent)
    assert [(name, *count.values()) for name, count in account.sections().items()] == [
        ("b2b", 2, 1, 1, 0),
        ("b2bcn", 1, 0, 0, 1),
    ]
    assert [account.total(outcome) for outcome in ("reset", "refused", "unknown")] == [1, 1, 1]


def test_every_document_that_was_sent_has_exactly_one_outcome(sample: dict):
    sent = payload(**sample["invdata"])
    for read in (result("P"), result("ER"), result("IP"), partial({"cn": [entry("dn2", stin="24MAYAS0100J1JD")]})):
        account = read.account(sent)
        assert len(account.outcomes) == sent.count()
        assert sum(count["sent"] for count in account.sections().values()) == sent.count()


def test_the_result_is_kept_as_it_came():
    data = {"status_cd": "P", "transTypCd": "SAV", "something_new": [1, 2]}
    assert ResetResult.parse(data).raw == data


@pytest.mark.parametrize("proc_cnt", ["0", "1", 1])
def test_a_success_that_counts_fewer_documents_than_were_sent_is_not_believed(proc_cnt: Any):
    assert set(outcomes(result("P", proc_cnt=proc_cnt), b2b=numbered("b2b", "1", "2")).values()) == {"unknown"}


@pytest.mark.parametrize("proc_cnt", ["2", "3", "", None])
def test_a_count_that_adds_up_with_or_without_the_refused_casts_no_doubt(proc_cnt: Any):
    read = partial({"b2b": [entry("1")]}, proc_cnt=proc_cnt)
    assert list(outcomes(read, b2b=numbered("b2b", "1", "2", "3")).values()) == ["refused", "reset", "reset"]


def test_a_partial_result_that_lists_nothing_leaves_every_document_in_doubt():
    for counts in ({}, {"err_cnt": "0"}):
        assert set(outcomes(result("PE", **counts), b2b=numbered("b2b", "1", "2")).values()) == {"unknown"}


def test_a_refusal_that_is_listed_twice_is_one_refusal():
    read = partial({"b2b": [entry("1"), entry("1")]}, err_cnt="2")
    assert read.unexplained == 1


def test_a_refusal_of_something_that_was_not_sent_counts_once_however_often_it_is_listed():
    read = partial({"b2b": [entry("777"), entry("777")]}, err_cnt="2")
    sent = payload(b2b=[*numbered("b2b", "1"), *numbered("b2b", "2", stin=OTHER_STIN)])
    account = read.account(sent)
    assert list(account.outcomes.values()) == ["unknown", "unknown"]
    assert [row.number for row in account.stray] == ["777", "777"]


def test_every_refusal_of_something_that_was_not_sent_is_told():
    account = partial({"b2b": [entry("777", "888")], "cn": [entry("999")]}).account(payload(b2b=[document()]))
    assert [row.number for row in account.stray] == ["777", "888", "999"]


def test_a_document_that_gstn_holds_at_no_action_is_reset_whatever_its_result_says():
    sent = payload(b2b=numbered("b2b", "1", "2"))
    first, second = (key for key, _ in sent.documents())
    read = partial({"b2b": [entry("1", "2")]}, err_cnt="2")
    assert read.account(sent, seen_done=[first]).outcomes == {first: "reset", second: "refused"}


def test_a_refusal_under_another_writing_of_the_number_casts_doubt_on_the_suppliers_documents():
    read = partial({"b2b": [entry("0001")]}, err_cnt="1")
    assert set(outcomes(read, b2b=numbered("b2b", "1", "2")).values()) == {"unknown"}


class TestDocumentsThatDifferInTheirDateAlone:
    """GSTN's error report names no date."""

    TWINS = (document(inum="1", idt="20-03-2025"), document(inum="1", idt="05-04-2025"))

    def said(self, of: ResetResult, *others: dict[str, Any]) -> list[str]:
        return list(of.account(payload(b2b=[*self.TWINS, *others])).outcomes.values())

    def test_are_both_unknown_if_one_of_them_is_refused(self):
        read = partial({"b2b": [entry("1")]}, proc_cnt="2")
        assert self.said(read, document(inum="2")) == ["unknown", "unknown", "reset"]
        assert read.account(payload(b2b=list(self.TWINS))).stray == []

    @pytest.mark.parametrize("report", [[entry("1", "1")], [entry("1"), entry("1", code="IMSSAV0054")]])
    @pytest.mark.parametrize("err_cnt", ["2", None])
    def test_are_both_refused_if_as_many_are_refused(self, report: list[dict], err_cnt: Any):
        assert self.said(partial({"b2b": report}, err_cnt, "1"), document(inum="2")) == ["refused", "refused", "reset"]

    @pytest.mark.parametrize("report", [[entry("1", "1")], [entry("1"), entry("1", code="IMSSAV0054")]])
    def test_are_unknown_if_the_report_repeats_one_refusal(self, report: list[dict]):
        assert self.said(partial({"b2b": report}, "1", "2"), document(inum="2")) == ["unknown", "unknown", "reset"]

    def test_are_refused_if_the_whole_request_is(self):
        assert self.said(result("ER")) == ["refused", "refused"]

    def test_are_told_apart_by_what_was_sent(self):
        sent = payload(b2b=list(self.TWINS))
        first, second = (key for key, _ in sent.documents())
        read = partial({"b2b": [entry("1")]}, proc_cnt="0")
        assert read.account(sent, already_done=[first]).outcomes == {first: "reset", second: "refused"}

    def test_keep_the_refusal_that_may_be_about_them(self):
        account = partial({"b2b": [entry("1")]}).account(payload(b2b=list(self.TWINS)))
        assert [row.code for row in account.refusals.values()] == ["IMSSAV0010"] * 2

    def test_keep_a_refusal_each_if_there_are_as_many(self):
        report = {"b2b": [entry("1"), entry("1", code="IMSSAV0054")]}
        account = partial(report, "2").account(payload(b2b=list(self.TWINS)))
        assert [row.code for row in account.refusals.values()] == ["IMSSAV0010", "IMSSAV0054"]

    def test_are_found_under_a_section_name_that_nobody_knows(self):
        assert self.said(partial({"invoices": [entry("1", "1")]}, "1", "2")) == ["unknown", "unknown"]

    def test_leave_refusals_unexplained_that_are_more_than_they_are(self):
        read = partial({"b2b": [entry("1", "1", "1")]}, "3", "1")
        assert self.said(read, document(inum="2")) == ["refused", "refused", "unknown"]


class TestAnAnswerThatContradictsItself:
    """GSTN's word alone is not believed."""

    @pytest.mark.parametrize("code", ["IMSSAV0010", "AUTH4033", "0", 17])
    def test_processed_with_a_code_is_not_processed(self, code: Any):
        read = result("P", proc_cnt="2", err_cd=code)
        assert read.outcome == "unknown"
        assert set(outcomes(read, b2b=numbered("b2b", "1", "2")).values()) == {"unknown"}

    @pytest.mark.parametrize("count", ["2.0", 2.0, "-1", -1, "abc", "2 ", True, [2], "9" * 18])
    @pytest.mark.parametrize("name", ["proc_cnt", "err_cnt"])
    def test_processed_with_a_count_that_is_no_number_is_not_processed(self, name: str, count: Any):
        if count == "2 ":  # blanks at the ends are no fault
            assert result("P", proc_cnt=count).outcome == "processed"
            return
        read = result("P", **{name: count})
        assert read.outcome == "unknown"
        assert set(outcomes(read, b2b=numbered("b2b", "1", "2")).values()) == {"unknown"}
        assert name in read.contradictions[0]

    def test_what_a_partial_result_names_is_refused_and_the_rest_unknown(self):
        read = partial({"b2b": [entry("1")]}, err_cnt="1.0", proc_cnt="1")
        assert outcomes(read, b2b=numbered("b2b", "1", "2")) == {"b2b 1": "refused", "b2b 2": "unknown"}

    def test_processed_with_a_code_and_refusals_explains_the_refusals_alone(self):
        read = result("P", err_cd="IMSSAV0010", error_report={"b2b": [entry("1")]})
        assert read.outcome == "partial"
        assert outcomes(read, b2b=numbered("b2b", "1", "2")) == {"b2b 1": "refused", "b2b 2": "unknown"}

    @pytest.mark.parametrize(("word", "proc_cnt", "err_cnt"), [("P", "3", "0"), ("P", "1", None), ("PE", "3", "1")])
    def test_counts_that_do_not_add_up_to_what_was_sent_explain_nothing(self, word: str, proc_cnt: str, err_cnt: Any):
        report = {"b2b": [entry("1")]} if word == "PE" else {}
        read = result(word, proc_cnt=proc_cnt, err_cnt=err_cnt, error_report=report)
        assert outcomes(read, b2b=numbered("b2b", "1", "2"))["b2b 2"] == "unknown"

    def test_a_code_of_a_partial_result_is_no_contradiction(self):
        read = result("PE", err_cd="IMSSAV0010", proc_cnt="1", err_cnt="1", error_report={"b2b": [entry("1")]})
        assert outcomes(read, b2b=numbered("b2b", "1", "2")) == {"b2b 1": "refused", "b2b 2": "reset"}
