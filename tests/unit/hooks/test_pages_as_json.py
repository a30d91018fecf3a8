"""A page whose records nobody looks into says the same as one that is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_ims.hooks._pages import read_page_as_json
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.tasks import read_page
from airflow_provider_ims.protocol.wire import Reply

SECRET = "a-token-of-more-than-16-characters"


def reply(text: str | bytes, status: int = 200) -> Reply:
    return Reply(status, {}, text.encode() if isinstance(text, str) else text, (SECRET,))


@pytest.mark.parametrize(
    "text",
    [
        '{"data":{"b2b":[{"inum":"1"},{"inum":"2"}],"cnt":2}}',
        '{"status":"1","data":{"b2b":[{"tradenm":"A \\u0026 \\u20b9","deep":{"a":["\\u001b",1.50]}}],"x":"a\\nb"}}',
        '{"data":{"b2b":[{"tradenm":"Müller ₹"},{"inum":"1"}]},"error":null}',
        '{"data": {\n  "b2b": [\n    {"inum": "1"}\n  ]}}',
        '{"data":{"b2b":[{"inum":"' + SECRET + '"}]}}',
        '{"data":{"' + SECRET + '":[1],"odd\\u0000":1,"odd\\u0001":2,"' + "k" * 5_000 + '":3}}',
        '{"data":{"b2b":[{"val":NaN}]}}',
        '{"data":{"b2b":[{"note":"a\tb"}]}}',
        b'{"data":{"b2b":[{"note":"\xff"}]}}',
        b'\xef\xbb\xbf{"data":{"b2b":[{"note":"x"}]}}',
        '{"data":{"b2b":[{"note":"' + "x" * 5_000 + '"}]}}',
        '{"data":{}}',
    ],
)
def test_it_says_the_same(text: str | bytes):
    page = read_page_as_json(reply(text), "task", 1)
    said: dict[str, Any] = {key: json.loads(bytes(value)) for key, value in page.data.items()}
    assert said == read_page(reply(text), "task", 1)
    assert all(b"\n" not in bytes(value) for value in page.data.values())


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('{"data":[1]}', 200),
        ('{"data":null}', 200),
        ("<html>", 200),
        ('{"error":{"message":"err-resource-not-found"}}', 404),
        ('{"data":{"b2b":[]},"status":"0"}', 200),
        ('{"data":{"b2b":[]},"status":0}', 200),
        ('{"data":{"b2b":[]},"error":{"message":"x"}}', 200),
        ('{"data":{"b2b":[]}}', 502),
        ('{"data":' + "[" * 100_000, 200),
    ],
)
def test_it_refuses_the_same(text: str, status: int):
    with pytest.raises(ServiceError) as read:
        read_page(reply(text, status), "task", 1)
    with pytest.raises(ServiceError) as as_json:
        read_page_as_json(reply(text, status), "task", 1)
    assert (as_json.value.kind, str(as_json.value)) == (read.value.kind, str(read.value))


def test_what_a_name_leads_to_twice_is_seen_in_the_frame():
    records = json.dumps([{"inum": str(number)} for number in range(1000)])
    page = read_page_as_json(reply(f'{{"data":{{"b2b":{records},"b2b":{records},"cnt":1}}}}'), "task", 1)
    assert page.frame.count(b'"b2b"') == 2
    assert b"null" in page.frame


def test_the_text_of_numbers_that_no_text_stands_beside_is_kept():
    page = read_page_as_json(reply('{"data":{"b2b":[{"val":0.10000000000000000001},{"tradenm":"ü"}]}}'), "task", 1)
    assert b"0.10000000000000000001" in bytes(page.data["b2b"])
