"""What a DAG is made of, and what its tasks can see: the order in which they are looked at, and the outputs of their ancestors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flowcore.engine import hooks
from flowcore.engine.calls import Call
from flowcore.engine.frames import DagFrame
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import JsonObject, compact, object_of, objects_of, strings_of, text_of
from flowcore.language.depends import Depends, from_dependencies, parse_depends
from flowcore.language.scope import Scope
from flowcore.nodes import Node, NodeType
from flowcore.plan.arguments import Processed
from flowcore.plan.graph import Ancestry, dependents, leaves
from flowcore.plan.scopes import aggregate_variables, input_variables, node_variables, referenced_names, scope_with, skipped_variables
from flowcore.plan.templates import Base, Entry, Holder, TemplateNotFound


@dataclass(frozen=True, slots=True)
class _ContinueOn:
    error: bool
    failed: bool


def build_frame(turn: Turn, call: Call, base: Base, processed: Processed, node: Node) -> DagFrame:
    """What the engine keeps of a DAG node. Raises ExpressionError for a ``depends`` that cannot be read."""
    dag = object_of(processed.body, "dag")
    tasks = {text_of(task, "name"): task for task in objects_of(dag, "tasks")}
    continue_on = {
        name: _ContinueOn(bool(object_of(task, "continueOn").get("error")), bool(object_of(task, "continueOn").get("failed")))
        for name, task in tasks.items()
        if task.get("continueOn")
    }
    logic = {name: _logic(task, continue_on) for name, task in tasks.items()}
    dependencies = {name: depends.tasks if depends is not None else () for name, depends in logic.items()}
    for name, depends in dependencies.items():
        for other in depends:
            if other not in tasks:
                raise ExpressionError(f"task '{name}' depends on '{other}', which is not a task of this DAG")
    targets = text_of(dag, "target").split(" ") if text_of(dag, "target") else sorted(leaves(dependencies))
    for target in targets:
        if target not in tasks:
            raise ExpressionError(f"target '{target}' is not a task of this DAG")
    order = _visit_order(targets, dependencies)
    return DagFrame(
        node=node.id,
        call=call,
        processed=processed,
        base=base,
        inputs=turn.state.shared.child(input_variables(processed.inputs)),
        tasks=tasks,
        order=order,
        targets=targets,
        dependencies=dependencies,
        dependents=dependents(dependencies),
        ancestry=Ancestry(dependencies, order),
        logic=logic,
        ids={name: turn.id_of(f"{node.name}.{name}") for name in tasks},
    )


def _logic(task: JsonObject, continue_on: Mapping[str, _ContinueOn]) -> Depends | None:
    depends = text_of(task, "depends")
    parsed = parse_depends(depends) if depends else from_dependencies(strings_of(task, "dependencies"))
    return parsed.expand(continue_on) if parsed.tasks else None


def _visit_order(targets: list[str], dependencies: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """The tasks that the targets need, each after what it depends on: a walk down from each target in turn."""
    order: dict[str, int] = {}
    entered: set[str] = set()
    for target in targets:
        stack = [(target, iter(dependencies[target]))]
        entered.add(target)
        while stack:
            name, rest = stack[-1]
            following = next((other for other in rest if other not in entered), None)
            if following is not None:
                entered.add(following)
                stack.append((following, iter(dependencies[following])))
                continue
            stack.pop()
            order.setdefault(name, len(order))
    return order


def scope_of_task(turn: Turn, frame: DagFrame, name: str) -> Scope:
    """What a task sees: the DAG's inputs, and the outputs of those ancestors that its text names. Raises ExpressionError."""
    scope = frame.inputs.child()
    if name not in frame.wanted:
        frame.wanted[name] = referenced_names(compact(frame.tasks[name]), "tasks")
    wanted = frame.wanted[name]
    check_ancestors(frame, name)
    for ancestor in _ancestors(frame, name, wanted) if wanted is None or wanted else ():
        _add(turn, frame, scope, ancestor)
    return scope


def check_ancestors(frame: DagFrame, name: str) -> None:
    """Raise ExpressionError if what a loop left behind cannot be gathered. Argo gathers it for all tasks that come after the loop, named or not."""
    if frame.broken_loops:
        for ancestor in _ancestors(frame, name, frozenset(frame.broken_loops)):
            raise ExpressionError(frame.broken_loops[ancestor])


def check_loop(turn: Turn, frame: DagFrame, name: str, node: Node) -> None:
    """Note why what a loop has left behind cannot be gathered, if so. Called when the loop is over."""
    if node.type is not NodeType.TASK_GROUP:
        return
    if frame.tasks[name].get("inline") is not None:
        # Argo looks the template of a group up by what its node records; that of an inline template records none.
        frame.broken_loops[name] = "failed to get a template"
        return
    try:
        aggregate_variables("tasks", name, [turn.row(child) for child in turn.children(node.id)])
    except ExpressionError as error:
        frame.broken_loops[name] = str(error)


def scope_of_outputs(turn: Turn, frame: DagFrame) -> Scope:
    """What the outputs of the DAG see: all of its tasks that have nodes, as far as the outputs name them. Raises ExpressionError."""
    for name, message in sorted(frame.broken_loops.items()):
        if frame.tasks[name].get("inline") is None:
            raise ExpressionError(message)
    scope = frame.inputs.child()
    wanted = referenced_names(compact(object_of(frame.processed.body, "outputs")), "tasks")
    for name in frame.tasks:
        if wanted is None or name in wanted:
            _add(turn, frame, scope, name)
    return scope


def _add(turn: Turn, frame: DagFrame, scope: Scope, name: str) -> None:
    node = turn.get(frame.ids[name])
    if node is None:
        return
    if node.type is NodeType.TASK_GROUP:
        scope_with(scope, aggregate_variables("tasks", name, [turn.row(child) for child in turn.children(node.id)]))
    scope_with(scope, node_variables("tasks", name, hooks.last_attempt(turn, node)))
    scope_with(scope, skipped_variables("tasks", name, node, _entry(turn, frame, frame.tasks[name]), turn.plan.options.semantics))


def _entry(turn: Turn, frame: DagFrame, task: JsonObject) -> Entry | None:
    try:
        return turn.plan.templates.resolve(frame.base, Holder.of(task, caller="tasks"))[1]
    except TemplateNotFound:
        return None


def _ancestors(frame: DagFrame, name: str, wanted: frozenset[str] | None) -> list[str]:
    """The tasks that ``name`` depends on, directly or not, among ``wanted`` (None: all), in the order in which they are looked at."""
    direct = frame.dependencies[name]
    if wanted is not None and (wanted - {name}).issubset(direct):
        return [other for other in direct if other in wanted]
    known = frame.order if wanted is None else wanted & frame.order.keys()
    return sorted((other for other in known if frame.ancestry.precedes(other, name)), key=frame.order.__getitem__)
