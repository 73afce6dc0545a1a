"""The inputs of an invocation, loaded here and packed for its pod: artifacts, and the source of a script."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from flowcore.artifacts import staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, text_of
from flowcore.ports import RunContext
from flowcore_backends.kubernetes.capture import SCRIPT, PlacedInput
from flowcore_backends.kubernetes.options import KubernetesOptions

_LONGEST_VARIABLE = 120_000  # characters: an argument or variable of Linux holds 128 KiB


@dataclass(frozen=True, slots=True)
class PackedInputs:
    """``placed`` are the artifacts that are there; they travel as ``inline``, or as the tar file ``file`` where they are large."""

    placed: tuple[PlacedInput, ...] = ()
    inline: str = ""
    file: Path | None = None


async def pack_inputs(
    invocation: Invocation, context: RunContext, options: KubernetesOptions, make_folder: Callable[[], Path]
) -> PackedInputs:
    """Load the inputs and pack them, in the folder that ``make_folder`` makes if there are any. Raises ArtifactError, and ExecutorError for large ones where exec may not be used."""
    script, artifacts = invocation.body.get("script"), staging.input_artifacts(invocation)
    if not artifacts and not isinstance(script, dict):
        return PackedInputs()
    folder = make_folder()
    placed: list[PlacedInput] = []
    members: list[tuple[str, Path]] = []
    for number, artifact in enumerate(artifacts):
        place = folder / f"in-{number}"
        if artifact.path and await staging.place_input(artifact, place, context):
            placed.append(PlacedInput(str(number), artifact.path))
            members.append((str(number), place))
    if isinstance(script, dict):
        members.append((SCRIPT, await to_thread.run_sync(_written, script, folder / SCRIPT)))
    if not members:
        return PackedInputs()
    packed = folder / "inputs.tar"
    await to_thread.run_sync(_pack, members, packed)
    inline = await to_thread.run_sync(_inline, packed, options.inline_inputs)
    if inline:
        packed.unlink()
        return PackedInputs(tuple(placed), inline)
    if not options.exec:
        size = packed.stat().st_size
        raise ExecutorError(f"the inputs of {invocation.pod_name} ({size} bytes) are too large for a manifest, and exec is switched off")
    return PackedInputs(tuple(placed), file=packed)


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
