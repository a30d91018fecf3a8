"""Plays the service to an exchange of the protocol, one scripted answer for each request."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from airflow_provider_ims.models.codes import Kind
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.wire import Mask, Reply, Request


class Clock:
    """A clock that stands still until it is moved; seconds since the epoch."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Conversation:
    """
    Drives exchanges by hand, checks that secrets are masked before they are used, and keeps all that was sent.

    :param secrets: texts that must have been masked before a request may carry them
    """

    def __init__(self, *secrets: str) -> None:
        self.secrets = secrets
        self.masked: list[str] = []
        self.requests: list[Request] = []

    def hold(self, exchange: Generator[Any, Any, Any], *answers: Reply | Kind) -> Any:
        """
        Hold a conversation to its end.

        :param answers: for each request the reply, or the kind of fault by which none came
        :return: what the exchange returns
        """
        script = list(answers)
        try:
            step = next(exchange)
            while True:
                if isinstance(step, Mask):
                    self.masked.append(step.secret)
                    step = exchange.send(None)
                    continue
                assert isinstance(step, Request)
                self._check(step)
                self.requests.append(step)
                assert script, f"a request too many: {step}"
                answer = script.pop(0)
                if isinstance(answer, Kind):
                    step = exchange.throw(ServiceError(answer, step.call))
                else:
                    step = exchange.send(answer)
        except StopIteration as end:
            assert not script, f"{len(script)} answers were not asked for"
            return end.value

    @property
    def sent(self) -> list[str]:
        """The calls that were made, in words."""
        return [request.call for request in self.requests]

    def _check(self, request: Request) -> None:
        everything = f"{dict(request.headers)} {request.url} {(request.body or b'').decode()}"
        for secret in self.secrets:
            assert secret not in everything or secret in self.masked, f"{secret} is sent before it is masked"
            assert secret not in repr(request), f"{secret} shows in a log line"
