"""Where the boxes of a graph stand: layers from top to bottom by the longest way to a box, ordered so that few edges cross."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from flowcore.graphs.model import Box, Edge, Graph

CHARACTER, TITLE_CHARACTER, LINE = 7.0, 7.8, 15.0  # the widths of letters, and the height of a line
_PADDING, _GAP, _BETWEEN = 14.0, 26.0, 46.0
_WIDEST = 56
_BEND, _MOST_PARTS = 8.0, 3000
_SWEEPS = 4


@dataclass(slots=True)
class Placed:
    """A box with its place; ``inner`` are placed within it, with absolute places after ``moved``."""

    box: Box
    width: float
    height: float
    lines: list[str]
    x: float = 0.0
    y: float = 0.0
    inner: list[Placed] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    @property
    def center(self) -> float:
        """The middle, from left to right."""
        return self.x + self.width / 2

    def move(self, by_x: float, by_y: float) -> None:
        """Shift it with all that is in it."""
        self.x += by_x
        self.y += by_y
        for part in self.inner:
            part.move(by_x, by_y)


def placed(graph: Graph) -> tuple[list[Placed], float, float]:
    """All boxes with their places from (0, 0), and how wide and high they are together; with a box without lines wherever an edge has to
    find its way between the boxes of a layer (``bend_of``).
    """
    parts = {box.id: _sized(box) for box in graph.boxes}
    layers = _layers(graph)
    edges = _with_bends(graph, layers, parts)
    layers = _ordered(layers, edges)
    widths = [sum(parts[name].width for name in layer) + _GAP * (len(layer) - 1) for layer in layers]
    whole = max(widths, default=0.0)
    y = 0.0
    for layer, width in zip(layers, widths, strict=True):
        x, height = (whole - width) / 2, max(parts[name].height for name in layer)
        for name in layer:
            if not parts[name].lines:
                parts[name].height = height
            parts[name].move(x, y + (height - parts[name].height) / 2)
            x += parts[name].width + _GAP
        y += height + _BETWEEN
    return list(parts.values()), whole, max(0.0, y - _BETWEEN)


def bend_of(edge: Edge, number: int) -> str:
    """The id of the box without lines through which an edge passes the ``number``-th layer on its way."""
    return f"{edge.before}>{edge.after}#{number}"


def _with_bends(graph: Graph, layers: list[list[str]], parts: dict[str, Placed]) -> list[Edge]:
    """The edges, those over more than one layer in pieces; adds their bends to ``layers`` and ``parts``."""
    depth = {name: number for number, layer in enumerate(layers) for name in layer}
    edges = []
    for edge in graph.edges:
        first, last = depth[edge.before], depth[edge.after]
        bends = last - first - 1 if len(parts) < _MOST_PARTS else 0  # else they go straight through what stands in their way
        names = [bend_of(edge, number) for number in range(1, bends + 1)]
        for number, name in enumerate(names, first + 1):
            if name not in parts:
                parts[name] = Placed(Box(name, ""), _BEND, 0.0, [])
                layers[number].append(name)
        way = [edge.before, *names, edge.after]
        edges += [Edge(one, other) for one, other in pairwise(way)]
    return edges


def shortened(text: str) -> str:
    """What fits of a line."""
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _sized(box: Box) -> Placed:
    lines = [shortened(line) for line in (box.title, *([box.template] if box.template else []), *box.notes)]
    width = max(len(lines[0]) * TITLE_CHARACTER, *(len(line) * CHARACTER for line in lines)) + 2 * _PADDING
    height = len(lines) * LINE + _PADDING
    if box.inner is None or not box.inner.boxes:
        return Placed(box, max(width, 84.0), height, lines)
    inner, inner_width, inner_height = placed(box.inner)
    width = max(width, inner_width + 2 * _PADDING)
    for part in inner:
        part.move((width - inner_width) / 2, height + 4)
    return Placed(box, width, height + inner_height + _PADDING + 4, lines, inner=inner, edges=box.inner.edges)


def _layers(graph: Graph) -> list[list[str]]:
    """The boxes by the length of the longest way to them; edges that would close a circle are not counted."""
    before: dict[str, list[str]] = {box.id: [] for box in graph.boxes}
    for edge in graph.edges:
        before[edge.after].append(edge.before)
    depth: dict[str, int] = {}
    for start in before:
        stack: list[tuple[str, bool]] = [(start, False)]
        open_now: set[str] = set()
        while stack:
            name, ready = stack.pop()
            if ready:
                depth[name] = max((depth[one] + 1 for one in before[name] if one in depth), default=0)
                open_now.discard(name)
            elif name not in depth and name not in open_now:
                open_now.add(name)
                stack.append((name, True))
                stack += [(one, False) for one in before[name] if one not in depth and one not in open_now]
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in before:
        layers[depth[name]].append(name)
    return layers


def _ordered(layers: list[list[str]], edges: list[Edge]) -> list[list[str]]:
    """Each layer in the order of the middle of what its boxes are tied to, downwards and upwards by turns."""
    tied: dict[str, list[str]] = {}
    for edge in edges:
        tied.setdefault(edge.after, []).append(edge.before)
        tied.setdefault(edge.before, []).append(edge.after)
    for sweep in range(_SWEEPS):
        order = range(1, len(layers)) if sweep % 2 == 0 else range(len(layers) - 2, -1, -1)
        for number in order:
            other = layers[number - 1 if sweep % 2 == 0 else number + 1]
            spot = {name: (place + 0.5) / len(other) for place, name in enumerate(other)}
            own = {name: (place + 0.5) / len(layers[number]) for place, name in enumerate(layers[number])}
            layers[number].sort(key=lambda name: _middle([spot[one] for one in tied.get(name, []) if one in spot], own[name]))
    return layers


def _middle(places: list[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


__all__ = ["CHARACTER", "LINE", "Placed", "bend_of", "placed"]
