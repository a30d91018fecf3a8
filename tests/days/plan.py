"""What a day is made of: who asks for what, and what goes wrong. Drawn from a seed, kept as JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .coverage import STATES
from .mishaps import Mishap
from .organisations import FIRST, SECOND
from .planning import BAD_ROWS

OTHER_RTIN = "29AAGCB7383J1Z4"
RTINS = ("27AAPFU0939F1ZV", "24AAQCA8719H1ZC")
STINS = ("27AHQPA7588L1ZJ", "20MAYAS0100J1ZX", "24MAYAS0100J1JD")
SECTIONS = ("b2b", "b2b", "b2b", "b2bcn", "b2bdn", "ecom")

HOUR = 3600.0


@dataclass(frozen=True)
class Wanted:
    """
    A document that the team wants reset.

    :param status: the action that GSTN holds in the morning
    """

    section: str
    stin: str
    number: str
    rtnprd: str
    date: str
    status: str


@dataclass(frozen=True)
class Flow:
    """
    One run of a DAG for one taxpayer.

    :param kind: ``single`` (reset, wait, result) or ``bulk`` (one mapped task)
    :param at: seconds after the day's beginning
    :param requests: the documents of each request
    :param grows: in bulk, what another taxpayer asks for who is added to the plan while it runs, before this one
    :param verify: in bulk, whether a snapshot is taken after it, with which its outcomes are compared
    :param conn_id: the connection, and with it the organisation
    :param opens_session: whether a person has to open the session first
    :param planned: in bulk, whether its requests are made from a file, by a task
    :param bad_rows: what else that file holds; see ``planning.BAD_ROWS``
    :param on_invalid: what becomes of a plan with such rows
    :param per_request: how many documents a planned request holds at most
    """

    run_id: str
    kind: str
    rtin: str
    at: float
    requests: tuple[tuple[Wanted, ...], ...]
    on_ambiguous: str = "fail"
    on_partial: str = "fail"
    on_failure: str = "stop"
    deferrable: bool = True
    retries: int = 2
    settle_time: float = 600.0
    busy_timeout: float = 3600.0
    audit: bool = False
    grows: tuple[tuple[Wanted, ...], ...] = ()
    verify: bool = False
    conn_id: str = FIRST
    opens_session: bool = False
    planned: bool = False
    bad_rows: tuple[str, ...] = ()
    on_invalid: str = "skip"
    per_request: int = 2


@dataclass(frozen=True)
class DayPlan:
    """
    A day.

    :param seed: of what is left to chance: latencies, and the order of what happens at once
    :param keeps_state: whether Airflow has a task state store (3.3 and newer)
    :param options: of the simulated service
    :param second_org: whose the second organisation is: ``same user``, ``another user``, or nothing if there is none
    """

    seed: int
    flows: tuple[Flow, ...]
    mishaps: tuple[Mishap, ...] = ()
    keeps_state: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    second_org: str = ""

    def as_json(self) -> str:
        """Write it."""
        whole = asdict(self)
        whole["mishaps"] = [mishap.as_json() for mishap in self.mishaps]
        return json.dumps(whole, indent=1)

    @classmethod
    def of_json(cls, text: str) -> DayPlan:
        """Read what :meth:`as_json` wrote."""
        whole = json.loads(text)
        flows = []
        for flow in whole["flows"]:
            parts = {
                name: tuple(tuple(Wanted(**wanted) for wanted in request) for request in flow[name])
                for name in ("requests", "grows")
            }
            flows.append(Flow(**{**flow, **parts, "bad_rows": tuple(flow.get("bad_rows", ()))}))
        mishaps = tuple(Mishap(**mishap) for mishap in whole["mishaps"])
        return cls(**{**whole, "flows": tuple(flows), "mishaps": mishaps})


def draw(seed: int) -> DayPlan:
    """Return the day of a seed."""
    rng = random.Random(f"day {seed}")
    flows = tuple(_flow(rng, number) for number in range(1, rng.choice((1, 1, 2)) + 1))
    # Drawn apart, so that the other days stay what they were.
    apart = random.Random(f"verify {seed}")
    verified = tuple(
        replace(flow, verify=apart.random() < 0.4) if flow.kind == "bulk" and not flow.grows else flow for flow in flows
    )
    more = _of_a_snapshot(apart, flows) if any(flow.verify for flow in verified) else ()
    second_org, of_two = _organisations(random.Random(f"organisations {seed}"), verified)
    opened, of_sessions = _sessions(random.Random(f"sessions {seed}"), of_two)
    planned, of_plans = _plans(random.Random(f"plans {seed}"), opened)
    return DayPlan(
        seed=seed,
        flows=planned,
        second_org=second_org,
        keeps_state=rng.random() < 0.8,
        options={
            "task_seconds": rng.choice((5, 20, 90, 300)),
            "page_documents": rng.choice((1, 2, 1000)),
            "report_keys": rng.choice(("gstn", "request")),
            "download_keys": rng.choice(("gstn", "request")),
            "empty_download": rng.choice(("pages", "error")),
            "status_shape": rng.choice(("flat", "nested")),
            "first_page": rng.choice((0, 1)),
        },
        mishaps=_one_at_a_place((*_mishaps(rng, flows), *more, *of_sessions, *of_plans)),
    )


def _one_at_a_place(mishaps: tuple[Mishap, ...]) -> tuple[Mishap, ...]:
    """Leave out what would happen where something else goes wrong already."""
    found: dict[Any, Mishap] = {}
    for mishap in mishaps:
        found.setdefault(mishap if mishap.where == "clock" else (mishap.where, mishap.state, mishap.nth), mishap)
    return tuple(found.values())


def _organisations(rng: random.Random, flows: tuple[Flow, ...]) -> tuple[str, tuple[Flow, ...]]:
    """Give some days a second organisation, and some of its runs to that one."""
    if rng.random() < 0.6:
        return "", flows
    whose = rng.choice(("same user", "another user"))
    of_second = rng.choice((0, 1)) if len(flows) > 1 else 0
    return whose, tuple(
        replace(flow, conn_id=SECOND) if number == of_second else flow for number, flow in enumerate(flows)
    )


def _sessions(rng: random.Random, flows: tuple[Flow, ...]) -> tuple[tuple[Flow, ...], tuple[Mishap, ...]]:
    """Have a person open some sessions, and something go wrong with it."""
    opened = tuple(replace(flow, opens_session=rng.random() < 0.2) for flow in flows)
    if not any(flow.opens_session for flow in opened):
        return opened, ()
    found = []
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        where = rng.choice(("otp", "otp", "verify", "verify", "gstn_refresh", "typed", "typed", "question set"))
        nth = rng.choice((1, 1, 2))
        if where == "typed":
            found.append(Mishap(where, rng.choice(("mistyped", "mistyped", "nothing", "too late", "never")), nth))
        elif where == "question set":
            found.append(replace(_asked(where, 2)(rng, flows), nth=nth, state=""))
        else:
            found.append(replace(_read(where, 2)(rng, flows), nth=nth, state=""))
    while rng.random() < 0.5:
        # Extended, or opened by the other organisation of the taxpayer.
        found.append(_sometime(rng, "session opened", detail=rng.choice(flows).run_id))
    return opened, tuple(found)


def _plans(rng: random.Random, flows: tuple[Flow, ...]) -> tuple[tuple[Flow, ...], tuple[Mishap, ...]]:
    """Have some bulk resets planned from a file, and something go wrong with it."""
    planned = tuple(
        replace(
            flow,
            planned=True,
            bad_rows=tuple(rng.choice(BAD_ROWS) for _ in range(rng.choice((0, 0, 1, 2, 3)))),
            on_invalid=rng.choice(("skip", "skip", "fail")),
            per_request=rng.choice((1, 2, 3)),
        )
        if flow.kind == "bulk" and not flow.grows and rng.random() < 0.5
        else flow
        for flow in flows
    )
    names = [flow.run_id for flow in planned if flow.planned]
    if not names:
        return planned, ()
    found = []
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        where = rng.choice(("file write", "file write", "file read"))
        found.append(replace(_file(where, 1)(rng, flows), nth=rng.randint(1, 12), state="nothing"))
    if rng.random() < 0.3:
        found.append(_sometime(rng, rng.choice(("clear", "clear", "mark failed")), detail=f"{rng.choice(names)} plan"))
    return planned, tuple(found)


def _flow(rng: random.Random, number: int) -> Flow:
    kind = rng.choice(("single", "bulk"))
    requests = []
    for request in range(rng.choice((1, 2, 3)) if kind == "bulk" else 1):
        part = [_wanted(rng, f"{number}{request}", n) for n in range(rng.randint(1, 4))]
        if rng.random() < 0.4:
            # A second document under the same number, which only its date tells from the first.
            part.append(replace(part[0], date=f"{int(part[0].date[:2]) % 28 + 1:02}-09-2026", status=rng.choice("ARP")))
        requests.append(tuple(part))
    return Flow(
        run_id=f"run{number}",
        kind=kind,
        rtin=rng.choice(RTINS[:1] * 3 + RTINS[1:]),
        at=rng.uniform(0.0, 600.0),
        requests=tuple(requests),
        on_ambiguous=rng.choice(("fail", "reconcile", "reconcile", "reconcile", "resubmit")),
        on_partial=rng.choice(("fail", "warn", "skip")),
        on_failure=rng.choice(("stop", "continue")),
        deferrable=kind == "bulk" or rng.random() < 0.7,
        retries=rng.choice((0, 1, 3)),
        settle_time=rng.choice((60.0, 600.0)),
        busy_timeout=rng.choice((600.0, 3600.0)),
        audit=rng.random() < 0.5,
        grows=((_wanted(rng, f"{number}9", 0),),) if kind == "bulk" and rng.random() < 0.3 else (),
    )


def _wanted(rng: random.Random, prefix: str, number: int) -> Wanted:
    return Wanted(
        section=rng.choice(SECTIONS),
        stin=rng.choice(STINS),
        number=f"D{prefix}-{number}",
        rtnprd=rng.choice(("092026", "102026")),
        date=f"{rng.randint(1, 28):02}-09-2026",
        status=rng.choice("AARP"),
    )


def _mishaps(rng: random.Random, flows: tuple[Flow, ...]) -> tuple[Mishap, ...]:
    count = rng.choice((0, 1, 2, 3, 3, 4, 4, 5, 6, 7, 9))
    kinds, weights = zip(*[(draw_one, weight) for draw_one, weight in _CATALOGUE], strict=True)
    found: dict[Any, Mishap] = {}
    for draw_one in rng.choices(kinds, weights, k=count):
        mishap = draw_one(rng, flows)
        if mishap.where == "clock":
            found[mishap] = mishap
        else:
            found.setdefault((mishap.where, mishap.state, mishap.nth), mishap)
            if mishap.state == "unsent":
                # It comes to that only where GSTN is busy or down.
                found.setdefault(("PUT", "", 1), Mishap("PUT", "code", 1, detail=rng.choice(CODES_OF_RESULTS[:2])))
    return tuple(found.values())


_HTTP_DEATHS = ("dies before", "dies after", "dies with the reply")
_HTTP_LOSSES = ("not connected", "lost before", "lost after", "late before", "late after")
_PAGES = ("HTTP 503", "HTTP 502 passed on", "HTTP 504 passed on", "HTTP 200", "HTTP 302", "HTTP 403", "HTTP 404")
CODES_OF_RESULTS = ("IMSSAV0015", "AUTH4033", "RET11402", "GEN4004", "GSPERR300:GSPGSTDOWN")


def _put(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    nth = rng.choice((1, 1, 1, 2, 2, 3))
    what = rng.choice(
        (
            *_HTTP_DEATHS,
            *_HTTP_DEATHS,
            *_HTTP_LOSSES,
            *_HTTP_LOSSES,
            *_PAGES,
            "drips",
            "code",
            "code",
            "result code",
            "result code",
            "result code",
            "result word",
            "task fails",
            "takes long",
            "result not ready",
            "not there yet",
            "token expires",
        )
    )
    detail, lasts = "", 0.0
    if what == "code":
        detail = rng.choice((*CODES_OF_RESULTS, "XYZ123"))
    elif what == "result code":
        detail = rng.choice(CODES_OF_RESULTS)
    elif what == "result word":
        detail = rng.choice(("XX", "REC", "R"))
    elif what == "task fails":
        detail = rng.choice(("failed", "ERRORED", "cancelled"))
    elif what == "takes long":
        lasts = rng.choice((400.0, 1500.0, 2 * HOUR))
    elif what == "not there yet":
        lasts = rng.choice((20.0, 100.0))
    return Mishap("PUT", what, nth, detail=detail, lasts=lasts)


def _moment(rng: random.Random, most: int) -> dict[str, Any]:
    """Return at which exchange of its kind it is: at any, or at one that meets a certain state of the journal."""
    if rng.random() < 0.5:
        return {"nth": rng.randint(1, most)}
    return {"nth": rng.choice((1, 1, 2, 3)), "state": rng.choice(STATES[:-1])}


def _read(where: str, most: int) -> Callable[[random.Random, tuple[Flow, ...]], Mishap]:
    def one(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
        what = rng.choice((*_HTTP_DEATHS, *_HTTP_LOSSES, *_PAGES, "drips", "token expires"))
        return Mishap(where, what, **_moment(rng, most))

    return one


def _counts(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    return Mishap(
        "result", "counts", rng.choice((1, 1, 2)), detail=rng.choice(("2.0", "-1", "short", "word", "P with a code"))
    )


def _stale(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    return Mishap("download", "stale", rng.choice((1, 1, 2, 3)), lasts=rng.choice((300.0, HOUR)))


def _asked(where: str, most: int) -> Callable[[random.Random, tuple[Flow, ...]], Mishap]:
    def one(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
        what = rng.choice(("dies before", "dies after", "fails before", "fails after"))
        return Mishap(where, what, **_moment(rng, most))

    return one


def _file(where: str, most: int) -> Callable[[random.Random, tuple[Flow, ...]], Mishap]:
    def one(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
        what = rng.choice(("dies before", "dies after", "fails before", "fails after", "slow"))
        detail = rng.choice(("", "full", "forbidden")) if what == "fails before" else ""
        return Mishap(where, what, detail=detail, lasts=40.0 if what == "slow" else 0.0, **_moment(rng, most))

    return one


def _report(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    return Mishap("report", "dies before", **_moment(rng, 6))


def _sometime(rng: random.Random, what: str, **more: Any) -> Mishap:
    """Return what happens at some time: soon after a worker has ended, or whenever."""
    if rng.random() < 0.6:
        return Mishap(
            "worker ends", what, rng.choice((1, 1, 2, 2, 3, 4, 5, 7)), at=rng.choice((0.0, 1.0, 5.0, 40.0)), **more
        )
    return Mishap("clock", what, at=rng.choice((rng.uniform(0.0, 900.0), rng.uniform(0.0, 2 * HOUR))), **more)


def _outage(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    whom = rng.choice(("service", "airflow", "storage"))
    return _sometime(rng, f"{whom} away", lasts=rng.choice((20.0, 300.0, HOUR)))


def _somebody_dies(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    return _sometime(rng, rng.choice(("triggerer dies", "worker dies")))


def _edit(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    flow = rng.choice(flows)
    wanted = rng.choice(rng.choice(flow.requests))
    what = rng.choice(("supplier edits", "taxpayer acts", "taxpayer acts and it is forced"))
    return _sometime(rng, what, detail=f"{flow.run_id} {wanted.number} {rng.choice('ARPN')}")


def _session(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    return _sometime(rng, rng.choice(("session ends", "token revoked")), detail=rng.choice(flows).rtin)


def _person(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    flow = rng.choice(flows)
    if flow.grows and rng.random() < 0.5:
        return _sometime(rng, "plan grows", detail=flow.run_id)
    tasks = ("reset", "wait", "result") if flow.kind == "single" else ("reset",)
    what = rng.choice(("clear", "clear", "clear with force", "clear with force", "mark failed", "mark success"))
    return _sometime(rng, what, detail=f"{flow.run_id} {rng.choice(tasks)}")


def _overwritten(rng: random.Random, flows: tuple[Flow, ...]) -> Mishap:
    flow = rng.choice(flows)
    what = rng.choice(
        ("request overwritten", "request missing", "request swapped", "request changed", "request changed")
    )
    return _sometime(rng, what, detail=f"{flow.run_id} {rng.randint(1, len(flow.requests))}")


def _of_a_snapshot(rng: random.Random, flows: tuple[Flow, ...]) -> tuple[Mishap, ...]:
    """Return what goes wrong while a snapshot is taken and compared: the result of the bulk is kept by then."""
    found = {}
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        where = rng.choice(("download", "download", "page", "page", "page", "status", "file write", "file read"))
        drawn = (_file if where.startswith("file") else _read)(where, 1)(rng, flows)
        mishap = replace(drawn, nth=rng.randint(1, 12), state="ended")
        found[where, mishap.nth] = mishap
    return tuple(found.values())


_CATALOGUE: tuple[tuple[Callable[[random.Random, tuple[Flow, ...]], Mishap], float], ...] = (
    (_put, 10.0),
    (_read("status", 8), 2.0),
    (_read("result", 3), 2.0),
    (_read("download", 3), 1.5),
    (_read("page", 3), 1.5),
    (_read("login", 2), 1.0),
    (_counts, 1.5),
    (_stale, 0.5),
    (_asked("state set", 8), 3.0),
    (_asked("state get", 8), 1.5),
    (_asked("variable get", 10), 1.0),
    (_asked("variable set", 6), 1.0),
    (_asked("connection get", 5), 1.0),
    (_asked("xcom set", 4), 1.0),
    (_file("file write", 10), 2.0),
    (_file("file read", 10), 1.5),
    (_report, 1.5),
    (_outage, 3.0),
    (_somebody_dies, 3.0),
    (_edit, 1.5),
    (_session, 1.5),
    (_person, 5.0),
    (_overwritten, 1.5),
)


def without(plan: DayPlan, index: int) -> DayPlan:
    """Return the day without one mishap."""
    return replace(plan, mishaps=plan.mishaps[:index] + plan.mishaps[index + 1 :])
