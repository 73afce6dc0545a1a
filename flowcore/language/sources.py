"""Where the functions of expressions take time and chance from, so that an evaluation can be repeated.

Read by the functions of expressions; set by the engine for each pass and by tests. Within ``withheld`` there is
neither: an expression that asks for them cannot be evaluated yet.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from flowcore.errors import ExpressionError

Clock = Callable[[], datetime]
Chance = random.Random

_CLOCK: ContextVar[Clock | None] = ContextVar("flowcore_expression_clock", default=None)
_CHANCE: ContextVar[random.Random | None] = ContextVar("flowcore_expression_chance", default=None)
_WITHHELD: ContextVar[bool] = ContextVar("flowcore_expression_sources_withheld", default=False)
_SYSTEM = random.SystemRandom()


def now() -> datetime:
    """The present time, aware. Raises ExpressionError where it is withheld."""
    _refuse_withheld()
    clock = _CLOCK.get()
    moment = clock() if clock is not None else datetime.now(UTC)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def chance() -> random.Random:
    """The source of random numbers; the operating system's unless another one is in force. Raises ExpressionError where it is withheld."""
    _refuse_withheld()
    return _CHANCE.get() or _SYSTEM


def _refuse_withheld() -> None:
    if _WITHHELD.get():
        raise ExpressionError("time and chance are not to be had yet")


@contextmanager
def withheld() -> Iterator[None]:
    """Have neither time nor chance within the block."""
    token = _WITHHELD.set(True)
    try:
        yield
    finally:
        _WITHHELD.reset(token)


@contextmanager
def sources(*, clock: Clock | None = None, chance: Chance | None = None) -> Iterator[None]:
    """Let functions within the block use this clock and these random numbers; None leaves one as it is."""
    clock_token = _CLOCK.set(clock or _CLOCK.get())
    chance_token = _CHANCE.set(chance or _CHANCE.get())
    try:
        yield
    finally:
        _CHANCE.reset(chance_token)
        _CLOCK.reset(clock_token)
