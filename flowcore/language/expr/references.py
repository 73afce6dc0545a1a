"""Which paths of the environment an expression reads. Called by ``expressions``."""

from __future__ import annotations

from typing import NamedTuple

from flowcore.language.expr import nodes
from flowcore.language.expr.nodes import Node


class Reference(NamedTuple):
    """A path read from the environment, its first part a top-level name.

    ``guarded``: the expression says itself what happens when the path leads nowhere (left of ``??``, receiver of ``?.``). The first name of
    a guarded path is a reference of its own that is not guarded.
    """

    path: tuple[str, ...]
    guarded: bool = False


def references(tree: Node) -> tuple[Reference, ...]:
    """Every path once, in the order of the text. Names of ``let`` and predicates, and names that are called, are no references."""
    finder = _Finder()
    finder.visit(tree, frozenset(), guarded=False)
    return tuple(finder.found)


class _Finder:
    def __init__(self) -> None:
        self.found: dict[Reference, None] = {}

    def visit(self, node: Node, local: frozenset[str], *, guarded: bool) -> None:
        """``guarded``: the node stands somewhere left of ``??``."""
        if isinstance(node, (nodes.Identifier, nodes.Member)):
            self._member(node, local, guarded=guarded)
        elif isinstance(node, nodes.Let):
            self.visit(node.value, local, guarded=guarded)
            self.visit(node.body, local | {node.name}, guarded=guarded)
        elif isinstance(node, nodes.Binary):
            self._binary(node, local, guarded=guarded)
        elif isinstance(node, nodes.Call):
            self._call(node, local, guarded=guarded)
        else:
            for child in node.children():
                self.visit(child, local, guarded=guarded)

    def _binary(self, node: nodes.Binary, local: frozenset[str], *, guarded: bool) -> None:
        spine = [(node, guarded)]
        while isinstance(left := spine[-1][0].left, nodes.Binary):
            spine.append((left, spine[-1][1] or spine[-1][0].operator == "??"))
        last, outer = spine[-1]
        self.visit(last.left, local, guarded=outer or last.operator == "??")
        for item, item_guarded in reversed(spine):
            self.visit(item.right, local, guarded=item_guarded)

    def _call(self, node: nodes.Call, local: frozenset[str], *, guarded: bool) -> None:
        callee = node.callee
        called = callee.base if isinstance(callee, nodes.Member) else callee
        if not isinstance(called, nodes.Identifier):
            self.visit(called, local, guarded=guarded)
        for argument in node.arguments:
            self.visit(argument, local, guarded=guarded)

    def _member(self, node: Node, local: frozenset[str], *, guarded: bool) -> None:
        path: list[str] = []
        current = node
        while isinstance(current, nodes.Member):
            name = current.key.value if isinstance(current.key, nodes.Literal) else None
            if current.optional or not isinstance(name, str):
                path.clear()
                guarded = guarded or (current.optional and isinstance(current.base, nodes.Member))
                self.visit(current.key, local, guarded=guarded)
            else:
                path.append(name)
            current = current.base
        if not isinstance(current, nodes.Identifier):
            self.visit(current, local, guarded=guarded)
        elif current.name not in local:
            self._add((current.name, *reversed(path)), guarded=guarded)

    def _add(self, path: tuple[str, ...], *, guarded: bool) -> None:
        if guarded:
            self.found[Reference(path[:1])] = None
        if len(path) > 1 or not guarded:
            self.found[Reference(path, guarded)] = None
