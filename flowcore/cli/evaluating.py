"""Carrying out ``flowcore expr``: one expression, condition or text with tags, evaluated without running anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from textwrap import shorten
from typing import cast

import typer

from flowcore import yaml
from flowcore.catalogs import MemoryCatalog
from flowcore.cli.inputs import saved_workflow, text_of_file
from flowcore.cli.operating import with_runs
from flowcore.cli.problems import BAD_INPUT
from flowcore.driving import recorded_engine
from flowcore.engine.engine import Engine
from flowcore.errors import ExpressionError, UsageError
from flowcore.jsontypes import Json, JsonObject, json_text
from flowcore.kept_templates import KeptTemplates
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expressions import compile_expression, go_text
from flowcore.language.scope import MISSING, Scope, Value
from flowcore.language.tags import has_tags, substitute_text, tag_names
from flowcore.language.when import evaluate_when
from flowcore.nodes import Node
from flowcore.plan.recorded_scope import run_scope, scope_around
from flowcore.ports import StoredRun
from flowcore.service import Runs
from flowcore.status import rows_from_status

_WIDTH = 100


def evaluate(
    text: str, *, scope: Path | None, run: str | None, node: str | None, namespace: str | None, store: str | None, when: bool
) -> int:
    """Print the value of ``text``, or what is wrong with it and what its names stand for. Raises UsageError."""
    known = _scope(scope, run, node, namespace, store)
    try:
        if when:
            typer.echo("true" if evaluate_when(_filled(text, known)) else "false")
        elif has_tags(text):
            typer.echo(_filled(text, known))
        else:
            typer.echo(_written(compile_expression(text).evaluate(known.environment(), functions=ARGO_FUNCTIONS)))
    except ExpressionError as error:
        sys.stderr.write(f"{error}\n")
        for line in _explained(text, known):
            sys.stderr.write(f"{line}\n")
        return BAD_INPUT
    return 0


def _filled(text: str, known: Scope) -> str:
    filled = substitute_text(text, known)
    if has_tags(filled):
        left = ", ".join(sorted(tag_names(filled)))
        raise ExpressionError(f"there is no value for {left}", source=text)
    return filled


def _written(value: object) -> str:
    """Values as JSON; what has no JSON, such as a time, as Go prints it."""
    try:
        return json_text(cast("Json", value))
    except TypeError:
        return go_text(value)


# --- what names stand for -----------------------------------------------------------------------------------------------------------------


def _scope(file: Path | None, run: str | None, node: str | None, namespace: str | None, store: str | None) -> Scope:
    if node is not None and run is None:
        raise UsageError("--node names a node of a run: give --run too")
    scope = _recorded(run, node, namespace, store) if run is not None else Scope()
    return scope.child(_given(file)) if file is not None else scope


def _given(file: Path) -> dict[str, Value]:
    documents = yaml.read(text_of_file(file), file=str(file))
    values = documents[0].json if len(documents) == 1 else None
    if not isinstance(values, dict):
        raise UsageError(f"--scope {file}: must hold one mapping of names to values, nested or with dots")
    return dict(_flat(values))


def _flat(values: JsonObject, prefix: str = "") -> Iterator[tuple[str, Value]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _recorded(run: str, node: str | None, namespace: str | None, store: str | None) -> Scope:
    engine = (
        _from_status(run)
        if Path(run).suffix in (".json", ".yaml", ".yml")
        else with_runs(store, lambda runs: _stored(runs, run, namespace))
    )
    if node is None:
        return run_scope(engine.plan, engine.run)
    return scope_around(_node(engine, node), engine.nodes, engine.plan, engine.run)


def _from_status(file: str) -> Engine:
    workflow = saved_workflow(file)
    row, nodes = rows_from_status(workflow)
    return recorded_engine(StoredRun(row, tuple(nodes), workflow), MemoryCatalog())


async def _stored(runs: Runs, run: str, namespace: str | None) -> Engine:
    stored = await runs.get(run, namespace)
    kept = await runs.store.documents("RunTemplates", name=stored.run.name, namespace=stored.run.namespace)
    return recorded_engine(stored, KeptTemplates(runs.catalog, kept[0] if kept else None))


def _node(engine: Engine, name: str) -> Node:
    found = [node for node in engine.nodes.values() if name in (node.id, node.name, node.display_name)]
    exact = [node for node in found if name in (node.id, node.name)]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise UsageError(f"--node {name} means {len(found)} nodes: {', '.join(node.name for node in found[:5])}")
    names = sorted({node.display_name for node in engine.nodes.values()})
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {shorten(', '.join(names), _WIDTH, placeholder=' ...')}"
    raise UsageError(f"--node {name}: run {engine.run.name} has no such node; {hint}")


def _explained(text: str, known: Scope) -> Iterator[str]:
    """What each name in ``text`` stands for, and what may be meant instead of one that stands for nothing."""
    names = known.flat()
    for name in _names(text):
        found: object = known.lookup(name)
        if found is MISSING:
            found = _inside(known, name)
        if found is MISSING:
            near = get_close_matches(name, names, n=1)
            yield f"{name}: has no value{f'; did you mean {near[0]}?' if near else ''}"
        else:
            yield f"{name} = {shorten(_written(found), _WIDTH, placeholder=' ...')}"


def _names(text: str) -> list[str]:
    if has_tags(text):
        return sorted(tag_names(text))
    try:
        return [".".join(reference.path) for reference in compile_expression(text).references]
    except ExpressionError:
        return []


def _inside(known: Scope, name: str) -> object:
    """The value at a path that leads into maps."""
    value: object = known.environment()
    for part in name.split("."):
        value = value.get(part, MISSING) if isinstance(value, dict) else MISSING
    return value


__all__ = ["evaluate"]
