"""Names, labels and annotations of the objects that the Kubernetes backend makes; the keys are Argo's wherever Argo has one."""

from __future__ import annotations

import hashlib
import re

from flowcore.engine.messages import Invocation
from flowcore.jsontypes import JsonObject
from flowcore_backends.kubernetes.options import KubernetesOptions

WORKFLOW = "workflows.argoproj.io/workflow"
COMPLETED = "workflows.argoproj.io/completed"
ON_EXIT = "workflows.argoproj.io/on-exit"
INSTANCE = "workflows.argoproj.io/controller-instanceid"  # keeps an Argo controller of the same cluster away
NODE_NAME = "workflows.argoproj.io/node-name"
NODE_ID = "workflows.argoproj.io/node-id"
GC_STRATEGY = "workflows.argoproj.io/pod-gc-strategy"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
MANAGED_BY = "app.kubernetes.io/managed-by"
RUN = "flowcore/run-uid"  # annotation: whose object it is

_LONGEST_LABEL = 63
_NO_LABEL = re.compile(r"[^A-Za-z0-9._-]")


def label_value(text: str) -> str:
    """``text`` as the value of a label: itself if it can be one, else as much of it as fits, and a hash."""
    clean = _NO_LABEL.sub("-", text)
    if clean == text and len(text) <= _LONGEST_LABEL and text.strip("._-") == text:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{clean[: _LONGEST_LABEL - 11].strip('._-')}-{digest}".lstrip("-")


def object_labels(workflow: str, options: KubernetesOptions) -> JsonObject:
    """The labels of everything that is made for a run."""
    return {**options.labels, WORKFLOW: label_value(workflow), INSTANCE: label_value(options.instance), MANAGED_BY: "flowcore"}


def pod_labels(invocation: Invocation, options: KubernetesOptions) -> JsonObject:
    """The labels of a pod, without those of the workflow and template."""
    labels = object_labels(invocation.workflow, options) | {COMPLETED: "false"}
    return labels | {ON_EXIT: "true"} if invocation.on_exit else labels


def pod_annotations(invocation: Invocation, options: KubernetesOptions) -> JsonObject:
    """The annotations of a pod, without those of the workflow and template."""
    return {**options.annotations, NODE_NAME: invocation.node_name, NODE_ID: invocation.node, RUN: invocation.uid}


def selector(options: KubernetesOptions) -> str:
    """What selects all pods of this user."""
    return f"{INSTANCE}={label_value(options.instance)}"
