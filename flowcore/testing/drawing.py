"""Runs drawn for people who read failing tests, and for snapshots: the tree without what says nothing in a test, such as names of pods."""

from __future__ import annotations

from datetime import timedelta

from flowcore.results import RunResult
from flowcore.tree import TreeLine, aligned, short_duration, tree_lines

HEADINGS = ("STEP", "TEMPLATE", "DURATION", "MESSAGE")


def drawn(result: RunResult) -> str:
    """The verdict in one line, then the tree."""
    result = result.shown()
    verdict = f"{result.name}: {result.phase or 'not begun'}"
    if result.message:
        verdict += f", {result.message}"
    if result.duration:
        verdict += f" (after {short_duration(result.duration)})"
    return f"{verdict}\n\n{tree(result)}".replace(": write fake.when(", ": write flow.when(")  # the fake executor's words, to a flow's user


def tree(result: RunResult) -> str:
    """The tree of the run as a table, or a sentence where there is none yet."""
    rows = [HEADINGS, *(_cells(line) for line in tree_lines(result.row, result.nodes.values()))]
    return "\n".join(aligned(rows)) if len(rows) > 1 else "nothing was started"


def _cells(line: TreeLine) -> tuple[str, str, str, str]:
    node = line.node
    length = ""
    if node is not None and node.started_at and node.finished_at and node.finished_at - node.started_at >= timedelta(seconds=1):
        length = short_duration(node.finished_at - node.started_at)
    return line.step, line.template, length, line.message


def snapshot_text(result: RunResult) -> str:
    """What a snapshot keeps: the drawing with the run's own name replaced, so that generated names do not matter, and its outputs."""
    lines = [line.rstrip() for line in drawn(result).replace(result.name, "RUN").splitlines()]
    for name, value in sorted(result.shown().outputs.parameters.items()):
        lines.append(f"output {name}: {value}")
    return "\n".join(lines) + "\n"


__all__ = ["drawn", "snapshot_text", "tree"]
