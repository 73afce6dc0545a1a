"""A workflow as boxes in boxes and edges between them. Templates that call themselves, and very deep or large ones, are drawn once and closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flowcore.errors import ExpressionError, UsageError
from flowcore.jsontypes import Json
from flowcore.language.depends import parse_depends
from flowcore.models import DAGTask, RetryStrategy, Template, TemplateCall, WorkflowSpec
from flowcore.models import Sequence as Sequence_

_DEEPEST, _MOST = 6, 600
_SHOWN_ITEMS = 40


@dataclass(frozen=True, slots=True)
class Edge:
    """That ``after`` begins when ``before`` has ended; ``label`` says on which condition, where that is not success."""

    before: str
    after: str
    label: str = ""
    dashed: bool = False


@dataclass(slots=True)
class Graph:
    """Boxes, and the edges between boxes of this graph."""

    boxes: list[Box] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)


@dataclass(slots=True)
class Box:
    """A step, task or template: ``kind`` is the type of its template, ``notes`` its conditions and loops, ``inner`` what it is made of."""

    id: str
    title: str
    template: str = ""
    kind: str = ""
    notes: tuple[str, ...] = ()
    inner: Graph | None = None


def graph_of(spec: WorkflowSpec, entrypoint: str = "") -> Graph:
    """The graph of a workflow from its entrypoint, with its exit handler. Raises UsageError if there is nothing to draw."""
    start = entrypoint or spec.entrypoint or (spec.templates[0].name if spec.templates else "")
    if not start:
        raise UsageError("there is no template to draw" + (": the templates stand elsewhere" if spec.workflow_template_ref else ""))
    drawing = _Drawing({template.name: template for template in spec.templates})
    main = drawing.box(start, start, (), ())
    graph = Graph([main])
    exit_hook = spec.exit_hook
    hooks = {name: hook for name, hook in spec.hooks.items() if name != "exit"}
    if exit_hook is not None and exit_hook.template:
        graph.boxes.append(drawing.box("on exit", exit_hook.template, (), ()))
        graph.edges.append(Edge(main.id, graph.boxes[-1].id, "at the end", dashed=True))
    for name, hook in hooks.items():
        graph.boxes.append(drawing.box(f"hook {name}", hook.template, (hook.expression,), ()))
        graph.edges.append(Edge(main.id, graph.boxes[-1].id, "hook", dashed=True))
    return graph


class _Drawing:
    """Makes boxes, and counts them."""

    def __init__(self, templates: dict[str, Template]) -> None:
        self._templates = templates
        self._count = 0

    def box(self, title: str, name: str, notes: Sequence[str], around: tuple[str, ...], template: Template | None = None) -> Box:
        """The box of a call of the template called ``name``; ``around`` are the templates that it stands in."""
        self._count += 1
        found = template or self._templates.get(name)
        box = Box(
            f"n{self._count}", title, name if name != title else "", found.template_type or "" if found else "", tuple(filter(None, notes))
        )
        if found is not None and found.retry_strategy is not None:
            box.notes = (*box.notes, _attempts(found.retry_strategy))
        if found is None or found.is_leaf or found.suspend is not None:
            return box
        if name in around:
            box.notes = (*box.notes, "again")
        elif len(around) < _DEEPEST and self._count < _MOST:
            box.inner = self._inside(found, (*around, name))
        else:
            box.notes = (*box.notes, "...")
        return box

    def _inside(self, template: Template, around: tuple[str, ...]) -> Graph:
        return self._dag(template, around) if template.dag is not None else self._steps(template, around)

    def _call(self, call: TemplateCall, around: tuple[str, ...]) -> Box:
        reference = call.template_ref
        name = f"{reference.name}/{reference.template}" if reference else call.template
        return self.box(call.name, name or call.name, list(_notes(call)), around, call.inline)

    def _hooks(self, call: TemplateCall, box: Box, graph: Graph, around: tuple[str, ...]) -> None:
        """The exit handler and hooks of a step or task, behind it."""
        handlers = {"on exit": call.on_exit} if call.on_exit else {}
        handlers |= {("on exit" if name == "exit" else f"hook {name}"): hook.template for name, hook in call.hooks.items()}
        for title, template in handlers.items():
            graph.boxes.append(self.box(title, template, (), around))
            graph.edges.append(Edge(box.id, graph.boxes[-1].id, dashed=True))

    def _steps(self, template: Template, around: tuple[str, ...]) -> Graph:
        graph = Graph()
        before: list[Box] = []
        for group in template.steps or ():
            boxes = [self._call(step, around) for step in group]
            graph.boxes += boxes
            graph.edges += [Edge(one.id, other.id) for one in before for other in boxes]
            for step, box in zip(group, boxes, strict=True):
                self._hooks(step, box, graph, around)
            before = boxes or before
        return graph

    def _dag(self, template: Template, around: tuple[str, ...]) -> Graph:
        graph = Graph()
        tasks = template.dag.tasks if template.dag else []
        boxes = {task.name: self._call(task, around) for task in tasks}
        graph.boxes += boxes.values()
        for task in tasks:
            box = boxes[task.name]
            box.notes = (*_condition(task), *box.notes)
            graph.edges += [Edge(boxes[name].id, box.id) for name in _waits(task) if name in boxes]
            self._hooks(task, boxes[task.name], graph, around)
        return graph


def _waits(task: DAGTask) -> list[str]:
    """The tasks that a task waits for."""
    if not task.depends:
        return list(task.dependencies)
    try:
        return list(dict.fromkeys(parse_depends(task.depends).tasks))
    except ExpressionError:
        return []


def _condition(task: DAGTask) -> Iterator[str]:
    """How what it waits for must have ended, where that is not simply success."""
    if task.depends and any(sign in task.depends for sign in ("|", "!", ".")):
        yield f"if {task.depends}"


def _notes(call: TemplateCall) -> Iterator[str]:
    if call.when:
        yield f"when {call.when}"
    if call.with_items is not None:
        yield _items(call.with_items)
    elif call.with_param:
        yield f"for each of {call.with_param}"
    elif call.with_sequence is not None:
        yield _numbers(call.with_sequence)


def _attempts(strategy: RetryStrategy) -> str:
    return f"tried again {strategy.limit} times at most" if strategy.limit is not None else "tried again"


def _items(items: list[Json]) -> str:
    """The items themselves where they fit into a line."""
    shown = f"for each of {', '.join(str(item) for item in items)}"
    plain = all(isinstance(item, str | int | float) for item in items)
    return shown if plain and len(shown) <= _SHOWN_ITEMS else f"for each of {len(items)} items"


def _numbers(sequence: Sequence_) -> str:
    start = sequence.start or "0"
    if sequence.count is not None:
        return f"{sequence.count} times" if sequence.start is None else f"{sequence.count} times, from {start}"
    return f"for each number {start} ... {sequence.end}"


__all__ = ["Box", "Edge", "Graph", "graph_of"]
