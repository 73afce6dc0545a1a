"""What is shown while a run goes on: a tree that redraws itself on a terminal, plain lines where output is piped.

Both take the run's changes one by one; ``flowcore.cli.execution`` feeds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from itertools import islice
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from flowcore.cli.logs import colour_of, prefixed
from flowcore.cli.summary import status_of
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow
from flowcore.ports import Logged
from flowcore.runner import Change, NodeChanged, RunChanged
from flowcore.status import children_of, progress_of
from flowcore.tree import HEADINGS, ICONS, TreeLine, aligned, one_line, tree_lines

COLOURS = {
    Phase.PENDING: "yellow",
    Phase.RUNNING: "cyan",
    Phase.SUCCEEDED: "green",
    Phase.SKIPPED: "default",
    Phase.OMITTED: "default",
    Phase.FAILED: "red",
    Phase.ERROR: "red",
}
# Nodes that only group others, and have no line of their own in what is piped.
_GROUPS = frozenset({NodeType.STEP_GROUP, NodeType.TASK_GROUP, NodeType.RETRY, NodeType.CONTAINER})
# A live tree of more nodes than this shows only what is not over, and counts the rest.
_DRAWN_WHOLE = 500
_LINES_KEPT = 5


class Screen(Protocol):
    """Shows one run."""

    def shown(self) -> AbstractContextManager[object]:
        """The time during which something is shown."""
        ...

    def tell(self, change: Change) -> None:
        """Something happened."""
        ...

    def note(self, text: str) -> None:
        """Say something to the user."""
        ...

    def refresh(self) -> None:
        """Show how things stand now."""
        ...


class _Rows:
    """The rows of the run as the changes leave them, those that are not over, and how many are in each phase."""

    def __init__(self, run: RunRow, nodes: Mapping[NodeId, Node]) -> None:
        self.run = run
        self.nodes: dict[NodeId, Node] = {}
        self.open: dict[NodeId, Node] = {}
        self.counts: Counter[Phase] = Counter()
        for node in nodes.values():
            self._take_node(node)

    def take(self, change: Change) -> None:
        if isinstance(change, NodeChanged):
            self._take_node(change.node)
        elif isinstance(change, RunChanged):
            self.run = change.run

    def _take_node(self, node: Node) -> None:
        before = self.nodes.get(node.id)
        if before is not None:
            self.counts[before.phase] -= 1
        self.counts[node.phase] += 1
        self.nodes[node.id] = node
        if node.fulfilled:
            self.open.pop(node.id, None)
        else:
            self.open[node.id] = node


class PlainScreen:
    """One line for each thing that happens, and no more: for pipes, files and dumb terminals."""

    def __init__(self, console: Console, run: RunRow, nodes: Mapping[NodeId, Node], *, logs: bool) -> None:
        self._console, self._rows, self._logs = console, _Rows(run, nodes), logs
        self._phases: dict[NodeId, Phase] = {}

    def shown(self) -> AbstractContextManager[object]:
        """All the time."""
        return nullcontext()

    def tell(self, change: Change) -> None:
        """Print a new phase of a node, or a line of its output."""
        self._rows.take(change)
        if isinstance(change, NodeChanged):
            self._node(change.node)
        elif isinstance(change, Logged) and self._logs:
            for line in log_lines(change, self._rows.run, self._rows.nodes):
                self._print(line)

    def note(self, text: str) -> None:
        """Print ``text``."""
        self._print(Text(text))

    def refresh(self) -> None:
        """Hand on what was printed to whoever reads it."""
        self._console.file.flush()

    def _node(self, node: Node) -> None:
        if node.type in _GROUPS or node.phase in (Phase.PENDING, Phase.OMITTED) or self._phases.get(node.id) is node.phase:
            return
        self._phases[node.id] = node.phase
        message = f"  {one_line(node.message)}" if node.message else ""
        self._print(Text.assemble((ICONS[node.phase], COLOURS[node.phase]), f" {one_line(node.name)}{message}"))

    def _print(self, text: Text) -> None:
        if self._console.color_system is None:  # many times faster, and the same
            self._console.file.write(f"{text.plain}\n")
        else:
            self._console.print(text, soft_wrap=True)


class LiveScreen:
    """The tree, redrawn in place; output of nodes scrolls by above it. Redrawn by ``refresh`` only, so by one task."""

    def __init__(self, console: Console, run: RunRow, nodes: Mapping[NodeId, Node], *, logs: bool, now: Callable[[], datetime]) -> None:
        self._console, self._rows, self._logs, self._now = console, _Rows(run, nodes), logs, now
        self._notes: list[str] = []
        self._live = Live(console=console, auto_refresh=False, transient=True, get_renderable=self._drawn)

    def shown(self) -> AbstractContextManager[object]:
        """While the tree is on the screen; it is taken away in the end."""
        return self._live

    def tell(self, change: Change) -> None:
        """Remember it for the next drawing; print output of nodes at once."""
        self._rows.take(change)
        if isinstance(change, Logged) and self._logs:
            for line in log_lines(change, self._rows.run, self._rows.nodes):
                self._console.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """Show ``text`` below the tree."""
        self._notes.append(text)
        self.refresh()

    def refresh(self) -> None:
        """Draw the tree again."""
        self._live.refresh()

    def _drawn(self) -> Group:
        rows = self._rows
        notes = [Text(note, style="yellow") for note in self._notes[-_LINES_KEPT:]]
        room = max(self._console.size.height - 4 - len(notes), _LINES_KEPT)
        progress, lines, left_out = self._whole(room) if len(rows.nodes) <= _DRAWN_WHOLE else self._open(room)
        head = Text(f"{rows.run.name}  {status_of(rows.run)}  {progress}", style="bold")
        rest = [Text(f"... and {left_out} more nodes: {counted(rows.counts)}", style="dim")] if left_out else []
        return Group(head, *coloured(lines), *rest, *notes)

    def _whole(self, room: int) -> tuple[str, list[TreeLine], int]:
        """The tree, or what fits of it."""
        rows = sorted(self._rows.nodes.values(), key=lambda node: node.seq)
        lines, left_out = fitting(list(tree_lines(self._rows.run, rows, now=self._now())), room)
        return progress_of(rows, children_of(rows)).run, lines, left_out

    def _open(self, room: int) -> tuple[str, list[TreeLine], int]:
        """What is not over, as a list: drawing all of a very large tree again and again would hold up the run."""
        total = len(self._rows.nodes)
        shown = islice((node for node in self._rows.open.values() if node.type not in _GROUPS), room)
        lines = [TreeLine(" ", ICONS[node.phase], one_line(node.name), message=one_line(node.message), node=node) for node in shown]
        return f"{total - len(self._rows.open)}/{total} nodes", lines, total - len(lines)


def fitting(lines: list[TreeLine], room: int) -> tuple[list[TreeLine], int]:
    """As many of ``lines`` as there is room for, and how many nodes were left out: those that are over go first, the oldest of them first."""
    surplus = len(lines) - room
    if surplus <= 0:
        return lines, 0
    over = [
        place
        for place, line in enumerate(lines)
        if line.node is None or (line.node.phase.fulfilled and not line.node.phase.failed_or_error)
    ]
    gone = set(over[:surplus])
    kept = [line for place, line in enumerate(lines) if place not in gone][:room]
    return kept, len(lines) - len(kept)


def counted(counts: Mapping[Phase, int]) -> str:
    """How many nodes are in each phase: ``3 Running, 12 Succeeded``."""
    return ", ".join(f"{counts[phase]} {phase}" for phase in Phase if counts.get(phase))


def coloured(lines: Iterable[TreeLine]) -> Iterator[Text]:
    """The table of the tree with its headings; icons in the colour of their phase, cut at the edge of the screen."""
    rows = list(lines)
    for number, text in enumerate(aligned([HEADINGS, *(line.cells for line in rows)])):
        line = Text(text, no_wrap=True, overflow="ellipsis", style="bold" if number == 0 else "")
        node = rows[number - 1].node if number else None
        if node is not None:
            start = len(rows[number - 1].prefix)
            line.stylize(COLOURS[node.phase], start, start + 1)
        yield line


def with_icons(text: str) -> Text:
    """A whole drawing with its icons in their colours."""
    drawn = Text(text)
    for phase, icon in ICONS.items():
        drawn.highlight_words([f"{icon} "], style=COLOURS[phase])
    return drawn


def log_lines(logged: Logged, run: RunRow, nodes: Mapping[NodeId, Node]) -> Iterator[Text]:
    """A piece of output as lines in the colour of the pod that wrote it."""
    for source, text in prefixed(logged, run, nodes):
        yield Text(f"{source}: {one_line(text)}", style=colour_of(source))


__all__ = ["COLOURS", "LiveScreen", "PlainScreen", "Screen", "coloured", "counted", "fitting", "log_lines", "with_icons"]
