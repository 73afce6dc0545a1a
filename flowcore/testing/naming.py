"""Which node a test means by a name: ``deploy``, ``main.deploy``, ``main.loop(1:b)``, or the full name that Argo gives it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from flowcore.jsontypes import object_of, text_of
from flowcore.nodes import Node, NodeType
from flowcore.results import RunResult

_GROUP = re.compile(r"\[\d+\](?=\.|$)")
_ATTEMPT = re.compile(r"\((\d+)(:[^)]*)?\)$")
_GROUPS = frozenset({NodeType.STEP_GROUP, NodeType.TASK_GROUP})


def find_node(result: RunResult, name: str) -> Node | None:
    """The one node that ``name`` means; None if there is none. Raises LookupError, with their names, if there are several."""
    found = _found(result, name)
    if len(found) > 1:
        raise LookupError(f"{len(found)} nodes are called {name!r}: {', '.join(path_of(result, node) for node in found[:10])}")
    return found[0] if found else None


def _found(result: RunResult, name: str) -> list[Node]:
    """The best candidates: by exact name, by path from the root, by display name, by the end of the path."""
    nodes = sorted(result.nodes.values(), key=lambda node: node.seq)
    exact = [node for node in nodes if name in (node.id, node.name, node.name.removeprefix(result.name))]
    if exact:
        return exact[:1]
    plain = _GROUP.sub("", name)
    entry = entrypoint_of(result)
    if plain == entry:
        return [node for node in nodes if node.name == result.name]
    below = plain.removeprefix(f"{entry}.") if entry else plain
    work = [node for node in nodes if node.type not in _GROUPS]
    paths = {node.id: path_of(result, node) for node in work}
    for fits in (
        [node for node in work if paths[node.id] == below],
        [node for node in work if node.display_name == plain],
        [node for node in work if paths[node.id].endswith(f".{plain}")],
        [node for node in work if node.template_name == plain and not node.retried],
    ):
        if fits:
            return fits
    return []


def path_of(result: RunResult, node: Node) -> str:
    """The names of the steps and tasks that lead to the node, joined by dots; nothing for the root."""
    return _GROUP.sub("", node.name.removeprefix(result.name)).lstrip(".")


def entrypoint_of(result: RunResult) -> str:
    """The template that the run began with."""
    root = next((node for node in result.nodes.values() if node.name == result.name), None)
    return root.template_name if root and root.template_name else text_of(object_of(result.manifest, "spec"), "entrypoint")


def attempts_of(result: RunResult, node: Node) -> list[Node]:
    """The attempts of a Retry node in order; of any other node that ran, the node alone."""
    if node.type is not NodeType.RETRY:
        return [node]
    attempts = [child for child in result.nodes.values() if node.id in child.parents and child.retried]
    return sorted(attempts, key=lambda child: _number(child.name))


def _number(name: str) -> int:
    match = _ATTEMPT.search(name)
    return int(match[1]) if match else 0


def near(name: str, names: Iterable[str]) -> str:
    """A hint at what was probably meant, or nothing."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


__all__ = ["attempts_of", "entrypoint_of", "find_node", "near", "path_of"]
