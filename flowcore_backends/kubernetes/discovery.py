"""Where objects of a kind are: discovery of resources by ``apiVersion`` and ``kind``, or by the names that kubectl takes. Kept for the connection."""

from __future__ import annotations

from dataclasses import dataclass

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, objects_of, strings_of, text_of
from flowcore_backends.kubernetes.api import Api, ApiError


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One resource: ``jobs`` of ``batch/v1``."""

    version: str  # with the group
    name: str
    kind: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        """The path of all its objects in a namespace, or of one."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}{place}/{self.name}" + (f"/{name}" if name else "")


class Discovery:
    """Asks the API for its resources, each group once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[str, list[JsonObject]] = {}

    async def of_kind(self, version: str, kind: str) -> ResourceType:
        """The resource of objects with this ``apiVersion`` and ``kind``. Raises ExecutorError if the cluster has none."""
        for one in await self._resources(version):
            if one.get("kind") == kind:
                return _type(version, one)
        raise ExecutorError(
            f'no matches for kind "{kind}" in version "{version}": the cluster has no such resource; is its definition installed?'
        )

    async def named(self, name: str) -> ResourceType:
        """The resource that kubectl would take for ``pods``, ``po``, ``deployments.apps``, ``deployments.v1.apps``. Raises ExecutorError for none."""
        wanted, _, group = name.lower().partition(".")
        for version in await self._versions(group):
            for one in await self._resources(version):
                names = (text_of(one, "name"), text_of(one, "singularName"), text_of(one, "kind").lower(), *strings_of(one, "shortNames"))
                if wanted in names:
                    return _type(version, one)
        raise ExecutorError(f'the server doesn\'t have a resource type "{name}"')

    async def _versions(self, group: str) -> list[str]:
        groups = objects_of(await self._api.request("GET", "/apis"), "groups")
        preferred = [found for one in groups if isinstance(found := one.get("preferredVersion"), dict)]
        versions = ["v1", *(text_of(one, "groupVersion") for one in preferred)]
        if found := [version for version in versions if not group or version.partition("/")[0] == group]:
            return found
        version, _, group = group.partition(".")
        return [f"{group}/{version}" if group else version]

    async def _resources(self, version: str) -> list[JsonObject]:
        if version not in self._known:
            try:
                found = await self._api.request("GET", f"/apis/{version}" if "/" in version else f"/api/{version}")
            except ApiError as error:
                if error.status == 404:
                    return []
                raise
            self._known[version] = [one for one in objects_of(found, "resources") if "/" not in text_of(one, "name")]
        return self._known[version]


def _type(version: str, one: JsonObject) -> ResourceType:
    return ResourceType(version, text_of(one, "name"), text_of(one, "kind"), bool(one.get("namespaced")))
