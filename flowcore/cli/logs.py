"""Output of nodes' containers as lines: prefixed with the pod's name and coloured by it, as ``argo logs`` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowcore.nodes import Node, NodeId, RunRow, pod_name, pod_name_version
from flowcore.ports import Logged

# The colours of argo logs, by the sum of the name's characters.
_COLOURS = ("green", "yellow", "blue", "magenta", "cyan", "white")
_MAIN = "main"


def prefixed(logged: Logged, run: RunRow, nodes: Mapping[NodeId, Node]) -> Iterator[tuple[str, str]]:
    """The lines of a piece of output, each as the source's name and the text. Containers beside the main one are named too."""
    source = source_of(logged, run, nodes)
    for text in logged.text.splitlines() or [""]:
        yield source, text


def source_of(logged: Logged, run: RunRow, nodes: Mapping[NodeId, Node]) -> str:
    """The name of the pod that wrote, and of its container unless that is the main one."""
    node = nodes.get(logged.node)
    pod = _pod_of(node, run) if node is not None else logged.node
    return pod if logged.container in ("", _MAIN) else f"{pod}/{logged.container}"


def colour_of(name: str) -> str:
    """The colour for everything that ``name`` writes."""
    return _COLOURS[sum(map(ord, name)) % len(_COLOURS)]


def _pod_of(node: Node, run: RunRow) -> str:
    template = (node.template_ref or {}).get("template") or node.template_name
    return pod_name(run.name, node.name, str(template), version=pod_name_version(run))


__all__ = ["colour_of", "prefixed", "source_of"]
