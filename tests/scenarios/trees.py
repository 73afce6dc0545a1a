"""Writes down what a run left: a line for each node, the same for equal runs whatever backend they were on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from flowcore.nodes import Node, node_id


def table(workflow: str, nodes: Mapping[Any, Node]) -> str:
    """One line a node, by name: phase, type, name, message, outputs. Ids follow from names, which is checked on the way."""
    lines = []
    for node in sorted(nodes.values(), key=lambda node: natural(node.name)):
        assert node.id == node_id(workflow, node.name)
        line = f"{node.phase:<10}{node.type:<10} {node.name}"
        if node.message:
            line += f"  | {node.message}"
        if node.outputs:
            line += f"  > {json.dumps(node.outputs, sort_keys=True)}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts the tenth item after the ninth."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", name)]


def phases(nodes: Mapping[Any, Node]) -> dict[str, str]:
    """The phase of each node by its full name, without the nodes that only group others."""
    return {node.name: str(node.phase) for node in nodes.values() if node.type not in ("StepGroup", "TaskGroup")}
