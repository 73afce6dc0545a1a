"""``flowcore cleanup``: asks a backend to remove what dead runs left. Which runs are dead is the backend's knowledge."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio

from flowcore.errors import ExpressionError, UsageError
from flowcore.executors import executor_class
from flowcore.language.quantities import parse_duration
from flowcore.stores import open_store


def remove_leftovers(backend: str, *, older_than: str = "0s", dry_run: bool = False, unfinished: bool = False) -> Sequence[object]:
    """What was (``dry_run``: would be) removed, each with a text; what recorded runs left that can be continued only with ``unfinished``.

    Raises UsageError for a backend whose runs leave nothing behind.
    """
    clean = getattr(executor_class(backend), "cleanup", None)
    if clean is None:
        raise UsageError(f"the backend {backend!r} leaves nothing behind that could be cleaned up")
    try:
        age = parse_duration(older_than)
    except ExpressionError as error:
        raise UsageError(f"--older-than: {error}") from error
    knows_runs = "keep" in inspect.signature(clean).parameters
    ordered = partial(clean, dry_run=dry_run, older_than=age)
    if knows_runs and not unfinished:
        ordered = partial(_but_for_continuable, ordered)
    removed: Sequence[object] = anyio.run(ordered)
    return removed


async def _but_for_continuable(clean: Callable[..., Awaitable[Sequence[object]]]) -> Sequence[object]:
    return await clean(keep=await _continuable())


async def _continuable() -> list[str]:
    """The uids of recorded runs that have not ended. Raises StoreError if the store cannot tell."""
    store = open_store()
    try:
        return [each.run.uid for each in await store.runs(unfinished=True)]
    finally:
        await store.close()


__all__ = ["remove_leftovers"]
