"""Large artifacts where exec may not be used: the signed URLs wait for the pod in a Secret, and its holder fetches and uploads by itself.

The Secret is made before the pod, belongs to the run's owner, is mounted by the holder alone, and is deleted when the pod's work has ended.
Nothing of it stands in the manifest but which artifact is meant and how it is packed. Called by ``pod_run.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError, FlowError
from flowcore.jsontypes import JsonObject
from flowcore.ports import RunContext
from flowcore_backends.kubernetes.api import Api, ApiError
from flowcore_backends.kubernetes.capture import Layout
from flowcore_backends.kubernetes.labels import RUN, object_labels
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.straight import StraightInput, fetching_words, signed_outputs, told_to_put

_log = logging.getLogger("flowcore.kubernetes")

SECONDS_VALID = 7 * 24 * 3600  # the longest that stores of S3's language take: nobody can give the pod another one later


@dataclass(frozen=True, slots=True)
class UrlSecret:
    """What a pod has to do itself, for its manifest, and the name of the Secret with the URLs for that; empty if nothing."""

    tasks: str = ""
    name: str = ""


def secret_name(invocation: Invocation) -> str:
    """The name of the Secret of a pod."""
    return f"{invocation.pod_name}-urls"


async def give_urls(
    api: Api,
    namespace: str,
    invocation: Invocation,
    context: RunContext,
    layout: Layout,
    inputs: Sequence[StraightInput],
    owner: JsonObject | None,
    options: KubernetesOptions,
) -> UrlSecret:
    """Where the pod is on its own with large artifacts: what it fetches (``inputs``) and may upload, with the URLs for that in its Secret.

    What cannot be signed is left out. Raises ExecutorError.
    """
    if options.exec:
        return UrlSecret()
    tasks: list[str] = []
    urls: dict[str, str] = {}
    for each in inputs:
        tasks.append(" ".join(["get", *fetching_words(each)]))
        urls[f"get-{each.number}"] = f"{each.url}\n"
    uploads = options.direct_uploads and layout.hands_over
    for output in await signed_outputs(invocation, context, layout, SECONDS_VALID) if uploads else ():
        tasks.append(f"put {output.number} {output.form}")
        urls[f"put-{output.number}"] = told_to_put(output.url)
    if tasks:
        await _make_secret(api, namespace, invocation, urls, owner, options)
    return UrlSecret("\n".join(tasks), secret_name(invocation) if tasks else "")


async def _make_secret(
    api: Api, namespace: str, invocation: Invocation, urls: dict[str, str], owner: JsonObject | None, options: KubernetesOptions
) -> None:
    """Make the Secret, or put new URLs into the one that an earlier process of this run has made."""
    metadata: JsonObject = {
        "name": secret_name(invocation),
        "labels": object_labels(invocation.workflow, options),
        "annotations": {RUN: invocation.uid},
    }
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    path = f"/api/v1/namespaces/{namespace}/secrets"
    body: JsonObject = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {**urls}}
    try:
        try:
            await api.send("POST", path, body=body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            await api.send("PUT", f"{path}/{secret_name(invocation)}", body=body)
    except ApiError as error:
        raise ExecutorError(f"{error}; without exec, large artifacts need the right to create, update and delete secrets") from error


async def delete_secret(api: Api, namespace: str, invocation: Invocation) -> None:
    """The work of the pod has ended; that it is gone already is no error, and the run's owner takes along what cannot be deleted."""
    try:
        await api.send("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{secret_name(invocation)}")
    except ExecutorError as error:
        if not (isinstance(error, ApiError) and error.status == 404):
            _log.warning("Secret %s was not deleted: %s", secret_name(invocation), error)


async def stored_outputs(invocation: Invocation, context: RunContext, layout: Layout, numbers: str) -> dict[str, JsonObject]:
    """Where the artifacts are that the holder says to have uploaded, by name."""
    done = set(numbers.split())
    try:
        return {one.name: one.location for one in await signed_outputs(invocation, context, layout, 1) if str(one.number) in done}
    except (FlowError, OSError) as error:
        raise ExecutorError(f"outputs lost: where the pod has stored them is not known: {error}") from error


__all__ = ["UrlSecret", "delete_secret", "give_urls", "stored_outputs"]
