"""Large output artifacts straight from a pod into a store that speaks S3's language, by a URL that is signed for this one upload.

Where the store's address is plain HTTP, as inside of clusters, the pod's busybox can speak it; with HTTPS it could not check whom it speaks to, so
these go through this process, as do folders that are stored file by file, and whatever the pod could not upload. Called by ``pod_run.py``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from flowcore.artifacts import archive, locations, staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError, FlowError
from flowcore.jsontypes import JsonObject
from flowcore.ports import RunContext
from flowcore_backends.kubernetes.api import Api
from flowcore_backends.kubernetes.capture import HOLDER, ROOT, Layout
from flowcore_backends.kubernetes.execs import execute

_log = logging.getLogger("flowcore.kubernetes")

_SECONDS_VALID = 3600
_NOT_THERE, _NOT_A_FILE, _NO_ANSWER = 3, 4, 6  # what the script ends with: nothing to upload, nothing that is one file, no store
_BEST_FOR_GZIP = "6"

# Reads where to from its stdin, as arguments of exec are written down by servers that keep an audit log.
PUT = r"""
R=$1 n=$2 form=$3
read -r host; read -r port; read -r header; read -r target
B=$R/bin/busybox f=$R/ctl/put-$n t=$R/out/$n.tar
trap '' PIPE
[ -e "$t" ] || exit 3
if [ "$form" = none ]; then
  [ "$("$B" tar -tf "$t" | "$B" wc -l)" = 1 ] || exit 4
  case "$("$B" tar -tf "$t")" in */) exit 4 ;; esac
  "$B" tar -xOf "$t" > "$f" || exit 5
else
  "$B" gzip -c "-$form" < "$t" > "$f" || exit 5
fi
"$B" rm -f "$f.in"
"$B" mkfifo "$f.in" || exit 5
"$B" nc -w 10 "$host" "$port" < "$f.in" > "$f.answer" 2> "$f.error" &
client=$!
exec 9> "$f.in"
{
  printf 'PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\nConnection: close\r\n\r\n' "$target" "$header" "$("$B" wc -c < "$f" | "$B" tr -d ' ')"
  "$B" cat "$f"
} >&9 2> /dev/null
turns=0
until [ -s "$f.answer" ] || ! kill -0 "$client" 2> /dev/null || [ "$turns" -ge 300 ]; do
  "$B" sleep 0.2
  turns=$((turns + 1))
done
read -r version status rest < "$f.answer"
exec 9>&-
kill "$client" 2> /dev/null
"$B" rm -f "$f" "$f.in"
case $status in
  2*) "$B" rm -f "$t"; exit 0 ;;
  '') "$B" cat "$f.error" >&2; echo "no answer from $host" >&2; exit 6 ;;
  *) echo "the store answered $status" >&2; exit 7 ;;
esac
"""


async def upload_straight(
    api: Api, namespace: str, pod: str, invocation: Invocation, context: RunContext, layout: Layout, unreachable: set[str]
) -> dict[str, JsonObject]:
    """Upload what can be from the holder of a pod; the locations of what was, by name. What fails is left where it is, for ``fetch``.

    ``unreachable`` holds the stores that pods have not reached before; they are not tried again.
    """
    stored: dict[str, JsonObject] = {}
    parameters = set(staging.output_parameter_files(invocation).values())
    paths = [artifact.path for artifact in staging.output_artifacts(invocation)]
    for artifact in staging.output_artifacts(invocation):
        if artifact.path not in layout.outputs or artifact.path in parameters or paths.count(artifact.path) > 1:
            continue
        try:
            form = _form(artifact.settings)
            signed = await locations.signed_put(artifact.settings, context, staging.default_key(invocation, artifact), _SECONDS_VALID)
            if form is None or signed is None or not signed[0].startswith("http://") or _host_of(signed[0]) in unreachable:
                continue
            if await _put(api, namespace, pod, layout.outputs.index(artifact.path), form, signed[0], unreachable):
                kept = {field: artifact.settings[field] for field in ("archive",) if field in artifact.settings}
                stored[artifact.name] = {**signed[1], **kept}
        except (FlowError, OSError) as error:
            _log.info("pod %s: artifact %s goes through this process: %s", pod, artifact.name, error)
    return stored


def _form(settings: JsonObject) -> str | None:
    """How the artifact is packed in the pod: ``none``, or the level of gzip; None for what cannot be done there."""
    packing = archive.archive_of(settings) or archive.Archive()
    if packing.format == "none":
        return "none"
    if packing.format != "tar" or packing.level == 0:
        return None
    return _BEST_FOR_GZIP if packing.level < 0 else str(packing.level)


def _host_of(url: str) -> str:
    return urlsplit(url).netloc


async def _put(api: Api, namespace: str, pod: str, number: int, form: str, url: str, unreachable: set[str]) -> bool:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    words = [f"{ROOT}/bin/busybox", "sh", "-c", PUT, HOLDER, ROOT, str(number), form]
    told = "\n".join([parts.hostname or "", str(parts.port or 80), parts.netloc, target, ""])
    end = await execute(api, namespace, pod, HOLDER, words, stdin=_once(told.encode()))
    if end.code in (0, _NOT_THERE, _NOT_A_FILE):
        return end.code == 0
    if end.code == _NO_ANSWER:
        unreachable.add(parts.netloc)
    raise ExecutorError(f"{parts.netloc} could not be written to from the pod: {end.message}")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


__all__ = ["PUT", "upload_straight"]
