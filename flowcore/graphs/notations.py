"""Graphs as text for other programs: Mermaid for pages, DOT for Graphviz."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowcore.graphs.model import Box, Graph

_SHAPES = {"suspend": ("([", "])"), "http": ("{{", "}}"), "resource": ("[(", ")]"), "script": ("[/", "/]")}
_DOT_SHAPES = {"suspend": "oval", "http": "hexagon", "resource": "cylinder", "script": "note"}


def mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart, with a line end."""
    return "flowchart TD\n" + "".join(f"{line}\n" for line in _mermaid(graph, "  "))


def _mermaid(graph: Graph, indent: str) -> Iterator[str]:
    for box in graph.boxes:
        label = "<br/>".join(_mermaid_text(line) for line in _lines(box))
        if box.inner is not None and box.inner.boxes:
            yield f'{indent}subgraph {box.id}["{label}"]'
            yield f"{indent}  direction TB"
            yield from _mermaid(box.inner, f"{indent}  ")
            yield f"{indent}end"
        else:
            opened, closed = _SHAPES.get(box.kind, ("[", "]"))
            yield f'{indent}{box.id}{opened}"{label}"{closed}'
    for edge in graph.edges:
        arrow = "-.->" if edge.dashed else "-->"
        label = f'|"{_mermaid_text(edge.label)}"|' if edge.label else ""
        yield f"{indent}{edge.before} {arrow}{label} {edge.after}"


def _mermaid_text(text: str) -> str:
    """The text with all signs that mean something to Mermaid or HTML as entities."""
    return re.sub(r"[^\w .,:;/()\[\]+*!?%$-]", lambda match: f"#{ord(match[0])};", text)


def dot(graph: Graph) -> str:
    """The graph in the language of Graphviz, with a line end."""
    head = "digraph workflow {\n  compound=true; rankdir=TB;\n"
    head += '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];\n  edge [fontname="Helvetica", fontsize=9];\n'
    return head + "".join(f"{line}\n" for line in _dot(graph, "  ")) + "}\n"


def _dot(graph: Graph, indent: str) -> Iterator[str]:
    clusters = {}
    for box in graph.boxes:
        label = _dot_text("\n".join(_lines(box)))
        if box.inner is not None and box.inner.boxes:
            clusters[box.id] = box
            yield f"{indent}subgraph cluster_{box.id} {{"
            yield f"{indent}  label={label}; style=rounded; color=gray60;"
            yield from _dot(box.inner, f"{indent}  ")
            yield f"{indent}}}"
        else:
            yield f"{indent}{box.id} [label={label}, shape={_DOT_SHAPES.get(box.kind, 'box')}];"
    for edge in graph.edges:
        settings = [f"label={_dot_text(edge.label)}"] if edge.label else []
        settings += ["style=dashed"] if edge.dashed else []
        settings += [f"ltail=cluster_{edge.before}"] if edge.before in clusters else []
        settings += [f"lhead=cluster_{edge.after}"] if edge.after in clusters else []
        before = _end(clusters[edge.before], last=True) if edge.before in clusters else edge.before
        after = _end(clusters[edge.after], last=False) if edge.after in clusters else edge.after
        told = f" [{', '.join(settings)}]" if settings else ""
        yield f"{indent}{before} -> {after}{told};"


def _end(box: Box, *, last: bool) -> str:
    """A box inside that an edge of the whole can be tied to."""
    while box.inner is not None and box.inner.boxes:
        box = box.inner.boxes[-1 if last else 0]
    return box.id


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _lines(box: Box) -> list[str]:
    return [box.title, *([box.template] if box.template else []), *box.notes]


__all__ = ["dot", "mermaid"]
