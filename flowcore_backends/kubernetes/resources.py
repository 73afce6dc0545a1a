"""``resource`` templates: one action on one object of any kind, the wait for its conditions, and outputs read from it. Made by the executor.

Rules are those of Argo's executor (its ``resource.go``), which calls kubectl; here the same requests are made directly.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from datetime import timedelta
from pathlib import Path

from flowcore.artifacts import staging
from flowcore.engine.messages import Invocation, Outcome, Started
from flowcore.errors import ArtifactError, ExecutorError, ExpressionError, InvalidWorkflow, TransientExecutorError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.language import gjson, kubectl_jsonpath
from flowcore.language.selectors import Requirement, parse_selector
from flowcore.nodes import Phase
from flowcore.ports import Reporter, RunContext
from flowcore.yaml import read
from flowcore_backends.kubernetes.api import APPLY, JSON, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, ApiError
from flowcore_backends.kubernetes.cluster import Cluster
from flowcore_backends.kubernetes.discovery import ResourceType
from flowcore_backends.kubernetes.kubectl_flags import Flags, read_flags

_PATCHES = {"": STRATEGIC_PATCH, "strategic": STRATEGIC_PATCH, "merge": MERGE_PATCH, "json": JSON_PATCH}
_ACTIONS = ("create", "apply", "patch", "replace", "delete", "get")
_NAMES_TRIED = _CONFLICTS = 5
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_GONE = "The resource has been deleted while its status was still being checked. Will not be retried"


class _Failed(Exception):
    """The action or the object failed: the node ends Failed with this message."""


class ResourceRun:
    """One run of one ``resource`` template."""

    def __init__(self, invocation: Invocation, context: RunContext, report: Reporter, cluster: Cluster) -> None:
        self._invocation, self._context, self._report, self._cluster = invocation, context, report, cluster
        self._resource = object_of(invocation.body, "resource")
        self._namespace = cluster.options.namespace or invocation.namespace
        self._stop = asyncio.Event()

    def stop(self, grace: timedelta) -> None:
        """Stop waiting; the object stays."""
        self._stop.set()

    async def run(self) -> Outcome:
        """Act, wait and read. Raises TransientExecutorError for an API that is away for too long."""
        self._report(Started(self._invocation.node))
        try:
            success, failure = self._conditions("successCondition", "success"), self._conditions("failureCondition", "fail")
            found, path = await self._act()
            if found is not None and (success or failure):
                found = await self._wait(path, success, failure)
                if found is None:
                    return Outcome(phase=Phase.FAILED)
            return Outcome(phase=Phase.SUCCEEDED, exit_code=0, parameters=self._outputs(found))
        except TransientExecutorError:
            raise
        except (_Failed, ExecutorError, ExpressionError, ArtifactError) as error:
            message = f"resource template {self._invocation.template_name}: {error}" if isinstance(error, ApiError) else str(error)
            return Outcome(phase=Phase.FAILED, message=message, exit_code=1)

    def _conditions(self, member: str, name: str) -> tuple[Requirement, ...]:
        text = text_of(self._resource, member)
        try:
            return parse_selector(text).requirements if text else ()
        except ExpressionError as error:
            raise _Failed(f"{name} condition '{text}' failed to parse: {error}") from error

    # --- the action -----------------------------------------------------------------------------------------------------------------

    async def _act(self) -> tuple[JsonObject | None, str]:
        """Carry the action out; the object that it leaves, if any, and its path."""
        action, flags = text_of(self._resource, "action"), read_flags(strings_of(self._resource, "flags"))
        if action not in _ACTIONS:
            raise _Failed(f"the action {action!r} is not known; it is one of {', '.join(_ACTIONS)}")
        manifest = await self._manifest()
        if manifest is None and not flags.type:
            raise _Failed("Must provide at least one of flags or manifest.")
        if "selector" in flags.given:
            await self._delete_selected(action, flags)
            return None, ""
        kind, namespace, name = await self._target(manifest, flags)
        path = kind.path(namespace, name)
        body = manifest if isinstance(manifest, dict) else {}
        match action:
            case "get":
                return await self._get(path), path
            case "delete":
                await self._delete(path, flags)
                return None, path
            case "patch":
                strategy = text_of(self._resource, "mergeStrategy")
                if strategy not in _PATCHES:
                    raise _Failed(f"the mergeStrategy {strategy!r} is not known; it is strategic, merge or json")
                patch = await self._owned(body) if isinstance(manifest, dict) else manifest
                return await self._change("PATCH", path, patch, flags, _PATCHES[strategy]), path
            case "create":
                made = await self._create(kind, namespace, await self._owned(body), flags)
                return made, kind.path(namespace, text_of(object_of(made, "metadata"), "name"))
            case "replace":
                return await self._replace(path, await self._owned(body), flags), path
        query = [("fieldManager", flags.given.get("manager", "flowcore")), ("force", "true"), *flags.query]
        return await self._cluster.api.request("PATCH", path, body=await self._owned(body), query=query, content_type=APPLY), path

    async def _create(self, kind: ResourceType, namespace: str, body: JsonObject, flags: Flags) -> JsonObject:
        """Make the object; one that this node has made already, unseen (the answer was lost, the process killed), is taken as made.

        It is told by the name under which changes of this node are recorded with the object (its field manager). A name that is to be generated
        is generated here, from the node's, so that it is the same each time.
        """
        manager, metadata = flags.given.get("manager") or self._mark, object_of(body, "metadata")
        generated = text_of(metadata, "generateName") if not text_of(metadata, "name") else ""
        for number in range(_NAMES_TRIED):
            named = {**body, "metadata": {**metadata, "name": f"{generated}{self._letters(number)}"}} if generated else body
            try:
                return await self._change("POST", kind.path(namespace), named, flags, JSON, manager)
            except ApiError as error:
                name = text_of(object_of(named, "metadata"), "name")
                if error.reason != "AlreadyExists":
                    raise
                if (known := await self._made_here(kind.path(namespace, name))) is not None:
                    return known
                if not generated or number + 1 == _NAMES_TRIED:
                    raise
        raise AssertionError  # the last attempt returns or raises

    @property
    def _mark(self) -> str:
        return f"flowcore-{self._digest('')[:20]}"

    def _letters(self, number: int) -> str:
        """What Kubernetes might append to ``generateName``."""
        return "".join(_LETTERS[byte % len(_LETTERS)] for byte in bytes.fromhex(self._digest(str(number)))[:5])

    def _digest(self, more: str) -> str:
        return hashlib.sha256(f"{self._invocation.uid}/{self._invocation.node}/{more}".encode()).hexdigest()

    async def _made_here(self, path: str) -> JsonObject | None:
        """The object at ``path``, if this very node has made it."""
        try:
            found = await self._cluster.api.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        managers = [text_of(one, "manager") for one in objects_of(object_of(found, "metadata"), "managedFields")]
        return found if self._mark in managers else None

    async def _replace(self, path: str, body: JsonObject, flags: Flags) -> JsonObject:
        """Replace the object as it is now, also when somebody changes it meanwhile, unless the manifest says which version it is about."""
        given = object_of(body, "metadata")
        for number in range(_CONFLICTS):
            current = await self._cluster.api.request("GET", path)
            metadata = {"resourceVersion": object_of(current, "metadata").get("resourceVersion"), **given}
            try:
                return await self._change("PUT", path, {**body, "metadata": metadata}, flags, JSON)
            except ApiError as error:
                if error.reason != "Conflict" or "resourceVersion" in given or number + 1 == _CONFLICTS:
                    raise
        raise AssertionError  # the last attempt returns or raises

    async def _change(self, method: str, path: str, body: Json, flags: Flags, content_type: str, manager: str = "flowcore") -> JsonObject:
        query = [("fieldManager", flags.given.get("manager", manager)), *flags.query]
        return await self._cluster.api.request(method, path, body=body, query=query, content_type=content_type)

    async def _get(self, path: str) -> JsonObject | None:
        try:
            return await self._cluster.api.request("GET", path)
        except ApiError as error:
            if error.status == 404 and "ignore" in read_flags(strings_of(self._resource, "flags")).given:
                return None
            raise

    async def _delete(self, path: str, flags: Flags) -> None:
        try:
            await self._cluster.api.request("DELETE", path, query=flags.deletion)
        except ApiError as error:
            if error.status != 404:
                raise

    async def _delete_selected(self, action: str, flags: Flags) -> None:
        """Delete all objects of a type that fulfil a label selector."""
        if action != "delete" or not flags.type or flags.name:
            raise _Failed("--selector is for delete, with a TYPE and no NAME: other actions are about one object")
        kind = await self._cluster.discovery.named(flags.type)
        path = kind.path(flags.namespace or self._namespace)
        query = [("labelSelector", flags.given["selector"]), *flags.deletion]
        await self._cluster.api.send("DELETE", path, query=query)

    async def _manifest(self) -> Json:
        """The manifest of the template, or of the artifact that it names; None if there is none."""
        text = text_of(self._resource, "manifest") or await self._from_artifact()
        try:
            documents = read(text)
        except InvalidWorkflow as error:
            raise _Failed(f"the manifest cannot be read: {error}") from error
        if len(documents) > 1:
            raise _Failed(f"the manifest holds {len(documents)} objects; a resource template acts on one")
        return documents[0].json if documents else None

    async def _from_artifact(self) -> str:
        name = text_of(object_of(object_of(self._resource, "manifestFrom"), "artifact"), "name")
        if not name:
            return ""
        declared = next((one for one in staging.input_artifacts(self._invocation) if one.name == name), None)
        if declared is None:
            raise _Failed(f"manifestFrom names the artifact {name!r}, which is no input of the template")
        with tempfile.TemporaryDirectory(prefix="flowcore-") as folder:
            place = Path(folder) / "manifest"
            if not await staging.place_input(declared, place, self._context):
                return ""
            return place.read_text("utf-8", "replace")

    async def _target(self, manifest: Json, flags: Flags) -> tuple[ResourceType, str, str]:
        """The resource, namespace and name of the object: as the manifest says, else as flags do."""
        discovery = self._cluster.discovery
        if isinstance(manifest, dict) and manifest.get("kind"):
            metadata = object_of(manifest, "metadata")
            kind = await discovery.of_kind(text_of(manifest, "apiVersion"), text_of(manifest, "kind"))
            name = text_of(metadata, "name") or flags.name
            if not name and not metadata.get("generateName"):
                raise _Failed("Kind and name are both required but at least one of them is missing from the manifest")
            return kind, flags.namespace or text_of(metadata, "namespace") or self._namespace, name
        if not flags.type:
            raise _Failed("Kind and name are both required but at least one of them is missing from the manifest")
        return await discovery.named(flags.type), flags.namespace or self._namespace, flags.name

    async def _owned(self, body: JsonObject) -> JsonObject:
        """The manifest, with the run as its owner where the template asks for that."""
        if not self._resource.get("setOwnerReference"):
            return body
        objects = self._cluster.run_objects(self._context)
        await objects.ensure()
        if objects.owner is None:
            raise _Failed("setOwnerReference needs an object that stands for the run; allow create and get on configmaps")
        metadata = object_of(body, "metadata")
        return {**body, "metadata": {**metadata, "ownerReferences": [*objects_of(metadata, "ownerReferences"), objects.owner]}}

    # --- conditions -----------------------------------------------------------------------------------------------------------------

    async def _wait(self, path: str, success: tuple[Requirement, ...], failure: tuple[Requirement, ...]) -> JsonObject | None:
        """Look at the object until a condition holds; None if the work was stopped before."""
        while not self._stop.is_set():
            try:
                found = await self._cluster.api.request("GET", path)
            except ApiError as error:
                if error.status == 404:
                    raise _Failed(f"{_GONE}: {error}") from error
                raise
            if fulfilled(found, success, failure):
                return found
            try:
                await asyncio.wait_for(self._stop.wait(), self._cluster.options.poll.total_seconds())
            except TimeoutError:
                continue
        return None

    # --- outputs --------------------------------------------------------------------------------------------------------------------

    def _outputs(self, found: JsonObject | None) -> dict[str, str]:
        """The declared parameters, read from the object; from no object they are their defaults, or empty."""
        outputs: dict[str, str] = {}
        for parameter in objects_of(object_of(self._invocation.body, "outputs"), "parameters"):
            name, source = text_of(parameter, "name"), object_of(parameter, "valueFrom")
            if not source:
                continue
            if found is None:
                outputs[name] = str(source.get("default") or "")
                continue
            try:
                if path := text_of(source, "jsonPath"):
                    outputs[name] = kubectl_jsonpath.evaluate(path, found)
                elif program := text_of(source, "jqFilter"):
                    outputs[name] = _filtered(program, found)
            except ExpressionError as error:
                if source.get("default") is None:
                    raise _Failed(f"output parameter {name!r}: {error}") from error
        return outputs


def _filtered(program: str, found: JsonObject) -> str:
    from flowcore.language import jq  # large, and rarely needed

    return jq.filter_text(program, json.dumps(found))


def fulfilled(found: JsonObject, success: tuple[Requirement, ...], failure: tuple[Requirement, ...]) -> bool:
    """Whether all of ``success`` hold for an object. Raises _Failed when any of ``failure`` does: it is looked at first."""
    text = json.dumps(found, ensure_ascii=False)
    for requirement in failure:
        if requirement.matches(_labels(text, requirement)):
            raise _Failed(f"failure condition '{requirement}' evaluated true")
    return all(requirement.matches(_labels(text, requirement)) for requirement in success)


def _labels(text: str, requirement: Requirement) -> dict[str, str]:
    """The one label that a requirement asks for: what its path finds, as text."""
    result = gjson.get(text, requirement.key)
    return {requirement.key: result.string} if result.exists else {}
