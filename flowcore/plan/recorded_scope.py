"""What the text around a node of a recorded run could refer to, for looking at expressions afterwards. Used by ``flowcore expr``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from flowcore.errors import ExpressionError
from flowcore.language.quantities import rfc3339
from flowcore.language.scope import Scope, Value
from flowcore.nodes import Node, NodeId, NodeType, RunRow
from flowcore.plan.plan import Plan
from flowcore.plan.scopes import (
    aggregate_variables,
    global_artifacts,
    global_parameters,
    global_variables,
    input_variables,
    node_variables,
    skipped_variables,
)
from flowcore.plan.templates import Holder, TemplateNotFound

_PREFIXES = {NodeType.STEPS: "steps", NodeType.DAG: "tasks"}
_ITEM = re.compile(r"\(\d+(:.*)?\)$", re.DOTALL)


def run_scope(plan: Plan, run: RunRow) -> Scope:
    """The ``workflow.*`` variables at the end of what is recorded."""
    variables = global_variables(plan.spec, run, plan.parameters)
    variables["workflow.status"] = str(run.phase)
    if run.started_at is not None:
        variables["workflow.startedAt"] = rfc3339(run.started_at)
    return Scope({**variables, **global_parameters(run.outputs), **global_artifacts(run.outputs)})


def scope_around(node: Node, nodes: Mapping[NodeId, Node], plan: Plan, run: RunRow) -> Scope:
    """What ``when``, arguments and the body of ``node`` could refer to: the run, its own inputs, and the steps or tasks beside it.

    Inputs are the node's own where it has any, else those of the template around it, which is what its arguments and its ``when`` saw.
    """
    boundary = nodes.get(node.boundary) if node.boundary is not None else None
    variables: dict[str, Value] = dict(input_variables(boundary.inputs if boundary is not None else None))
    variables.update(input_variables(node.inputs))
    variables["node.name"] = node.name
    if boundary is not None and boundary.type in _PREFIXES:
        beside = [other for other in nodes.values() if other.boundary == boundary.id and other.id != node.id]
        variables.update(_siblings(_PREFIXES[boundary.type], beside, plan))
    return run_scope(plan, run).child(variables)


def _siblings(prefix: str, beside: Collection[Node], plan: Plan) -> dict[str, Value]:
    variables: dict[str, Value] = {}
    loops: dict[str, list[Node]] = {}
    for other in beside:
        if other.hooked or other.retried or other.type in (NodeType.STEP_GROUP, NodeType.TASK_GROUP):
            continue
        if _ITEM.search(other.display_name):
            loops.setdefault(_ITEM.sub("", other.display_name), []).append(other)
            continue
        variables.update(node_variables(prefix, other.display_name, other))
        variables.update(_skipped(prefix, other, plan))
    for name, items in loops.items():
        try:
            variables.update(aggregate_variables(prefix, name, items))
        except ExpressionError:
            continue
    return variables


def _skipped(prefix: str, node: Node, plan: Plan) -> dict[str, Value]:
    base = plan.templates.base_of(node.template_scope or "")
    try:
        _, entry = plan.templates.resolve(base, Holder(node.template_name or "", node.template_ref))
    except TemplateNotFound:
        return {}
    return skipped_variables(prefix, node.display_name, node, entry, plan.options.semantics)


__all__ = ["run_scope", "scope_around"]
