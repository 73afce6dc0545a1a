"""Several executors behind one: which runs a node, its template says by an annotation, else its kind, else it is the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import ExecutorError, UsageError
from flowcore.jsontypes import object_of, text_of
from flowcore.ports import (
    AttendingExecutor,
    Executor,
    ForeseeingExecutor,
    Foreseen,
    ForeseenResume,
    ForgettingExecutor,
    Reporter,
    RunContext,
)

ANNOTATION = "flowcore.dev/executor"
_KINDS = ("container", "script", "containerSet", "resource", "data", "http", "plugin")


class ChosenExecutors:
    """An executor made of others by name. A template that is annotated with ``flowcore.dev/executor`` runs on the one of that name; else one that is
    called like the template's kind (``http``, ``resource``, ...) runs it, else the first. ``podMetadata`` annotates all templates of a workflow.
    """

    def __init__(self, executors: Mapping[str, Executor]) -> None:
        if not executors:
            raise UsageError("a service needs an executor at least")
        self._executors = dict(executors)

    def chosen(self, invocation: Invocation) -> Executor:
        """Who runs the invocation. Raises ExecutorError for a name that nobody has."""
        name = text_of(object_of(object_of(invocation.body, "metadata"), "annotations"), ANNOTATION)
        if name and name not in self._executors:
            there = ", ".join(self._executors)
            raise ExecutorError(f"template {invocation.template_name} wants the executor {name!r} ({ANNOTATION}); there are: {there}")
        kind = next((kind for kind in _KINDS if invocation.body.get(kind) is not None), "")
        return self._executors.get(name or kind) or next(iter(self._executors.values()))

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Run it where it belongs."""
        return await self.chosen(invocation).run(invocation, context, report)

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Stop it where it runs."""
        await self.chosen(invocation).stop(invocation, grace)

    async def close(self, context: RunContext) -> None:
        """The run has ended: every executor is told once."""
        for executor in self._all():
            await executor.close(context)

    def foresee(self, invocation: Invocation) -> Foreseen | None:
        """The outcome, where the executor that is chosen knows it."""
        try:
            executor = self.chosen(invocation)
        except ExecutorError:  # told by ``run``
            return None
        return executor.foresee(invocation) if isinstance(executor, ForeseeingExecutor) else None

    def foresee_resume(self, invocation: Invocation) -> ForeseenResume | None:
        """What the first executor that knows says of a suspend node."""
        answers = (executor.foresee_resume(invocation) for executor in self._all() if isinstance(executor, ForeseeingExecutor))
        return next((answer for answer in answers if answer is not None), None)

    def attend(self, context: RunContext) -> None:
        """A run begins: those that want to know are told."""
        for executor in self._all():
            if isinstance(executor, AttendingExecutor):
                executor.attend(context)

    async def forget(self, pods: Sequence[str], context: RunContext) -> None:
        """A retry begins these pods anew: whoever may have them removes what is left of them."""
        for executor in self._all():
            if isinstance(executor, ForgettingExecutor):
                await executor.forget(pods, context)

    def _all(self) -> list[Executor]:
        return list({id(executor): executor for executor in self._executors.values()}.values())


__all__ = ["ANNOTATION", "ChosenExecutors"]
