"""The inputs of an invocation, loaded here and packed for its pod: artifacts, and the source of a script. Large ones the pod may fetch itself."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from anyio import to_thread

from flowcore.artifacts import staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, text_of
from flowcore.ports import RunContext
from flowcore_backends.kubernetes.capture import SCRIPT, PlacedInput
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.straight import StraightInput, straight_input

_LONGEST_VARIABLE = 120_000  # characters: an argument or variable of Linux holds 128 KiB


class Scratch:
    """A folder that is made when it is first needed: most pods need none."""

    def __init__(self, around: Path | None) -> None:
        self._around = around
        self.made: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder."""
        if self.made is None:
            if self._around is not None:
                self._around.mkdir(parents=True, exist_ok=True)
            self.made = Path(tempfile.mkdtemp(prefix="pod-", dir=self._around))
        return self.made


@dataclass(frozen=True, slots=True)
class PackedInputs:
    """``placed`` are the artifacts that are there; they travel as ``inline``, or as the tar file ``file`` where they are large.

    Those of ``straight`` are fetched by the pod.
    """

    placed: tuple[PlacedInput, ...] = ()
    inline: str = ""
    file: Path | None = None
    straight: tuple[StraightInput, ...] = ()

    @property
    def awaited(self) -> bool:
        """Whether the pod has to wait for some of them."""
        return self.file is not None or bool(self.straight)


async def pack_inputs(
    invocation: Invocation, context: RunContext, options: KubernetesOptions, scratch: Scratch, unreachable: set[str]
) -> PackedInputs:
    """Load the inputs and pack them, in the folder of ``scratch``. ``unreachable`` are stores that pods did not reach before.

    Raises ArtifactError, and ExecutorError for large ones where exec may not be used.
    """
    script, artifacts = invocation.body.get("script"), staging.input_artifacts(invocation)
    if not artifacts and not isinstance(script, dict):
        return PackedInputs()
    placed: list[PlacedInput] = []
    straight: list[StraightInput] = []
    members: list[tuple[str, Path]] = []
    for number, artifact in enumerate(artifacts):
        if not artifact.path:
            continue
        if options.direct_downloads:
            fetched = await straight_input(number, artifact, context, options.inline_inputs, unreachable)
            straight += [fetched] if fetched is not None else []
        if straight and straight[-1].number == number:
            placed.append(PlacedInput(str(number), artifact.path))
        elif await staging.place_input(artifact, place := scratch.folder / f"in-{number}", context):
            placed.append(PlacedInput(str(number), artifact.path))
            members.append((str(number), place))
    if isinstance(script, dict):
        members.append((SCRIPT, await to_thread.run_sync(_written, script, scratch.folder / SCRIPT)))
    made = PackedInputs(tuple(placed), straight=tuple(straight))
    if not members:
        return made
    packed = scratch.folder / "inputs.tar"
    await to_thread.run_sync(_pack, members, packed)
    inline = await to_thread.run_sync(_inline, packed, options.inline_inputs)
    if inline:
        packed.unlink()
        return replace(made, inline=inline)
    if not options.exec:
        size = packed.stat().st_size
        raise ExecutorError(f"the inputs of {invocation.pod_name} ({size} bytes) are too large for a manifest, and exec is switched off")
    return replace(made, file=packed)


async def pack_late(inputs: Sequence[StraightInput], context: RunContext, folder: Path) -> Path:
    """Load and pack, in ``folder``, inputs that a pod could not fetch itself. Raises ArtifactError."""
    members: list[tuple[str, Path]] = []
    for each in inputs:
        place = folder / f"in-{each.number}"
        if await staging.place_input(each.artifact, place, context):
            members.append((str(each.number), place))
    packed = folder / "late.tar"
    await to_thread.run_sync(_pack, members, packed)
    return packed


def _written(script: JsonObject, file: Path) -> Path:
    file.write_bytes(text_of(script, "source").encode("utf-8", "surrogatepass"))
    file.chmod(0o755)
    return file


def _pack(members: list[tuple[str, Path]], packed: Path) -> None:
    with tarfile.open(packed, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, place in members:
            tar.add(place, name, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _inline(packed: Path, limit: int) -> str:
    """The tar as text for a manifest; empty if it is too large for one."""
    if packed.stat().st_size > 20 * max(limit, 1 << 10):
        return ""
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", mtime=0) as file:
        file.write(packed.read_bytes())
    if len(content.getvalue()) > limit:
        return ""
    text = base64.b64encode(content.getvalue()).decode()
    return text if len(text) <= _LONGEST_VARIABLE else ""
