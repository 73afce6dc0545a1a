"""What the executors have in common that do their work inside this process: ``http``, ``data`` and ``plugin``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from functools import partial

from flowcore.engine.messages import Invocation, Outcome
from flowcore.in_process import WorkInProcess
from flowcore.ports import Reporter, RunContext


class InProcessExecutor(ABC):
    """An ``Executor`` that awaits its work; stopping cancels it. Subclasses give ``work``."""

    def __init__(self) -> None:
        self._under_way = WorkInProcess()

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Do the work of the invocation."""
        return await self._under_way.run(invocation, report, partial(self.work, invocation, context, report))

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Cancel the work; it needs no grace."""
        self._under_way.stop(invocation)

    async def close(self, context: RunContext) -> None:
        """Nothing is kept for a run."""

    @abstractmethod
    async def work(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """The work itself."""
