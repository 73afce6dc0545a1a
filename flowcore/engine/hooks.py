"""What runs beside and after a node: lifecycle hooks and exit handlers of steps and tasks.

Called by the Steps and DAG behaviors for each child that changed. A hook fires once; an exit handler runs when its node completed. Both are
nodes of their own, told apart by ``hooked``, and a node is *settled* only when they are fulfilled.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowcore.engine.calls import Call, CallFailed, LimitReached, NotNow, TooDeep, mark_absent, resolve_artifacts
from flowcore.engine.execute import Executing
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expressions import evaluate_bool
from flowcore.language.scope import Scope
from flowcore.language.tags import substitute
from flowcore.nodes import Node, NodeId, NodeType, Shutdown
from flowcore.plan.scopes import output_variables, without_artifacts
from flowcore.plan.templates import Base, Holder

EXIT = "exit"


@dataclass(slots=True)
class Place:
    """Where a hooked node stands: the group around it, what is in scope there, and how its own outputs are named there."""

    boundary: NodeId
    base: Base
    scope: Scope
    prefix: str  # steps or tasks
    name: str


def hook_name(node_name: str, hook: str) -> str:
    """The name of the node of a lifecycle hook."""
    return f"{node_name}.hooks.{hook}"


def exit_name(node_name: str) -> str:
    """The name of the node of an exit handler."""
    return f"{node_name}.onExit"


def run_hooks(executing: Executing, turn: Turn, call: JsonObject, node: Node, place: Place) -> bool:
    """Start the hooks of a step or task whose expression holds now; whether all that were started are fulfilled.

    Raises CallFailed for a hook that cannot be evaluated or started.
    """
    started: list[Node] = []
    for name, hook in object_of(call, "hooks").items():
        if name == EXIT or not isinstance(hook, dict):
            continue
        hooked = turn.by_name(hook_name(node.name, name))
        if hooked is None and not holds(hook, place.scope, hook_name(node.name, name)):
            continue
        if hooked is not None and hooked.phase.fulfilled:
            continue
        started.append(_start(executing, turn, hook, node, place, hook_name(node.name, name)))
    return all(turn.row(hooked.id).fulfilled for hooked in started)


def holds(hook: JsonObject, scope: Scope, name: str) -> bool:
    """Whether a hook's expression holds. Raises CallFailed."""
    expression = text_of(hook, "expression")
    if not expression:
        raise CallFailed(f"Expression required for hook {name}")
    try:
        return evaluate_bool(expression, scope.environment(), functions=ARGO_FUNCTIONS)
    except ExpressionError as error:
        raise CallFailed(str(error)) from None


def _start(executing: Executing, turn: Turn, hook: JsonObject, node: Node, place: Place, name: str) -> Node:
    outputs = outputs_of(turn, node)
    arguments = object_of(hook, "arguments")
    if arguments and outputs is not None:
        arguments = _resolved(arguments, outputs, place)
    call = Call(
        name=name, holder=Holder.of(hook), arguments=arguments, base=place.base, boundary=place.boundary, owner=node.id, hooked=True
    )
    return run_hooked(executing, turn, call, node)


def run_hooked(executing: Executing, turn: Turn, call: Call, node: Node) -> Node:
    """Execute a hook or exit handler as a child of ``node``. Raises CallFailed; what would wait elsewhere is an error here, as in Argo.

    While a recorded run is being taken up it raises NotNow for one that was not made.
    """
    try:
        made = executing.execute(turn, call)
    except NotNow as limit:
        if turn.frozen:
            raise
        raise LimitReached(limit.message) from None
    except TooDeep as limit:
        raise CallFailed(limit.message) from None
    turn.connect(node.id, made.id)
    return turn.row(made.id)


def exit_hook(call: JsonObject, workflow_arguments: JsonObject) -> JsonObject | None:
    """The exit handler of a step or task: ``onExit`` wins over ``hooks.exit``; without arguments of its own it gets the workflow's."""
    on_exit = text_of(call, "onExit")
    if on_exit:
        return {"template": on_exit, "arguments": workflow_arguments}
    hook = object_of(call, "hooks").get(EXIT)
    if not isinstance(hook, dict):
        return None
    return hook if _has_arguments(hook) else {**hook, "arguments": workflow_arguments}


def _has_arguments(hook: JsonObject) -> bool:
    arguments = object_of(hook, "arguments")
    return bool(arguments.get("parameters")) or bool(arguments.get("artifacts"))


def run_exit_handler(executing: Executing, turn: Turn, hook: JsonObject | None, node: Node, place: Place) -> bool:
    """Run the exit handler of a node that completed; whether there is none or it is fulfilled. Raises CallFailed."""
    if hook is None or turn.run.shutdown is Shutdown.TERMINATE:
        return True
    made = turn.by_name(exit_name(node.name))
    if made is not None and made.phase.fulfilled:
        return True
    if text_of(hook, "expression") and not holds(hook, place.scope, exit_name(node.name)):
        return True
    arguments = object_of(hook, "arguments")
    if _has_arguments(hook):
        arguments = _resolved(arguments, outputs_of(turn, node), place)
    call = Call(
        name=exit_name(node.name),
        holder=Holder.of(hook),
        arguments=arguments,
        base=place.base,
        boundary=place.boundary,
        owner=node.id,
        hooked=True,
        on_exit=True,
    )
    return run_hooked(executing, turn, call, node).fulfilled


def outputs_of(turn: Turn, node: Node) -> JsonObject | None:
    """The outputs of a node, those of the last attempt for a Retry node."""
    return last_attempt(turn, node).outputs


def last_attempt(turn: Turn, node: Node) -> Node:
    """The node that a Retry node stands for: its last child that is no hook."""
    if node.type is not NodeType.RETRY or (node.memoization is not None and node.memoization.get("hit")):
        return node
    for child in reversed(turn.children(node.id)):
        row = turn.row(child)
        if not row.hooked:
            return row
    return node


def _resolved(arguments: JsonObject, outputs: JsonObject | None, place: Place) -> JsonObject:
    """The arguments of a hook with what its node left behind. Tags without value stay as they are."""
    stem = f"{place.prefix}.{place.name}"
    own = {
        key: value
        for key, value in output_variables(stem, outputs).items()
        if ".outputs.parameters." in key or ".outputs.artifacts." in key
    }
    scope = place.scope.child(own)
    try:
        made = substitute(mark_absent(arguments, scope), without_artifacts(scope))
        return object_of(resolve_artifacts({"arguments": made}, scope), "arguments")
    except ExpressionError as error:
        raise CallFailed(str(error)) from None
