"""
No secret stays where it does not belong: a whole session and reset on a real Airflow, and then a search.

Searched are all answers of Airflow's REST API, every value of every table of its database, and all files that it
leaves behind, the database's own bytes among them.
"""

from __future__ import annotations

import base64
import html
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import pytest
from cryptography.fernet import Fernet

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import InjectedFault, Options
from airflow_provider_ims.simulator.server import SimulatorServer
from local_airflow.stack import AirflowStack
from tests.conftest import SAMPLE_FILE
from tests.e2e.stories import Stack, Stories, finish_tasks, wait_until
from tests.e2e.test_session import RTIN, Page, errors, states

DAG = "session_and_reset"
DAG_FILES = [Path(__file__).parent / "dags" / name for name in ("session_and_reset.py", "leak.py")]

# With characters that JSON, URLs and HTML write in other ways.
PASSWORD = 'canary "pass/word" +1 % ü'
WRONG_PASSWORD = "canary \\ wrong 'password' & more"
OTP = "918273"
WRONG_OTP = "564738"
LEAKED = "canary-that-a-task-leaks"

# The only places of the database where a secret may be, and only encrypted.
ENCRYPTED = {"connection.password decrypted", "variable.val decrypted"}


# The search


class Finding(NamedTuple):
    """A secret where it does not belong."""

    place: str
    secret: str


Evidence = Iterable[tuple[str, bytes]]


def search(evidence: Evidence, secrets: Mapping[str, str]) -> set[Finding]:
    """
    Look for secrets in everything that is given.

    :param evidence: places, and what is there
    :param secrets: names, and the secrets themselves
    """
    forms = {name: forms_of(secret) for name, secret in secrets.items()}
    return {
        Finding(place, name)
        for place, data in evidence
        for name in secrets
        if any(_holds(data, form) for form in forms[name])
    }


def forms_of(secret: str) -> set[bytes]:
    """Return a secret as it may be written: as it is, in JSON (twice, too), Python, a URL, HTML, hex and base64."""
    texts = {secret, repr(secret)[1:-1], quote(secret), quote(secret, safe=""), quote_plus(secret)}
    texts |= {html.escape(secret), html.escape(secret, quote=False)}
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        texts |= {once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]}
    plain = {text.encode() for text in texts}
    return plain.union({secret.encode().hex().encode()}, *(_base64_forms(text) for text in plain))


def _base64_forms(secret: bytes) -> set[bytes]:
    """Return what any base64 holds that has the secret in it, wherever it begins."""
    found = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        begin = (0, 2, 3)[before]  # the characters before depend on what comes before the secret,
        end = (before + len(secret)) * 8 // 6  # and those from here on what comes after it
        found |= {encoded[begin:end], encoded[begin:end].translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def _holds(data: bytes, form: bytes) -> bool:
    if form not in data:
        return False
    if not form.isdigit():
        return True
    # Six digits alone occur by chance: in fractions of a second, ids and hashes. Those are no finding.
    alone = rb"((?<=%[0-9A-Fa-f]{2})|(?<![0-9A-Fa-f])(?<![0-9]\.))" + form + rb"(?![0-9A-Fa-f])"
    return re.search(alone, data) is not None


# What is searched


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Read all files below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def rows(airflow: AirflowStack) -> Iterator[tuple[str, bytes]]:
    """Read every value of the database, those that are encrypted as they are and decrypted."""
    fernet = Fernet(airflow.environment["AIRFLOW__CORE__FERNET_KEY"])
    with closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            cursor = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - its own name for it
            places = [f"{table}.{column}" for column, *_ in cursor.description]
            for place, value in ((place, value) for row in cursor for place, value in zip(places, row, strict=True)):
                data = value if isinstance(value, bytes) else str(value).encode()
                yield place, data
                if data.strip(b'"').startswith(b"gAAAA"):
                    yield f"{place} decrypted", fernet.decrypt(data.strip(b'"'))


class Answers:
    """
    All that the REST API answers to questions about some runs, and about Airflow as a whole.

    The questions are those of the API's own description; ids are taken from the answers.
    """

    # parameter of a path -> the list that names its values, and their name there
    LISTS: Mapping[str, tuple[str, str]] = {
        "task_id": ("task_instances", "task_id"),
        "map_index": ("task_instances", "map_index"),
        "try_number": ("task_instances", "try_number"),
        "task_try_number": ("task_instances", "try_number"),
        "xcom_key": ("xcom_entries", "key"),
        "variable_key": ("variables", "key"),
        "connection_id": ("connections", "connection_id"),
        "event_log_id": ("event_logs", "event_log_id"),
        "import_error_id": ("import_errors", "import_error_id"),
        "pool_name": ("pools", "name"),
        "version_number": ("dag_versions", "version_number"),
        "asset_id": ("assets", "id"),
        "asset_alias_id": ("asset_aliases", "id"),
        "backfill_id": ("backfills", "id"),
        "section": ("sections", "name"),
        "option": ("options", "key"),
        "key": ("task_state_store", "key"),
    }
    PAGE = 100
    QUERY: Mapping[str, Any] = {"limit": PAGE, "full_content": "true", "interval": 1}

    def __init__(self, airflow: AirflowStack, runs: Iterable[tuple[str, str]]) -> None:
        self.airflow = airflow
        self.runs = list(runs)
        description = airflow.page("openapi.json")
        # Lists come before what they name.
        self.paths = sorted(
            (path for path, methods in description["paths"].items() if "get" in methods and "/auth/" not in path),
            key=lambda path: path.count("{"),
        )

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Ask everything once."""
        asked: set[str] = set()
        for dag_id, run_id in self.runs:
            known = {name: set() for name in self.LISTS} | {"dag_id": {dag_id}, "dag_run_id": {run_id}}
            for path in self.paths:
                for filled in list(_filled(path, known)):
                    if filled not in asked:
                        asked.add(filled)
                        yield from self._ask(filled, known)

    def _ask(self, path: str, known: dict[str, set[str]]) -> Iterator[tuple[str, bytes]]:
        seen, total = 0, 1
        while seen < total:
            response = self.airflow.request("GET", path.removeprefix("/api/v2/"), params={**self.QUERY, "offset": seen})
            yield path if response.ok else f"{path} ({response.status_code})", response.content
            is_json = response.headers.get("content-type", "").startswith("application/json")
            answer = response.json() if is_json else None
            answer = answer if isinstance(answer, dict) else {}
            self._learn(answer, known)
            seen, total = seen + self.PAGE, answer.get("total_entries") or 0

    def _learn(self, answer: Mapping[str, Any], known: dict[str, set[str]]) -> None:
        for parameter, (listed, field) in self.LISTS.items():
            for item in answer.get(listed) or []:
                if field in item:
                    known[parameter].add(str(item[field]))


def _filled(path: str, known: Mapping[str, set[str]]) -> Iterator[str]:
    """Fill a path's parameters with all that is known; a parameter that nobody knows is an error."""
    parts = re.split(r"\{(.+?)\}", path)
    for values in product(*(sorted(known[name]) for name in parts[1::2])):
        ids = [quote(value, safe="") for value in values]
        yield "".join(part for pair in zip(parts[::2], [*ids, ""], strict=True) for part in pair)


# The run


class WatchedGst(Gst):
    """GST that remembers every token and session id that it ever handed out."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.issued: dict[str, str] = {}

    def login(self, body: Any) -> dict[str, Any]:
        return self._noted(super().login(body))

    def refresh(self, token: str | None) -> dict[str, Any]:
        return self._noted(super().refresh(token))

    def authenticate(self, *call: Any) -> dict[str, str]:
        return self._noted(super().authenticate(*call))

    def _noted(self, reply: dict[str, Any]) -> dict[str, Any]:
        for name in ("token", "gst-session-id"):
            if name in reply:
                self.issued[f"{name} {len(self.issued) + 1}"] = reply[name]
        return reply


@dataclass
class Aftermath:
    """What was searched, and what was found."""

    secrets: dict[str, str]
    searched: set[str]
    in_answers: set[Finding]
    in_rows_while_deferred: set[Finding]
    in_rows: set[Finding]
    in_files: set[Finding]
    in_files_after_vacuum: set[Finding]
    leaks_before: set[Finding]
    leaks_in_answers: set[Finding]


@pytest.fixture(scope="module")
def aftermath(stories: Stories) -> Aftermath:
    return stories.result("canary")


def run_everything_and_search(root: Path) -> Aftermath:
    """Run everything on an Airflow of its own, stop it, and search; begun at the start of the session."""
    for name in ("dags", "home", "results", "tmp"):
        (root / name).mkdir()
    for file in DAG_FILES:
        (root / "dags" / file.name).symlink_to(file)
    simulator = SimulatorServer()
    simulator.gst = gst = WatchedGst(Options(password=PASSWORD, otp=OTP, task_seconds=600))
    with simulator, Stack(root / "home", root / "dags", {"TMPDIR": str(root / "tmp")}) as airflow:
        run = fail_to_log_in(airflow, simulator, root / "results")
        fail_to_verify(airflow, run, simulator)
        open_the_session(airflow, run, gst)
        airflow.wait_for_state(*run, "wait", "deferred")
        rows_while_deferred = list(rows(airflow))
        finish_tasks(gst)
        assert airflow.wait_for_run(*run) == "success", errors(airflow, *run)
        second_run = extend_the_session(airflow, root / "missing.json")
        answers = list(Answers(airflow, [run, second_run]))

        leaked = {"leaked": LEAKED}
        leaks_before = search([*answers, *rows(airflow), *files(root)], leaked)
        leaks_in_answers = search(Answers(airflow, [leak(airflow)]), leaked)

    own = {"password": PASSWORD, "wrong password": WRONG_PASSWORD, "OTP": OTP, "wrong OTP": WRONG_OTP}
    secrets = own | gst.issued | leaked
    all_files = list(files(root))  # read before the database is opened, which tidies it up
    all_rows = list(rows(airflow))
    with closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        database.execute("VACUUM")
    return Aftermath(
        secrets=secrets,
        searched={place for place, _ in [*answers, *rows_while_deferred, *all_rows, *all_files]},
        in_answers=search(answers, secrets),
        in_rows_while_deferred=search(rows_while_deferred, secrets),
        in_rows=search(all_rows, secrets),
        in_files=search(all_files, secrets),
        in_files_after_vacuum=search(files(root), secrets),
        leaks_before=leaks_before,
        leaks_in_answers=leaks_in_answers,
    )


def connection_to(simulator: SimulatorServer, password: str) -> dict[str, Any]:
    connection = simulator.connection
    extra = json.dumps(connection["extra"])
    return connection | {"connection_id": "gstn_default", "password": password, "extra": extra}


def start(airflow: AirflowStack, payload: Path, results: Path | str = "") -> tuple[str, str]:
    return DAG, airflow.trigger_dag(DAG, {"payload": str(payload), "gstin": RTIN, "output_path": str(results)})


def clear(airflow: AirflowStack, run: tuple[str, str]) -> None:
    """Have all tasks of a run start again."""
    dag_id, run_id = run
    order = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
    airflow.post(f"dags/{dag_id}/clearTaskInstances", order)


def fail_to_log_in(airflow: AirflowStack, simulator: SimulatorServer, results: Path) -> tuple[str, str]:
    """Begin the run with a wrong password."""
    airflow.post("connections", connection_to(simulator, WRONG_PASSWORD))
    run = start(airflow, SAMPLE_FILE, results)
    assert airflow.wait_for_run(*run) == "failed"
    assert errors(airflow, *run)["request_otp"].startswith("GstnLoginError")
    return run


def fail_to_verify(airflow: AirflowStack, run: tuple[str, str], simulator: SimulatorServer) -> None:
    """Correct the password, and type the one-time password when it is too old."""
    airflow.patch("connections/gstn_default", connection_to(simulator, PASSWORD))
    clear(airflow, run)
    page = Page(airflow, *run, "verify_otp")
    wait_until(page.asks)
    simulator.gst.advance(11 * 60)
    page.answer(OTP)
    assert airflow.wait_for_run(*run) == "failed"
    assert errors(airflow, *run)["verify_otp"].startswith("GstnSessionExpired")


def open_the_session(airflow: AirflowStack, run: tuple[str, str], gst: Gst) -> None:
    """Type into an outage, mistype, then open the session; more faults wait for the reset."""
    for fault in (
        InjectedFault(call="verify", kind="http", status=503),
        InjectedFault(call="reset", kind="expire_token"),
        InjectedFault(call="status", kind="http", status=503),
        InjectedFault(call="status", kind="expire_token"),
        InjectedFault(call="result", kind="garbage"),
    ):
        gst.add_fault(fault)
    clear(airflow, run)
    page = Page(airflow, *run, "verify_otp")
    page.answered = 2  # the task has parked and ended before
    page.answer(OTP)
    page.answer(WRONG_OTP)
    page.answer(OTP)


def extend_the_session(airflow: AirflowStack, missing_file: Path) -> tuple[str, str]:
    """Have a run use the session id that the first one kept, and fail afterwards."""
    run = start(airflow, missing_file)
    assert airflow.wait_for_run(*run) == "failed"
    assert errors(airflow, *run)["reset"].startswith("GstnInvalidPayload")
    assert states(airflow, *run)["verify_otp"] == "skipped"
    return run


def leak(airflow: AirflowStack) -> tuple[str, str]:
    canary = {"connection_id": "leak_canary", "conn_type": "generic", "password": LEAKED}
    airflow.post("connections", canary)
    run = "leak", airflow.trigger_dag("leak")
    assert airflow.wait_for_run(*run) == "success"
    return run


# The tests


def test_the_run_had_secrets_to_lose(aftermath):
    issued = [kind(name) for name in aftermath.secrets]
    assert issued.count("token") >= 3  # of the first login, of the task and of the trigger whose token had expired
    assert issued.count("gst-session-id") >= 2  # of the one-time password, and of the second run
    kept = {kind(finding.secret) for finding in aftermath.in_rows if finding.place == "variable.val decrypted"}
    assert kept == {"token", "gst-session-id"}
    assert Finding("connection.password decrypted", "password") in aftermath.in_rows


@pytest.mark.parametrize(
    "place",
    [
        "/api/v2/dags/session_and_reset/dagRuns/.+/hitlDetails",
        "/api/v2/dags/session_and_reset/dagRuns/.+/taskInstances/verify_otp/-1/hitlDetails",
        "/api/v2/dags/session_and_reset/dagRuns/.+/taskInstances/verify_otp/-1/hitlDetails/tries/1",
        "/api/v2/dags/session_and_reset/dagRuns/.+/taskInstances/verify_otp/tries/1",
        "/api/v2/dags/session_and_reset/dagRuns/.+/taskInstances/wait/logs/1",
        "/api/v2/dags/session_and_reset/dagRuns/.+/taskInstances/result/xcomEntries/return_value",
        "/api/v2/dags/session_and_reset/dagRuns/.+/taskInstances/reset/state-store",
        "/api/v2/connections/gstn_default",
        "/api/v2/variables/gstn_session_token__.+",
        "/api/v2/eventLogs",
        "/api/v2/importErrors",
        "home/airflow.db",
        "home/logs/dag_id=session_and_reset/.+/task_id=verify_otp/attempt=2.log",
        "home/logs/dag_id=session_and_reset/.+/task_id=wait/attempt=1.log.trigger.+",
        "home/logs-of-components/triggerer.log",
        "results/.+.result.json",
        "hitl_detail.params_input",
        "hitl_detail_history.params_input",
        "log.extra",
        "rendered_task_instance_fields.rendered_fields",
        "task_instance.next_kwargs",
        "task_instance_history.next_kwargs",
        "trigger.kwargs( decrypted)?",
        "xcom.value",
    ],
)
def test_it_was_searched(aftermath, place):
    assert any(re.fullmatch(place, searched) for searched in aftermath.searched)


def test_no_answer_of_the_api_tells_a_secret(aftermath):
    assert aftermath.in_answers == set()


def test_the_database_holds_secrets_encrypted_and_nowhere_else(aftermath):
    assert {finding for finding in ours(aftermath.in_rows) if finding.place not in ENCRYPTED} == set()


def test_nor_while_a_task_is_deferred(aftermath):
    assert {finding for finding in aftermath.in_rows_while_deferred if finding.place not in ENCRYPTED} == set()


def test_no_file_but_the_database_holds_a_secret(aftermath):
    assert {finding for finding in ours(aftermath.in_files) if not is_database(finding)} == set()


def test_of_what_the_database_has_overwritten_only_one_time_passwords_remain_until_a_vacuum(aftermath):
    # A database keeps the bytes of overwritten rows for a while (SQLite: write-ahead log, free pages), and Airflow
    # keeps in a row what a person typed until the task has read it.
    remains = {finding.secret for finding in ours(aftermath.in_files) if is_database(finding)}
    assert remains <= {"OTP", "wrong OTP"}
    assert ours(aftermath.in_files_after_vacuum) == set()


def test_a_leak_is_found(aftermath):
    assert aftermath.leaks_before == set()
    leaked = {finding.place for finding in aftermath.in_rows if finding.secret == "leaked"}
    assert leaked == {"connection.password decrypted", "xcom.value"}
    assert Finding("home/airflow.db", "leaked") in aftermath.in_files_after_vacuum
    assert any(
        place.endswith("/taskInstances/leak/xcomEntries/return_value") for place, _ in aftermath.leaks_in_answers
    )


def is_database(finding: Finding) -> bool:
    return finding.place.startswith("home/airflow.db")


def kind(name: str) -> str:
    return name.rsplit(" ", 1)[0]


def ours(findings: set[Finding]) -> set[Finding]:
    return {finding for finding in findings if finding.secret != "leaked"}


@pytest.mark.parametrize("secret", [PASSWORD, WRONG_PASSWORD, OTP])
@pytest.mark.parametrize(
    "written",
    [
        lambda secret: secret,
        lambda secret: f"otp={quote_plus(secret)}&x",
        lambda secret: f"otp%3D{quote(secret)}",
        lambda secret: json.dumps({"extra": json.dumps({"otp": secret})}),
        lambda secret: repr({"otp": secret}),
        html.escape,
        lambda secret: base64.b64encode(f"u:{secret}".encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(f"user{secret}!".encode()).decode(),
        lambda secret: base64.b64encode(json.dumps({"": secret}, ensure_ascii=False).encode()).decode(),
    ],
)
def test_a_secret_is_found_however_it_is_written(secret, written):
    evidence = [("clean", b"nothing"), ("there", written(secret).encode())]
    assert search(evidence, {"it": secret}) == {Finding("there", "it")}


@pytest.mark.parametrize("chance", ["2026-11-22T07:31:17.918273Z", "1918273", "0e918273-1d2f", "ab918273"])
def test_digits_that_occur_by_chance_are_no_finding(chance):
    assert search([("log", chance.encode())], {"OTP": OTP}) == set()
