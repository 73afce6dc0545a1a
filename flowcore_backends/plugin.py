"""``PluginExecutor``: ``plugin`` templates, done by callables that are registered under the plugin's name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from importlib import metadata
from typing import TypeAlias, cast

import anyio

from flowcore.engine.messages import Invocation, Outcome, Progressed
from flowcore.errors import ExecutorError, ExpressionError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.language.quantities import parse_duration
from flowcore.nodes import Phase
from flowcore.ports import Reporter, RunContext
from flowcore_backends.in_process import InProcessExecutor

GROUP = "flowcore.plugins"

Reply: TypeAlias = "Outcome | Mapping[str, Json] | None"
"""What a plugin answers: an outcome; Argo's reply ``{node: {phase, message, outputs, progress}, requeue: DURATION}``; None for "not mine"."""

Plugin: TypeAlias = Callable[[Invocation, Json], Awaitable[Reply]]
"""``async def plugin(invocation, settings)``; ``settings`` is what the template says below the plugin's name."""


class PluginExecutor(InProcessExecutor):
    """Runs ``plugin`` templates by ``plugins``, and by those that installed packages offer in the entry point group ``flowcore.plugins``."""

    def __init__(self, plugins: Mapping[str, Plugin] | None = None) -> None:
        super().__init__()
        self._plugins = dict(plugins or {})

    async def work(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Call the plugin, again as long as it asks to be called again."""
        for name, settings in object_of(invocation.body, "plugin").items():
            plugin = self._find(name)
            while plugin is not None:
                reply = await _called(name, plugin, invocation, settings)
                if isinstance(reply, Outcome):
                    return reply
                if reply is None:
                    break
                ended = _outcome(reply)
                if ended is not None:
                    return ended
                _report_progress(invocation, reply, report)
                await anyio.sleep(_pause(name, reply))
        return Outcome(phase=Phase.FAILED, message="no plugin executed the template")

    def _find(self, name: str) -> Plugin | None:
        if name not in self._plugins:
            found = list(metadata.entry_points(group=GROUP, name=name))
            if not found:
                return None
            self._plugins[name] = cast("Plugin", found[0].load())
        return self._plugins[name]


async def _called(name: str, plugin: Plugin, invocation: Invocation, settings: Json) -> Outcome | JsonObject | None:
    try:
        reply = await plugin(invocation, settings)
    except Exception as error:  # a plugin is somebody else's code: whatever it raises is its answer
        raise ExecutorError(f"plugin {name} failed: {type(error).__name__}: {error}") from error
    if reply is None or isinstance(reply, Outcome):
        return reply
    node = reply.get("node") if isinstance(reply, Mapping) else None
    if not isinstance(node, Mapping):
        return None
    return {"node": dict(node), "requeue": reply.get("requeue")}


def _outcome(reply: JsonObject) -> Outcome | None:
    """The outcome that a reply tells; None while its phase is none that ends a node."""
    node = object_of(reply, "node")
    try:
        phase = Phase(text_of(node, "phase") or Phase.RUNNING)
    except ValueError as error:
        raise ExecutorError(f"a plugin answered with the phase {node.get('phase')!r}, which there is not") from error
    if not phase.fulfilled:
        return None
    outputs = object_of(node, "outputs")
    parameters = {text_of(item, "name"): str(item.get("value", "")) for item in objects_of(outputs, "parameters")}
    result = outputs.get("result")
    outcome = Outcome(phase=phase, message=text_of(node, "message"), parameters=parameters, outputs=outputs or None)
    return replace(outcome, result=result if isinstance(result, str) else None, progress=text_of(node, "progress") or None)


def _report_progress(invocation: Invocation, reply: JsonObject, report: Reporter) -> None:
    node = object_of(reply, "node")
    if text_of(node, "progress") or text_of(node, "message"):
        report(Progressed(invocation.node, progress=text_of(node, "progress") or None, message=text_of(node, "message") or None))


def _pause(name: str, reply: JsonObject) -> float:
    requeue = reply.get("requeue")
    if requeue in (None, "", 0):
        raise ExecutorError(
            f"plugin {name} answered with a phase that does not end the node, and does not ask to be called again (requeue)"
        )
    try:
        return max(0.0, parse_duration(str(requeue)).total_seconds())
    except ExpressionError as error:
        raise ExecutorError(f"plugin {name} asks to be called again after {requeue!r}: {error}") from error
