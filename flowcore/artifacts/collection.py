"""Artifact collection (``artifactGC``): deletes what a run has stored when it ends, or when it is forgotten, as the workflow or the artifact says.

Only what the run's own nodes wrote is deleted, each object once. The rule is Argo's: an artifact's strategy goes before the workflow's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from flowcore.artifacts import locations
from flowcore.errors import FlowError
from flowcore.jsontypes import Json, JsonObject, json_text, object_of, objects_of, text_of
from flowcore.nodes import Node, NodeType
from flowcore.ports import RunContext


class Moment(StrEnum):
    """When artifacts are deleted; the names are those of the strategies."""

    COMPLETION = "OnWorkflowCompletion"
    DELETION = "OnWorkflowDeletion"


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of a collection: the rows whose artifacts are marked as deleted, and what could not be deleted."""

    nodes: tuple[Node, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def condition(self) -> JsonObject | None:
        """The condition that tells of failures in the status, as Argo words it; None if there were none."""
        if not self.failures:
            return None
        return {"type": "ArtifactGCError", "status": "True", "message": "; ".join(self.failures)}


def collectable(spec: JsonObject, nodes: Iterable[Node], moment: Moment) -> Iterator[tuple[Node, JsonObject]]:
    """The artifacts that are to be deleted at ``moment`` and have not been. When a run is forgotten that is also what should have gone at its end."""
    general = text_of(object_of(spec, "artifactGC"), "strategy")
    due = {str(moment)} if moment is Moment.COMPLETION else {str(each) for each in Moment}
    for node in nodes:
        if node.type is not NodeType.POD:
            continue
        for artifact in objects_of(node.outputs or {}, "artifacts"):
            strategy = text_of(object_of(artifact, "artifactGC"), "strategy") or general
            found = locations.location_of(artifact)
            if strategy in due and not artifact.get("deleted") and found is not None and found[0] in locations.KEY_FIELDS:
                yield node, artifact


async def collect(spec: JsonObject, nodes: Iterable[Node], context: RunContext, moment: Moment) -> Collected:
    """Delete what is due. A store that refuses keeps nobody from anything: what failed is told in the end."""
    changed: dict[str, Node] = {}
    failures: list[str] = []
    seen: dict[str, str | None] = {}
    for node, artifact in collectable(spec, nodes, moment):
        place = json_text({kind: where for kind, where in artifact.items() if kind in locations.KEY_FIELDS}, sort_keys=True)
        if place not in seen:
            seen[place] = await _delete(artifact, context)
        failed = seen[place]
        if failed is None:
            changed[node.id] = _marked(changed.get(node.id, node), text_of(artifact, "name"))
        else:
            failures.append(f"{node.name}: {text_of(artifact, 'name')}: {failed}")
    return Collected(tuple(changed.values()), tuple(failures))


async def _delete(artifact: JsonObject, context: RunContext) -> str | None:
    """Delete one artifact; why that failed, if it did."""
    try:
        await locations.delete(artifact, context)
    except FlowError as error:
        return str(error)
    return None


def _marked(node: Node, name: str) -> Node:
    outputs = node.outputs or {}
    artifacts: list[Json] = [
        {**artifact, "deleted": True} if artifact.get("name") == name else artifact for artifact in objects_of(outputs, "artifacts")
    ]
    return replace(node, outputs={**outputs, "artifacts": artifacts})


__all__ = ["Collected", "Moment", "collect", "collectable"]
