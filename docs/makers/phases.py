"""The diagram of node phases: every change of a phase that the engine made while the examples ran in several worlds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel

from flowcore.engine.turn import Turn
from flowcore.nodes import Node, NodeType, Phase
from flowcore.testing import Flow

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
_PATIENCE = 200  # turns of the event loop after which a run that still goes on is stopped, and then ended

Changes = dict[tuple[str, str], set[NodeType]]

MEMOIZED = """
kind: Workflow
metadata: {name: memoized}
spec:
  entrypoint: main
  templates:
    - name: main
      steps: [[{name: first, template: work}], [{name: again, template: work}]]
    - name: work
      memoize: {key: one, cache: {configMap: {name: kept}}}
      container: {image: alpine, command: [work]}
      outputs: {parameters: [{name: found, valueFrom: {path: /tmp/found}}]}
"""
LOCKED = """
kind: Workflow
metadata: {name: locked}
spec:
  entrypoint: main
  templates:
    - name: main
      steps: [[{name: one, template: work}, {name: other, template: group}]]
    - name: work
      synchronization: {mutexes: [{name: door}]}
      container: {image: alpine, command: [work]}
    - name: group
      synchronization: {mutexes: [{name: door}]}
      steps: [[{name: inner, template: plain}]]
    - name: plain
      container: {image: alpine, command: [work]}
"""

HEAD = """\
# Phases of nodes

![The phases of a node, and the ways between them](images/phases.svg)

Both the picture and the table are made by watching the engine: they hold every change of a phase that it made while all
[examples](examples.md) ran in worlds where work succeeds, fails, cannot be run, never ends, or fails once and then succeeds.

A leaf begins as Pending and waits for its executor; what is made of other nodes begins as Running, unless it waits for a lock.
What is not to run has its last phase from the start. A row never leaves Skipped, Omitted or Error while its run goes on; only `flowcore retry` makes
nodes anew. [Concepts](concepts.md#phases) says what each phase means.

| from | to | nodes |
|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    rows = [f"| {before or '(made)'} | {after} | {', '.join(sorted(types))} |" for (before, after), types in sorted(_observed().items())]
    return HEAD + "\n".join(rows) + "\n"


def picture() -> str:
    """The diagram as SVG."""
    return _svg(_observed())


_known: Changes = {}


def _observed() -> Changes:
    """Every change of a phase, with the types of the nodes that it happened to."""
    if _known:
        return _known
    seen: defaultdict[tuple[str, str], set[NodeType]] = defaultdict(set)
    put = Turn.put

    def watched(turn: Turn, row: Node, *, quietly: bool = False) -> Node:
        before = turn.get(row.id)
        if before is None or before.phase is not row.phase:
            seen["" if before is None else str(before.phase), str(row.phase)].add(row.type)
        return put(turn, row, quietly=quietly)

    Turn.put = watched
    try:
        anyio.run(_all_runs)
    finally:
        Turn.put = put
    _known.update(seen)
    return _known


async def _all_runs() -> None:
    for source in [*sorted(EXAMPLES.glob("*.yaml")), MEMOIZED, LOCKED]:
        for flow in _worlds():
            flow.load(source)
            async with flow.open() as run:
                for order in (run.stop, run.terminate):
                    for _ in range(_PATIENCE):
                        await anyio.lowlevel.checkpoint()
                    if not run.phase.completed:
                        await order()


def _worlds() -> Iterator[Flow]:
    """Worlds in which all work goes the same way."""
    for number in range(5):
        flow = Flow(strict=False)
        work = flow.when("*")
        match number:
            case 1:
                work.fails()
            case 2:
                work.errors("the machine was lost")
            case 3:
                work.hangs()
            case 4:
                work.fails(times=1).succeeds()
        yield flow


# --- the picture ----------------------------------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT = 118, 40
_PLACES = {
    "": (20, 170),
    Phase.PENDING: (170, 100),
    Phase.RUNNING: (360, 170),
    Phase.SUCCEEDED: (580, 70),
    Phase.FAILED: (580, 170),
    Phase.ERROR: (580, 270),
    Phase.SKIPPED: (170, 250),
    Phase.OMITTED: (170, 320),
}
_COLOURS = {
    Phase.PENDING: "#b08900",
    Phase.RUNNING: "#2f6fde",
    Phase.SUCCEEDED: "#1a7f4b",
    Phase.FAILED: "#c03030",
    Phase.ERROR: "#c03030",
}
_STYLE = """\
text{font-family:Inter,"Segoe UI",Helvetica,Arial,sans-serif;font-size:13px;font-weight:600;fill:#1c2430;text-anchor:middle}
rect{fill:#fff;stroke-width:1.6}.edge{fill:none;stroke:#6b7785;stroke-width:1.3}.tip{fill:#6b7785}.back{stroke:none}
@media (prefers-color-scheme:dark){text{fill:#e6eaf0}rect{fill:#1d242e}.back{fill:#161b22}}
"""


def _svg(changes: Changes) -> str:
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 380" width="720" height="380" role="img">'
        f"<title>The phases of a node</title><style>{_STYLE}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="tip" d="M0 0.6 L7.5 4 L0 7.4 z"/></marker></defs><rect class="back" width="720" height="380"/>\n'
    )
    return head + "".join([*(_edge(*change) for change in sorted(changes)), *(_state(name) for name in _PLACES)]) + "</svg>\n"


def _state(name: str) -> str:
    x, y = _PLACES[name]
    if not name:
        return f'<circle class="tip" cx="{x + 10}" cy="{y + _HEIGHT / 2}" r="9"/>\n'
    colour = _COLOURS.get(Phase(name), "#8a97a8")
    box = f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="20" stroke="{colour}"/>'
    return f'{box}<text x="{x + _WIDTH / 2}" y="{y + 25}">{name}</text>\n'


def _edge(before: str, after: str) -> str:
    (x1, y1), (x2, y2) = _PLACES[before], _PLACES[after]
    y1, y2 = y1 + _HEIGHT / 2, y2 + _HEIGHT / 2
    if x1 == x2:  # one above the other: round the right side
        x1 = x2 = x1 + _WIDTH
        path = f"M{x1} {y1} C{x1 + 45} {y1} {x2 + 45} {y2} {x2 + 1} {y2}"
    else:
        x1 += _WIDTH if before else 20
        bend = (x2 - x1) / 2
        path = f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return f'<path class="edge" d="{path}" marker-end="url(#tip)"><title>{before or "made"} to {after}</title></path>\n'


__all__ = ["page", "picture"]
