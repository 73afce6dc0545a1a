"""Compares a run of ours with the oracle's answer, in an order that tells what went wrong first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.conformance.matchers import parsed
from tests.conformance.rows import without_times

Tree = Mapping[str, Mapping[str, Any]]
LEVELS = ("validity", "phase", "nodes", "commands", "outputs", "messages", "children", "inputs", "details", "workflow")


@dataclass(frozen=True)
class Answer:
    """One run, ours or the oracle's, by node name."""

    workflow: Mapping[str, Any]
    nodes: Tree
    pods: Tree
    tasks: Tree


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same."""

    level: str
    where: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.level}: {self.where}\n  expected: {_shown(self.expected)}\n       got: {_shown(self.got)}"


def answer_of(expected: Mapping[str, Any]) -> Answer:
    """The expected part of a case."""
    return Answer(
        workflow=expected.get("workflow") or {},
        nodes={node["name"]: node for node in expected.get("nodes") or ()},
        pods={pod["node"]: pod for pod in expected.get("pods") or ()},
        tasks={task["node"]: task for task in expected.get("tasks") or ()},
    )


def differences(expected: Answer, got: Answer, *, alternative: Answer | None = None, finished_only: bool = False) -> list[Difference]:
    """All differences, worst first. With an ``alternative`` only that counts in which both answers agree; ``finished_only`` looks at fulfilled nodes."""
    found = [*_at_level("phase", "workflow", expected, got, alternative)] if not finished_only else []
    found += _node_sets(expected, got, alternative, finished_only)
    found += _commands(expected, got, alternative, finished_only)
    for level, fields in _NODE_FIELDS:
        for name in expected.nodes:
            if name in got.nodes and not (finished_only and _unfinished(expected.nodes[name])):
                found += _fields(level, name, fields, expected, got, alternative)
    if not finished_only:
        found += _at_level("workflow", "message", expected, got, alternative)
        found += _at_level("workflow", "outputs", expected, got, alternative)
    return sorted(found, key=lambda difference: LEVELS.index(difference.level))


def _at_level(level: str, field: str, expected: Answer, got: Answer, alternative: Answer | None) -> Iterable[Difference]:
    key = "phase" if field == "workflow" else field
    rule = _RULES.get(key, _plain)
    wanted, came = rule(expected.workflow.get(key)), rule(got.workflow.get(key))
    if wanted != came and (alternative is None or rule(alternative.workflow.get(key)) == wanted):
        yield Difference(level, f"workflow.{key}", wanted, came)


def _unfinished(node: Mapping[str, Any]) -> bool:
    return node["phase"] in ("Pending", "Running")


# --- nodes ------------------------------------------------------------------------------------------------------------------------


def _node_sets(expected: Answer, got: Answer, alternative: Answer | None, finished_only: bool) -> list[Difference]:
    found = []
    for name in sorted({*expected.nodes, *got.nodes}):
        wanted, came = _identity(expected.nodes.get(name)), _identity(got.nodes.get(name))
        if wanted == came or (alternative is not None and _identity(alternative.nodes.get(name)) != wanted):
            continue
        if finished_only and (wanted is None or _unfinished(expected.nodes[name])):
            continue
        found.append(Difference("nodes", name, wanted, came))
    return found


def _identity(node: Mapping[str, Any] | None) -> str | None:
    return None if node is None else f"{node['type']} {node['phase']}"


def _plain(value: Any) -> Any:
    return without_times(value) if value else None


def _as_set(value: Any) -> Any:
    return sorted(name for name in value or () if not name.startswith("?"))


def _by_name(value: Any) -> Any:
    shown = dict(without_times(value or {}))
    for field in ("parameters", "artifacts"):
        if field in shown:
            shown[field] = sorted((_without_empty(item) for item in shown[field]), key=lambda item: json.dumps(item, sort_keys=True))
    return {key: item for key, item in shown.items() if item not in (None, [], {})}


def _without_empty(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None}


_RULES: dict[str, Callable[[Any], Any]] = {"children": _as_set, "outboundNodes": _as_set, "inputs": _by_name, "outputs": _by_name}
_NODE_FIELDS = (
    ("outputs", ("outputs",)),
    ("messages", ("message",)),
    ("children", ("children",)),
    ("inputs", ("inputs",)),
    ("details", ("displayName", "templateName", "templateRef", "templateScope", "boundary", "outboundNodes")),
    ("details", ("nodeFlag", "daemoned", "memoizationStatus")),
)


def _fields(level: str, name: str, fields: Iterable[str], expected: Answer, got: Answer, alternative: Answer | None) -> list[Difference]:
    found = []
    for field in fields:
        rule = _RULES.get(field, _plain)
        wanted, came = rule(expected.nodes[name].get(field)), rule(got.nodes[name].get(field))
        if wanted == came:
            continue
        if alternative is not None and (name not in alternative.nodes or rule(alternative.nodes[name].get(field)) != wanted):
            continue
        found.append(Difference(level, f"{name}: {field}", wanted, came))
    return found


# --- commands ---------------------------------------------------------------------------------------------------------------------

_POD_FIELDS = ("containers", "sidecars", "initContainers", "source", "resource", "data")


def _commands(expected: Answer, got: Answer, alternative: Answer | None, finished_only: bool) -> list[Difference]:
    found = []
    for name in sorted({*expected.pods, *got.pods}):
        wanted, came = _command(expected.pods.get(name)), _command(got.pods.get(name))
        if wanted == came or (alternative is not None and _command(alternative.pods.get(name)) != wanted):
            continue
        if finished_only and (wanted is None or came is None):
            continue
        found.append(Difference("commands", name, wanted, came))
    for name in sorted(expected.tasks.keys() & got.tasks.keys()):
        wanted, came = _task(expected.tasks[name]), _task(got.tasks[name])
        if wanted != came and (alternative is None or _task(alternative.tasks.get(name, {})) == wanted):
            found.append(Difference("commands", name, wanted, came))
    return found


def _command(pod: Mapping[str, Any] | None) -> Any:
    if pod is None:
        return None
    fields = ("resource", "data") if pod.get("resource") or pod.get("data") else _POD_FIELDS
    shown = {field: pod[field] for field in fields if pod.get(field)}
    if "resource" in shown:
        shown["resource"] = _resource(shown["resource"])
    return without_times(shown)


def _resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest by what it says; the reference to the owning workflow is added by whoever has an API to send the manifest to."""
    shown = dict(resource)
    if shown.pop("setOwnerReference", False) and isinstance(manifest := parsed(shown.get("manifest")), dict):
        metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key != "ownerReferences"}
        shown["manifest"] = {**manifest, "metadata": metadata}
    return shown


def _task(task: Mapping[str, Any]) -> Any:
    return without_times({field: task[field] for field in ("http", "plugin") if task.get(field)})


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
