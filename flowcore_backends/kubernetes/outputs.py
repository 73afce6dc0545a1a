"""What a pod left, brought here and stored: from the holder's termination message, or by exec where that is too small."""

from __future__ import annotations

import contextlib
import os
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from anyio import to_thread
from tenacity import AsyncRetrying, retry_if_exception, wait_random_exponential

from flowcore.artifacts import archive, locations, staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ArtifactError, ExecutorError, TransientExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.ports import RunContext
from flowcore_backends.kubernetes.api import Api, ApiError, passes, stop_after
from flowcore_backends.kubernetes.capture import HOLDER, LOADER, ROOT, Layout
from flowcore_backends.kubernetes.execs import ExecEnd, execute, may_not

_LONGEST_RESULT = 256 << 10
_PIECE = 1 << 20
_SECONDS_FOR_EXEC, _LONGEST_PAUSE = 60.0, 5.0


@dataclass(slots=True)
class Collected:
    """The outputs that were found; ``problem`` is the first thing that went wrong, other than an output that is not there."""

    parameters: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, JsonObject] = field(default_factory=dict)
    result: str | None = None
    progress: str | None = None
    problem: str = ""


async def fetch(api: Api, namespace: str, pod: str, folder: Path) -> None:
    """Bring all that the holder of a pod has into ``folder`` by exec. Raises ExecutorError, saying what is needed where exec is refused."""
    packed = folder / "out.tar"
    command = [f"{ROOT}/bin/busybox", "tar", "-cf", "-", "-C", ROOT, "out"]

    async def once() -> ExecEnd:
        with packed.open("wb") as file:
            return await execute(api, namespace, pod, HOLDER, command, sink=file.write)

    try:
        end = await _patiently(once)
    except ApiError as error:
        raise _refused(error, "outputs above 4 KB") from error
    if end.code != 0:
        raise ExecutorError(f"outputs lost: {end.message}")
    await to_thread.run_sync(_spread, packed, folder)


async def release(api: Api, namespace: str, pod: str) -> None:
    """Tell the holder of a pod that its outputs were taken. That it is gone already is no error."""
    with contextlib.suppress(ExecutorError, OSError):
        await execute(api, namespace, pod, HOLDER, [f"{ROOT}/bin/busybox", "touch", f"{ROOT}/ctl/release"])


async def upload(api: Api, namespace: str, pod: str, packed: Sequence[Path]) -> None:
    """Bring the inputs (tar files, or none) into a pod whose loader waits for them, and let it go on. Raises ExecutorError."""
    for file in packed:
        script = f"head -c {file.stat().st_size} | tar -xf - -C {ROOT}/in && chmod -R a+rX {ROOT}/in"
        await _in_loader(api, namespace, pod, script, file)
    await _in_loader(api, namespace, pod, f": > {ROOT}/ctl/inputs", None)


async def _in_loader(api: Api, namespace: str, pod: str, script: str, file: Path | None) -> None:
    def once() -> Awaitable[ExecEnd]:
        return execute(api, namespace, pod, LOADER, ["busybox", "sh", "-c", script], stdin=_pieces(file) if file is not None else None)

    try:
        end = await _patiently(once)
    except ApiError as error:
        raise _refused(error, "large input artifacts") from error
    if end.code != 0:
        raise ExecutorError(f"the input artifacts could not be put into the pod: {end.message}")


async def _patiently(once: Callable[[], Awaitable[ExecEnd]]) -> ExecEnd:
    """Do it again for a while if the connection breaks: what was half done is done anew."""
    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, TransientExecutorError) or passes(error)),
        wait=wait_random_exponential(multiplier=0.2, max=_LONGEST_PAUSE),
        stop=stop_after(_SECONDS_FOR_EXEC),
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            return await once()
    raise AssertionError  # tenacity returns or raises


def _refused(error: ApiError, what: str) -> ExecutorError:
    if not may_not(error):
        return ExecutorError(f"outputs lost: {error}")
    return ExecutorError(f"{what} travel by exec, which is refused ({error}); allow get and create on pods/exec")


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while data := await to_thread.run_sync(opened.read, _PIECE):
            yield data


def _spread(packed: Path, folder: Path) -> None:
    """The regular files directly below ``out`` in a tar, by their last names; nothing else of it."""
    try:
        with tarfile.open(packed, mode="r:") as tar:
            for member in tar:
                name = member.name.removeprefix("./").removeprefix("out/")
                if member.isfile() and "/" not in name and name not in ("", ".", "..") and (content := tar.extractfile(member)) is not None:
                    with (folder / name).open("wb") as target:
                        while data := content.read(_PIECE):
                            target.write(data)
    except tarfile.TarError as error:
        raise ExecutorError(f"outputs lost: what came is cut off ({error})") from error
    finally:
        packed.unlink(missing_ok=True)


def keep(files: dict[str, bytes], folder: Path) -> None:
    """Write the files of a termination message."""
    for name, content in files.items():
        if "/" not in name and name not in ("", ".", ".."):
            (folder / name).write_bytes(content)


async def collect(
    folder: Path, invocation: Invocation, context: RunContext, layout: Layout, stored: Mapping[str, JsonObject] | None = None
) -> Collected:
    """Read parameters and result from ``folder`` and store the artifacts; what is not there is left out, for the engine to judge.

    ``stored`` are the locations of artifacts that are where they belong already.
    """
    found = Collected(artifacts=dict(stored or {}))
    if layout.capture:
        found.result = (await to_thread.run_sync(_tail, folder / "result")).removesuffix("\n")
    found.progress = progress_of(await to_thread.run_sync(_read, folder / "progress"))
    numbers = {path: number for number, path in enumerate(layout.outputs)}
    places: dict[str, Path | None] = {}
    for name, path in staging.output_parameter_files(invocation).items():
        try:
            if (place := await _unpacked(folder, numbers[path], places, path)) is not None:
                found.parameters[name] = await to_thread.run_sync(_parameter, place, path)
        except (ArtifactError, OSError) as error:
            found.problem = found.problem or str(error)
    for artifact in staging.output_artifacts(invocation):
        if artifact.name in found.artifacts:
            continue
        try:
            place = await _unpacked(folder, numbers[artifact.path], places, artifact.path) if artifact.path else None
            if place is not None:
                key = staging.default_key(invocation, artifact)
                found.artifacts[artifact.name] = await staging.keep_output(artifact, place, context, key, folder)
        except (ArtifactError, OSError) as error:
            found.problem = found.problem or str(error)
    return found


async def collect_log(log: Path, container: str, invocation: Invocation, context: RunContext, found: Collected) -> None:
    """Store what a container printed where the invocation says that logs are kept."""
    artifact = staging.log_artifact(invocation, container)
    if artifact is None or not await to_thread.run_sync(log.exists):
        return
    try:
        found.artifacts[artifact.name] = await locations.save(artifact.settings, log, context, f"{invocation.workflow}/{container}.log")
    except ArtifactError as error:
        found.problem = found.problem or str(error)


async def _unpacked(folder: Path, number: int, places: dict[str, Path | None], path: str) -> Path | None:
    """The file or folder that was at ``path``; None if there was none. Unpacked once, though two outputs name it."""
    if path not in places:
        packed, problem = folder / f"{number}.tar", folder / f"{number}.problem"
        if problem.exists():
            raise ArtifactError(f"{path} could not be packed: {problem.read_text(errors='replace').strip()[:500]}")
        target = folder / f"unpacked-{number}"
        if packed.exists():
            await to_thread.run_sync(partial(archive.unpack, packed, target, archive.Archive("tar")))
        places[path] = target if packed.exists() or target.exists() else None
    return places[path]


def _parameter(place: Path, path: str) -> str:
    if not place.is_file():
        raise ArtifactError(f"the output parameter file {path} is no regular file")
    opened = os.open(place, os.O_RDONLY)
    try:
        return staging.read_parameter(opened, path)
    finally:
        os.close(opened)


def said(note: Mapping[str, bytes] | None, name: str) -> str:
    """The text of a file that a holder handed over; empty without one."""
    return (note or {}).get(name, b"").decode("utf-8", "replace").strip()


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _tail(file: Path) -> str:
    if not file.exists():
        return ""
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _LONGEST_RESULT))
        return opened.read().decode("utf-8", "replace")


def progress_of(content: bytes) -> str | None:
    """``N/M``, if the content is that."""
    text = content[:64].decode("utf-8", "replace").strip()
    done, _, total = text.partition("/")
    return text if done.isdigit() and total.isdigit() and int(done) <= int(total) and int(total) > 0 else None
