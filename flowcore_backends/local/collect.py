"""The outputs of an invocation, read as its main container saw them, and stored. Used when that container has ended."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread

from flowcore.artifacts import locations, staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ArtifactError
from flowcore.ports import RunContext
from flowcore_backends.local.process import Container
from flowcore_backends.pod_judgement import Collected


async def collect(process: Container, invocation: Invocation, context: RunContext, scratch: Path, found: Collected) -> None:
    """Read the declared output parameters and store the declared output artifacts; what is not there is left out, for the engine to judge."""
    for name, path in staging.output_parameter_files(invocation).items():
        try:
            async with _opened(process, path) as number:
                if number is not None:
                    found.parameters[name] = await to_thread.run_sync(staging.read_parameter, number, path)
        except ArtifactError as error:
            found.problem = found.problem or str(error)
    for artifact in staging.output_artifacts(invocation):
        try:
            async with _opened(process, artifact.path) as number:
                if number is not None:
                    key = staging.default_key(invocation, artifact)
                    found.artifacts[artifact.name] = await staging.keep_output(artifact, number, context, key, scratch)
        except ArtifactError as error:
            found.problem = found.problem or str(error)


async def collect_logs(logs: Mapping[str, Path], invocation: Invocation, context: RunContext, found: Collected) -> None:
    """Store what containers printed, by container, where the invocation says that logs are kept."""
    for container, log in logs.items():
        artifact = staging.log_artifact(invocation, container)
        if artifact is None or not log.exists():
            continue
        try:
            found.artifacts[artifact.name] = await locations.save(artifact.settings, log, context, f"{invocation.workflow}/{container}.log")
        except ArtifactError as error:
            found.problem = found.problem or str(error)


@asynccontextmanager
async def _opened(process: Container, path: str) -> AsyncIterator[int | None]:
    number = await process.open(path) if path else None
    try:
        yield number
    finally:
        if number is not None:
            os.close(number)
