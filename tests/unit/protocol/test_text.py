"""What the service writes, made fit for logs, databases and files."""

from __future__ import annotations

import html
import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models.printable import MAX_TEXT, clean, clean_lines
from airflow_provider_ims.protocol.text import is_as_read, original_text, quotes, read_json, spellings, strike

SECRET = "a-token-nobody-may-see"


def strings_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, each in value.items() for text in (key, *strings_of(each))]
    return [text for each in value for text in strings_of(each)] if isinstance(value, list) else []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(JSON, st.booleans())
def test_every_string_can_be_shown_stored_and_encoded(value: Any, ascii_only: bool):
    body = json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    read = read_json(body)
    for text in strings_of(read):
        assert text.isprintable()
        text.encode()
    if all(text.isprintable() for text in strings_of(value)):
        assert read == value


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        ("a\x00b", "a\ufffdb"),
        ("\ud800", "\ufffd"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("one\r\ntwo\u2028three", "one  two three"),
        ("\u202egnp.exe\u2066", "\ufffdgnp.exe\ufffd"),
        ("INV-1\u200b", "INV-1\ufffd"),
        ("\x85\x9b\x7f", " \ufffd\ufffd"),
        ("चालान € 😀", "चालान € 😀"),
        ('C:\\path "quoted"', 'C:\\path "quoted"'),
    ],
)
def test_what_cannot_be_printed_is_replaced_and_seen(odd: str, shown: str):
    for ascii_only in (True, False):
        body = json.dumps({"text": [odd]}, ensure_ascii=ascii_only).encode(errors="surrogatepass")
        read = read_json(body)["text"][0]
        # Half of a pair comes as three bytes that are no UTF-8.
        assert read.replace("\ufffd\ufffd\ufffd", "\ufffd") == shown


def test_bytes_that_are_no_utf8_and_line_breaks_within_a_string_do_not_hide_the_rest():
    assert read_json(b'{"task-id": "t-1", "info": "caf\xe9\nopen"}') == {"task-id": "t-1", "info": "caf\ufffd open"}


def test_utf16_is_no_way_around_it():
    with pytest.raises(ValueError, match="Expecting"):
        read_json('{"text": "\u202e"}'.encode("utf-16-le"))


def test_a_byte_order_mark_does_no_harm():
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_numbers_that_no_database_takes_come_as_text():
    assert read_json(b'{"n": [NaN, -Infinity, 1.5]}') == {"n": ["NaN", "-Infinity", 1.5]}


@pytest.mark.parametrize("before", [0, 1, MAX_TEXT // 2 - 1, MAX_TEXT // 2, MAX_TEXT])
def test_a_long_string_is_cut_wherever_it_stands_and_says_how_long_it_was(before: int):
    for length in (MAX_TEXT + 1, 3 * MAX_TEXT):
        body = json.dumps({"a": "x" * before, "b": "y" * length, "c": "z"}, separators=(",", ":")).encode()
        read = read_json(body)
        assert read == {"a": "x" * before, "b": f"{'y' * MAX_TEXT}… ({length} characters)", "c": "z"}


def test_keys_that_look_the_same_afterwards_are_still_two():
    assert read_json(b'{"b2b\\u0000": 1, "b2b\\u0001": 2}') == {"b2b\ufffd": 1, "b2b\ufffd\ufffd": 2}


def test_a_long_secret_is_struck_out_wherever_it_is_quoted():
    body = {"err_msg": f"Bearer {SECRET}", SECRET: [SECRET], "token": SECRET, "gst-session-id": SECRET}
    read = read_json(json.dumps(body).encode(), spellings(SECRET))
    assert read == {"err_msg": "Bearer ***", "***": ["***"], "token": "***", "gst-session-id": "***"}
    assert original_text(b'{"data": %s}' % json.dumps(body).encode(), "data", "token") == SECRET


ODD = 'a "long" <secret>/with é & more'


@pytest.mark.parametrize("secret", [SECRET, ODD])
@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        str.title,
        html.escape,
        lambda secret: repr([secret])[2:-2],
        quote,
        quote_plus,
        lambda secret: quote(secret, safe="!'()*").lower(),
        lambda secret: "".join(f"%{byte:02X}" for byte in secret.encode()),
        lambda secret: "".join(f"\\u{ord(each):04X}" for each in secret),
        " ".join,
        lambda secret: secret.replace("-", "-\r\n\t").replace(" ", "\xa0\u3000"),
        "\u200b\x00".join,
    ],
)
def test_a_secret_is_found_however_it_is_spelled(secret: str, spell: Any):
    said = spell(secret)
    for ascii_only in (True, False):
        body = json.dumps({"a": f"Bearer {said}.", "b": "c"}, ensure_ascii=ascii_only).encode()
        assert read_json(body, spellings(secret)) == {"a": "Bearer ***.", "b": "c"}
        assert not is_as_read(body, spellings(secret))
    assert strike(f"Bearer {said}.", spellings(secret)) == "Bearer ***."
    assert quotes(said, spellings(secret))


@pytest.mark.parametrize("before", ["", "u", "us", "usr"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode, encodebytes])
def test_a_secret_is_found_in_base64_wherever_it_begins(before: str, encode: Any):
    for secret in (SECRET, ODD, "918273"):
        said = encode(f"{before}{secret} and more".encode()).decode()
        struck = strike(said, spellings(secret))
        assert struck.partition("***")[0] in said[:4]
        assert "***" in struck


def test_what_is_no_secret_stays():
    secrets = spellings(SECRET, "918273", "ab")
    for text in ("a-token-nobody", "91827 4", "a. c", "YW5v", "नाम 7"):
        assert strike(text, secrets) == text
    assert not quotes("918273", secrets)


def test_a_password_of_spaces_strikes_nothing_else():
    assert strike("no secret at all", spellings("  ")) == "no secret at all"
    assert read_json(b'{"inum": "INV/12"}', spellings(f"1{' ' * 20}2")) == {"inum": "INV/12"}


@pytest.mark.parametrize(
    "secret", ["ΟΔΟΣ-ΚΩΔΙΚΟΣ-ΜΥΣΤΙΚΟΣ", "İstanbul'un-ŞİFRESİ", "große-Straße-geheim", "गुप्त-शब्द-जो-असली-नहीं"]
)
@pytest.mark.parametrize("around", ["{}", "x{}y", "{} {}"])
def test_a_secret_of_any_letters_is_found(secret: str, around: str):
    said = around.format(secret, secret)
    assert secret not in read_json(json.dumps([said]).encode(), spellings(secret))[0]
    assert secret not in strike(said, spellings(secret))


def test_a_secret_is_found_in_the_spelling_of_json_within_json():
    secret = 'a "long" secret/with é'
    body = json.dumps({"err_msg": f"You sent {json.dumps({'password': secret})}"}).encode()
    assert read_json(body, spellings(secret)) == {"err_msg": 'You sent {"password": "***"}'}


def test_a_short_secret_does_not_change_the_numbers_of_documents():
    assert read_json(b'{"inum": "INV/123456"}', spellings("123456")) == {"inum": "INV/123456"}


def test_one_string_can_be_had_as_it_was_sent():
    assert original_text(b'{"data": {"task-id": "a\\u0000\\ud800"}}', "data", "task-id") == "a\x00\ud800"
    for body in (b'{"data": []}', b'{"data": {"task-id": 7}}', b"[]"):
        assert original_text(body, "data", "task-id") is None


def test_a_text_is_cleaned_once():
    odd = "\x00" * (MAX_TEXT + 5)
    assert clean(clean("a\x00b")) == clean("a\x00b")
    assert len(clean(odd)) < MAX_TEXT + 30


def test_a_text_of_several_lines_keeps_them():
    assert clean_lines("one\ntwo\x00\n" + "x" * 5000) == "one\ntwo\ufffd\n" + "x" * 5000
