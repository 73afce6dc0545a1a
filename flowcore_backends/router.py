"""``RouterExecutor``: gives each invocation to the executor for its kind of template. Itself an executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, TypeAlias

from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import ExecutorError
from flowcore.ports import Executor, ForgettingExecutor, Reporter, RunContext

Kind: TypeAlias = Literal["container", "script", "containerSet", "resource", "data", "http", "plugin"]
KINDS: tuple[Kind, ...] = ("container", "script", "containerSet", "resource", "data", "http", "plugin")


def kind_of(invocation: Invocation) -> Kind:
    """Which kind of template the invocation is of. Raises ExecutorError for one that no executor runs."""
    for kind in KINDS:
        if invocation.body.get(kind) is not None:
            return kind
    raise ExecutorError(f"template {invocation.template_name} is of no type that an executor runs")


class RouterExecutor:
    """``routes`` says which executor runs which kind; ``default`` runs the others. ``advice`` tells, by kind, what to do where there is none."""

    def __init__(self, routes: Mapping[Kind, Executor], default: Executor | None = None, advice: Mapping[Kind, str] | None = None) -> None:
        self._routes, self._default, self._advice = dict(routes), default, dict(advice or {})

    def executor_for(self, invocation: Invocation) -> Executor:
        """The executor that runs the invocation. Raises ExecutorError if there is none."""
        kind = kind_of(invocation)
        executor = self._routes.get(kind, self._default)
        if executor is None:
            remedy = self._advice.get(kind, "choose an executor that runs them")
            raise ExecutorError(f"template {invocation.template_name}: nothing here runs {kind} templates; {remedy}")
        return executor

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Run it where it belongs."""
        return await self.executor_for(invocation).run(invocation, context, report)

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Stop it where it runs."""
        await self.executor_for(invocation).stop(invocation, grace)

    async def forget(self, pods: Sequence[str], context: RunContext) -> None:
        """A retry begins these pods anew: whoever may have them removes what is left of them."""
        for executor in self._executors():
            if isinstance(executor, ForgettingExecutor):
                await executor.forget(pods, context)

    async def close(self, context: RunContext) -> None:
        """The run has ended: tell every executor once."""
        for executor in self._executors():
            await executor.close(context)

    def _executors(self) -> list[Executor]:
        """Every executor once."""
        return list({id(executor): executor for executor in (*self._routes.values(), self._default) if executor is not None}.values())
