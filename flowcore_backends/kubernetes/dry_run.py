"""What a cluster would say to the pods of a document: each is made on the server with ``dryRun=All``, so that nothing comes of it.

Admission takes part: quotas, security policies, webhooks, and fields that this version of Kubernetes does not know. Called by
``KubernetesExecutor.check`` for ``flowcore lint --backend kubernetes``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from flowcore.errors import ExecutorError, FlowError, InvalidWorkflow, Problem
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.ports import Catalog
from flowcore.yaml import read
from flowcore_backends.kubernetes.api import Api, ApiError, pods_path, query_of
from flowcore_backends.kubernetes.discovery import Discovery
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.pods import PodParts, pod_manifest
from flowcore_backends.router import kind_of
from flowcore_backends.sample_pods import Sample, samples

_RULE = "backend"
_PODS = ("container", "script", "containerSet")
_ENTRYPOINT = "failed to look-up entrypoint"


async def dry_run(api: Api, manifest: JsonObject, catalog: Catalog, options: KubernetesOptions) -> list[Problem]:
    """The problems of a document's templates, each with its place. Raises ExecutorError when the cluster cannot be asked."""
    found, spec, _ = samples(manifest)
    namespace = options.namespace or text_of(object_of(manifest, "metadata"), "namespace") or "default"
    discovery = Discovery(api)
    asked = [_of_template(api, discovery, sample, spec, namespace, options) for sample in found]
    return [problem for problems in await asyncio.gather(*asked) for problem in problems]


async def _of_template(
    api: Api, discovery: Discovery, sample: Sample, spec: JsonObject, namespace: str, options: KubernetesOptions
) -> list[Problem]:
    kind = kind_of(sample.invocation)
    if kind in _PODS:
        return await _of_pod(api, sample, spec, namespace, options)
    return await _of_resource(api, discovery, sample, namespace) if kind == "resource" else []


async def _of_pod(api: Api, sample: Sample, spec: JsonObject, namespace: str, options: KubernetesOptions) -> list[Problem]:
    claims = {name: f"flowcore-{name}" for name in _claims(spec)}
    try:
        manifest = pod_manifest(sample.invocation, spec, options, PodParts(claims=claims))
    except (ExecutorError, FlowError) as error:
        return [_problem(sample, str(error))]
    metadata = {key: value for key, value in object_of(manifest, "metadata").items() if key != "name"}
    body: JsonObject = {**manifest, "metadata": {**metadata, "generateName": "flowcore-lint-", "namespace": namespace}}
    return await _asked(api, pods_path(namespace), body, sample)


def _claims(spec: JsonObject) -> list[str]:
    return [text_of(object_of(template, "metadata"), "name") for template in objects_of(spec, "volumeClaimTemplates")]


async def _of_resource(api: Api, discovery: Discovery, sample: Sample, namespace: str) -> list[Problem]:
    """An object that is to be created, if its manifest stands in the template without tags."""
    resource = object_of(sample.invocation.body, "resource")
    text = text_of(resource, "manifest")
    if sample.uncertain or text_of(resource, "action") not in ("create", "apply") or not text:
        return []
    try:
        documents = read(text)
        document: Json = documents[0].json if len(documents) == 1 else None
        if not isinstance(document, dict):
            return []
        kind = await discovery.of_kind(text_of(document, "apiVersion"), text_of(document, "kind"))
    except InvalidWorkflow as error:
        return [_problem(sample, str(error))]
    except ApiError:
        raise
    except ExecutorError as error:
        return [_problem(sample, str(error))]
    metadata = object_of(document, "metadata")
    name = text_of(metadata, "name") or text_of(metadata, "generateName")
    others = {key: value for key, value in metadata.items() if key != "name"}
    space = text_of(metadata, "namespace") or namespace
    return await _asked(api, kind.path(space), {**document, "metadata": {**others, "generateName": f"{name}-"}}, sample)


async def _asked(api: Api, path: str, body: JsonObject, sample: Sample) -> list[Problem]:
    try:
        await api.request("POST", path, body=body, query=query_of(dryRun="All", fieldValidation="Strict"))
    except ApiError as error:
        if error.status not in (400, 403, 404, 409, 413, 422):
            raise
        return [_problem(sample, text) for text in _texts(error)]
    return []


def _texts(error: ApiError) -> Sequence[str]:
    """What is wrong, one by one where the API says so."""
    causes = objects_of(object_of(error.body, "details"), "causes")
    told = [": ".join(part for part in (text_of(cause, "field"), text_of(cause, "message")) if part) for cause in causes]
    return [text for text in told if text] or [error.message]


def _problem(sample: Sample, message: str) -> Problem:
    """A warning where values that are not known yet may be to blame, or where only a run can tell."""
    doubtful = sample.uncertain or _ENTRYPOINT in message
    return Problem(message, path=sample.path, severity="warning" if doubtful else "error", rule=_RULE)


__all__ = ["dry_run"]
