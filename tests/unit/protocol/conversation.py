"""Plays the service to an exchange of the protocol, one scripted answer for each request."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.wire import Exclusive, Load, Mask, Pause, Reply, Request, Save, Step

Answer = Reply | Kind | Callable[[], Reply]


class Clock:
    """A clock that stands still until it is moved; seconds since the epoch."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Conversation:
    """
    Drives exchanges by hand, checks that secrets are masked before they are used, and keeps all that was done.

    :param secrets: texts that must have been masked before a request may carry them
    """

    def __init__(self, *secrets: str) -> None:
        self.secrets = secrets
        self.masked: list[str] = []
        self.requests: list[Request] = []
        self.store: dict[str, str] = {}
        self.pauses: list[float] = []
        self.exclusive: list[str] = []
        self.ever_exclusive: set[str] = set()
        self.is_read_only = False
        self.reasons: list[str] = []

    def hold(self, exchange: Generator[Any, Any, Any], *answers: Answer) -> Any:
        """
        Hold a conversation to its end.

        :param answers: for each request the reply, a function that does something and gives it, or the kind of
            fault by which none came
        :return: what the exchange returns
        """
        script = list(answers)
        result = self._carry_out(exchange, script)
        assert not script, f"{len(script)} answers were not asked for"
        return result

    @property
    def sent(self) -> list[str]:
        """The calls that were made, in words."""
        return [request.call for request in self.requests]

    def _carry_out(self, exchange: Generator[Any, Any, Any], script: list[Answer]) -> Any:
        try:
            step = next(exchange)
            while True:
                try:
                    answer = self._answer(step, script)
                except ServiceError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(answer)
        except StopIteration as end:
            return end.value

    def _answer(self, step: Step, script: list[Answer]) -> Any:
        match step:
            case Mask(secret):
                self.masked.append(secret)
            case Load(key, _):
                return self.store.get(key)
            case Save(required=False) if self.is_read_only:
                return False
            case Save(key, None):
                self.store.pop(key, None)
                return True
            case Save(key, value):
                self.store[key] = value
                return True
            case Pause(seconds, why):
                self.pauses.append(seconds)
                if why:
                    self.reasons.append(why)
                self.on_pause()
            case Exclusive(key, exchange):
                assert key not in self.exclusive, "exclusive within exclusive would wait for itself"
                self.exclusive.append(key)
                self.ever_exclusive.add(key)
                try:
                    return self._carry_out(exchange, script)
                finally:
                    self.exclusive.remove(key)
            case Request():
                self._check(step)
                self.requests.append(step)
                assert script, f"a request too many: {step}"
                answer = script.pop(0)
                if isinstance(answer, Kind):
                    raise ServiceError(answer, step.call)
                return answer() if callable(answer) else answer
        return None

    def on_pause(self) -> None:
        """Let something happen during a pause; nothing, unless a test puts another function here."""

    def _check(self, request: Request) -> None:
        everything = f"{dict(request.headers)} {request.url} {(request.body or b'').decode()}"
        for secret in self.secrets:
            assert secret not in everything or secret in self.masked, f"{secret} is sent before it is masked"
            assert secret not in repr(request), f"{secret} shows in a log line"
