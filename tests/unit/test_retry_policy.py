"""When Airflow tries again, by the kind of fault. The policies are Airflow's (3.3); below it there are none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_ims import exceptions
from airflow_provider_ims import retry_policy as module
from airflow_provider_ims._compat import retry_policies
from airflow_provider_ims.exceptions import (
    GstnBusy,
    GstnError,
    GstnPermanentError,
    GstnServiceUnavailable,
    GstnTransientError,
)
from airflow_provider_ims.retry_policy import retry_policy

EVERY = [thing for thing in vars(exceptions).values() if isinstance(thing, type) and issubclass(thing, GstnError)]


def decide(error: BaseException, **pauses: timedelta):
    """Decide as the worker does, with the policy as the DAG processor kept it."""
    policy = retry_policy(**pauses)
    return type(policy).deserialize(policy.serialize()).evaluate(error, 1, 3)


if retry_policies() is not None:

    @pytest.mark.parametrize("kind", EVERY)
    def test_fails_at_once_what_cannot_pass_and_tries_the_rest_again(kind):
        decision = decide(kind("text"))
        if issubclass(kind, GstnPermanentError):
            assert decision.action.value == "fail"
        elif issubclass(kind, GstnTransientError):
            assert decision.action.value == "retry"
            assert decision.retry_delay >= timedelta(minutes=1)
        else:
            assert decision.action.value == "default"

    def test_the_pauses_are_the_users():
        pauses = {"busy": timedelta(minutes=30), "outage": timedelta(seconds=7)}
        assert decide(GstnBusy("busy"), **pauses).retry_delay == timedelta(minutes=30)
        assert decide(GstnServiceUnavailable("503"), **pauses).retry_delay == timedelta(seconds=7)

    def test_leaves_other_exceptions_to_the_task():
        assert decide(ValueError("a bug")).action.value == "default"


def test_says_what_to_do_where_airflow_has_no_policies(monkeypatch):
    monkeypatch.setattr(module, "retry_policies", lambda: None)
    with pytest.raises(RuntimeError, match="Airflow 3.3"):
        retry_policy()
