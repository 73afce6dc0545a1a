"""What the containers of an invocation are told of themselves: the facts of their pod, and Argo's own variables.

Used by backends that are not Kubernetes.
"""

from __future__ import annotations

import json

from flowcore.engine.messages import Invocation
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.ports import RunContext
from flowcore_backends.environment import PodFacts

_LONGEST_TEMPLATE = 100_000  # longer ones do not fit into an environment variable


def pod_facts(invocation: Invocation, context: RunContext, node_name: str) -> PodFacts:
    """What ``fieldRef`` and the downward API say of the pod of ``invocation``."""
    metadata, shared = invocation.template.metadata, object_of(context.spec, "podMetadata")
    labels = {"workflows.argoproj.io/completed": "false", "workflows.argoproj.io/workflow": invocation.workflow}
    names = {"workflows.argoproj.io/node-id": invocation.node, "workflows.argoproj.io/node-name": invocation.node_name}
    return PodFacts(
        name=invocation.pod_name,
        namespace=invocation.namespace,
        uid=invocation.uid,
        node_name=node_name,
        service_account=invocation.template.service_account_name or text_of(context.spec, "serviceAccountName") or "default",
        labels={**labels, **_texts(object_of(shared, "labels")), **(metadata.labels or {})},
        annotations={**names, **_texts(object_of(shared, "annotations")), **(metadata.annotations or {})},
    )


def argo_variables(invocation: Invocation, container: str) -> dict[str, str]:
    """The variables that Argo sets in every container of a pod."""
    variables = {
        "ARGO_CONTAINER_NAME": container,
        "ARGO_NODE_ID": invocation.node,
        "ARGO_POD_NAME": invocation.pod_name,
        "ARGO_WORKFLOW_NAME": invocation.workflow,
        "ARGO_INCLUDE_SCRIPT_OUTPUT": str(invocation.capture_result).lower(),
    }
    if invocation.deadline is not None:
        variables["ARGO_DEADLINE"] = invocation.deadline.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps(invocation.body, separators=(",", ":"))
    return variables if len(text) > _LONGEST_TEMPLATE else {**variables, "ARGO_TEMPLATE": text}


def pod_volumes(invocation: Invocation) -> dict[str, JsonObject]:
    """The volumes that the containers of ``invocation`` may mount, by name: the workflow's and the template's, which count more."""
    return {text_of(volume, "name"): volume for volume in (*invocation.volumes, *invocation.template.volumes)}


def claim_templates(context: RunContext) -> frozenset[str]:
    """The names of the run's ``volumeClaimTemplates``."""
    return frozenset(text_of(object_of(template, "metadata"), "name") for template in objects_of(context.spec, "volumeClaimTemplates"))


def _texts(values: JsonObject) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}
