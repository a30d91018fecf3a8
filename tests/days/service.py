"""The service of a day: the simulator without sockets, and a log of its own of what it was sent and what it did."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_ims.simulator.errors import ServiceError
from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.http import create_app
from airflow_provider_ims.simulator.options import Document, NextTask, Options
from airflow_provider_ims.simulator.tokens import Token, Tokens

from . import organisations


class Doc(NamedTuple):
    """What tells one document from another."""

    rtin: str
    section: str
    stin: str
    number: str
    rtnprd: str
    date: str


class Change(NamedTuple):
    """A document's action changed."""

    moment: float
    status: str
    by: Put | str


@dataclass(eq=False)
class Put:
    """
    One reset request that reached the service.

    :param by: the task instance that sent it
    :param flow: the run that it was sent for
    :param docs: what it holds
    :param reference_id: what the service called it, if it took it
    """

    moment: float
    by: Any
    flow: Any
    rtin: str
    docs: tuple[Doc, ...]
    reference_id: str = ""
    refusal: str = ""
    forced: bool = False
    attempt: tuple[int, int] = (0, 0)
    done_at: float | None = None
    did: set[Doc] = field(default_factory=set)
    heard: bool = False
    at_no_action: tuple[Doc, ...] = ()


@dataclass(eq=False)
class OtpRequest:
    """
    A one-time password that was sent to a taxpayer.

    :param owner: organisation and GSTIN
    :param by: the task instance that asked for it
    :param is_needless: whether there was a session that Airflow knew and that could be extended
    """

    moment: float
    owner: tuple[str, str]
    by: Any
    attempt: int
    clears: int
    is_needless: bool


class Service(Gst):
    """
    The simulator, with a memory of everything.

    :param now: the day's clock
    :param at: has something happen at a time
    :param second_org: whose the second organisation is: ``same user``, ``another user``, or nothing if there is none
    """

    def __init__(
        self, options: Options, now: Callable[[], float], at: Callable[[float, Any], None], second_org: str = ""
    ) -> None:
        super().__init__(options, on_otp=lambda gstin, otp: self.otps.append((now(), gstin, otp)))
        self.now, self.at = now, at
        self.otps: list[tuple[float, str, str]] = []
        self.otp_requests: list[OtpRequest] = []
        self.opened: Counter[tuple[str, str]] = Counter()
        self.asker: Any = None
        self.is_known: Callable[[str], bool] = lambda session_id: False
        self.session_owners: dict[str, tuple[str, str]] = {}
        self.task_owners: dict[str, str] = {}
        self.refused_logins = 0
        self._otp_of: dict[tuple[str, str], str] = {}
        self._token_owners: dict[str, str] = {}
        self._users = {options.login: self._tokens}
        self._second_login = options.login
        if second_org == "same user":
            options.second_org_id = organisations.SECOND_ORG
        elif second_org:
            # With the same password, so that only the name tells one from the other.
            self._second_login = organisations.SECOND_LOGIN
            second = Options(login=self._second_login, password=options.password, org_id=organisations.SECOND_ORG)
            self._users[self._second_login] = Tokens(second, self.clock)
        self.puts: list[Put] = []
        self.history: dict[Doc, list[Change]] = {}
        self.secrets: set[str] = {options.password}
        self.on_done: Callable[[Put], None] = lambda put: None
        self._being_sent: Put | None = None
        self._put_of: dict[int, tuple[Any, Put]] = {}

    def handle(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one HTTP request."""
        parts = urlsplit(url)
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [(name.lower().encode(), str(value).encode()) for name, value in headers.items()],
            "client": ("worker", 1),
            "server": ("service", 443),
            "scheme": "https",
            "http_version": "1.1",
            "asgi": {"version": "3.0"},
            "root_path": "",
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        # Nothing in there waits for a socket or a clock, so that it can be run to its end without a loop.
        _Face.service = self
        coroutine = _Face.app()(scope, receive, send)
        try:
            while True:
                coroutine.send(None)
        except StopIteration:
            pass
        start = next(message for message in sent if message["type"] == "http.response.start")
        content = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, content

    @property
    def has_refused(self) -> bool:
        """Whether a document was refused, which a person has to look at."""
        return any(put.done_at is not None and len(put.did) < len(put.docs) for put in self.puts)

    def is_at(self, doc: Doc) -> str | None:
        """Return the action that the service holds for a document."""
        changes = self.history.get(doc)
        return changes[-1].status if changes else None

    def file(self, doc: Doc, status: str, record: dict[str, Any] | None = None, by: str = "supplier") -> None:
        """Have a supplier file a document, or edit it."""
        self.add_documents([_document(doc, status, record)])
        self.note(doc, status, by)

    def note(self, doc: Doc, status: str, by: Put | str) -> None:
        """Remember what became of a document."""
        self.history.setdefault(doc, []).append(Change(self.now(), status, by))

    def change(self, doc: Doc, status: str, by: str) -> None:
        """Have the taxpayer or a supplier change a document's action."""
        self.settle()
        for held in self._documents.held(doc.rtin, doc.section):
            if doc_of(held) == doc:
                held.status = status  # type: ignore[assignment]
                self.note(doc, status, by)

    def settle(self) -> None:
        """End the tasks whose time has come."""
        self.advance(0.0)

    def end_session(self, gstin: str) -> None:
        """Let the GSTN sessions of a taxpayer end now."""
        for (_, owner), session in self._sessions._sessions.items():
            if owner == gstin:
                session.expires = self.now()

    def revoke_tokens(self) -> None:
        """Let every theodore token end now."""
        tokens: list[Token] = [token for users in self._users.values() for token in users._tokens.values()]
        for token in tokens:
            token.expires = self.now()

    def put_arrives(self, put: Put) -> None:
        """Announce the request that is about to be handled."""
        self.puts.append(put)
        self._being_sent = put

    # Users and organisations

    def org_of(self, conn_id: str) -> str:
        """Return the organisation of a connection."""
        return self.options.org_id if conn_id == organisations.FIRST else organisations.SECOND_ORG

    def owner_of(self, plan: Any) -> tuple[str, str]:
        """Return organisation and GSTIN of a run: what a session belongs to."""
        return self.org_of(plan.conn_id), plan.rtin

    def login_of(self, conn_id: str) -> str:
        """Return the theodore user of a connection."""
        return self.options.login if conn_id == organisations.FIRST else self._second_login

    def owner_of_token(self, token: str) -> str:
        """Return whose a token is, or nothing if it is not known."""
        return self._token_owners.get(token, "")

    def login(self, body: Any) -> dict[str, Any]:
        handle = body.get("handle") if isinstance(body, dict) else None
        users = self._users.get(str(handle), self._tokens)
        try:
            reply = users.login(body)
        except ServiceError as error:
            self.refused_logins += error.code == "err-active-tokens-limit-exceeded"
            raise
        self._counters["logins"] += 1
        self._token_owners[reply["token"]] = str(handle)
        return reply

    def refresh(self, token: str | None) -> dict[str, Any]:
        owner = self.owner_of_token(token or "")
        reply = self._users.get(owner, self._tokens).refresh(token)
        self._counters["refreshes"] += 1
        self._token_owners[reply["token"]] = owner
        return reply

    def logout(self, token: str | None) -> None:
        self._users.get(self.owner_of_token(token or ""), self._tokens).logout(token)
        self._counters["logouts"] += 1

    def authorise(self, org: str | None, token: str | None) -> str:
        self._tasks.settle()
        owner = self.owner_of_token(token or "")
        own = {self.options.org_id, self.options.second_org_id} - {None}
        if owner == organisations.SECOND_LOGIN:
            own = {organisations.SECOND_ORG}
        if org is None or org not in own:
            raise ServiceError(403, "err-invalid-org", "Authorization")
        self._users.get(owner, self._tokens).check(token)
        return org

    def expire_token(self, token: str | None) -> None:
        for tokens in self._users.values():
            tokens.expire(token)

    @property
    def most_live_tokens(self) -> int:
        """How many sessions a theodore user had at a time, at most."""
        return max(tokens.most_live for tokens in self._users.values())

    # Sessions

    def authenticate(self, org: str, version: str, action: str | None, body: Any) -> dict[str, str]:
        gstin = body.get("gstin") if isinstance(body, dict) else None
        if action == "AUTHTOKEN":
            sent = body.get("otp-request-id")
            gstin = next((of for (_, of), each in self._sessions._requests.items() if each.id == sent), None)
        elif action != "OTPREQUEST":
            gstin = self.session_owners.get(body.get("gst-session-id"), ("", None))[1]
        owner = org, str(gstin)
        live = self._sessions._sessions.get(owner)
        reply = super().authenticate(org, version, action, body)
        if action == "OTPREQUEST":
            known = live is not None and live.expires > self.now() and self.is_known(live.id)
            by = self.asker
            tries = (by.try_number, by.clears) if by is not None else (0, 0)
            self.otp_requests.append(OtpRequest(self.now(), owner, by, *tries, is_needless=known))
            self._otp_of[owner] = self.otps[-1][2]
        elif action == "AUTHTOKEN":
            self.opened[owner] += 1
        if "gst-session-id" in reply:
            self.session_owners[reply["gst-session-id"]] = owner
        return reply

    def otp_of(self, org: str, gstin: str) -> str:
        """Return what the taxpayer was sent last."""
        return self._otp_of.get((org, gstin), "")

    def is_open(self, org: str, gstin: str) -> bool:
        """Say whether GSTN would take a request."""
        return self._sessions.is_live(org, gstin)

    def submit_download(self, org: str, gstin: str | None, section: str | None, status: str | None) -> str:
        reference_id = super().submit_download(org, gstin, section, status)
        self.task_owners[reference_id] = org
        return reference_id

    def submit_reset(self, org: str, gstin: str | None, body: Any) -> str:
        put, self._being_sent = self._being_sent, None
        assert put is not None, "every request goes through the world's network"
        put.at_no_action = tuple(doc for doc in put.docs if self.is_at(doc) == "N")
        self._put_of[id(body)] = body, put
        put.reference_id = super().submit_reset(org, gstin, body)
        self.task_owners[put.reference_id] = org
        task = self._tasks.get(org, put.reference_id)
        self.at(task.ready_at, self.settle)
        return put.reference_id

    def _reset_result(self, plan: NextTask, body: Any) -> Any:
        _, put = self._put_of[id(body)]
        put.done_at = self.now()
        before = {doc: self.is_at(doc) for doc in put.docs}
        result = super()._reset_result(plan, body)
        for section in {doc.section for doc in put.docs}:
            for held in self._documents.held(put.rtin, section):
                doc = doc_of(held)
                if doc in before and held.status == "N" and before[doc] != "N":
                    put.did.add(doc)
                    self.note(doc, "N", put)
        self.on_done(put)
        return result


class _Face:
    """
    What the application of all days speaks to: the service of this one.

    To make an application takes longer than to live a day.
    """

    service: ClassVar[Service]
    _app: ClassVar[Any] = None

    def __getattr__(self, name: str) -> Any:
        return getattr(_Face.service, name)

    @classmethod
    def app(cls) -> Any:
        """Return the application."""
        if cls._app is None:
            cls._app = create_app(cls())  # type: ignore[arg-type]
        return cls._app


def docs_of(body: bytes) -> tuple[str, tuple[Doc, ...]]:
    """Return the GSTIN and the documents of a request."""
    request = json.loads(body)
    rtin = request["rtin"]
    docs = []
    for section, records in request["invdata"].items():
        for record in records:
            number = record.get("nt_num") or record.get("inum")
            date = record.get("nt_dt") or record.get("idt")
            docs.append(Doc(rtin, section, record["stin"], number, record["rtnprd"], date))
    return rtin, tuple(docs)


def _document(doc: Doc, status: str, record: dict[str, Any] | None) -> Document:
    parts: dict[str, Any] = {
        name: getattr(doc, name) for name in ("rtin", "section", "stin", "number", "rtnprd", "date")
    }
    return Document(status=status, record=record, **parts)  # type: ignore[arg-type]


def doc_of(held: Document) -> Doc:
    """Return which document the simulator holds there."""
    return Doc(held.rtin, held.section, held.stin, held.number, held.rtnprd, held.date or "")
