"""A second, slow reading of Argo's rules: every fact makes it walk the whole workflow from the root again, over and over until nothing changes.

It knows Steps and DAG templates over pods, with loops, conditions, ``depends``, ``continueOn``, ``failFast`` and retries, and keeps nothing but one
row for each node. It shares no code with the engine but the names of ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flowcore.nodes import node_id

FULFILLED = {"Succeeded", "Failed", "Error", "Skipped", "Omitted"}
COMPLETED = {"Succeeded", "Failed", "Error"}
BAD = {"Failed", "Error"}
_STATUS = re.compile(r"\{\{(?:steps|tasks)\.([\w-]+)\.status\}\}")


@dataclass
class Row:
    """A node: what it is, where it stands, and whom it leads to."""

    type: str
    phase: str
    message: str = ""
    template: str = ""
    children: list[str] = field(default_factory=list)
    outbound: list[str] = field(default_factory=list)

    @property
    def fulfilled(self) -> bool:
        return self.phase in FULFILLED


class Rewalk:
    """The rows of one workflow called ``wf``; ``begun`` and ``ended`` are the facts, each of which is followed by a walk."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.spec = document["spec"]
        self.templates = {template["name"]: template for template in self.spec["templates"]}
        self.rows: dict[str, Row] = {}
        self._changed = False
        self._settle()

    def begun(self, name: str) -> None:
        """The pod of a node runs."""
        if not self.rows[name].fulfilled:
            self.rows[name].phase = "Running"
        self._settle()

    def ended(self, name: str, phase: str, message: str) -> None:
        """The pod of a node has ended."""
        self.rows[name].phase, self.rows[name].message = phase, message
        self._settle()

    # --- walking ------------------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        while True:
            self._changed = False
            root = self._execute("wf", self.spec["entrypoint"])
            if root.fulfilled and self.spec.get("onExit"):
                self._execute("wf.onExit", self.spec["onExit"])
            if not self._changed:
                return

    def _execute(self, name: str, template_name: str) -> Row:
        """Bring a node as far as it comes."""
        known = self.rows.get(name)
        if known is not None and known.fulfilled:
            return known
        template = self.templates[template_name]
        return self._retry(name, template) if "retryStrategy" in template else self._attempt(name, template)

    def _attempt(self, name: str, template: dict[str, Any]) -> Row:
        if "steps" in template:
            return self._steps(name, template)
        if "dag" in template:
            return self._dag(name, template)
        return self._row(name, "Pod", "Pending")

    def _retry(self, name: str, template: dict[str, Any]) -> Row:
        row = self._row(name, "Retry", "Running")
        if row.children:
            last = self.rows[row.children[-1]]
            if not last.fulfilled:
                return row
            if last.phase == "Succeeded":
                return self._mark(row, "Succeeded")
            if last.phase == "Error":  # without a policy only failures are tried again
                return self._mark(row, last.phase, last.message)
            if len(row.children) > int(template["retryStrategy"]["limit"]):
                return self._mark(row, last.phase, "No more retries left")
        attempt = f"{name}({len(row.children)})"
        self._attempt(attempt, template)
        self._connect(row, attempt)
        return row

    # --- steps --------------------------------------------------------------------------------------------------------------------

    def _steps(self, name: str, template: dict[str, Any]) -> Row:
        row = self._row(name, "Steps", "Running")
        before: Row | None = None
        for index, steps in enumerate(template["steps"]):
            group = self._row(f"{name}[{index}]", "StepGroup", "Running")
            for parent in self._parents_of_group(row, before):
                self._connect(parent, f"{name}[{index}]")
            self._group(name, index, steps, group)
            if not group.fulfilled:
                return row
            if group.phase in BAD:
                self._leave(row, group.children)
                return self._mark(row, "Failed", group.message)
            before = group
        self._leave(row, before.children if before is not None else [])
        return self._mark(row, "Succeeded")

    def _parents_of_group(self, steps: Row, before: Row | None) -> list[Row]:
        if before is None:
            return [steps]
        if not before.children:
            return [before]
        return [self.rows[leaf] for child in before.children for leaf in self._outbound(child)]

    def _group(self, name: str, index: int, steps: list[dict[str, Any]], group: Row) -> None:
        if group.fulfilled:
            return
        calls: dict[str, dict[str, Any]] = {}
        for step in sorted(steps, key=lambda step: not is_empty(step)):  # loops over nothing are skipped before anything starts
            for item, condition in self._items(step, self._step_phases(name, index)):
                child = f"{name}[{index}].{item}"
                if condition is not None:
                    self._skip(child, condition)
                else:
                    self._execute(child, step["template"])
                calls[child] = step
                self._connect(group, child)
        children = [self.rows[child] for child in group.children]
        if not all(child.fulfilled for child in children):
            return
        for child in group.children:
            if self.rows[child].phase in BAD and not continues(calls[child], self.rows[child].phase):
                self._mark(group, "Failed", f"child '{node_id('wf', child)}' failed")
                return
        self._mark(group, "Succeeded")

    def _step_phases(self, name: str, index: int) -> dict[str, str]:
        """How the steps of the groups before ended."""
        heads = [f"{name}[{before}]." for before in range(index)]
        return {key.removeprefix(head): row.phase for head in heads for key, row in self.rows.items() if key.startswith(head)}

    # --- DAG ----------------------------------------------------------------------------------------------------------------------

    def _dag(self, name: str, template: dict[str, Any]) -> Row:
        row = self._row(name, "DAG", "Running")
        tasks = {task["name"]: task for task in template["dag"]["tasks"]}
        needed = {other for task in tasks.values() for other, _ in terms(task)}
        leaves = [task for task in tasks if task not in needed]
        visited: set[str] = set()
        for leaf in leaves:
            self._visit(name, row, tasks, leaf, visited)
        phase = self._assess(name, row, tasks, leaves, fail_fast=template["dag"].get("failFast", True))
        if phase != "Running":
            self._leave(row, [f"{name}.{leaf}" for leaf in leaves if f"{name}.{leaf}" in self.rows])
            self._mark(row, phase)
        return row

    def _visit(self, name: str, dag: Row, tasks: dict[str, dict[str, Any]], task_name: str, visited: set[str]) -> None:
        """A task after all that it needs; what has ended is not looked behind."""
        known = self.rows.get(f"{name}.{task_name}")
        if task_name in visited or (known is not None and known.fulfilled):
            return
        visited.add(task_name)
        needs = sorted({other for other, _ in terms(tasks[task_name])})
        for other in needs:
            self._visit(name, dag, tasks, other, visited)
        self._task(name, dag, tasks, task_name, needs)

    def _task(self, name: str, dag: Row, tasks: dict[str, dict[str, Any]], task_name: str, needs: list[str]) -> None:
        task, full = tasks[task_name], f"{name}.{task_name}"
        known = self.rows.get(full)
        if known is None:
            if not all(f"{name}.{other}" in self.rows and self.rows[f"{name}.{other}"].fulfilled for other in needs):
                return
            if needs and not self._holds(name, tasks, task):
                self._skip(full, "omitted: depends condition not met", "Omitted")
                self._connect_task(name, dag, needs, full)
                return
        phases = {other: self.rows[f"{name}.{other}"].phase for other in tasks if f"{name}.{other}" in self.rows}
        items = list(self._items(task, phases))
        if not is_loop(task):
            (item, condition), *_ = items
            self._call_task(full, task, condition)
            self._connect_task(name, dag, needs, full)
            return
        if not [item for item, _ in items if item != task_name]:
            self._skip(full, "Skipped, empty params")
            self._connect_task(name, dag, needs, full)
            return
        group = self._row(full, "TaskGroup", "Running")
        self._connect_task(name, dag, needs, full)
        for item, condition in items:
            self._call_task(f"{name}.{item}", task, condition)
            self._connect(group, f"{name}.{item}")
        children = [self.rows[child] for child in group.children]
        if all(child.fulfilled for child in children):
            bad = [child.phase for child in children if child.phase in BAD]
            self._mark(group, bad[-1] if bad else "Succeeded")

    def _call_task(self, full: str, task: dict[str, Any], condition: str | None) -> None:
        if condition is not None:
            self._skip(full, condition)
        else:
            self._execute(full, task["template"])

    def _connect_task(self, name: str, dag: Row, needs: list[str], full: str) -> None:
        if not needs:
            self._connect(dag, full)
        for other in needs:
            for leaf in self._outbound(f"{name}.{other}"):
                self._connect(self.rows[leaf], full)

    def _holds(self, name: str, tasks: dict[str, dict[str, Any]], task: dict[str, Any]) -> bool:
        held = []
        for other, result in terms(task):
            phase = self.rows[f"{name}.{other}"].phase
            wanted = {result} if result else {"Succeeded", "Skipped"} | accepted(tasks[other])
            held.append(phase in wanted)
        return all(held) if "||" not in task["depends"] else any(held)

    def _assess(self, name: str, dag: Row, tasks: dict[str, dict[str, Any]], leaves: list[str], *, fail_fast: bool) -> str:
        """The phase of a DAG from those of its branches: what did not run has that of what leads to it."""
        reached: dict[str, str] = {}
        queue = [(child, "Succeeded") for child in dag.children]
        seen = set(queue)
        while queue:
            child, branch = queue.pop(0)
            row = self.rows[child]
            if not row.fulfilled:
                return "Running"
            if row.phase in COMPLETED:
                branch = row.phase
            task = child.removeprefix(f"{name}.")
            if task in leaves and reached.get(task) not in BAD:
                reached[task] = branch
            # Attempts do not count: a Retry node stands for its last one, and what comes after that comes after the Retry node.
            beyond = self.rows[row.children[-1]].children if row.type == "Retry" and row.children else row.children
            for after in beyond:
                if (after, branch) not in seen:
                    seen.add((after, branch))
                    queue.append((after, branch))
        result = "Succeeded"
        for leaf in leaves:
            phase = reached.get(leaf)
            if phase is None:
                result = "Running"
                if not fail_fast:
                    break
            elif phase in BAD and phase not in accepted(tasks[leaf]):
                result = phase
                if fail_fast:
                    break
        return result

    # --- rows ---------------------------------------------------------------------------------------------------------------------

    def _items(self, call: dict[str, Any], phases: dict[str, str]) -> Iterator[tuple[str, str | None]]:
        """The names of what a call becomes, each with the reason for skipping it, if there is one."""
        if not is_loop(call):
            yield call["name"], self._refusal(call, phases)
            return
        items = call.get("withItems") or range(call["withSequence"]["count"])
        if not items:
            yield call["name"], "Skipped, empty params"
        for index, item in enumerate(items):
            yield f"{call['name']}({index}:{item})", self._refusal(call, phases)

    def _refusal(self, call: dict[str, Any], phases: dict[str, str]) -> str | None:
        if "when" not in call:
            return None
        text = _STATUS.sub(lambda match: phases[match[1]], call["when"])
        left, right = text.split(" == ")
        return None if left == right else f"when '{text}' evaluated false"

    def _row(self, name: str, kind: str, phase: str) -> Row:
        if name not in self.rows:
            self.rows[name] = Row(kind, phase)
            self._changed = True
        return self.rows[name]

    def _skip(self, name: str, reason: str, phase: str = "Skipped") -> None:
        if name not in self.rows:
            self._mark(self._row(name, "Skipped", phase), phase, reason)

    def _mark(self, row: Row, phase: str, message: str = "") -> Row:
        self._changed |= (row.phase, row.message) != (phase, message)
        row.phase, row.message = phase, message
        return row

    def _connect(self, parent: Row, child: str) -> None:
        if child not in parent.children:
            parent.children.append(child)
            self._changed = True

    def _leave(self, row: Row, children: list[str]) -> None:
        row.outbound = [leaf for child in children for leaf in self._outbound(child)]

    def _outbound(self, name: str) -> list[str]:
        """The nodes by which a node is left."""
        row = self.rows[name]
        match row.type:
            case "Retry":
                return row.children[-1:]
            case "TaskGroup":
                return [leaf for child in row.children for leaf in self._outbound(child)] or [name]
            case "Steps" | "DAG":
                return [leaf for child in row.outbound for leaf in self._outbound(child)]
        return [name]


def is_loop(call: dict[str, Any]) -> bool:
    """Whether a step or task is a loop; an empty list of items makes none."""
    return bool(call.get("withItems")) or "withSequence" in call


def is_empty(call: dict[str, Any]) -> bool:
    """Whether a loop has nothing to go through."""
    return "withSequence" in call and call["withSequence"]["count"] == 0


def terms(task: dict[str, Any]) -> list[tuple[str, str]]:
    """What a task depends on, each with the result that is wanted, if one is."""
    found = [term.partition(".") for term in re.split(r" && | \|\| ", task.get("depends", "")) if term]
    return [(name, result) for name, _, result in found]


def accepted(call: dict[str, Any]) -> set[str]:
    """The bad phases that others go on after."""
    return {phase for phase in BAD if continues(call, phase)}


def continues(call: dict[str, Any], phase: str) -> bool:
    """Whether others go on although a call ended in ``phase``."""
    wanted = call.get("continueOn", {})
    return bool(wanted.get("failed" if phase == "Failed" else "error" if phase == "Error" else ""))
