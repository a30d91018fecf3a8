"""Carries out the steps of an exchange: the only place where the protocol meets sockets, clocks and stores."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from airflow_provider_ims._compat import amask_secret, mask_secret
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.wire import Exchange, Exclusive, Load, Mask, Pause, Reply, Request, Save, Step
from airflow_provider_ims.sessions.single_flight import aexclusive, exclusive
from airflow_provider_ims.sessions.store import SessionStore

_MUCH = 64 * 1024
"""Bytes of a reply that is read beside the event loop instead of in it."""

STORE_ATTEMPTS = 3

log = logging.getLogger(__name__)

_T = TypeVar("_T")


def run_exchange(exchange: Exchange[_T], send: Callable[[Request], Reply], store: SessionStore) -> _T:
    """
    Carry out an exchange to its end.

    :param exchange: the exchange
    :param send: sends a request and returns its reply
    :param store: where Load and Save look
    :return: what the exchange returns
    :raises ServiceError: when the exchange ends in one
    """
    try:
        step = next(exchange)
        while True:
            try:
                answer = _answer(step, send, store)
            except ServiceError as error:
                step = exchange.throw(error)
            else:
                step = exchange.send(answer)
    except StopIteration as end:
        result: _T = end.value
        return result


def _answer(step: Step, send: Callable[[Request], Reply], store: SessionStore) -> Any:
    match step:
        case Request():
            return send(step)
        case Mask():
            mask_secret(step.secret)
        case Load():
            return store.get(step.key) if step.required else _tried(step, lambda: store.get(step.key))
        case Save():
            return _save(step, store)
        case Pause():
            _tell(step)
            time.sleep(step.seconds)
        case Exclusive():
            with exclusive(step.key):
                return run_exchange(step.exchange, send, store)
    return None


async def arun_exchange(exchange: Exchange[_T], send: Callable[[Request], Awaitable[Reply]], store: SessionStore) -> _T:
    """Carry out an exchange to its end without blocking the event loop; the awaited twin of :func:`run_exchange`."""
    try:
        step = next(exchange)
        while True:
            try:
                # Nearly every step is a request: one coroutine less in the air for each of thousands of polls.
                answer = await (send(step) if isinstance(step, Request) else _aanswer(step, send, store))
            except ServiceError as error:
                step = exchange.throw(error)
            else:
                if isinstance(answer, Reply) and len(answer.body) > _MUCH:
                    step = await asyncio.to_thread(_advance, exchange, answer)
                else:
                    step = exchange.send(answer)
    except (StopIteration, _Ended) as end:
        result: _T = end.value
        return result


class _Ended(Exception):
    """An exchange ended in another thread, out of which no StopIteration may come; ``value`` is what it returned."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def _advance(exchange: Exchange[_T], reply: Reply) -> Step:
    try:
        return exchange.send(reply)
    except StopIteration as end:
        raise _Ended(end.value) from None


async def _aanswer(step: Step, send: Callable[[Request], Awaitable[Reply]], store: SessionStore) -> Any:
    match step:
        case Mask():
            await amask_secret(step.secret)
        case Load():
            return await (store.aget(step.key) if step.required else _atried(step, lambda: store.aget(step.key)))
        case Save():
            return await _asave(step, store)
        case Pause():
            _tell(step)
            await asyncio.sleep(step.seconds)
        case Exclusive():
            async with aexclusive(step.key):
                return await arun_exchange(step.exchange, send, store)
    return None


def _save(step: Save, store: SessionStore) -> bool:
    def write() -> bool:
        if step.value is None:
            store.delete(step.key)
        else:
            store.set(step.key, step.value)
        return True

    return _tried(step, write) is True


async def _asave(step: Save, store: SessionStore) -> bool:
    async def write() -> bool:
        if step.value is None:
            await store.adelete(step.key)
        else:
            await store.aset(step.key, step.value)
        return True

    return await _atried(step, write) is True


def _tried(step: Load | Save, ask: Callable[[], _T]) -> _T | None:
    """Ask the store more than once: what an answer of the service holds is often all that is left of it."""
    for attempt in range(1, STORE_ATTEMPTS + 1):
        try:
            return ask()
        except Exception as error:
            if not _is_worth_another(attempt, step, error):
                return None
            time.sleep(random.uniform(0.0, 2.0**attempt))  # noqa: S311 - jitter, not a secret
    raise AssertionError("the last attempt returns or raises")


async def _atried(step: Load | Save, ask: Callable[[], Awaitable[_T]]) -> _T | None:
    for attempt in range(1, STORE_ATTEMPTS + 1):
        try:
            return await ask()
        except Exception as error:
            if not _is_worth_another(attempt, step, error):
                return None
            await asyncio.sleep(random.uniform(0.0, 2.0**attempt))  # noqa: S311 - jitter, not a secret
    raise AssertionError("the last attempt returns or raises")


def _is_worth_another(attempt: int, step: Load | Save, error: Exception) -> bool:
    """Say whether a step that failed is tried again; raise the error if it was the last, and required."""
    if attempt < STORE_ATTEMPTS:
        return True
    if step.required:
        raise error
    done = "read" if isinstance(step, Load) else "written"
    log.warning("The session store could not be %s (%s: %s).", done, step.key, type(error).__name__)
    return False


def _tell(step: Pause) -> None:
    if step.why:
        log.info("Waiting %.1f s: %s.", step.seconds, step.why)
