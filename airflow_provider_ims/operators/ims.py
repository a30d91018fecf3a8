"""Sends a reset, and reads what came of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator, ObjectStoragePath

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.exceptions import (
    GstnInvalidPayload,
    GstnInvalidRequest,
    GstnResetFailed,
    GstnResetPartial,
    GstnResultNotReady,
)
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.hooks.retries import until_ready
from airflow_provider_ims.models.codes import remedy_for
from airflow_provider_ims.models.faults import Fault, InvalidPayload
from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.models.result import Account, RefusedDocument, ResetResult

if TYPE_CHECKING:
    from airflow.sdk import Context

OnPartial = Literal["fail", "warn", "skip"]
Payload = ResetPayload | Mapping[str, Any] | str


def load_payload(payload: Payload, **rules: bool) -> ResetPayload:
    """
    Read a reset request from wherever the user keeps it.

    :param payload: a dict, a :class:`ResetPayload`, JSON text, or the path or URI of a JSON file, as
        ``ObjectStoragePath`` takes it (``s3://conn_id@bucket/reset.json``)
    :param rules: see :meth:`ResetPayload.parse`
    :raises GstnInvalidPayload: with every fault
    """
    try:
        if isinstance(payload, str) and not payload.lstrip("\ufeff \t\r\n").startswith("{"):
            return ResetPayload.parse(_read_file(payload), **rules)
        return ResetPayload.parse(payload, **rules)
    except InvalidPayload as error:
        raise GstnInvalidPayload(str(error), error.faults) from None


def _read_file(path: str) -> bytes:
    try:
        content: bytes = ObjectStoragePath(path).read_bytes()
    except (OSError, ImportError, ValueError) as error:
        # OSError: missing or forbidden; ImportError, ValueError: a scheme that nothing here can read.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        rule = f"a JSON file that this worker can read ({type(error).__name__}: {reason})"
        raise InvalidPayload([Fault("payload", path, rule)]) from None
    return content


class ImsResetOperator(BaseOperator):
    """
    Put documents back to "no action" in IMS: send the request, return its reference id.

    The request is checked before any call, and all its faults are told at once. It is sent once; a reply that
    is lost fails the task and is not answered with a second request. Mind that a document left at "no action"
    is deemed accepted when GSTR-2B is drawn.

    :param payload: the request: a dict, a :class:`~airflow_provider_ims.models.ResetPayload`, or the path or
        URI of a JSON file (templated)
    :param gstn_conn_id: id of the connection (templated)
    :param strict_gstin: refuse GSTINs whose check digit is wrong, instead of warning
    :param allow_no_action: accept documents whose ``prev_status`` is ``N`` already
    """

    template_fields: Sequence[str] = ("payload", "gstn_conn_id")
    ui_color = "#f7e3d7"

    def __init__(
        self,
        *,
        payload: Payload,
        gstn_conn_id: str = GstnHook.default_conn_name,
        strict_gstin: bool = False,
        allow_no_action: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.payload = payload
        self.gstn_conn_id = gstn_conn_id
        self.strict_gstin = strict_gstin
        self.allow_no_action = allow_no_action

    def execute(self, context: Context) -> str:
        """
        Check and send the request.

        :return: the reference id
        :raises GstnInvalidPayload: with every fault; nothing was sent
        :raises GstnError: see :meth:`GstnHook.submit_reset`
        """
        payload = load_payload(self.payload, strict_gstin=self.strict_gstin, allow_no_action=self.allow_no_action)
        for doubt in payload.doubtful_gstins():
            self.log.warning("%s", doubt)
        self.log.info(
            "Resetting %d documents of GSTIN %s: %s. A document left at no action is deemed accepted in GSTR-2B.",
            payload.count(),
            payload.rtin,
            _listed(payload.counts()),
        )
        with GstnHook(self.gstn_conn_id) as hook:
            reference_id = hook.submit_reset(payload)
        self.log.info("The service works on it under the reference id %s.", reference_id)
        return reference_id


class ImsResultOperator(BaseOperator):
    """
    Read what came of a reset, account for its documents, and say so where the user wants it.

    :param reference_id: what the reset returned, such as ``wait.output`` (templated)
    :param payload: the request that was sent, in any form that :class:`ImsResetOperator` takes; with it, every
        document is accounted for, section by section (templated)
    :param on_partial: when GSTN refused some documents: ``fail`` the task, ``warn`` and go on, or ``skip``
    :param output_path: directory for the full result (``<reference_id>.result.json``) and the refused documents
        (``<reference_id>.refused.csv``), as ``ObjectStoragePath`` takes it (templated)
    :param gstn_conn_id: id of the connection (templated)
    """

    template_fields: Sequence[str] = ("reference_id", "payload", "output_path", "gstn_conn_id")
    ui_color = "#dff7d7"

    def __init__(
        self,
        *,
        reference_id: str,
        payload: Payload | None = None,
        on_partial: OnPartial = "fail",
        output_path: str | None = None,
        gstn_conn_id: str = GstnHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_partial not in {"fail", "warn", "skip"}:
            raise ValueError(f"on_partial is {on_partial!r}; it takes fail, warn or skip")
        self.reference_id = reference_id
        self.payload = payload
        self.on_partial = on_partial
        self.output_path = output_path
        self.gstn_conn_id = gstn_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Read, write, decide.

        :return: a small summary: ``outcome``, ``reference_id``, ``processed``, ``errors``, the counts of each
            section, and the paths of the files. On failure it is pushed to XCom before the task fails
        :raises GstnResetPartial: when GSTN refused some documents and ``on_partial`` is ``fail``
        :raises GstnResetFailed: when GSTN refused the whole reset, or answered with a word that nobody knows
        :raises GstnResultNotReady: when there is no result yet
        """
        payload = load_payload(self.payload, allow_no_action=True) if self.payload else None
        reference_id = str(self.reference_id)
        with GstnHook(self.gstn_conn_id) as hook:
            # A complete task whose GSTN half says IP is rare and short: worth a moment of this worker.
            result: ResetResult = until_ready(lambda read: read.outcome == "running")(
                hook.get_task_result, reference_id
            )
        if result.outcome == "running":
            raise GstnResultNotReady(
                f"Task {reference_id} is complete, but GSTN still works on the reset (IP). Read the result again"
                " later; the task's retries do that."
            )
        account = result.account(payload) if payload else None
        summary = _summary(reference_id, result, account)
        summary.update(self._write(reference_id, result, account, summary))
        self._tell(result, account)
        if summary["outcome"] == "processed":
            return summary
        # A failing task's return value is lost, so the summary goes ahead of the failure, in its place.
        context["ti"].xcom_push(key="return_value", value=summary)
        self._decide(reference_id, result, account)
        return summary

    def _decide(self, reference_id: str, result: ResetResult, account: Account | None) -> None:
        if result.outcome not in {"processed", "partial"}:
            word = f"status_cd {result.status_cd!r}"
            what = " ".join(part for part in (result.code, result.message) if part) or "no reason given"
            advice = remedy_for(result.code) if result.code else "Look at the documents on the GST portal."
            raise GstnResetFailed(f"Reset {reference_id} did not succeed ({word}): {what}. {advice}", code=result.code)
        unknown = account.total("unknown") if account else result.unexplained
        others = "the others are reset"
        if unknown:
            others = f"{unknown} others are not accounted for: look them up on the GST portal"
        text = f"Reset {reference_id}: GSTN refused {result.errors}; {others}. {_first_refusals(result.refused)}"
        if self.on_partial == "fail":
            raise GstnResetPartial(text)
        if self.on_partial == "skip":
            raise AirflowSkipException(text)
        self.log.warning("%s", text)

    def _tell(self, result: ResetResult, account: Account | None) -> None:
        for row in result.refused:
            self.log.warning(
                "Refused: %s %s of supplier %s, period %s: %s %s. %s",
                row.section,
                row.number or "(no number given)",
                row.stin or "(none given)",
                row.rtnprd or "(none given)",
                row.code,
                row.message,
                row.remedy,
            )
        if account is None:
            return
        for section, count in account.sections().items():
            self.log.info("%s: %s", section, _listed(count.model_dump()))
        for row in account.stray:
            self.log.warning("GSTN refused what we did not send, or did not name it: %s", row)

    def _write(
        self, reference_id: str, result: ResetResult, account: Account | None, summary: Mapping[str, Any]
    ) -> dict[str, str]:
        if not self.output_path or self.output_path == "None":
            return {}
        full = {**summary, "result": result.raw}
        if account:
            full["documents"] = [{**key._asdict(), "outcome": said} for key, said in account.outcomes.items()]
        table = io.StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(RefusedDocument._fields)
        writer.writerows(result.refused)
        try:
            folder = ObjectStoragePath(self.output_path)
            folder.mkdir(parents=True, exist_ok=True)
            result_path = folder / f"{reference_id}.result.json"
            refused_path = folder / f"{reference_id}.refused.csv"
            result_path.write_text(json.dumps(full, indent=2, ensure_ascii=False), encoding="utf-8")
            refused_path.write_text(table.getvalue(), encoding="utf-8")
        except (OSError, ImportError, ValueError) as error:
            raise GstnInvalidRequest(
                f"The result of {reference_id} cannot be written to output_path {self.output_path!r}"
                f" ({type(error).__name__}: {error}). Correct the path and clear this task; the service keeps"
                " the result for 7 days."
            ) from None
        return {"result_path": str(result_path), "refused_path": str(refused_path)}


def _summary(reference_id: str, result: ResetResult, account: Account | None) -> dict[str, Any]:
    outcome = result.outcome if result.outcome in {"processed", "partial"} else "failed"
    if outcome == "processed" and account and account.total("unknown"):
        outcome = "partial"
    processed = result.processed
    if processed is None:
        processed = account.total("reset") if account else 0
    summary: dict[str, Any] = {
        "outcome": outcome,
        "reference_id": reference_id,
        "processed": processed,
        "errors": result.errors,
        "status_cd": result.status_cd,
        "code": result.code,
    }
    if account:
        summary["sections"] = {name: count.model_dump() for name, count in account.sections().items()}
    return summary


def _first_refusals(refused: Sequence[RefusedDocument], shown: int = 5) -> str:
    lines = [f"{row.section} {row.number or '?'} of {row.stin or '?'}: {row.code}" for row in refused[:shown]]
    if len(refused) > shown:
        lines.append(f"and {len(refused) - shown} more, all in the log")
    return "; ".join(lines) + "." if lines else ""


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
