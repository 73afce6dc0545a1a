"""Artifacts whose content a script or a function gives: kept until somebody can store them, and handed to functions as files.

Outcomes are foreseen without waiting, and storing has to wait; so contents are left here and stored before a function of the same run is
called, and at the latest when the run is closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from anyio import to_thread

from flowcore.artifacts import locations, staging
from flowcore.errors import ArtifactError
from flowcore.ports import Invocation, RunContext

Content: TypeAlias = str | bytes | Path


class Deliveries:
    """The contents that runs have left and nobody has stored yet."""

    def __init__(self) -> None:
        self._left: dict[str, dict[tuple[str, str], tuple[Invocation, staging.Declared, Content]]] = {}

    def leave(self, run: str, invocation: Invocation, contents: Mapping[str, Content]) -> None:
        """Keep the contents of those output artifacts that the template declares."""
        for artifact in staging.output_artifacts(invocation) if contents else ():
            if artifact.name in contents:
                left = self._left.setdefault(run, {})
                left[invocation.node, artifact.name] = invocation, _kept_here(artifact), contents[artifact.name]

    async def deliver(self, run: str, context: RunContext) -> None:
        """Store what the run has left, packed as the templates say. Raises ArtifactError."""
        for invocation, artifact, content in self._left.pop(run, {}).values():
            with TemporaryDirectory(prefix="flowcore-fake-") as folder:
                source = content if isinstance(content, Path) else Path(folder, "content")
                if not isinstance(content, Path):
                    await to_thread.run_sync(source.write_bytes, content.encode() if isinstance(content, str) else content)
                key = staging.default_key(invocation, artifact)
                try:
                    await staging.keep_output(artifact, source, context, key, Path(folder))
                except OSError as error:
                    raise ArtifactError(f"artifact {artifact.name} failed to be saved: {error}") from error


def _kept_here(artifact: staging.Declared) -> staging.Declared:
    """The artifact in the run's own store: no other is reached by what is only simulated."""
    return replace(artifact, settings=locations.in_own_store(artifact.settings))


async def placed(invocation: Invocation, wanted: set[str], folder: Path, context: RunContext) -> dict[str, Path]:
    """The ``wanted`` input artifacts as files or folders in ``folder``, by name. Raises ArtifactError for those that are not there."""
    found = {}
    for number, artifact in enumerate(staging.input_artifacts(invocation)):
        if artifact.name in wanted:
            target = folder / str(number) / (Path(artifact.path).name or artifact.name)
            target.parent.mkdir()
            if await staging.place_input(_kept_here(artifact), target, context):
                found[artifact.name] = target
    return found


__all__ = ["Content", "Deliveries", "placed"]
