"""``flowcore cleanup``: asks a backend to remove what dead runs left. Which runs are dead is the backend's knowledge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import anyio

from flowcore.cli.backends import executor_class
from flowcore.errors import ExpressionError, UsageError
from flowcore.language.quantities import parse_duration


def remove_leftovers(backend: str, *, older_than: str = "0s", dry_run: bool = False) -> Sequence[object]:
    """What was (``dry_run``: would be) removed, each with a text. Raises UsageError for a backend whose runs leave nothing behind."""
    clean = getattr(executor_class(backend), "cleanup", None)
    if clean is None:
        raise UsageError(f"the backend {backend!r} leaves nothing behind that could be cleaned up")
    try:
        age = parse_duration(older_than)
    except ExpressionError as error:
        raise UsageError(f"--older-than: {error}") from error
    removed: Sequence[object] = anyio.run(partial(clean, dry_run=dry_run, older_than=age))
    return removed


__all__ = ["remove_leftovers"]
