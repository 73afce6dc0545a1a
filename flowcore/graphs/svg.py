"""Graphs as SVG: one picture that needs no other program, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, takewhile
from xml.sax.saxutils import escape

from flowcore.graphs.layout import LINE, Placed, bend_of, placed
from flowcore.graphs.model import Edge, Graph

_MARGIN = 20.0
_COLOURS = {
    "container": "#2f6fde",
    "script": "#7a4fd0",
    "containerSet": "#2f6fde",
    "resource": "#b06a00",
    "data": "#0a7f7a",
    "http": "#0a7f7a",
    "plugin": "#a3327f",
    "suspend": "#b08900",
    "steps": "#5b6573",
    "dag": "#5b6573",
}
_STYLE = """\
text{font-family:Inter,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1c2430}
.title{font-size:12.5px;font-weight:600}
.more{font-size:11px;fill:#5b6573}
.leaf{fill:#fff;stroke-width:1.4}
.whole{fill:#8a97a81a;stroke:#9aa6b5;stroke-width:1}
.edge{fill:none;stroke:#6b7785;stroke-width:1.3}
.dashed{stroke-dasharray:5 4}
.tip{fill:#6b7785}
.label{font-size:10px;fill:#5b6573;paint-order:stroke;stroke:#fff;stroke-width:3px}
@media (prefers-color-scheme:dark){text{fill:#e6eaf0}.more,.label{fill:#a5b0be}.label{stroke:#161b22}.leaf{fill:#1d242e}.back{fill:#161b22}}
"""


def svg(graph: Graph, title: str = "workflow") -> str:
    """The graph as an SVG document, with a line end."""
    parts, width, height = placed(graph)
    for part in parts:
        part.move(_MARGIN, _MARGIN)
    width, height = width + 2 * _MARGIN, height + 2 * _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0.6 L7.5 4 L0 7.4 z"/></marker></defs>'
        f'<rect class="back" width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>'
    )
    return f"{head}\n{''.join(_drawn(parts, graph.edges))}</svg>\n"


def _drawn(parts: list[Placed], edges: list[Edge]) -> Iterator[str]:
    known = {part.box.id: part for part in parts}
    for part in parts:
        yield from _box(part)
    for edge in edges:
        bends = takewhile(lambda bend: bend is not None, (known.get(bend_of(edge, number)) for number in count(1)))
        yield _edge(known[edge.before], known[edge.after], edge, [bend for bend in bends if bend is not None])


def _box(part: Placed) -> Iterator[str]:
    if not part.lines:
        return
    colour = _COLOURS.get(part.box.kind, "#5b6573")
    place = f'x="{part.x:.1f}" y="{part.y:.1f}" width="{part.width:.1f}" height="{part.height:.1f}"'
    hint = "".join(f"<title>{_text(line)}</title>" for line in [" / ".join((part.box.title, part.box.kind, *part.box.notes))])
    yield "<g>" + hint
    if part.inner:
        yield f'<rect class="whole" rx="9" {place}/>'
    else:
        radius = part.height / 2 if part.box.kind == "suspend" else 7
        yield f'<rect class="leaf" rx="{radius:.0f}" stroke="{colour}" {place}/>'
        if part.box.kind != "suspend":
            yield f'<rect x="{part.x + 5:.1f}" y="{part.y + 6:.1f}" width="3" height="{part.height - 12:.1f}" rx="1.5" fill="{colour}"/>'
    for number, line in enumerate(part.lines):
        kind = "title" if number == 0 else "more"
        yield f'<text class="{kind}" x="{part.center:.1f}" y="{part.y + 7 + LINE * (number + 0.78):.1f}" text-anchor="middle">{_text(line)}</text>'
    yield from _drawn(part.inner, part.edges)
    yield "</g>\n"


def _edge(before: Placed, after: Placed, edge: Edge, bends: list[Placed]) -> str:
    x1, y1, x2, y2 = before.center, before.y + before.height, after.center, after.y
    if y2 <= y1:  # back up, or beside
        y1, y2 = before.y + before.height / 2, after.y + after.height / 2
        x1, x2 = (before.x + before.width, after.x) if after.x >= before.x else (before.x, after.x + after.width)
    path, at_x, at_y = f"M{x1:.1f} {y1:.1f}", x1, y1
    for bend in bends:
        path += _curve(at_x, at_y, bend.center, bend.y) + f" V{bend.y + bend.height:.1f}"
        at_x, at_y = bend.center, bend.y + bend.height
    path += _curve(at_x, at_y, x2, y2)
    line = f'<path class="edge{" dashed" if edge.dashed else ""}" d="{path}" marker-end="url(#tip)"/>'
    if edge.label:
        line += f'<text class="label" x="{(at_x + x2) / 2 + 4:.1f}" y="{(at_y + y2) / 2 + 3:.1f}" text-anchor="middle">{_text(edge.label)}</text>'
    return line + "\n"


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    """On from one point to another, leaving and arriving straight."""
    bend = max(18.0, (y2 - y1) * 0.5)
    return f" C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"


def _text(text: str) -> str:
    return escape("".join(char for char in text if char in "\t\n" or ord(char) >= 32))


__all__ = ["svg"]
