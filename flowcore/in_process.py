"""Work that is awaited inside this process: stopping it is cancelling it. Used by executors of functions, ``http``, ``data`` and ``plugin``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from flowcore.engine.messages import Invocation, Outcome, Started
from flowcore.nodes import Phase
from flowcore.ports import Reporter


class WorkInProcess:
    """The work under way of one executor, by run and pod."""

    def __init__(self) -> None:
        self._scopes: dict[tuple[str, str], anyio.CancelScope] = {}

    async def run(self, invocation: Invocation, report: Reporter, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Tell that it started, and do ``work``; Failed if it is stopped before it ends."""
        key = (invocation.uid, invocation.pod_name)
        with anyio.CancelScope() as scope:
            self._scopes[key] = scope
            try:
                report(Started(invocation.node))
                return await work()
            finally:
                self._scopes.pop(key, None)
        return Outcome(phase=Phase.FAILED, message="stopped before it ended")

    def stop(self, invocation: Invocation) -> bool:
        """Cancel the work, which needs no grace; whether it was under way."""
        scope = self._scopes.get((invocation.uid, invocation.pod_name))
        if scope is not None:
            scope.cancel()
        return scope is not None


__all__ = ["WorkInProcess"]
