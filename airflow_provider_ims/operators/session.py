"""Opens, extends and ends a taxpayer's session with GSTN; a person types the one-time password into Airflow's page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLEntryOperator
from airflow.sdk import BaseOperator

from airflow_provider_ims._compat import (
    AirflowSkipException,
    TaskAwaitingInput,
    TaskDeferred,
    erase_human_input,
    label_mapped_task,
    mask_secret,
)
from airflow_provider_ims.assets import SESSION_ALIAS
from airflow_provider_ims.exceptions import GstnOtpRefused, GstnSessionExpired, GstnTransientError
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.links import LINKS
from airflow_provider_ims.operators._arguments import is_true
from airflow_provider_ims.operators._assets import AssetEvents, declare_assets
from airflow_provider_ims.operators._otp_form import ABOUT_ASKING_AGAIN, OTP_LIFE, otp_fields, typed, why_again

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["GstnLogoutOperator", "GstnRefreshSessionOperator", "GstnRequestOtpOperator", "GstnVerifyOtpOperator"]


class GstnRequestOtpOperator(BaseOperator):
    """
    Have GSTN send the taxpayer a one-time password; skip if the session that is there can be extended.

    Each run of this task can send a message to the taxpayer's phone: put it into a DAG that a person starts.

    :param gstin: the taxpayer (templated)
    :param username: the taxpayer's user name on the GST portal (templated)
    :param only_if_needed: try to extend the known session first, and skip this task and the next if that works
    :param gstn_conn_id: id of the connection (templated)
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    """

    template_fields: Sequence[str] = ("gstin", "username", "gstn_conn_id")
    ui_color = "#f5efd0"
    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        gstin: str,
        username: str,
        only_if_needed: bool = True,
        gstn_conn_id: str = GstnHook.default_conn_name,
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gstin = gstin
        self.username = username
        self.only_if_needed = only_if_needed
        self.gstn_conn_id = gstn_conn_id
        self.emit_assets = declare_assets(self, emit_assets, SESSION_ALIAS)

    def execute(self, context: Context) -> str:
        """
        Extend the session, or request the password.

        :return: the id that goes with the password
        :raises AirflowSkipException: when there is a live session and no password is needed
        """
        with GstnHook(self.gstn_conn_id) as hook:
            if is_true("only_if_needed", self.only_if_needed) and (ends_at := self._extended(hook)):
                # A skipped task's events are not taken by Airflow.
                AssetEvents(self, context).session("extended", self.gstin, succeeds=False, ends_at=ends_at)
                raise AirflowSkipException(
                    f"GSTIN {self.gstin} has a session until {ends_at:%d-%m-%Y %H:%M} UTC; no one-time password needed."
                )
            otp_request_id = hook.request_otp(self.gstin, self.username)
        self.log.info("GSTN sends a one-time password to the taxpayer of GSTIN %s.", self.gstin)
        AssetEvents(self, context).session("otp_requested", self.gstin)
        return otp_request_id

    def _extended(self, hook: GstnHook) -> datetime | None:
        if hook.find_session(self.gstin) is None:
            return None
        try:
            return hook.refresh_session(self.gstin)
        except GstnSessionExpired as error:
            self.log.info("The known session cannot be extended, so a password is needed. %s", error)
            return None


class GstnVerifyOtpOperator(HITLEntryOperator):
    """
    Wait for a person to type the one-time password into Airflow's page, and open the session with it.

    The task waits in ``awaiting_input`` (Airflow 3.3; before, in the triggerer) and holds no worker. A password
    that GSTN refuses, or that meets an outage, is asked for again. What was typed is removed from Airflow's record
    of the answer before anything else happens. ``retries`` is 0 whatever the DAG says: Airflow would keep what was
    typed in its history of the try that failed, for good. To ask several taxpayers, map a task group, as the
    example does: a task that is mapped by itself takes its retries from the DAG.

    :param gstin: the taxpayer (templated)
    :param otp_request_id: what :class:`GstnRequestOtpOperator` returned (templated)
    :param attempts: how often the person may type a password before a new one must be requested
    :param gstn_conn_id: id of the connection (templated)
    :param response_timeout: how long to wait for the person; the default is the life of a password, 10 minutes
    :param notifiers: tell the person (any Airflow notifier); in their templates ``{{ task.subject }}`` says of a
        question that is asked again why
    :param subject: headline of the form (templated); by default it names the GSTIN. Airflow (3.3 and before) keeps that
        of the first question on its page, so there the label of a mapped task says why it asks again
    :param body: text below it (templated); by default what it means to be asked again
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    """

    template_fields: Sequence[str] = ("subject", "body", "gstin", "otp_request_id", "gstn_conn_id")
    ui_color = "#f5dfd0"
    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        gstin: str,
        otp_request_id: str,
        attempts: int = 3,
        gstn_conn_id: str = GstnHook.default_conn_name,
        response_timeout: timedelta = OTP_LIFE,
        subject: str | None = None,
        body: str | None = None,
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("params", None)  # the DAG's own, which are no fields of this form
        kwargs["retries"] = 0
        super().__init__(
            subject=subject or "One-time password of GSTN",
            body=ABOUT_ASKING_AGAIN if body is None else body,
            params=otp_fields(),
            defaults=None,  # without this a timeout would count as an answer
            response_timeout=response_timeout,
            **kwargs,
        )
        self.gstin = gstin
        self.otp_request_id = otp_request_id
        self.attempts = attempts
        self.gstn_conn_id = gstn_conn_id
        self.emit_assets = declare_assets(self, emit_assets, SESSION_ALIAS)
        self._own_subject = subject is not None

    def execute(self, context: Context) -> None:
        """Ask the person."""
        self._ask(context)

    def execute_complete(self, context: Context, event: dict[str, Any], attempt: int = 1) -> dict[str, str]:
        """
        Open the session with what the person typed.

        :param event: the answer, as Airflow hands it over
        :param attempt: which password of this request it is, from 1
        :return: ``gstin`` and ``ends_at``, the end of the session unless it is extended before (UTC)
        :raises GstnOtpRefused: when the last attempt was refused, too
        """
        if "error" in event:
            raise GstnOtpRefused(
                f"GSTIN {self.gstin}: no one-time password was typed in time ({event.get('error_type')})."
                " Clear the task that requests it, and be there when it comes."
            )
        otp = typed(event)
        if otp:
            mask_secret(otp)
        erase_human_input(context["ti"].id)
        try:
            with GstnHook(self.gstn_conn_id) as hook:
                if not otp:
                    raise GstnOtpRefused(f"GSTIN {self.gstin}: no one-time password was typed.")
                ends_at = hook.verify_otp(self.gstin, self.otp_request_id, otp)
        except (GstnOtpRefused, GstnTransientError) as error:
            if attempt >= self.attempts:
                # Permanent in either case: Airflow would keep what was typed with the try that a retry follows.
                raise GstnOtpRefused(
                    f"{error} Clear the task that requests the one-time password to begin anew.", code=error.code
                ) from None
            self.log.warning("%s Asking again (%d of %d).", error, attempt + 1, self.attempts)
            self._ask(context, attempt + 1, why_again(error, nothing_typed=not otp))
        self.log.info("GSTIN %s has a session until %s.", self.gstin, ends_at.isoformat())
        AssetEvents(self, context).session("opened", self.gstin, ends_at=ends_at)
        return {"gstin": self.gstin, "ends_at": ends_at.isoformat()}

    def _ask(self, context: Context, attempt: int = 1, why: str = "") -> None:
        if not self._own_subject:
            self.subject = f"One-time password of GSTN for GSTIN {self.gstin}"
        if why:
            why = f"{why} ({attempt} of {self.attempts})"
            self.subject = f"{why}: {self.subject}"
            if getattr(context["ti"], "map_index", -1) >= 0:
                label_mapped_task(f"{self.gstin}: {why}")
        try:
            super().execute(context)
        except (TaskAwaitingInput, TaskDeferred) as parked:
            parked.kwargs = {"attempt": attempt}
            raise


class GstnRefreshSessionOperator(BaseOperator):
    """
    Extend the taxpayer's session without a one-time password, if it is old enough.

    :param gstin: the taxpayer (templated)
    :param min_age: leave a session alone that was opened or extended less than this ago
    :param gstn_conn_id: id of the connection (templated)
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    """

    template_fields: Sequence[str] = ("gstin", "gstn_conn_id")
    ui_color = "#e8f5d0"
    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        gstin: str,
        min_age: timedelta = timedelta(0),
        gstn_conn_id: str = GstnHook.default_conn_name,
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gstin = gstin
        self.min_age = min_age
        self.gstn_conn_id = gstn_conn_id
        self.emit_assets = declare_assets(self, emit_assets, SESSION_ALIAS)

    def execute(self, context: Context) -> dict[str, str]:
        """
        Extend the session.

        :return: ``gstin`` and ``ends_at``, the end of the session unless it is extended before (UTC)
        :raises GstnSessionExpired: when there is no session, or none that can be extended
        """
        events = AssetEvents(self, context)
        with GstnHook(self.gstn_conn_id) as hook, events.watching(self.gstin):
            known = hook.find_session(self.gstin)
            ends_at = hook.refresh_session(self.gstin, self.min_age)
        self.log.info("GSTIN %s has a session until %s.", self.gstin, ends_at.isoformat())
        if known is None or abs(known.ends_at - ends_at.timestamp()) >= 1:
            events.session("extended", self.gstin, ends_at=ends_at)
        return {"gstin": self.gstin, "ends_at": ends_at.isoformat()}


class GstnLogoutOperator(BaseOperator):
    """
    End the taxpayer's session, unless tasks of this GSTIN are known to run: a logout would make them fail.

    :param gstin: the taxpayer (templated)
    :param force: do it even then (templated)
    :param gstn_conn_id: id of the connection (templated)
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    """

    template_fields: Sequence[str] = ("gstin", "force", "gstn_conn_id")
    ui_color = "#eeeeee"
    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        gstin: str,
        force: bool | str = False,
        gstn_conn_id: str = GstnHook.default_conn_name,
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gstin = gstin
        self.force = force
        self.gstn_conn_id = gstn_conn_id
        self.emit_assets = declare_assets(self, emit_assets, SESSION_ALIAS)

    def execute(self, context: Context) -> None:
        """
        End the session.

        :raises GstnInvalidRequest: when ``force`` is neither true nor false
        :raises GstnBusy: when tasks of this GSTIN are known to run and it is not forced
        :raises GstnSessionExpired: when there is no session
        """
        force = is_true("force", self.force)
        with GstnHook(self.gstn_conn_id) as hook:
            hook.logout(self.gstin, force=force)
        self.log.info("The session of GSTIN %s has ended.", self.gstin)
        AssetEvents(self, context).session("ended", self.gstin)
