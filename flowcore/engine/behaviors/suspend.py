"""Suspend nodes: they run until somebody resumes them, or until their duration is over."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import cast

from flowcore.engine import times
from flowcore.engine.behaviors.pod import make_invocation
from flowcore.engine.calls import Call
from flowcore.engine.execute import display_name_of
from flowcore.engine.frames import Frame, LeafFrame
from flowcore.engine.messages import AwaitResume
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, named, object_of, objects_of, text_of
from flowcore.language.quantities import parse_duration
from flowcore.nodes import Node, NodeType, Phase
from flowcore.plan.arguments import Processed
from flowcore.plan.templates import Base


def begin(turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None) -> Node:
    """Make the node, Running, with the outputs that somebody is to supply."""
    if node is None:
        node = turn.create(
            call,
            NodeType.SUSPEND,
            Phase.PENDING,
            inputs=_with_enums(processed.inputs),
            outputs=_supplied(processed.body),
            display_name=display_name_of(processed.body),
        )
    turn.state.frames[node.id] = LeafFrame(node=node.id, call=call, processed=processed, base=base, begun=True)
    if node.id in turn.state.unopened:
        turn.commands.append(AwaitResume(make_invocation(turn, call, processed, node)))
        return node
    duration = text_of(object_of(processed.body, "suspend"), "duration")
    if duration and node.started_at is not None:
        until = node.started_at + parse_duration(duration)
        if turn.now >= until:
            return _expire(turn, node)
        times.set_timer(turn, turn.row(node.id), until)
    node = turn.mark(node.id, Phase.RUNNING)
    turn.commands.append(AwaitResume(make_invocation(turn, call, processed, node)))
    return node


def advance(turn: Turn, frame: Frame) -> Node:
    """End a suspend node whose duration is over. Raises ExpressionError if an output has neither value nor default; other leaves stay."""
    node = turn.row(frame.node)
    if node.type is not NodeType.SUSPEND or node.wake_at is None or turn.now < node.wake_at:
        return node
    return _expire(turn, node)


def wait_again(turn: Turn, node: Node, frame: Frame | None) -> None:
    """Set the timer of a recorded node whose duration is not over; what others recorded has no timers."""
    if node.phase is not Phase.RUNNING or node.wake_at is not None or node.started_at is None or not isinstance(frame, LeafFrame):
        return
    duration = text_of(object_of(frame.processed.body, "suspend"), "duration")
    if duration:
        times.set_timer(turn, node, node.started_at + parse_duration(duration))


def _expire(turn: Turn, node: Node) -> Node:
    filled = with_defaults(node)
    turn.state.frames.pop(node.id, None)
    return turn.put(replace(filled, phase=Phase.SUCCEEDED, finished_at=turn.now, wake_at=None))


def _supplied(body: JsonObject) -> JsonObject | None:
    """The outputs that are to be supplied; one without default takes that of the input of the same name."""
    found: list[Json] = []
    for parameter in objects_of(object_of(body, "outputs"), "parameters"):
        source = object_of(parameter, "valueFrom")
        if "supplied" not in source:
            continue
        if source.get("default") is None:
            same = named(object_of(body, "inputs"), "parameters", text_of(parameter, "name"))
            if same is not None and same.get("default") is not None:
                source = {**source, "default": same["default"]}
        found.append({**parameter, "valueFrom": source})
    return {"parameters": found} if found else None


def _with_enums(inputs: JsonObject | None) -> JsonObject | None:
    """Inputs whose value is the JSON text of a parameter with an ``enum`` offer that enum, for those who are to choose."""
    if not inputs:
        return inputs
    return {**inputs, "parameters": [_with_enum(parameter) for parameter in objects_of(inputs, "parameters")]}


def _with_enum(parameter: JsonObject) -> Json:
    value = parameter.get("value")
    if not isinstance(value, str) or not value.startswith("{"):
        return parameter
    try:
        described = json.loads(value)
    except ValueError:
        return parameter
    choices = described.get("enum") if isinstance(described, dict) else None
    if not isinstance(choices, list) or not choices:
        return parameter
    default = parameter.get("default")
    return {**parameter, "enum": cast("Json", choices), "default": choices[0] if default is None else default}


def with_defaults(node: Node) -> Node:
    """``node`` with its unset outputs at their defaults. Raises ExpressionError for one that has neither value nor default."""
    if not node.outputs:
        return node
    filled: list[Json] = []
    for parameter in objects_of(node.outputs, "parameters"):
        source = parameter.get("valueFrom")
        if parameter.get("value") is None and isinstance(source, dict):
            default = source.get("default")
            if default is None:
                name = text_of(parameter, "name")
                raise ExpressionError(f"raw output parameter '{name}' has not been set and does not have a default value")
            parameter = {**{key: value for key, value in parameter.items() if key != "valueFrom"}, "value": default}
        filled.append(parameter)
    return replace(node, outputs={**node.outputs, "parameters": filled})
