"""Steps and DAGs: the calls in a template, in the order in which Argo looks at them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flowcore.errors import ExpressionError
from flowcore.language.depends import Depends, from_dependencies, parse_depends
from flowcore.models import Arguments, DAGTask, LifecycleHook, Template, TemplateCall
from flowcore.plan.graph import Ancestry, dependents, find_cycle
from flowcore.plan.validate_arguments import check_arguments
from flowcore.plan.validate_beyond import check_call
from flowcore.plan.validate_names import Names, field_name_faults, is_parameter, name_faults, step_name_faults
from flowcore.plan.validate_report import Report

if TYPE_CHECKING:
    from flowcore.plan.validate_documents import Found
    from flowcore.plan.validate_walk import Walk

_LOOP_FAULT = "only one of withItems, withParam, withSequence can be specified"
_TASK_REFERENCE = re.compile(r"(?:\{\{|<<)tasks\.([^.]*)\.")


def check_hooks(report: Report, prefix: str, hooks: Mapping[str, LifecycleHook], path: str) -> None:
    """Every hook but ``exit`` says when it runs (rule 50)."""
    for name, hook in hooks.items():
        if name != "exit" and not hook.expression:
            report.add(f"{prefix}.{name} Expression required", f"{path}.hooks.{name}", remedy="say when the hook runs", rule="hook")


def _check_loop(report: Report, prefix: str, call: TemplateCall, path: str) -> None:
    """At most one kind of loop, and one end of a sequence (rules 46 and 48)."""
    if bool(call.with_items) + bool(call.with_param) + (call.with_sequence is not None) > 1:
        report.add(f"{prefix} {_LOOP_FAULT}", path, rule="loop")
    elif call.with_sequence is not None and call.with_sequence.count is not None and call.with_sequence.end is not None:
        report.add(f"{prefix} only one of count or end can be defined in withSequence", f"{path}.withSequence", rule="loop")


def _is_aggregate(call: TemplateCall) -> bool:
    return bool(call.with_items) or bool(call.with_param)


def _names_inside(names: Names, call: TemplateCall) -> Names:
    """The names that the text of a call may use: those of an inline template's own inputs too."""
    inside = names.child()
    if call.inline is not None:
        inside.add(*(f"inputs.parameters.{parameter.name}" for parameter in call.inline.inputs.parameters))
    return inside


def _has_exit_hook(call: TemplateCall) -> bool:
    return bool(call.on_exit) or "exit" in call.hooks


def _check_non_leaf(report: Report, template: Template, path: str) -> None:
    if template.active_deadline_seconds is not None:
        text = f"templates.{template.name}.activeDeadlineSeconds is only valid for leaf templates"
        report.add(text, f"{path}.activeDeadlineSeconds", rule="deadline")


# --- steps ------------------------------------------------------------------------------------------------------------------------


def check_steps(walk: Walk, found: Found, template: Template, names: Names) -> None:
    """The steps of a template; each sees what the groups and steps before it offer."""
    report, taken = walk.report, set[str]()
    _check_non_leaf(report, template, found.path)
    for group_index, group in enumerate(template.steps or ()):
        prefix = f"templates.{template.name}.steps[{group_index}]"
        for index, step in enumerate(group):
            path = f"{found.path}.steps[{group_index}][{index}]"
            _check_step_name(report, prefix, step.name, taken, path)
            names.add(f"steps.{step.name}.status")
            _check_step(walk, found, f"{prefix}.{step.name}", step, path, names, f"templates.{template.name}.steps")


def _check_step_name(report: Report, prefix: str, name: str, taken: set[str], path: str) -> None:
    if not name:
        report.add(f"{prefix}.name is required", path, rule="name")
    elif name in taken:
        report.add(f"{prefix}.name '{name}' is not unique", f"{path}.name", rule="name")
    elif faults := step_name_faults(name):
        report.add(f"{prefix}.name '{name}' is invalid: {faults}", f"{path}.name", rule="name")
    taken.add(name)


def _check_step(walk: Walk, found: Found, prefix: str, step: TemplateCall, path: str, names: Names, before: str) -> None:
    report = walk.report
    _check_loop(report, prefix, step, path)
    names.add_items(step)
    check_arguments(report, f"{prefix}.arguments.", step.arguments, f"{path}.arguments", may_be_empty=False)
    with report.within(prefix):
        resolved = walk.visit(step, found.base, None, path)
    if resolved is None:
        names.open.add(f"steps.{step.name}.")
    if _has_exit_hook(step):
        walk.add_outputs(names, "steps", step.name, resolved)
    check_hooks(report, prefix, step.hooks, path)
    document = step.to_json()
    walk.require(document, _names_inside(names, step), before, path)
    walk.add_outputs(names, "steps", step.name, resolved, aggregate=_is_aggregate(step))
    if resolved is not None:
        with report.within(prefix):
            walk.visit(step, found.base, step.arguments, path)
    check_call(walk, found.base, step, document, path)


# --- DAG --------------------------------------------------------------------------------------------------------------------------


class _Graph:
    """The tasks of a DAG by name, and what each waits for."""

    def __init__(self, tasks: list[DAGTask]) -> None:
        self.tasks = {task.name: task for task in tasks}
        self.places = {task.name: index for index, task in enumerate(tasks)}
        self.depends: dict[str, Depends] = {}
        self.faults: dict[str, str] = {}
        for task in tasks:
            try:
                self.depends[task.name] = parse_depends(task.depends) if task.depends else from_dependencies(task.dependencies)
            except ExpressionError as error:
                self.depends[task.name] = from_dependencies(())
                self.faults[task.name] = error.message

    def needed(self, name: str) -> tuple[str, ...]:
        """The tasks that ``name`` waits for."""
        depends = self.depends.get(name)
        return depends.tasks if depends else ()

    def sorted(self, tasks: list[DAGTask]) -> list[DAGTask]:
        """The tasks, each after those it waits for; those of a circle, or that wait for one, last and as they stand."""
        left = {name: sum(other in self.tasks for other in self.needed(name)) for name in self.tasks}
        after = dependents({name: self.needed(name) for name in self.tasks})
        ready = deque(name for name, count in left.items() if count == 0)
        order: dict[str, None] = {}
        while ready:
            name = ready.popleft()
            order[name] = None
            for other in after[name]:
                left[other] -= 1
                if left[other] == 0:
                    ready.append(other)
        order.update(dict.fromkeys(task.name for task in tasks))
        return [self.tasks[name] for name in order]


class _Before:
    """The tasks that come before one of them, asked by membership."""

    def __init__(self, ancestry: Ancestry, task: str) -> None:
        self._ancestry = ancestry
        self._task = task

    def __contains__(self, other: object) -> bool:
        return isinstance(other, str) and self._ancestry.precedes(other, self._task)


def check_dag(walk: Walk, found: Found, template: Template, names: Names) -> None:
    """The tasks of a DAG: their graph first, then each in the order of its dependencies."""
    report, path = walk.report, found.path
    _check_non_leaf(report, template, path)
    if template.dag is None or not template.dag.tasks:
        report.add(f"templates.{template.name} must have at least one task", f"{path}.dag", rule="dag")
        return
    graph = _Graph(template.dag.tasks)
    _check_graph(report, template, graph, template.dag.tasks, f"{path}.dag")
    tasks = graph.sorted(template.dag.tasks)
    for index, fault in name_faults([task.name for task in tasks]):
        if "not unique" not in fault:
            report.add(f"templates.{template.name}.tasks{fault}", f"{path}.dag.tasks[{graph.places[tasks[index].name]}].name", rule="name")
    resolved: dict[str, Template | None] = {}
    uses_depends = any(task.depends for task in template.dag.tasks)
    for task in tasks:
        place = f"{path}.dag.tasks[{graph.places[task.name]}]"
        resolved[task.name] = _check_task_alone(walk, found, template, graph, task, names, place, uses_depends=uses_depends)
    walk.require(template.dag.target, names, f"templates.{template.name}.targets", f"{path}.dag.target")
    _check_targets(report, template, template.dag.target, graph, f"{path}.dag.target")
    ancestry = Ancestry({task.name: graph.needed(task.name) for task in tasks}, [task.name for task in tasks])
    for task in tasks:
        place = f"{path}.dag.tasks[{graph.places[task.name]}]"
        prefix = f"templates.{template.name}.tasks.{task.name}"
        _check_task_call(walk, found, prefix, _Before(ancestry, task.name), task, resolved[task.name], names, place)


def _check_graph(report: Report, template: Template, graph: _Graph, tasks: list[DAGTask], path: str) -> None:
    """Names that are there once, dependencies that exist, and no circle (rule 59)."""
    seen: set[str] = set()
    prefix = f"templates.{template.name} sorting failed:"
    for index, task in enumerate(tasks):
        if task.name in seen:
            report.add(f"{prefix} duplicated nodeName {task.name}", f"{path}.tasks[{index}].name", rule="name")
        seen.add(task.name)
    for index, task in enumerate(tasks):
        for other in graph.needed(task.name):
            if other not in graph.tasks:
                remedy = f"task {task.name} waits for a task that there is not"
                report.add(f"{prefix} invalid dependency {other}", f"{path}.tasks[{index}]", remedy=remedy, rule="dependency")
    cycle = find_cycle({name: [other for other in graph.needed(name) if other in graph.tasks] for name in graph.tasks})
    if cycle:
        remedy = f"the circle is {' -> '.join(reversed(cycle))}"
        report.add(f"{prefix} graph with cycle", f"{path}.tasks[{graph.places[cycle[0]]}]", remedy=remedy, rule="cycle")


def _check_task_alone(
    walk: Walk, found: Found, template: Template, graph: _Graph, task: DAGTask, names: Names, path: str, *, uses_depends: bool
) -> Template | None:
    """What can be said of a task before the others are known; gives its template."""
    report, whole = walk.report, f"templates.{template.name}"
    prefix = f"{whole}.tasks.{task.name}"
    if (uses_depends or task.dependencies) and task.name[:1].isdigit() and not field_name_faults(task.name):
        text = f"{prefix} name cannot begin with a digit when using either 'depends' or 'dependencies'"
        report.add(text, f"{path}.name", rule="name")
    if uses_depends and task.dependencies:
        report.add(f"{whole} cannot use both 'depends' and 'dependencies' in the same DAG template", path, rule="depends")
    if uses_depends and task.continue_on is not None:
        text = f"{whole} cannot use 'continueOn' when using 'depends'. Instead use 'dep-task.Failed'/'dep-task.Errored'"
        report.add(text, f"{path}.continueOn", rule="depends")
    with report.within(prefix):
        resolved = walk.visit(task, found.base, None, path)
    if resolved is None:
        names.open.add(f"tasks.{task.name}.")
    walk.add_outputs(names, "tasks", task.name, resolved, aggregate=_is_aggregate(task))
    if task.name in graph.faults:
        report.add(f"{prefix} {graph.faults[task.name]}", f"{path}.depends", rule="depends")
    for other in sorted(graph.depends[task.name].loops):
        needed = graph.tasks.get(other)
        if needed is not None and not needed.has_loop:
            condition = "uses an items-based condition such as .AnySucceeded or .AllFailed but does not contain any items"
            report.add(f"{whole}.tasks.{other} dependency '{other}' {condition}", f"{path}.depends", rule="depends")
    return resolved


def _check_targets(report: Report, template: Template, target: str, graph: _Graph, path: str) -> None:
    for name in target.split(" ") if target else ():
        if not is_parameter(name) and name not in graph.tasks:
            report.add(f"templates.{template.name}.targets: target '{name}' is not defined", path, rule="target")


def _check_task_call(
    walk: Walk, found: Found, prefix: str, ancestors: _Before, task: DAGTask, resolved: Template | None, names: Names, path: str
) -> None:
    """The call that a task is, with what those before it offer."""
    report = walk.report
    if task.hooks:
        names.add(f"tasks.{task.name}.status")
    walk.add_outputs(names, "tasks", task.name, resolved)
    inside = _names_inside(names, task)
    inside.ancestors = ancestors
    _check_loop(report, prefix, task, path)
    inside.add_items(task)
    document = task.to_json()
    walk.require(document, inside, prefix, path)
    check_arguments(report, f"{prefix}.arguments.", task.arguments, f"{path}.arguments", may_be_empty=False)
    _check_needed(report, prefix, task.arguments, ancestors, f"{path}.arguments")
    if resolved is not None:
        with report.within(prefix):
            walk.visit(task, found.base, task.arguments, path)
    check_call(walk, found.base, task, document, path)


def _check_needed(report: Report, prefix: str, arguments: Arguments, ancestors: _Before, path: str) -> None:
    """An argument that is another task's output waits for that task (rule 66)."""
    texts = [("parameter", p.name, p.value or "", f"{path}.parameters[{i}]") for i, p in enumerate(arguments.parameters)]
    texts += [("artifact", a.name, a.from_, f"{path}.artifacts[{i}]") for i, a in enumerate(arguments.artifacts)]
    for kind, name, text, place in texts:
        match = _TASK_REFERENCE.match(text)
        if match and match[1] not in ancestors:
            remedy = f"add {match[1]} to dependencies"
            report.add(f"{prefix} missing dependency '{match[1]}' for {kind} '{name}'", place, remedy=remedy, rule="dependency")
