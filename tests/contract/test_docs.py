"""What the documentation shows runs: the hook's examples, mail on failure, and what was refused sent again."""

from __future__ import annotations

import builtins
import re
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_string
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims.exceptions import GstnInvalidRequest, GstnResetPartial, GstnSessionExpired
from airflow_provider_ims.hooks.gstn import GstnAsyncHook, GstnHook
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.simulator.options import Document
from demo.company import documents
from tests.contract.test_loop import GSTIN, PER_GSTIN, Company
from tests.examples import example
from tests.unit.matching.builders import read

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_examples_of_the_page_on_the_hook_run(simulator, monkeypatch, capsys):
    simulator.gst.change_options({"task_seconds": 0})
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(builtins, "input", lambda prompt: "424242")
    names: dict[str, Any] = {"__name__": "docs"}
    for number, block in enumerate(BLOCK.findall((ROOT / "docs/hook.md").read_text())):
        exec(compile(block, f"docs/hook.md example {number}", "exec"), names)  # noqa: S102 - our own page
    told = capsys.readouterr().out
    assert "True Logged in as" in told
    assert "processed 8 0" in told
    assert "24MAYAS0100J1JD b1 N" in told
    assert "A person has to type a one-time password" in told
    assert "['completed']" in told
    assert simulator["resets"] == 1
    assert simulator["live_tokens"] == 0


@pytest.mark.parametrize("hook", [GstnHook, GstnAsyncHook])
def test_the_page_on_the_hook_has_every_method(hook: type):
    page = (ROOT / "docs/hook.md").read_text().split(f"## Every method of `{hook.__name__}`")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)", page, re.MULTILINE)
    assert sorted(documented) == sorted(name for name in vars(hook) if not name.startswith("_"))


def test_what_was_refused_is_sent_again_as_gstn_holds_it_now(simulator, tmp_path):
    module = example("ims_refused_again")
    company = Company(simulator, tmp_path)
    plan = company.plan(company.reconcile(company.download()))
    rows = read(tmp_path / "reconciled" / "resets.parquet")
    acted_on, edited = ((row["section"], row["stin"], row["inum"] or row["nt_num"]) for row in rows[:2])
    other = "P" if rows[0]["prev_status"] == "R" else "R"
    change_action(simulator, acted_on, other)
    assert simulator.gst.edit_document(GSTIN, *edited, {"txval": 1.5, "val": 1.77}) == 1
    simulator.gst.change_options({"strict_documents": True})
    [outcome] = company.reset(plan)
    assert outcome["refused"] == 2

    after = company.download("after")
    verified = company.verify([outcome], after, on_difference="warn")
    again = module.still_to_reset.function(verified["path"], after["path"], str(tmp_path / "again" / "rows.parquet"))
    [row] = read(Path(again))
    assert (row["section"], row["stin"], row["number"], row["prev_status"]) == (*acted_on, other)
    planned = ImsPlanOperator(
        task_id="plan", source=again, output_path=str(tmp_path / "second"), allow_empty=True
    ).execute({})
    [second] = company.reset(planned)
    assert (second["documents"], second["reset"]) == (1, 1)

    last = company.download("last")
    verified = company.verify([outcome], last, on_difference="warn")
    nothing = module.still_to_reset.function(verified["path"], last["path"], str(tmp_path / "third" / "rows.parquet"))
    assert read(Path(nothing)) == []
    with pytest.raises(GstnInvalidRequest, match="on a disk that all workers share"):
        module.earlier.function("s3://bucket/ims/result.csv")


def change_action(simulator: Any, named: tuple[str, str, str], action: str) -> None:
    """Somebody decides otherwise on the GST portal."""
    held = (Document.model_validate(document) for document in documents((GSTIN,), PER_GSTIN))
    [found] = [document for document in held if (document.section, document.stin, document.number) == named]
    simulator.gst.add_documents([found.model_copy(update={"status": action})])


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server on this machine."""

    allow_reuse_address = True

    def __init__(self) -> None:
        self.received: list[tuple[str, Message]] = []
        super().__init__(("127.0.0.1", 0), Session)


class Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        to, text, in_data = "", [], False
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            if in_data:
                if line == ".":
                    assert isinstance(self.server, Mailbox)
                    self.server.received.append((to, message_from_string("\n".join(text))))
                    in_data = False
                else:
                    text.append(line.removeprefix("."))
                    continue
            elif line.upper().startswith("RCPT TO"):
                to = line.partition(":")[2].strip("<>")
            elif line.upper() == "DATA":
                in_data = True
                self.wfile.write(b"354 go on\r\n")
                continue
            elif line.upper() == "QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 yes\r\n")


@pytest.fixture
def mailbox(monkeypatch) -> Iterator[Mailbox]:
    with Mailbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        monkeypatch.setenv(
            "AIRFLOW_CONN_SMTP_DEFAULT",
            f"smtp://127.0.0.1:{port}/?disable_ssl=true&disable_tls=true&timeout=10&retry_limit=1",
        )
        yield server
        server.shutdown()


def context(error: Exception, summary: Any) -> dict[str, Any]:
    task_instance = SimpleNamespace(
        task_id="result", log_url="http://airflow/log", xcom_pull=lambda task_ids: summary, start_date=datetime.now(UTC)
    )
    return {"exception": error, "ti": task_instance, "dag": example("ims_reset_mail").dag}


def test_what_gstn_refused_is_mailed_with_its_table_and_no_word_of_it_is_a_template(mailbox, tmp_path):
    refused = tmp_path / "r-1.refused.csv"
    refused.write_text("section,stin\nb2b,24MAYAS0100J1JD\n")
    error = GstnResetPartial("Reset r-1: 1 refused\nIMSSAV0010 {{ 7 * 191 }} <b>edited</b>", code="IMSSAV0010")
    example("ims_reset_mail").mail(context(error, {"refused_path": str(refused)}))
    [(to, message)] = mailbox.received
    assert to == "tax-team@example.com"
    assert message["Subject"] == "Reset r-1: 1 refused"
    parts = {part.get_content_type(): part for part in message.walk()}
    html = parts["text/html"].get_payload(decode=True).decode()
    assert "{{ 7 * 191 }} &lt;b&gt;edited&lt;/b&gt;" in html
    assert "1337" not in html
    [attached] = [part for part in message.walk() if part.get_filename()]
    assert attached.get_filename() == refused.name
    assert b"24MAYAS0100J1JD" in attached.get_payload(decode=True)


def test_a_missing_session_is_told_to_those_who_have_the_phone_also_without_a_result(mailbox):
    example("ims_reset_mail").mail(context(GstnSessionExpired("GSTIN 20MAYAS0100J1ZX has no session"), None))
    [(to, message)] = mailbox.received
    assert to == "gst-otp@example.com"
    assert not [part for part in message.walk() if part.get_filename()]
