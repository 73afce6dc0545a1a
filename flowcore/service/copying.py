"""Artifacts of a recorded run as files of this machine. Called by ``Runs.copy_artifacts``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from anyio import to_thread

from flowcore.artifacts import locations, staging
from flowcore.artifacts.keys import parts_of_key
from flowcore.errors import FlowError, UsageError
from flowcore.jsontypes import JsonObject, objects_of, text_of
from flowcore.nodes import Node, NodeType
from flowcore.ports import RunContext, StoredRun

PATTERN = "{namespace}/{workflowName}/{nodeId}/outputs/{artifactName}"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which output artifacts are meant: all that fit what is not empty. ``node`` is an id, a name or a display name."""

    node: str = ""
    template: str = ""
    artifact: str = ""

    def finds(self, stored: StoredRun) -> Iterator[tuple[Node, JsonObject]]:
        """The nodes that made them, and what is recorded of each. Of a loop or a Steps only what pods made is given, each thing once."""
        for node in sorted(stored.nodes, key=lambda node: node.seq):
            if node.type is not NodeType.POD or (self.node and self.node not in (node.id, node.name, node.display_name)):
                continue
            if self.template and self.template != node.template_name:
                continue
            for artifact in objects_of(node.outputs or {}, "artifacts"):
                if not self.artifact or self.artifact == artifact.get("name"):
                    yield node, artifact


@dataclass(frozen=True, slots=True)
class CopiedArtifact:
    """What became of one artifact: where it lies now, or why it could not be had."""

    node: str
    artifact: str
    path: Path | None = None
    problem: str = ""


async def copy_artifacts(
    stored: StoredRun, context: RunContext, folder: Path, wanted: Wanted, pattern: str = PATTERN
) -> list[CopiedArtifact]:
    """Load and unpack what is wanted below ``folder``, at the place that ``pattern`` says. One that fails keeps no other from coming.

    Raises UsageError for a pattern that means nothing, and for a file that is there already.
    """
    copied = []
    for node, artifact in wanted.finds(stored):
        name = text_of(artifact, "name")
        place = folder.joinpath(*_place(pattern, stored, node, name)) / _file_name(artifact)
        if await to_thread.run_sync(place.exists):
            raise UsageError(f"{place} is there already: name another folder")
        try:
            copied.append(CopiedArtifact(node.name, name, await _copied(artifact, place, context)))
        except FlowError as error:
            copied.append(CopiedArtifact(node.name, name, problem=str(error)))
    return copied


async def _copied(artifact: JsonObject, place: Path, context: RunContext) -> Path:
    await to_thread.run_sync(lambda: place.parent.mkdir(parents=True, exist_ok=True))
    declared = staging.Declared(text_of(artifact, "name"), str(artifact.get("path") or ""), optional=False, settings=artifact)
    await staging.place_input(declared, place, context)
    return place


def _place(pattern: str, stored: StoredRun, node: Node, artifact: str) -> tuple[str, ...]:
    values = {
        "namespace": stored.run.namespace,
        "workflowName": stored.run.name,
        "nodeId": str(node.id),
        "templateName": node.template_name or "",
        "artifactName": artifact,
    }
    unknown = [name for name in _PLACEHOLDER.findall(pattern) if name not in values]
    if unknown:
        raise UsageError(f"there is no {{{unknown[0]}}} in a path of artifacts; there are {', '.join(f'{{{name}}}' for name in values)}")
    return parts_of_key(_PLACEHOLDER.sub(lambda match: values[match[1]], pattern))


def _file_name(artifact: JsonObject) -> str:
    """The name that the file had in its container, else that of the stored object, else the artifact's."""
    found = locations.location_of(artifact)
    key = str(found[1].get(locations.KEY_FIELDS.get(found[0], "url")) or "") if found is not None else ""
    for path in (str(artifact.get("path") or ""), key):
        name = PurePosixPath(path).name
        if name and name not in (".", ".."):
            return name
    return text_of(artifact, "name")


__all__ = ["PATTERN", "CopiedArtifact", "Wanted", "copy_artifacts"]
