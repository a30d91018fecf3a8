"""Carries out the steps of an exchange: the only place where the protocol meets sockets, clocks and stores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from airflow_provider_ims._compat import amask_secret, mask_secret
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.wire import Alone, Exchange, Load, Mask, Pause, Reply, Request, Save, Step
from airflow_provider_ims.sessions.single_flight import aalone, alone
from airflow_provider_ims.sessions.store import SessionStore

_MUCH = 64 * 1024
"""Bytes of a reply that is read beside the event loop instead of in it."""

_T = TypeVar("_T")


def carry_out(exchange: Exchange[_T], send: Callable[[Request], Reply], store: SessionStore) -> _T:
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
            return store.get(step.key)
        case Save(key, value):
            if value is None:
                store.delete(key)
            else:
                store.set(key, value)
        case Pause():
            time.sleep(step.seconds)
        case Alone():
            with alone(step.key):
                return carry_out(step.exchange, send, store)
    return None


async def acarry_out(exchange: Exchange[_T], send: Callable[[Request], Awaitable[Reply]], store: SessionStore) -> _T:
    """Carry out an exchange to its end without blocking the event loop; the awaited twin of :func:`carry_out`."""
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
                    step = await asyncio.to_thread(_go_on, exchange, answer)
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


def _go_on(exchange: Exchange[_T], reply: Reply) -> Step:
    try:
        return exchange.send(reply)
    except StopIteration as end:
        raise _Ended(end.value) from None


async def _aanswer(step: Step, send: Callable[[Request], Awaitable[Reply]], store: SessionStore) -> Any:
    match step:
        case Mask():
            await amask_secret(step.secret)
        case Load():
            return await store.aget(step.key)
        case Save(key, value):
            if value is None:
                await store.adelete(key)
            else:
                await store.aset(key, value)
        case Pause():
            await asyncio.sleep(step.seconds)
        case Alone():
            async with aalone(step.key):
                return await acarry_out(step.exchange, send, store)
    return None
