"""The objects of a ``FakeKube``: one growing resourceVersion, a history for watches, and Kubernetes' rules for changes. No network here."""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.language.selectors import matches
from flowcore.plan.strategic import strategic_patch

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Refused(Exception):
    """An answer other than success: the HTTP status and the body."""

    def __init__(self, code: int, reason: str, message: str, **details: Json) -> None:
        self.code = code
        self.body: JsonObject = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details,
            "code": code,
        }
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Event:
    """One change, as watches tell it; ``before`` is the object's labels before, for selectors that it left."""

    version: int
    kind: str
    resource: str
    namespace: str
    object: JsonObject
    before: Mapping[str, str] | None = None


@dataclass(slots=True)
class Store:
    """All objects by resource, namespace and name. Watches wait for ``grown``."""

    objects: dict[tuple[str, str, str], JsonObject] = field(default_factory=dict)
    history: deque[Event] = field(default_factory=deque)
    version: int = 1000
    oldest: int = 1000  # watches from before cannot be served
    keep: int = 100_000
    waiters: set[asyncio.Event] = field(default_factory=set)
    uids: set[tuple[str, str]] = field(default_factory=set)  # with the namespace
    on_change: list[Callable[[Event], None]] = field(default_factory=list)
    _names: int = 0

    # --- reading --------------------------------------------------------------------------------------------------------------------

    def get(self, resource: str, namespace: str, name: str) -> JsonObject:
        """The object. Raises Refused (404)."""
        found = self.objects.get((resource, namespace, name))
        if found is None:
            raise Refused(404, "NotFound", f'{resource} "{name}" not found', name=name, kind=resource)
        return found

    def select(self, resource: str, namespace: str | None, labels: str = "", fields: str = "") -> list[JsonObject]:
        """The objects that fulfil both selectors, by name."""
        found = [
            one
            for (kind, place, _), one in sorted(self.objects.items())
            if kind == resource and namespace in (None, place) and matching(one, labels, fields)
        ]
        return found

    # --- changing -------------------------------------------------------------------------------------------------------------------

    def create(self, resource: str, namespace: str, body: JsonObject) -> JsonObject:
        """Keep a new object. Raises Refused (409) for a name that is taken."""
        made = copy.deepcopy(body)
        metadata = object_of(made, "metadata")
        name = text_of(metadata, "name")
        if not name:
            self._names += 1
            number = self._names * 7919
            name = text_of(metadata, "generateName") + "".join(_LETTERS[(number // 26**place) % 26] for place in range(5))
        if (known := self.objects.get((resource, namespace, name))) is not None:
            going = "object is being deleted: " if "deletionTimestamp" in object_of(known, "metadata") else ""
            raise Refused(409, "AlreadyExists", f'{going}{resource} "{name}" already exists', name=name, kind=resource)
        made["metadata"] = {
            **metadata,
            "name": name,
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now_text(),
        }
        self._put("ADDED", resource, namespace, name, made)
        if not self._owned(made, namespace):
            self._remove(resource, namespace, name)
        return made

    def replace(self, resource: str, namespace: str, name: str, body: JsonObject) -> JsonObject:
        """Keep ``body`` in the object's place. Raises Refused (404, 409)."""
        known = self.get(resource, namespace, name)
        given = object_of(body, "metadata")
        if (wanted := text_of(given, "resourceVersion")) and wanted != object_of(known, "metadata")["resourceVersion"]:
            text = "the object has been modified; please apply your changes to the latest version and try again"
            raise Refused(409, "Conflict", f'Operation cannot be fulfilled on {resource} "{name}": {text}', name=name, kind=resource)
        fixed = {key: value for key, value in object_of(known, "metadata").items() if key in _FIXED}
        made = {**copy.deepcopy(body), "metadata": {**given, **fixed}}
        if {**made, "metadata": None} == {**known, "metadata": None} and made["metadata"] == {**object_of(known, "metadata")}:
            return known  # nothing changed: no version, no event
        if "deletionTimestamp" in fixed and not strings_of(object_of(made, "metadata"), "finalizers") and resource != "pods":
            self._put("MODIFIED", resource, namespace, name, made)
            self._remove(resource, namespace, name)
            return made
        self._put("MODIFIED", resource, namespace, name, made)
        return made

    def patch(self, resource: str, namespace: str, name: str, patch: Json, form: str) -> JsonObject:
        """Apply a patch of a content type. Raises Refused."""
        known = self.get(resource, namespace, name)
        if "json-patch" in form:
            made = _json_patched(known, patch)
        elif not isinstance(patch, dict):
            raise Refused(400, "BadRequest", "the patch is no object")
        elif "strategic" in form:
            made = {
                **known,
                **strategic_patch({k: v for k, v in known.items() if k != "spec"}, {k: v for k, v in patch.items() if k != "spec"}),
            }
            if "spec" in patch or "spec" in known:
                made["spec"] = strategic_patch(object_of(known, "spec"), object_of(patch, "spec"))
        else:
            made = merged(known, patch)
        return self.replace(resource, namespace, name, {**made, "metadata": _kept_version(made, patch)})

    def set_status(self, namespace: str, name: str, status: JsonObject, **spec: Json) -> JsonObject | None:
        """A pod's new status, as the kubelet writes it; None if the pod is gone."""
        known = self.objects.get(("pods", namespace, name))
        if known is None:
            return None
        made = {**known, "status": status, "spec": {**object_of(known, "spec"), **spec}}
        self._put("MODIFIED", "pods", namespace, name, made)
        return made

    def delete(self, resource: str, namespace: str, name: str, *, grace: int | None = None, uid: str = "") -> JsonObject:
        """Begin to delete: pods that run stay until their grace is over, objects with finalizers until these are gone. Raises Refused."""
        known = self.get(resource, namespace, name)
        metadata = object_of(known, "metadata")
        if uid and uid != metadata["uid"]:
            text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
            raise Refused(409, "Conflict", f'Operation cannot be fulfilled on {resource} "{name}": {text}', name=name, kind=resource)
        seconds = self._grace(resource, known, grace)
        held = bool(strings_of(metadata, "finalizers"))
        if "deletionTimestamp" in metadata and seconds > 0:
            return known
        if seconds <= 0 and not held:
            self._remove(resource, namespace, name)
            return known
        marked: JsonObject = {"deletionTimestamp": now_text(seconds), "deletionGracePeriodSeconds": seconds}
        made = {**known, "metadata": {**metadata, **marked}}
        self._put("MODIFIED", resource, namespace, name, made)
        return made

    def finish(self, namespace: str, name: str, uid: str) -> None:
        """The kubelet has ended a deleted pod: it goes, unless a finalizer holds it."""
        known = self.objects.get(("pods", namespace, name))
        if known is not None and object_of(known, "metadata")["uid"] == uid and not strings_of(object_of(known, "metadata"), "finalizers"):
            self._remove("pods", namespace, name)

    def forget_history(self) -> None:
        """What a restart of the API does to its watch cache: every older version is too old."""
        self.version += 1
        self.oldest = self.version
        self.history.clear()
        self._wake()

    # --- inside ---------------------------------------------------------------------------------------------------------------------

    def _grace(self, resource: str, known: JsonObject, grace: int | None) -> int:
        if resource != "pods":
            return 0
        unbound = not text_of(object_of(known, "spec"), "nodeName")
        if unbound or text_of(object_of(known, "status"), "phase") in ("Succeeded", "Failed"):
            return 0
        if grace is not None:
            return grace
        given = object_of(known, "spec").get("terminationGracePeriodSeconds")
        return given if isinstance(given, int) else 30

    def _owned(self, made: JsonObject, namespace: str) -> bool:
        """Whether the owners of an object exist: the garbage collector removes what has an owner that does not."""
        owners = objects_of(object_of(made, "metadata"), "ownerReferences")
        return not owners or any((namespace, text_of(owner, "uid")) in self.uids for owner in owners)

    def _put(self, kind: str, resource: str, namespace: str, name: str, made: JsonObject) -> None:
        before = self.objects.get((resource, namespace, name))
        self.version += 1
        metadata = {**object_of(made, "metadata"), "resourceVersion": str(self.version)}
        made["metadata"] = {**{key: metadata[key] for key in _FIRST if key in metadata}, **metadata}
        self.objects[(resource, namespace, name)] = made
        self.uids.add((namespace, text_of(object_of(made, "metadata"), "uid")))
        self._tell(Event(self.version, kind, resource, namespace, made, _labels(before) if before is not None else None))

    def _remove(self, resource: str, namespace: str, name: str) -> None:
        gone = self.objects.pop((resource, namespace, name))
        self.version += 1
        last = {**gone, "metadata": {**object_of(gone, "metadata"), "resourceVersion": str(self.version)}}
        self._tell(Event(self.version, "DELETED", resource, namespace, last, _labels(gone)))
        uid = object_of(gone, "metadata")["uid"]
        self.uids.discard((namespace, str(uid)))
        for (kind, place, other), one in list(self.objects.items()):
            owners = objects_of(object_of(one, "metadata"), "ownerReferences")
            if place == namespace and owners and all(owner.get("uid") == uid for owner in owners) and (kind, place, other) in self.objects:
                self.delete(kind, place, other)

    def _tell(self, event: Event) -> None:
        self.history.append(event)
        while len(self.history) > self.keep:
            self.oldest = self.history.popleft().version
        for listener in self.on_change:
            listener(event)
        self._wake()

    def _wake(self) -> None:
        for waiter in self.waiters:
            waiter.set()


_FIRST = ("name", "generateName", "namespace", "uid", "resourceVersion", "creationTimestamp")  # as API servers write them
_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion")


def now_text(seconds: int = 0) -> str:
    """The time in so many seconds, as Kubernetes writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def matching(one: JsonObject, labels: str, fields: str) -> bool:
    """Whether an object fulfils a label selector and a field selector. Raises Refused (400) for fields that cannot be asked for."""
    return fields_match(one, fields) and (not labels or matches(labels, _labels(one)))


def fields_match(one: JsonObject, fields: str) -> bool:
    """Whether an object fulfils a field selector."""
    for part in filter(None, fields.split(",")):
        key, _, value = part.replace("==", "=").partition("=")
        if key not in ("metadata.name", "metadata.namespace", "status.phase", "spec.nodeName"):
            raise Refused(400, "BadRequest", f'Unable to find "{part}" that match label selector: field label not supported: {key}')
        where, _, name = key.partition(".")
        if text_of(object_of(one, where), name) != value:
            return False
    return True


def _labels(one: JsonObject) -> dict[str, str]:
    return {key: str(value) for key, value in object_of(object_of(one, "metadata"), "labels").items()}


def merged(target: JsonObject, patch: JsonObject) -> JsonObject:
    """A JSON merge patch (RFC 7386) applied."""
    made = dict(target)
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            below = made.get(key)
            made[key] = merged(below if isinstance(below, dict) else {}, value)
        else:
            made[key] = value
    return made


def _kept_version(made: JsonObject, patch: Json) -> JsonObject:
    """The metadata after a patch: its resourceVersion is a condition only if the patch names one."""
    metadata = dict(object_of(made, "metadata"))
    named = object_of(patch, "metadata") if isinstance(patch, dict) else {}
    if "resourceVersion" not in named:
        metadata.pop("resourceVersion", None)
    return metadata


def _json_patched(known: JsonObject, patch: Json) -> JsonObject:
    made = copy.deepcopy(known)
    for step in patch if isinstance(patch, list) else []:
        assert isinstance(step, dict)
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in text_of(step, "path").split("/")[1:]]
        place: Json = made
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part] if isinstance(place, dict) else None
        if text_of(step, "op") == "test":
            if not isinstance(place, dict) or place.get(last) != step.get("value"):
                raise Refused(422, "Invalid", "the server rejected our request due to an error in our request")
        elif text_of(step, "op") == "remove" and isinstance(place, dict):
            place.pop(last, None)
        elif isinstance(place, dict):
            place[last] = step.get("value")
        elif isinstance(place, list):
            place.insert(len(place) if last == "-" else int(last), step.get("value"))
    return made
