"""What a run has in the cluster besides its pods: the object that owns them, claims, a disruption budget; and what is deleted when.

Rules are Argo's: claims are named ``<workflow>-<claim>``; ``volumeClaimGC`` deletes them on success unless it says otherwise; pods are
``ended_pods.py``'s. Where nobody says how a run ended, it has succeeded here when the last attempt of everything that ran in it did.
"""

from __future__ import annotations

import asyncio
import logging
import re

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.nodes import Phase, WorkflowPhase
from flowcore.ports import Invocation, RunContext
from flowcore_backends.kubernetes.api import Api, ApiError
from flowcore_backends.kubernetes.ended_pods import EndedPods
from flowcore_backends.kubernetes.labels import RUN, WORKFLOW, label_value, object_labels
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.workflow_object import ensure_workflow

_log = logging.getLogger("flowcore.kubernetes")

_ATTEMPT = re.compile(r"\(\d+\)$")
_COMPLETION, _SUCCESS = "OnWorkflowCompletion", "OnWorkflowSuccess"


class RunObjects:
    """The objects of one run; made when its first pod is."""

    def __init__(self, api: Api, context: RunContext, options: KubernetesOptions) -> None:
        self._api, self._context, self._options = api, context, options
        self._namespace = options.namespace or context.namespace
        self._lock = asyncio.Lock()
        self._made = False
        self._last: dict[str, Phase] = {}  # by the node's name without the attempt
        self._failed_hosts: dict[str, list[str]] = {}
        self._pods = EndedPods(api, context, options, self._namespace)
        self.owner: JsonObject | None = None

    @property
    def claims(self) -> dict[str, str]:
        """The names of the run's claims, by volume name."""
        templates = objects_of(self._context.spec, "volumeClaimTemplates")
        names = [text_of(object_of(template, "metadata"), "name") for template in templates]
        return {name: f"{self._context.name}-{name}" for name in names}

    async def ensure(self) -> None:
        """Make what is missing. Raises ExecutorError, also when an object of that name belongs to another run."""
        async with self._lock:
            if self._made:
                return
            await self._ensure_owner()
            for template in objects_of(self._context.spec, "volumeClaimTemplates"):
                await self._ensure_claim(template)
            if budget := object_of(self._context.spec, "podDisruptionBudget"):
                labels: JsonObject = {"matchLabels": {WORKFLOW: label_value(self._context.name)}}
                body = self._object("policy/v1", "PodDisruptionBudget", self._context.name, spec={**budget, "selector": labels})
                await self._create(self._path("poddisruptionbudgets", group="apis/policy/v1"), body)
            self._made = True

    async def _ensure_owner(self) -> None:
        if (given := self._options.workflow_owner) is not None:
            self.owner = _reference("argoproj.io/v1alpha1", "Workflow", given)
        elif self._options.write_back:
            context = self._context
            made = await ensure_workflow(self._api, self._namespace, context.name, context.uid, {"spec": context.spec}, self._options)
            self.owner = _reference("argoproj.io/v1alpha1", "Workflow", made)
        elif self._options.owner:
            body = self._object(
                "v1", "ConfigMap", f"{self._context.name}-flowcore", data={"workflow": self._context.name, "uid": self._context.uid}
            )
            body["metadata"] = {key: value for key, value in object_of(body, "metadata").items() if key != "ownerReferences"}
            try:
                made = await self._create(self._path("configmaps"), body)
            except ApiError as error:
                if error.status != 403:
                    raise
                _log.warning("run %s: its pods get no owner (%s); KubernetesExecutor(owner=False) asks for none", self._context.name, error)
                return
            self.owner = _reference("v1", "ConfigMap", object_of(made, "metadata"))

    async def _ensure_claim(self, template: JsonObject) -> None:
        metadata = object_of(template, "metadata")
        body = self._object("v1", "PersistentVolumeClaim", self.claims[text_of(metadata, "name")], spec=object_of(template, "spec"))
        given = object_of(body, "metadata")
        for kind in ("labels", "annotations"):
            given[kind] = {**object_of(metadata, kind), **object_of(given, kind)}
        await self._create(self._path("persistentvolumeclaims"), body)

    def _object(self, version: str, kind: str, name: str, **more: JsonObject) -> JsonObject:
        metadata: JsonObject = {
            "name": name,
            "namespace": self._namespace,
            "labels": object_labels(self._context.name, self._options),
            "annotations": {RUN: self._context.uid},
        }
        if self.owner is not None:
            metadata["ownerReferences"] = [self.owner]
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}

    def _path(self, resource: str, name: str = "", *, group: str = "api/v1") -> str:
        return f"/{group}/namespaces/{self._namespace}/{resource}" + (f"/{name}" if name else "")

    async def _create(self, path: str, body: JsonObject) -> JsonObject:
        """Create an object, or take the one of this run that is there."""
        try:
            return await self._api.request("POST", path, body=body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            name = text_of(object_of(body, "metadata"), "name")
            known = await self._api.request("GET", f"{path}/{name}")
            if object_of(object_of(known, "metadata"), "annotations").get(RUN) != self._context.uid:
                raise ExecutorError(
                    f"{body['kind']} {name} in namespace {self._namespace} exists and is not of this run; remove it"
                ) from error
            return known

    # --- what happened in the run ---------------------------------------------------------------------------------------------------

    def avoided(self, invocation: Invocation) -> list[str]:
        """The nodes that this attempt should not run on: those where earlier ones failed, if its retry strategy says so."""
        affinity = object_of(object_of(invocation.body, "retryStrategy"), "affinity")
        return self._failed_hosts.get(_whole(invocation), []) if "nodeAntiAffinity" in affinity else []

    def ended(self, invocation: Invocation, phase: Phase, host: str | None, pod: JsonObject | None) -> None:
        """A pod's work has ended: remember it, and label the pod or delete it as ``podGC`` says."""
        name = _whole(invocation)
        self._last[name] = phase
        if phase is not Phase.SUCCEEDED and host is not None:
            hosts = self._failed_hosts.setdefault(name, [])
            if host not in hosts:
                hosts.append(host)
        if metadata := object_of(pod or {}, "metadata"):
            self._pods.add(phase, metadata)

    @property
    def _succeeded(self) -> bool:
        return all(phase is Phase.SUCCEEDED for phase in self._last.values())

    async def close(self, phase: WorkflowPhase | None) -> None:
        """The run has ended in ``phase``: delete what its strategies say."""
        succeeded = self._succeeded if phase is None else phase is WorkflowPhase.SUCCEEDED
        await self._pods.close(succeeded=succeeded)
        if not self._made:
            return
        if object_of(self._context.spec, "podDisruptionBudget"):
            await self._delete(self._path("poddisruptionbudgets", self._context.name, group="apis/policy/v1"))
        strategy = text_of(object_of(self._context.spec, "volumeClaimGC"), "strategy") or _SUCCESS
        if strategy == _COMPLETION or succeeded:
            for claim in self.claims.values():
                await self._delete(self._path("persistentvolumeclaims", claim))

    async def _delete(self, path: str) -> None:
        try:
            await self._api.request("DELETE", path)
        except ExecutorError as error:
            if not (isinstance(error, ApiError) and error.status == 404):
                _log.warning("run %s: %s was not deleted: %s", self._context.name, path, error)


def _whole(invocation: Invocation) -> str:
    """The node's name without the number of the attempt."""
    return _ATTEMPT.sub("", invocation.node_name) if "retryStrategy" in invocation.body else invocation.node_name


def _reference(version: str, kind: str, metadata: JsonObject) -> JsonObject:
    return {"apiVersion": version, "kind": kind, "name": metadata.get("name"), "uid": metadata.get("uid"), "controller": True}
