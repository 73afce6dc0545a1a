"""Calls: one request to run a template under a name, and how a step or task of a document becomes one.

A step or task goes through these stages: its ``when`` first, then everything but its hooks, then artifacts; a loop is
expanded after that, item by item. Used by the Steps and the DAG behavior alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flowcore.errors import AbsentOptional, ExpressionError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.language.scope import ABSENT, Scope
from flowcore.language.tags import ALL, LENIENT, STEPS_AND_TASKS, Compiled, compile_tree, pure_reference, substitute
from flowcore.language.when import evaluate_when
from flowcore.nodes import NodeId, Phase
from flowcore.plan.arguments import ABSENT_ARGUMENT
from flowcore.plan.artifacts import resolve_artifact
from flowcore.plan.expansion import LOOP_FIELDS, is_loop, item_name, item_variables, items_of
from flowcore.plan.scopes import without_artifacts
from flowcore.plan.semantics import NEWEST, Semantics
from flowcore.plan.templates import Base, Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to run a template under a node name."""

    name: str
    holder: Holder
    arguments: JsonObject
    base: Base
    boundary: NodeId | None = None
    owner: NodeId | None = None
    parents: tuple[NodeId, ...] = ()  # those that are known before the node is made
    hooked: bool = False
    retried: bool = False
    on_exit: bool = False
    until: datetime | None = None  # when the work is stopped at the latest (a retry's maxDuration)


class NotNow(Exception):
    """A limit on parallelism is reached: the node is neither made nor moved on in this pass."""

    message = "Max parallelism reached"


class TooDeep(Exception):
    """Templates are nested too deeply; the node is Error, its siblings go on."""

    message = "Maximum recursion depth exceeded. See https://argo-workflows.readthedocs.io/en/latest/scaling/#maximum-recursion-depth"


class CallFailed(Exception):
    """A template could not be executed; the caller's group ends in phase Error."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class LimitReached(CallFailed):
    """A hook could not be started for lack of a slot: its node is in phase Error, but the group around that goes on, as in Argo."""


@dataclass(slots=True)
class Loop:
    """A loop that is being expanded: ``next`` is the index of the first item that was not started yet."""

    call: JsonObject
    items: Sequence[Json]
    compiled: Compiled[JsonObject]
    scope: Scope
    strict: bool
    next: int = 0

    def at(self, index: int) -> JsonObject:
        """The step or task for item ``index``, with all its tags filled in. Raises ExpressionError for a tag without value."""
        item = self.items[index]
        scope = self.scope.child(dict(item_variables(item)))
        try:
            rendered = self.compiled.render(scope, strict=ALL if self.strict else LENIENT)
        except AbsentOptional:
            if self.strict:
                raise
            rendered = self.call
        made = dict(rendered)
        made["name"] = item_name(text_of(self.call, "name"), index, item)
        if "template" in self.call:
            made["template"] = self.call["template"]
        return made

    def __iter__(self) -> Iterator[JsonObject]:
        return (self.at(index) for index in range(len(self.items)))


def resolve_call(call: JsonObject, scope: Scope, semantics: Semantics = NEWEST) -> JsonObject:
    """Fill in what earlier steps or tasks left behind. Hooks stay as they are: they are filled in when they run.

    If ``when`` is already false nothing else is looked at. Raises ExpressionError, and by older rules leaves tags without value as they are.
    """
    strict = STEPS_AND_TASKS if semantics.waits_for_references else LENIENT
    body: JsonObject = {key: value for key, value in call.items() if key != "hooks"}
    condition = text_of(call, "when")
    compiled = compile_tree(body)
    if not compiled.has_tags:
        return resolve_artifacts(call, scope) if _may_hold(call, condition) else call
    names = without_artifacts(scope)
    if condition:
        resolved = substitute(condition, names, strict=strict)
        if not _may_hold(call, resolved):
            return {**call, "when": resolved}
    arguments = object_of(body, "arguments")
    marked = mark_absent(arguments, scope)
    if marked is not arguments:
        compiled = compile_tree({**body, "arguments": marked})
    made = dict(compiled.render(names, strict=strict))
    if "hooks" in call:
        made["hooks"] = call["hooks"]
    return resolve_artifacts(made, scope)


def _may_hold(call: JsonObject, condition: str) -> bool:
    """Whether a resolved ``when`` holds; that of a loop may be no condition yet. Raises ExpressionError."""
    if not condition:
        return True
    try:
        return evaluate_when(condition)
    except ExpressionError:
        if not is_loop(call):
            raise
        return True


def mark_absent(arguments: JsonObject, scope: Scope) -> JsonObject:
    """``arguments`` with those marked that are nothing but the name of an absent output: their input's default holds."""
    marked = [
        {**parameter, "value": ABSENT_ARGUMENT} if _is_absent(parameter.get("value"), scope) else parameter
        for parameter in objects_of(arguments, "parameters")
    ]
    if not any(parameter.get("value") == ABSENT_ARGUMENT for parameter in marked):
        return arguments
    return {**arguments, "parameters": cast("list[Json]", marked)}


def _is_absent(value: Json, scope: Scope) -> bool:
    if not isinstance(value, str):
        return False
    name = pure_reference(value)
    return name is not None and scope.lookup(name) is ABSENT


def resolve_artifacts(call: JsonObject, scope: Scope) -> JsonObject:
    """Replace artifact arguments that come ``from`` somewhere by what is there; optional ones that are nowhere are dropped."""
    arguments = object_of(call, "arguments")
    artifacts = objects_of(arguments, "artifacts")
    if not any(artifact.get("from") or artifact.get("fromExpression") for artifact in artifacts):
        return call
    resolved: list[Json] = []
    for artifact in artifacts:
        if not artifact.get("from") and not artifact.get("fromExpression"):
            resolved.append(artifact)
            continue
        try:
            found = resolve_artifact(artifact, scope)
        except ExpressionError as error:
            if artifact.get("optional"):
                continue
            raise ExpressionError(f"unable to resolve references: {error}") from None
        resolved.append({**found, "name": text_of(artifact, "name")})
    return {**call, "arguments": {**arguments, "artifacts": resolved}}


def expand(call: JsonObject, scope: Scope) -> Loop:
    """The loop that a resolved step or task is. Raises ExpressionError for items that cannot be read."""
    items = items_of(call)
    bare: JsonObject = {key: value for key, value in call.items() if key not in LOOP_FIELDS}
    return Loop(bare, items, compile_tree(bare), without_artifacts(scope), strict=not _surely_false(text_of(call, "when")))


def _surely_false(when: str) -> bool:
    if not when:
        return False
    try:
        return not evaluate_when(when)
    except ExpressionError:
        return False


def continues_on(call: JsonObject, phase: Phase) -> bool:
    """Whether the step or task says that others go on although it ended in ``phase``."""
    continue_on = object_of(call, "continueOn")
    return (phase is Phase.FAILED and bool(continue_on.get("failed"))) or (phase is Phase.ERROR and bool(continue_on.get("error")))


def has_hooks(call: JsonObject) -> bool:
    """Whether something runs beside or after the step or task."""
    return bool(call.get("hooks")) or bool(call.get("onExit"))


__all__ = [
    "Call",
    "CallFailed",
    "LimitReached",
    "Loop",
    "NotNow",
    "TooDeep",
    "continues_on",
    "expand",
    "has_hooks",
    "mark_absent",
    "resolve_artifacts",
    "resolve_call",
]
