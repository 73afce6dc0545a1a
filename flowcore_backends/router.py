"""``RouterExecutor``: gives each invocation to the executor for its kind of template. Itself an executor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, TypeAlias

from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import ExecutorError
from flowcore.ports import Executor, Reporter, RunContext

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

    async def close(self, context: RunContext) -> None:
        """The run has ended: tell every executor once."""
        executors = {id(executor): executor for executor in (*self._routes.values(), self._default) if executor is not None}
        for executor in executors.values():
            await executor.close(context)
