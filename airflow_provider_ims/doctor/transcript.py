"""
What was asked and answered, without anything that is secret or personal.

Nothing of a reply is kept but what is known to be harmless: the names of fields, booleans, and the values of a few
fields that hold codes, words and counts, where they look like one. Every other text becomes a stand-in of its kind,
every other number 0; what stands in the place of a name and may be a number, a token or a person becomes ``name``.
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
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.models.error_codes import meaning_of
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.protocol.calls import DOWNLOAD_SECTIONS
from airflow_provider_ims.protocol.text import read_json
from airflow_provider_ims.protocol.wire import Reply, Request

FORMAT = 1

_GSTIN = re.compile(GSTIN_PATTERN)
_DATE = re.compile(r"\d{2}-\d{2}-\d{4}")
_NAME = re.compile(r"(?!(?:\D*\d){3})[a-z][A-Za-z0-9_.-]{0,29}|[A-Z]{1,6}")
"""What a field that is not known may be called: not what could be a number, a PAN, a token or a person."""

_CODES = frozenset({"message", "code", "err_cd", "error_cd", "errorcode"})
"""Fields that hold codes; one of our own table is kept, whatever it looks like."""

_CODE = (
    r"(?!(?:\D*\d){3})err(?:-[a-z0-9]{1,20}){1,8}|"
    r"(?=.*[0-9_])(?!(?:\D*\d){6})(?!.*[A-Z]{5}\d{4}[A-Z])[A-Z]{2}[A-Z0-9_:-]{0,22}"
)
_COUNT = r"\d{1,5}"
_KEPT = {
    name: re.compile(pattern)
    for names, pattern in {
        tuple(_CODES): _CODE,
        ("status",): r"\d{1,3}|[A-Za-z][A-Za-z _/-]{0,23}",
        ("status_cd", "action", "prev_status", "inv_typ"): r"[A-Z]{1,6}",
        ("type",): r"Authorization|Client(?:Request|Error)|Runtime|Gstn|ResourceNotFound",
        ("srcform", "transTypCd", "form_typ"): r"[A-Z]{1,4}\d?[A-Z]?",
        ("srcfilstatus",): r"(?:Not )?Filed",
        ("ispendactblocked", "ispendactnallwd"): r"[A-Z]",
        ("pos",): r"\d{2}",
        ("rtnprd",): r"(?:0[1-9]|1[0-2])20\d{2}",
        ("parameter-name",): r"X(?:-[A-Za-z]{1,12}){1,6}|[a-z][a-z_-]{0,29}|GSTIN",
        ("status-code",): r"\d{1,3}",
        ("pages", "proc_cnt", "err_cnt"): _COUNT,
        ("expiry",): r"[1-4]\d{12}|1\d{9}",  # milliseconds or seconds since the epoch
    }.items()
    for name in names
}
"""Fields whose value is kept if it looks like this: codes, the words of the contract, and counts."""

_NUMBERS = frozenset({"status", "status-code", "pages", "proc_cnt", "err_cnt", "expiry"})
"""Those of them that may be numbers, too."""

_HEADERS = {
    "content-type": re.compile(r"[a-z]{1,11}/[a-z.+-]{1,30}(?:; ?charset=[A-Za-z]{2,8}[0-9-]{0,6})?"),
    "content-encoding": re.compile(r"[a-z-]{1,10}"),
    "date": re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT"),
    "retry-after": re.compile(r"\d{1,5}"),
    "server": re.compile(r"[A-Za-z-]{1,20}(?:/\d{1,2}(?:\.\d{1,3}){0,2})?"),
    "x-simulator": re.compile(r"airflow-provider-ims"),
}
"""Headers that are kept if they look like this."""

_FIELDS = frozenset(_KEPT) | {
    *("data", "error", "info", "additionalInfo", "alert", "args", "gstn-err", "error_msg", "err_msg"),
    *("token", "userId", "email", "mobile", "givenName", "lastName", "verificationStatus", "state"),
    *("associatedOrgs", "organisation", "id", "name", "taxIdentifier", "taxIdentifierType", "services"),
    *("serviceCode", "serviceName", "userAccessInfo", "primary", "admin", "version"),
    *("task-id", "task", "jobs", "total", "pending", "error_report", "inv", "hash", "gstin", "rtin"),
    *(name for section, model in SECTIONS.items() for name in (section, *model.model_fields)),
    *DOWNLOAD_SECTIONS.values(),
    *(name.lower() for name in DOWNLOAD_SECTIONS.values()),
}
"""Names of fields that the contract knows."""

_SEGMENTS = {
    *("theodore", "apis", "v1", "health", "ping", "authtokens", "logout", "authenticate"),
    *("enriched", "gstn", "v1.0", "ims-invoices", "ims-invoice-status-reset", "tasks", "status", "result", "page"),
}
"""What the paths of our own requests are made of."""

_MOST_ITEMS = 5
"""Items of a list that are kept."""

_MOST_FIELDS = 60
"""Fields of an object that are kept."""

_DEEPEST = 20
"""Objects and lists within each other that are kept."""

_SHORTEST_SECRET = 4
"""Characters from which on a text that must not be shown is looked for in what is kept."""


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
        code = "a text instead of a code" if self.code == "text" else self.code
        return f"HTTP {self.status}" + (f", {code}" if code else "")

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
        self._secrets: set[str] = set()
        self._private: set[str] = set()

    @property
    def is_simulated(self) -> bool:
        """Whether the simulator answered."""
        return any("x-simulator" in each.headers for each in self.answers)

    def hide(self, *texts: str | None) -> None:
        """
        Let texts be shown nowhere, not even as a part of a name, a code or a word.

        :param texts: a password, a token, an organisation
        """
        self._secrets |= {text.casefold() for text in texts if text and len(text) >= _SHORTEST_SECRET}

    def add(self, step: str, request: Request, reply: Reply | None, *, at: float, seconds: float) -> None:
        """
        Add a call.

        :param reply: ``None`` if there was none
        """
        self.hide(*request.secrets)
        self._private.update(text.casefold() for text in _texts(json.loads(request.body or b"null")))
        url = urlsplit(request.url)
        self.answers.append(
            Answered(
                step=step,
                kind=kind_of(request.method, url.path),
                method=request.method,
                path=self._path(url.path),
                query={name: self._if_like(_NAME, value) or "text" for name, value in parse_qsl(url.query)},
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
        try:
            found_lines = [read_json(line.encode(errors="replace")) for line in lines if line.strip()]
        except RecursionError:
            raise ValueError("a line is nested too deep") from None
        head, *answers = found_lines or [None]
        if not isinstance(head, dict) or head.get("doctor") != FORMAT:
            raise ValueError(f"its head is not of the format {FORMAT}")
        found = cls()
        found.head = head
        found.answers = [_answered(each) for each in answers]
        return found

    def _headers(self, reply: Reply | None) -> dict[str, str]:
        found = {name: reply.header(name) for name in _HEADERS} if reply else {}
        return {name: self._if_like(_HEADERS[name], value) or "text" for name, value in found.items() if value}

    def _body(self, reply: Reply | None) -> Any:
        try:
            return None if reply is None else self._redacted("", read_json(reply.body, reply.secrets))
        except (ValueError, RecursionError):
            return None

    def _redacted(self, name: str, value: Any, depth: int = 0) -> Any:
        if isinstance(value, (dict, list)) and depth == _DEEPEST:
            return "deep"
        if isinstance(value, dict):
            found: dict[str, Any] = {}
            for key, each in list(value.items())[:_MOST_FIELDS]:
                shown = self._name(key)
                if shown in found:
                    shown = f"{shown}-{len(found)}"
                found[shown] = self._redacted(key, each, depth + 1)
            return found
        if isinstance(value, list):
            return [self._redacted(name, each, depth + 1) for each in value[:_MOST_ITEMS]]
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, (int, float)):
            return value if self._is_count(name, value) else 0
        return self._text(name, value)

    def _is_count(self, name: str, value: float) -> bool:
        is_whole = isinstance(value, int) or value.is_integer()
        return is_whole and abs(value) < 1e15 and name in _NUMBERS and bool(_KEPT[name].fullmatch(str(int(value))))

    def _text(self, name: str, text: str) -> str:
        if _GSTIN.fullmatch(text):
            return self._gstin(text)
        if name in {"task-id", "id"}:
            return self._id(text)
        if name in _CODES and meaning_of(text):
            return text
        is_private = name in _CODES and text.casefold() in self._private
        if name in _KEPT and not is_private and (kept := self._if_like(_KEPT[name], text)):
            return kept
        if text in self._ids:
            return self._ids[text]
        if text:
            self._private.add(text.casefold())
        return "01-01-2000" if _DATE.fullmatch(text) else "text" if text else ""

    def _if_like(self, pattern: re.Pattern[str], text: str) -> str:
        """Return a text if it looks like what is kept and holds nothing that is to be hidden; else nothing."""
        folded = text.casefold()
        return text if pattern.fullmatch(text) and not any(secret in folded for secret in self._secrets) else ""

    def _name(self, name: str) -> str:
        if _GSTIN.fullmatch(name):
            return self._gstin(name)
        if name in _FIELDS:
            return name
        return "name" if name.casefold() in self._private else self._if_like(_NAME, name) or "name"

    def _path(self, path: str) -> str:
        parts = path.split("/")
        for place, part in enumerate(parts):
            before = parts[place - 1] if place else ""
            if before in {"status", "result"}:
                parts[place] = self._id(unquote(part))
            elif part and part not in _SEGMENTS and not (before == "page" and part.isdigit()):
                parts[place] = "part"
        return "/".join(parts)

    def _id(self, text: str) -> str:
        return self._ids.setdefault(text, f"id-{len(self._ids) + 1}")

    def _gstin(self, gstin: str) -> str:
        digest = hashlib.sha256(self._salt + gstin.encode()).digest()
        letters = "".join(chr(ord("A") + byte % 26) for byte in digest[:6])
        digits = "".join(str(byte % 10) for byte in digest[6:10])
        return f"99{letters[:5]}{digits}{letters[5]}1Z0"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("step", "kind", "method", "path"), str),
    **dict.fromkeys(("query", "headers"), dict),
    **dict.fromkeys(("at", "seconds"), (int, float)),
    **{"sent_headers": list, "status": int},
}


def _answered(line: Any) -> Answered:
    try:
        found = Answered(**line)
    except TypeError:
        raise ValueError("a line is no call and its reply") from None
    if wrong := [name for name, kind in _TYPES.items() if not isinstance(getattr(found, name), kind)]:
        raise ValueError(f"{wrong[0]} is not what it must be")
    return found


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
