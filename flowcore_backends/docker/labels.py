"""The labels by which our containers, volumes and networks are known, and their names. Pure.

Names carry a hash of the run's uid, so that creating something twice after a lost answer is noticed, and runs never share anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import re

from flowcore.engine.messages import Invocation
from flowcore.jsontypes import JsonObject

RUN, NODE, POD, CONTAINER, ROLE = "flowcore.run", "flowcore.node", "flowcore.pod", "flowcore.container", "flowcore.role"
WORKFLOW, NAMESPACE, HOST = "flowcore.workflow", "flowcore.namespace", "flowcore.host"

_UNUSUAL = re.compile(r"[^a-zA-Z0-9_.-]+")
_LONGEST = 200
_LONGEST_HOST_NAME = 63


def run_labels(uid: str, workflow: str, namespace: str, host: str) -> dict[str, str]:
    """The labels of everything that belongs to a run; ``host`` is the machine whose process made it."""
    return {RUN: uid, WORKFLOW: workflow, NAMESPACE: namespace, HOST: owner(host)}


def owner(host: str) -> str:
    """Whose runs these are: those of one user on one machine, because no other can tell whether they are looked after."""
    return f"{os.getuid() if hasattr(os, 'getuid') else 0}@{host}"


def container_labels(invocation: Invocation, container: str, role: str, host: str) -> dict[str, str]:
    """The labels of one container of an invocation."""
    run = run_labels(invocation.uid, invocation.workflow, invocation.namespace, host)
    return {**run, NODE: invocation.node, POD: invocation.pod_name, CONTAINER: container, ROLE: role}


def label_filters(**wanted: str) -> str:
    """The ``filters`` parameter of the engine's lists: objects that carry all of our labels named in ``wanted``; ``""`` means any value."""
    texts = [f"flowcore.{name}={value}" if value else f"flowcore.{name}" for name, value in wanted.items()]
    return json.dumps({"label": texts})


def pod_object_name(invocation: Invocation, part: str) -> str:
    """The name of a container or volume of an invocation."""
    return _name(invocation.pod_name, part, invocation.uid)


def run_object_name(workflow: str, uid: str, part: str) -> str:
    """The name of a network or volume of a run."""
    return _name(workflow, part, uid)


def _name(first: str, part: str, uid: str) -> str:
    digest = hashlib.sha256(f"{uid}\0{first}\0{part}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
    shown = _UNUSUAL.sub("-", f"{first[: _LONGEST - len(part[:60])]}-{part[:60]}").lstrip("-._") or "x"
    return f"flowcore-{shown}-{digest}"


def host_name(pod_name: str) -> str:
    """The pod's name as a host name: at most 63 characters, as Kubernetes cuts it."""
    return _UNUSUAL.sub("-", pod_name)[:_LONGEST_HOST_NAME].strip("-._") or "pod"


def labels_of(shown: JsonObject) -> dict[str, str]:
    """The labels of a container, volume or network as the engine lists or shows it."""
    config = shown.get("Config")
    labels = shown.get("Labels") or (config.get("Labels") if isinstance(config, dict) else None)
    return {key: str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}
