"""The tree of a run as ``argo get`` draws it: pure text from rows, for the command line, for tests and for people who look at rows.

Step groups are no lines of their own but brackets before their steps; a Retry node with one attempt steps back behind it; task groups,
containers of a set and omitted tasks are not drawn. Siblings stand in the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flowcore.jsontypes import text_of
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, pod_name, pod_name_version

HEADINGS = ("STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE")
ICONS = {
    Phase.PENDING: "◷",
    Phase.RUNNING: "●",
    Phase.SUCCEEDED: "✔",
    Phase.SKIPPED: "○",
    Phase.OMITTED: "○",
    Phase.FAILED: "✖",
    Phase.ERROR: "⚠",
}
WAITING_ICON = "ǁ"

_BRACKETS = frozenset({NodeType.STEP_GROUP, NodeType.RETRY})
_HIDDEN = frozenset({NodeType.TASK_GROUP, NodeType.CONTAINER})
_GAP = 2
_CONTROL = dict.fromkeys((*range(32), *range(127, 160)), " ")
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class TreeLine:
    """One line: the connectors before the node, then the cells of the table. ``node`` is None for the blank line between trees."""

    prefix: str = ""
    icon: str = ""
    label: str = ""
    template: str = ""
    pod: str = ""
    duration: str = ""
    message: str = ""
    node: Node | None = None

    @property
    def step(self) -> str:
        """The first cell."""
        return f"{self.prefix}{self.icon} {self.label}" if self.node is not None else ""

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The cells under ``HEADINGS``."""
        return self.step, self.template, self.pod, self.duration, self.message


def render_tree(run: RunRow, nodes: Iterable[Node], *, now: datetime | None = None) -> str:
    """The table of the tree, headings first, one line for a node, without a line end at the end; nothing if there is no root.

    Durations of what has not ended count up to ``now``, else to the latest time in the rows.
    """
    lines = list(tree_lines(run, nodes, now=now))
    return "\n".join(aligned([HEADINGS, *(line.cells for line in lines)])) if lines else ""


def tree_lines(run: RunRow, nodes: Iterable[Node], *, now: datetime | None = None) -> Iterator[TreeLine]:
    """The lines of the tree of the root, then those of hooks and the exit handler of the workflow, each after a blank line."""
    rows = sorted(nodes, key=lambda node: node.seq)
    moment = now or max((time for row in rows for time in (row.started_at, row.finished_at) if time), default=None)
    tree = _Tree(run, rows)
    for number, root in enumerate(tree.roots):
        if number:
            yield TreeLine()
        for prefix, node in tree.walk(root):
            yield _line(run, prefix, node, moment)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines of text with aligned columns."""
    widths = [max(len(row[column]) for row in rows) + _GAP for column in range(len(rows[0]))]
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def short_duration(length: timedelta) -> str:
    """A length of time in its largest unit, cut off: ``0s``, ``59s``, ``2m``, ``3h``, ``10d``."""
    seconds = max(0, int(length.total_seconds()))
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "0s"


def one_line(text: str) -> str:
    """``text`` without line ends and control characters, fit for a terminal."""
    return text.translate(_CONTROL)


class _Tree:
    """Which nodes stand below which in the drawing, which is not how they depend on each other."""

    def __init__(self, run: RunRow, rows: Sequence[Node]) -> None:
        self._rows = {row.id: row for row in rows}
        self._below: dict[NodeId, list[Node]] = {}
        self.roots: list[Node] = []
        for row in rows:
            if row.type in _HIDDEN or row.phase is Phase.OMITTED:
                continue
            above = self._above(row)
            if above is not None:
                self._below.setdefault(above, []).append(row)
            elif row.boundary is None:
                self.roots.append(row)
        if not any(root.name == run.name for root in self.roots):
            self.roots = []
        self.roots.sort(key=lambda root: (root.name != run.name, root.name == f"{run.name}.onExit"))

    def _above(self, row: Node) -> NodeId | None:
        for parent in row.parents:
            if parent in self._rows and self._rows[parent].type in _BRACKETS:
                return parent
        return row.boundary if row.boundary in self._rows else None

    def walk(self, root: Node) -> Iterator[tuple[str, Node]]:
        """The nodes from ``root`` downwards that have a line, each with the connectors before it."""
        stack = [(root, " ", " ")]
        while stack:
            node, prefix, below_prefix = stack.pop()
            below = self._below.pop(node.id, [])
            is_group = node.type is NodeType.STEP_GROUP
            if is_group or (node.type is NodeType.RETRY and len(below) == 1):
                drawn = _bracketed(below, prefix, below_prefix) if is_group else [(below[0], prefix, below_prefix)]
            else:
                yield prefix, node
                drawn = _listed(below, below_prefix)
            stack.extend(reversed(drawn))


def _bracketed(nodes: Sequence[Node], prefix: str, below_prefix: str) -> list[tuple[Node, str, str]]:
    """The steps of a group: the first one stands where the group would, the others hang on its bracket."""
    if len(nodes) == 1:
        return [(nodes[0], prefix + "──", below_prefix + "  ")]
    drawn = [(node, below_prefix + "├─", below_prefix + "│ ") for node in nodes]
    if drawn:
        drawn[0] = nodes[0], prefix + "┬─", below_prefix + "│ "
        drawn[-1] = nodes[-1], below_prefix + "└─", below_prefix + "  "
    return drawn


def _listed(nodes: Sequence[Node], below_prefix: str) -> list[tuple[Node, str, str]]:
    """What stands below a node that has a line of its own."""
    drawn = [(node, below_prefix + "├─", below_prefix + "│ ") for node in nodes]
    if drawn:
        drawn[-1] = nodes[-1], below_prefix + "└─", below_prefix + "  "
    return drawn


def _line(run: RunRow, prefix: str, node: Node, now: datetime | None) -> TreeLine:
    is_pod = node.type is NodeType.POD
    waiting = node.type is NodeType.SUSPEND and node.phase is Phase.RUNNING
    reference = node.template_ref or {}
    template = text_of(reference, "template") or node.template_name
    ended = node.finished_at or now
    return TreeLine(
        prefix=prefix,
        icon=WAITING_ICON if waiting else ICONS[node.phase],
        label=one_line(node.display_name),
        template=one_line(f"{text_of(reference, 'name')}/{template}" if reference else template),
        pod=pod_name(run.name, node.name, template, version=pod_name_version(run)) if is_pod else "",
        duration=short_duration(ended - node.started_at) if is_pod and node.started_at and ended else "",
        message=one_line(node.message or _progress(node)),
        node=node,
    )


def _progress(node: Node) -> str:
    """What a node that works reports of itself."""
    return "" if node.phase.fulfilled or node.progress is None else node.progress


__all__ = ["HEADINGS", "ICONS", "TreeLine", "aligned", "one_line", "render_tree", "short_duration", "tree_lines"]
