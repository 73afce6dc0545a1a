"""The Workflow object that stands for a run: made in the cluster, and kept up to date so that the ``argo`` command and its UI show the run.

``WorkflowObject`` is made by ``KubernetesExecutor.shown``, and by ``RunObjects`` when the object is to own a run's pods. Only what changed is
written; a status that is too large for etcd is compressed as Argo does it (``compressedNodes``).
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
from collections.abc import Mapping

from flowcore.errors import ExecutorError
from flowcore.jsontypes import Json, JsonObject, object_of
from flowcore.nodes import Node, NodeId, RunRow
from flowcore.ports import Snapshot, Watched
from flowcore_backends.kubernetes.api import MERGE_PATCH, Api, ApiError
from flowcore_backends.kubernetes.labels import INSTANCE, MANAGED_BY, RUN, label_value
from flowcore_backends.kubernetes.options import KubernetesOptions

_LARGEST = 900_000  # bytes of nodes as JSON; etcd refuses objects of more than 1.5 MB, and the spec needs room too
_SHARE = 10.0  # writing takes at most a tenth of the time
_KEPT = ("labels", "annotations", "generateName")
_log = logging.getLogger("flowcore.kubernetes")


def workflows_path(namespace: str, name: str = "") -> str:
    """The path of the Workflows of a namespace, or of one."""
    return f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows" + (f"/{name}" if name else "")


async def ensure_workflow(api: Api, namespace: str, name: str, uid: str, manifest: JsonObject, options: KubernetesOptions) -> JsonObject:
    """The ``metadata`` of the run's Workflow object, made if it is not there. Raises ExecutorError if the name is another's.

    The label ``controller-instanceid`` keeps an Argo controller of the cluster from running it too.
    """
    given = object_of(manifest, "metadata")
    metadata: JsonObject = {key: given[key] for key in _KEPT if key in given}
    labels: JsonObject = {**object_of(metadata, "labels"), INSTANCE: label_value(options.instance), MANAGED_BY: "flowcore"}
    metadata |= {"name": name, "namespace": namespace, "labels": labels}
    metadata["annotations"] = {**object_of(metadata, "annotations"), RUN: uid}
    body: JsonObject = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": object_of(manifest, "spec")}
    try:
        return object_of(await api.request("POST", workflows_path(namespace), body=body), "metadata")
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    found = object_of(await api.request("GET", workflows_path(namespace, name)), "metadata")
    if object_of(found, "annotations").get(RUN) != uid:
        raise ExecutorError(f"Workflow {name} in namespace {namespace} is of another run; delete it or name the run otherwise")
    return found


class WorkflowObject:
    """Writes what becomes of a run into its Workflow object."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api, self._path = api, workflows_path(namespace, name)
        self._row: RunRow | None = None
        self._nodes: Mapping[NodeId, Node] = {}
        self._written: JsonObject = {}
        self._compressed = False
        self._told = ""

    async def follow(self, run: Watched, every: float) -> None:
        """Write changes ``every`` so many seconds, or less often where that takes long, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.write(run.snapshot())
            await asyncio.sleep(max(every, (loop.time() - began) * _SHARE))

    async def write(self, now: Snapshot) -> None:
        """Write how the run stands, if that changed. What cannot be written is logged and written with the next change."""
        if (
            now.row is self._row
            and len(now.nodes) == len(self._nodes)
            and all(self._nodes.get(id_) is row for id_, row in now.nodes.items())
        ):
            return
        document = now.to_json()
        try:
            if self._row is None:  # what an earlier process wrote may hold nodes that are no more
                await self._api.request("PATCH", self._path, body={"status": None}, content_type=MERGE_PATCH)
            await self._api.request("PATCH", self._path, body=self._patch(document), content_type=MERGE_PATCH)
        except ExecutorError as error:
            if str(error) != self._told:
                _log.warning("the status of run %s was not written back: %s", now.row.name, error)
            self._told = str(error)
            return
        self._row, self._nodes = now.row, now.nodes
        self._written = object_of(object_of(document, "status"), "nodes")

    def _patch(self, document: JsonObject) -> JsonObject:
        """A merge patch from what is written to ``document``: its labels, its status, and of the nodes those that differ."""
        metadata, status = object_of(document, "metadata"), dict(object_of(document, "status"))
        nodes = object_of(status, "nodes")
        whole = json.dumps(nodes)
        if len(whole) > _LARGEST:
            status |= {"nodes": None, "compressedNodes": base64.b64encode(gzip.compress(whole.encode())).decode()}
            self._compressed = True
        else:
            changes = {id_: _difference(self._written.get(id_), node) for id_, node in nodes.items() if node != self._written.get(id_)}
            status["nodes"] = nodes if self._compressed else changes | {id_: None for id_ in self._written if id_ not in nodes}
            status["compressedNodes"] = None
            self._compressed = False
        spec = {key: object_of(document, "spec").get(key) for key in ("shutdown", "suspend")}
        return {"metadata": {"labels": object_of(metadata, "labels")}, "spec": spec, "status": status}


def _difference(before: Json, after: Json) -> Json:
    """A merge patch from one value to another."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return after
    gone: JsonObject = {key: None for key in before if key not in after}
    return gone | {key: _difference(before.get(key), value) for key, value in after.items() if value != before.get(key)}


__all__ = ["WorkflowObject", "ensure_workflow", "workflows_path"]
