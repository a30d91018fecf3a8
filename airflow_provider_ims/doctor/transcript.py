"""
What was asked and answered, without anything that is secret or personal.

Nothing of a reply is kept but what is known to be harmless: the names of fields, booleans, and the values of a few
fields that hold codes, words and counts. Every other text becomes a stand-in of its kind, every other number 0.
GSTINs become GSTINs that nobody has, the same one for the same one within a transcript; ids become ``id-1`` and so on.
Bodies and header values of requests are not kept at all.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.protocol.wire import Reply, Request

FORMAT = 1

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_CODE = re.compile(r"err-[a-z0-9-]{1,60}|[A-Z][A-Z0-9_:-]{1,23}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _/-]{0,23}")
_DATE = re.compile(r"\d{2}-\d{2}-\d{4}")
_GSTIN = re.compile(GSTIN_PATTERN)
_CODES = {"message", "code", "err_cd", "error_cd", "errorcode"}
"""Fields whose text is kept if it is a code; a sentence is not."""
_WORDS = {
    *("status", "status_cd", "type", "action", "srcform", "inv_typ", "srcfilstatus", "ispendactblocked"),
    *("ispendactnallwd", "prev_status", "pos", "rtnprd", "transTypCd", "form_typ", "parameter-name", "status-code"),
}
"""Fields whose text is kept if it is a short word: the words of the contract."""
_COUNTS = {"pages", "total", "pending", "proc_cnt", "err_cnt", "status", "status-code", "expiry"}
_HEADERS = ("content-type", "content-encoding", "retry-after", "server", "x-simulator")
_MOST_ITEMS = 5
"""Items of a list that are kept."""


class Answered(NamedTuple):
    """
    One call and its reply.

    :param step: during which step of the examination
    :param kind: which call it is: ``login``, ``ping``, ``download``, ``status``, ``result``, ``page``, ``reset`` ...
    :param method: HTTP method
    :param path: of the URL, without GSTINs and reference ids
    :param query: of the URL
    :param sent_headers: names of the request's headers
    :param status: HTTP status; 0 if there was no reply
    :param headers: the reply's, those that are harmless
    :param body: the reply's JSON, redacted; ``None`` if it was none
    :param at: when the reply came, seconds since the epoch
    :param seconds: how long it took
    """

    step: str
    kind: str
    method: str
    path: str
    query: Mapping[str, str]
    sent_headers: list[str]
    status: int
    headers: Mapping[str, str]
    body: Any
    at: float
    seconds: float

    @property
    def data(self) -> Any:
        """The ``data`` of the reply, if it is an object that has one."""
        return self.body.get("data") if isinstance(self.body, Mapping) else None

    @property
    def error(self) -> Mapping[str, Any]:
        """The ``error`` of the reply; empty if there is none."""
        error = self.body.get("error") if isinstance(self.body, Mapping) else None
        return error if isinstance(error, Mapping) else {}

    @property
    def error_args(self) -> Mapping[str, Any]:
        """What an error says beside its code; empty if it says nothing."""
        args = self.error.get("args")
        return args if isinstance(args, Mapping) else {}

    @property
    def code(self) -> str:
        """The code of an error, GSTN's before Vayana's; empty if there is none."""
        gstn = self.error_args.get("gstn-err")
        found = (gstn.get("code") or gstn.get("error_cd")) if isinstance(gstn, Mapping) else None
        return str(found or self.outer_code)

    @property
    def outer_code(self) -> str:
        """Vayana's own code of an error; empty if there is none."""
        return str(self.error.get("message") or "")

    @property
    def answer(self) -> str:
        """What was answered, in words: HTTP status and code."""
        return f"HTTP {self.status}" + (f", {self.code}" if self.code else "")

    def as_reply(self) -> Reply:
        """Return it as a reply, for the readers of the protocol."""
        return Reply(self.status, self.headers, b"" if self.body is None else json.dumps(self.body).encode())


class Transcript:
    """
    Everything that was asked and answered.

    :param head: what was examined: settings that are no secret
    """

    def __init__(self, head: Mapping[str, Any] | None = None) -> None:
        self.head = {"doctor": FORMAT, **(head or {})}
        self.answers: list[Answered] = []
        self._salt = secrets.token_bytes(16)
        self._ids: dict[str, str] = {}

    @property
    def is_simulated(self) -> bool:
        """Whether the simulator answered."""
        return any("x-simulator" in each.headers for each in self.answers)

    def add(self, step: str, request: Request, reply: Reply | None, *, at: float, seconds: float) -> None:
        """
        Add a call.

        :param reply: ``None`` if there was none
        """
        url = urlsplit(request.url)
        self.answers.append(
            Answered(
                step=step,
                kind=kind_of(request.method, url.path),
                method=request.method,
                path=self._path(url.path),
                query={name: self._word(value) for name, value in parse_qsl(url.query)},
                sent_headers=sorted(request.headers),
                status=reply.status if reply else 0,
                headers=self._headers(reply),
                body=self._body(reply),
                at=round(at, 3),
                seconds=round(seconds, 3),
            )
        )

    def lines(self) -> Iterator[str]:
        """Yield it as JSON lines, its head first."""
        yield json.dumps(self.head)
        for answered in self.answers:
            yield json.dumps(answered._asdict())

    @classmethod
    def of_lines(cls, lines: Iterable[str]) -> Transcript:
        """
        Read one that was written.

        :raises ValueError: when it is none
        """
        head, *answers = [json.loads(line) for line in lines if line.strip()]
        if head.get("doctor") != FORMAT:
            raise ValueError(f"This is no transcript of the format {FORMAT}")
        found = cls()
        found.head = head
        found.answers = [Answered(**each) for each in answers]
        return found

    def _headers(self, reply: Reply | None) -> dict[str, str]:
        if reply is None:
            return {}
        kept = {name: reply.header(name) for name in _HEADERS}
        return {name: value[:60] for name, value in kept.items() if value and value.isprintable()}

    def _body(self, reply: Reply | None) -> Any:
        try:
            return None if reply is None else self._redacted("", json.loads(reply.body))
        except (ValueError, RecursionError):
            return None

    def _redacted(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._name(key): self._redacted(key, each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._redacted(name, each) for each in value[:_MOST_ITEMS]]
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, (int, float)):
            return value if name in _COUNTS and abs(value) < 1e15 else 0
        return self._text(name, str(value))

    def _text(self, name: str, text: str) -> str:
        if _GSTIN.fullmatch(text):
            return self._gstin(text)
        if text in self._ids or name in {"task-id", "id"}:
            return self._id(text)
        is_kept = (
            (name in _COUNTS and text.isascii() and text.isdigit() and len(text) < 8)
            or (name in _CODES and _CODE.fullmatch(text))
            or (name in _WORDS and _WORD.fullmatch(text))
        )
        if is_kept or not text:
            return text
        return "01-01-2000" if _DATE.fullmatch(text) else "text"

    def _name(self, name: str) -> str:
        if _GSTIN.fullmatch(name):
            return self._gstin(name)
        return name if _NAME.fullmatch(name) else "name"

    def _path(self, path: str) -> str:
        parts = path.split("/")
        for place, part in enumerate(parts):
            if part in self._ids or parts[place - 1] in {"status", "result"}:
                parts[place] = self._id(part)
            elif _GSTIN.fullmatch(part):
                parts[place] = self._gstin(part)
        return "/".join(parts)

    def _word(self, text: str) -> str:
        if _GSTIN.fullmatch(text):
            return self._gstin(text)
        return text if _WORD.fullmatch(text) else "text"

    def _id(self, text: str) -> str:
        return self._ids.setdefault(text, f"id-{len(self._ids) + 1}")

    def _gstin(self, gstin: str) -> str:
        digest = hashlib.sha256(self._salt + gstin.encode()).digest()
        letters = "".join(chr(ord("A") + byte % 26) for byte in digest[:6])
        digits = "".join(str(byte % 10) for byte in digest[6:10])
        return f"99{letters[:5]}{digits}{letters[5]}1Z0"


def kind_of(method: str, path: str) -> str:
    """Return which call a request is."""
    if path.endswith("/authtokens"):
        return "login" if method == "POST" else "refresh"
    if path.endswith("/ims-invoice-status-reset"):
        return "reset"
    if "/result/" in path:
        return "page" if "/page/" in path else "result"
    names = {"/logout": "logout", "/health": "health", "/ping": "liveness", "/ims-invoices": "download"}
    found = next((kind for end, kind in names.items() if path.endswith(end)), "")
    return found or ("status" if "/status/" in path else "ping")
