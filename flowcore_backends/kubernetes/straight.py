"""Large artifacts straight between a pod and a store that speaks S3's language, by URLs that are signed for this one object.

A signed URL is a secret: it travels by the stdin of exec, and stands in no manifest, log or store. What the pod cannot fetch or upload itself goes
through this process: folders that are stored file by file, zip, stores with HTTPS where the pod's image has no curl, and whatever else fails.
Called by ``inputs.py`` and ``pod_run.py``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flowcore.artifacts import archive, locations, staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError, FlowError
from flowcore.jsontypes import JsonObject
from flowcore.ports import RunContext
from flowcore_backends.kubernetes.api import Api
from flowcore_backends.kubernetes.capture import HOLDER, LOADER, ROOT, Layout
from flowcore_backends.kubernetes.execs import ExecEnd, execute
from flowcore_backends.kubernetes.straight_scripts import GET, NO_ANSWER, NO_CURL, NOT_A_FILE, NOT_THERE, PUT

_log = logging.getLogger("flowcore.kubernetes")

_SECONDS_VALID = 3600
_SECONDS_TO_BEGIN = 6 * 3600  # a pod may wait long for its turn before it fetches its inputs
_BEST_FOR_GZIP = "6"
_HTTPS = "https:"  # among the stores that pods cannot reach: all of those, for want of curl
_NO_PART_OF_A_URL = frozenset('"\\ \t\r\n')


@dataclass(frozen=True, slots=True)
class StraightInput:
    """An input that the pod is to fetch itself, to ``in/<number>`` of its volume."""

    number: int
    artifact: staging.Declared
    size: int
    url: str = field(repr=False)


async def straight_input(
    number: int, artifact: staging.Declared, context: RunContext, larger_than: int, unreachable: set[str]
) -> StraightInput | None:
    """How the pod fetches an input that is larger than so many bytes; None for one that goes through this process, or in the manifest."""
    try:
        if _unpacking(artifact.settings) is None:
            return None
        signed = await locations.signed_get(artifact.settings, context, _SECONDS_TO_BEGIN)
    except (FlowError, OSError) as error:
        _log.info("artifact %s goes through this process: %s", artifact.name, error)
        return None
    if signed is None or signed[1] <= larger_than or not _is_usable(signed[0], unreachable):
        return None
    return StraightInput(number, artifact, signed[1], signed[0])


async def download_straight(
    api: Api, namespace: str, pod: str, inputs: Sequence[StraightInput], unreachable: set[str]
) -> list[StraightInput]:
    """Have the loader of a pod fetch inputs; those that it could not fetch."""
    left: list[StraightInput] = []
    for each in inputs:
        try:
            if not _is_usable(each.url, unreachable):
                raise ExecutorError(f"{_host_of(each.url)} could not be reached from pods before")
            end = await execute(
                api, namespace, pod, LOADER, _script(GET, LOADER, fetching_words(each)), stdin=_once(f"{each.url}\n".encode())
            )
            _judged(end, each.url, "read from", unreachable)
        except (FlowError, OSError) as error:
            _log.info("pod %s: artifact %s goes through this process: %s", pod, each.artifact.name, error)
            left.append(each)
    return left


@dataclass(frozen=True, slots=True)
class SignedOutput:
    """An output that a pod may upload: its number among the layout's, how it is packed, and where it then is."""

    name: str
    number: int
    form: str
    location: JsonObject
    url: str = field(repr=False)


async def signed_outputs(invocation: Invocation, context: RunContext, layout: Layout, seconds: int) -> list[SignedOutput]:
    """Those outputs that can go straight into their stores; why others cannot is logged."""
    found: list[SignedOutput] = []
    parameters = set(staging.output_parameter_files(invocation).values())
    paths = [artifact.path for artifact in staging.output_artifacts(invocation)]
    for artifact in staging.output_artifacts(invocation):
        if artifact.path not in layout.outputs or artifact.path in parameters or paths.count(artifact.path) > 1:
            continue
        try:
            form = _packing(artifact.settings)
            signed = await locations.signed_put(artifact.settings, context, staging.default_key(invocation, artifact), seconds)
        except (FlowError, OSError) as error:
            _log.info("pod %s: artifact %s goes through this process: %s", invocation.pod_name, artifact.name, error)
            continue
        if form is not None and signed is not None:
            kept = {field: artifact.settings[field] for field in ("archive",) if field in artifact.settings}
            found.append(SignedOutput(artifact.name, layout.outputs.index(artifact.path), form, {**signed[1], **kept}, signed[0]))
    return found


async def upload_straight(
    api: Api, namespace: str, pod: str, invocation: Invocation, context: RunContext, layout: Layout, unreachable: set[str]
) -> dict[str, JsonObject]:
    """Upload what can be from the holder of a pod; the locations of what was, by name. What fails is left where it is, for ``fetch``.

    ``unreachable`` holds the stores that pods have not reached before; they are not tried again.
    """
    stored: dict[str, JsonObject] = {}
    for output in await signed_outputs(invocation, context, layout, _SECONDS_VALID):
        if not _is_usable(output.url, unreachable):
            continue
        try:
            if await _put(api, namespace, pod, output, unreachable):
                stored[output.name] = output.location
        except (FlowError, OSError) as error:
            _log.info("pod %s: artifact %s goes through this process: %s", pod, output.name, error)
    return stored


async def _put(api: Api, namespace: str, pod: str, output: SignedOutput, unreachable: set[str]) -> bool:
    words = _script(PUT, HOLDER, [str(output.number), output.form])
    end = await execute(api, namespace, pod, HOLDER, words, stdin=_once(told_to_put(output.url).encode()))
    if end.code in (NOT_THERE, NOT_A_FILE):
        return False
    _judged(end, output.url, "written to", unreachable)
    return True


def told_to_put(url: str) -> str:
    """What the script reads that uploads."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return "\n".join([url, parts.hostname or "", str(parts.port or 80), parts.netloc, target, ""])


def fetching_words(given: StraightInput) -> list[str]:
    """The arguments of the script that fetches."""
    mode = given.artifact.settings.get("mode")
    changed = f"{'-R ' if given.artifact.settings.get('recurseMode') else ''}{mode & 0o777:o}" if isinstance(mode, int) else ""
    return [str(given.number), _unpacking(given.artifact.settings) or "none", str(given.size), changed]


def _packing(settings: JsonObject) -> str | None:
    """How the artifact is packed in the pod: ``none``, or the level of gzip; None for what cannot be done there."""
    packing = archive.archive_of(settings) or archive.Archive()
    if packing.format == "none":
        return "none"
    if packing.format != "tar" or packing.level == 0:
        return None
    return _BEST_FOR_GZIP if packing.level < 0 else str(packing.level)


def _unpacking(settings: JsonObject) -> str | None:
    """How the artifact is unpacked in the pod: not, as a tar, or as its content says; None for what cannot be done there."""
    packing = archive.archive_of(settings)
    if packing is None:
        return "guess"
    return packing.format if packing.format != "zip" else None


def _is_usable(url: str, unreachable: set[str]) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or _NO_PART_OF_A_URL & set(url):
        return False
    return parts.netloc not in unreachable and not (parts.scheme == "https" and _HTTPS in unreachable)


def _judged(end: ExecEnd, url: str, done: str, unreachable: set[str]) -> None:
    """Remember what pods cannot reach. Raises ExecutorError unless it was done."""
    if end.code == 0:
        return
    if end.code in (NO_ANSWER, NO_CURL):
        unreachable.add(_HTTPS if end.code == NO_CURL else _host_of(url))
    raise ExecutorError(f"{_host_of(url)} could not be {done} from the pod: {end.message.replace(url, '...')}")


def _host_of(url: str) -> str:
    return urlsplit(url).netloc


def _script(script: str, name: str, words: Sequence[str]) -> list[str]:
    return [f"{ROOT}/bin/busybox", "sh", "-c", script, name, ROOT, *words]


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


__all__ = [
    "SignedOutput",
    "StraightInput",
    "download_straight",
    "fetching_words",
    "signed_outputs",
    "straight_input",
    "told_to_put",
    "upload_straight",
]
