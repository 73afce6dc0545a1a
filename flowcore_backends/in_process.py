"""What the executors have in common that do their work inside this process: ``http``, ``data`` and ``plugin``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta

import anyio

from flowcore.engine.messages import Invocation, Outcome, Started
from flowcore.nodes import Phase
from flowcore.ports import Reporter, RunContext


class InProcessExecutor(ABC):
    """An ``Executor`` that awaits its work; stopping cancels it. Subclasses give ``work``."""

    def __init__(self) -> None:
        self._scopes: dict[tuple[str, str], anyio.CancelScope] = {}

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Do the work of the invocation."""
        key = (invocation.uid, invocation.pod_name)
        with anyio.CancelScope() as scope:
            self._scopes[key] = scope
            try:
                report(Started(invocation.node))
                return await self.work(invocation, context, report)
            finally:
                self._scopes.pop(key, None)
        return Outcome(phase=Phase.FAILED, message="stopped before it ended")

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Cancel the work; it needs no grace."""
        scope = self._scopes.get((invocation.uid, invocation.pod_name))
        if scope is not None:
            scope.cancel()

    async def close(self, context: RunContext) -> None:
        """Nothing is kept for a run."""

    @abstractmethod
    async def work(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """The work itself."""
