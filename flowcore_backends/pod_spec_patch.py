"""``podSpecPatch`` of workflow and template: a strategic merge patch on a pod's spec, the workflow's before the template's.

The Kubernetes backend patches the pod that it makes. Backends without pods patch the template instead (``patched``): its containers, volumes and
security context as they would stand in a pod.
"""

from __future__ import annotations

from dataclasses import replace

from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError, FlowError, InvalidWorkflow
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.language.scope import Scope
from flowcore.language.tags import substitute_text
from flowcore.plan.strategic import strategic_patch
from flowcore.ports import RunContext
from flowcore.yaml import read
from flowcore_backends.main_containers import MAIN

_OF_TEMPLATE = ("securityContext", "hostAliases")
_OF_WORKFLOW = ("dnsConfig", "dnsPolicy", "hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "imagePullSecrets")


def patched_spec(pod: JsonObject, invocation: Invocation, spec: JsonObject) -> JsonObject:
    """The spec of a pod with both patches applied. Raises ExecutorError for a patch that cannot be."""
    for holder, text in (("the workflow", text_of(spec, "podSpecPatch")), ("the template", text_of(invocation.body, "podSpecPatch"))):
        if not text:
            continue
        try:
            pod = strategic_patch(pod, _patch_of(substitute_text(text, _scope(invocation))))
        except FlowError as error:
            raise ExecutorError(f"Error applying PodSpecPatch of {holder} ({invocation.template_name}): {error}") from error
    return pod


def patched(invocation: Invocation, context: RunContext) -> tuple[Invocation, RunContext]:
    """Invocation and context as if their pod had been patched; the same ones if there is no patch. Raises ExecutorError."""
    body, spec = invocation.body, context.spec
    if not (text_of(body, "podSpecPatch") or text_of(spec, "podSpecPatch")):
        return invocation, context
    pod = patched_spec(_pod_of(invocation, spec), invocation, spec)
    named = {text_of(one, "name"): one for one in objects_of(pod, "containers")}
    made: JsonObject = {**body, **{key: pod[key] for key in _OF_TEMPLATE if key in pod}}
    sidecars = [text_of(one, "name") for one in objects_of(body, "sidecars")]
    if isinstance(container_set := body.get("containerSet"), dict):
        names = [text_of(one, "name") for one in objects_of(container_set, "containers")]
        made["containerSet"] = {**container_set, "containers": [named[name] for name in names if name in named]}
    else:
        names = [MAIN]
        kind = "script" if isinstance(body.get("script"), dict) else "container"
        made[kind] = named.get(MAIN, object_of(body, kind))
    added = [name for name in named if name not in (*names, *sidecars)]
    made["sidecars"] = [named[name] for name in (*sidecars, *added) if name in named]
    made["initContainers"] = [*objects_of(pod, "initContainers")]
    made["volumes"] = [*objects_of(pod, "volumes")]
    changed = {**spec, **{key: pod[key] for key in _OF_WORKFLOW if key in pod}}
    return replace(invocation, body=made, _template=None), replace(context, spec=changed)


def _pod_of(invocation: Invocation, spec: JsonObject) -> JsonObject:
    """What of a template stands in the spec of its pod."""
    body = invocation.body
    main = object_of(body, "script") or object_of(body, "container")
    mains = objects_of(object_of(body, "containerSet"), "containers") or [{**main, "name": MAIN}]
    volumes = {text_of(volume, "name"): volume for volume in (*invocation.volumes, *objects_of(body, "volumes"))}
    pod: JsonObject = {
        "containers": [*mains, *objects_of(body, "sidecars")],
        "initContainers": [*objects_of(body, "initContainers")],
        "volumes": [*volumes.values()],
    }
    own: dict[str, Json] = {key: body[key] for key in _OF_TEMPLATE if key in body}
    return {**pod, **{key: spec[key] for key in (*_OF_TEMPLATE, *_OF_WORKFLOW) if key in spec}, **own}


def _scope(invocation: Invocation) -> Scope:
    values = {"pod.name": invocation.pod_name, "node.name": invocation.node_name, "workflow.name": invocation.workflow}
    values |= {"workflow.namespace": invocation.namespace, "workflow.uid": invocation.uid}
    for parameter in objects_of(invocation.inputs or {}, "parameters"):
        values[f"inputs.parameters.{text_of(parameter, 'name')}"] = text_of(parameter, "value")
    return Scope(values)


def _patch_of(text: str) -> JsonObject:
    documents = read(text)
    if len(documents) != 1 or not isinstance(documents[0].json, dict):
        raise InvalidWorkflow("a podSpecPatch is one YAML or JSON object")
    return documents[0].json


__all__ = ["patched", "patched_spec"]
