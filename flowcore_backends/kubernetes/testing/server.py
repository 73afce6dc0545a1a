"""The HTTP side of ``FakeKube``: requests in, Kubernetes' answers out. What it keeps is in ``store.py``, what pods do in ``lives.py``."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

from flowcore.jsontypes import Json, JsonObject, object_of, text_of
from flowcore_backends.kubernetes.testing.discovery import discovered, is_namespaced, kind_of, resource_of
from flowcore_backends.kubernetes.testing.execs import PROTOCOLS, serve_exec
from flowcore_backends.kubernetes.testing.lives import Life, PodTasks, ends
from flowcore_backends.kubernetes.testing.store import Event, Refused, Store, matching

_PATH = re.compile(r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?(?:/(?P<rest>.*))?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_RULE = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"


@dataclass(slots=True)
class Fault:
    """What goes wrong with requests whose ``METHOD /path?query`` matches ``where``, ``times`` times: a pause, an answer, or a broken connection."""

    where: str
    times: int = 1
    status: int = 0  # 0: no answer of its own
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0
    drop: bool = False
    after: bool = False  # carry the request out, and only then fail


class FakeKube:
    """The server. ``async with FakeKube() as kube`` gives one whose ``url`` goes into ``KubernetesExecutor(api_server=...)``.

    ``script(pattern, life)`` says what pods do whose name contains ``pattern``; others succeed at once. ``faults`` is a list to append to;
    ``forbidden`` holds ``verb resource`` pairs that are refused, as is all but ``granted`` (group, resource, verb) if that is given; what was is in
    ``refused``. ``quota`` is how many unfinished pods may be, ``namespaces`` those that there are,
    ``token`` what callers must know, ``exec_protocols`` how exec is spoken. While ``away``, nobody is answered. Watches come in pieces of ``piece`` bytes, cut anywhere.
    """

    def __init__(self, *, bookmark_every: float = 60.0, default: Life | None = None, piece: int = 1700) -> None:
        self.store = Store()
        self.faults: list[Fault] = []
        self.forbidden: set[str] = set()
        self.granted: set[tuple[str, str, str]] | None = None
        self.refused: list[str] = []
        self.namespaces: set[str] | None = None
        self.quota: int | None = None
        self.token = ""
        self.away = False
        self.exec_protocols = PROTOCOLS
        self.requests: list[str] = []
        self.open_watches = self.most_watches = 0
        self.url = ""
        self._bookmark_every, self._piece = bookmark_every, piece
        self._streams: dict[int, web.Request] = {}
        self.pods = PodTasks(self.store, default or ends())
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> FakeKube:
        app = web.Application(client_max_size=4 << 20)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pods.close()
        self.drop_connections()
        if self._runner is not None:
            await self._runner.cleanup()

    def script(self, pattern: str, life: Life) -> None:
        """Say what pods do whose name contains ``pattern``; the last that matches counts."""
        self.pods.scripts.insert(0, (pattern, life))

    def drop_connections(self) -> None:
        """Break all streams, as a crash of the API does."""
        for request in list(self._streams.values()):
            if request.transport is not None:
                request.transport.abort()

    def go_away(self) -> None:
        """Break all streams and answer nobody until ``away`` is false again."""
        self.away = True
        self.drop_connections()

    def restart(self) -> None:
        """Break all streams and forget what older versions were."""
        self.store.forget_history()
        self.drop_connections()

    def add(self, manifest: JsonObject, namespace: str = "default") -> JsonObject:
        """Put an object into the cluster, as somebody else would; what it has become."""
        resource = resource_of(text_of(manifest, "kind"))
        place = text_of(object_of(manifest, "metadata"), "namespace") or namespace
        return self.store.create(resource, place if is_namespaced(resource) else "", manifest)

    def objects(self, resource: str) -> list[JsonObject]:
        """All objects of a resource, by namespace and name."""
        return self.store.select(resource, None)

    # --- requests -------------------------------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        asked = f"{request.method} {request.path_qs}"
        if self.away and request.transport is not None:
            request.transport.abort()
            return web.Response()
        self.requests.append(asked)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response(Refused(401, "Unauthorized", "Unauthorized").body, status=401)
        fault = self._fault(asked)
        if fault is not None and not fault.after and (refusal := await self._fail(request, fault)) is not None:
            return refusal
        try:
            answer = await self._answer(request)
        except Refused as error:
            return web.json_response(error.body, status=error.code)
        if fault is not None and fault.after and (refusal := await self._fail(request, fault)) is not None:
            return refusal
        return answer

    def _fault(self, asked: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.where, asked):
                fault.times -= 1
                return fault
        return None

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        if fault.pause:
            await asyncio.sleep(fault.pause)
        if fault.drop and request.transport is not None:
            request.transport.abort()
        if fault.status:
            text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body or {})
            return web.Response(status=fault.status, text=text, headers=dict(fault.headers))
        return None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if (static := discovered(request.path)) is not None:
            return web.json_response(static)
        found = _PATH.fullmatch(request.path)
        resource, name, sub = [*(found["rest"] or "").split("/"), "", ""][:3] if found is not None else ("", "", "")
        if found is None or not resource:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        namespace = found["namespace"] or ""
        self._permit(request, found["group"] or "", resource, namespace, name, sub)
        if sub == "log":
            return await self._log(request, namespace, name)
        if sub == "exec":
            return await serve_exec(request, self.pods, namespace, name, self.exec_protocols)
        if request.method == "GET" and not name:
            return await self._watch(request, resource, namespace) if "watch" in request.query else self._list(request, resource, namespace)
        made, status = await self._change(request, resource, namespace, name)
        return web.json_response(made, status=status)

    def _permit(self, request: web.Request, group: str, resource: str, namespace: str, name: str, sub: str) -> None:
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete" if name else "deletecollection"}
        verb = verbs.get(request.method) or ("watch" if "watch" in request.query else "get" if name else "list")
        part = f"{resource}/{sub}" if sub else resource
        if f"{verb} {part}" in self.forbidden or (self.granted is not None and (group, part, verb) not in self.granted):
            self.refused.append(f"{verb} {part}")
            where = f'resource "{part}" in API group "{group}" in the namespace "{namespace}"'
            raise Refused(403, "Forbidden", f'{part} is forbidden: User "tester" cannot {verb} {where}', kind=resource)

    async def _change(self, request: web.Request, resource: str, namespace: str, name: str) -> tuple[JsonObject, int]:
        store, query = self.store, request.query
        if request.method == "GET":
            return store.get(resource, namespace, name), 200
        body = await _body(request)
        if request.method == "POST":
            made = self._checked(resource, namespace, cast("JsonObject", body))
            if manager := query.get("fieldManager"):
                made = _managed(made, manager)
            if query.get("dryRun") == "All":
                return made, 201
            return store.create(resource, namespace, made), 201
        if request.method == "PUT":
            return store.replace(resource, namespace, name, cast("JsonObject", body)), 200
        if request.method == "PATCH":
            form = request.content_type
            if "apply-patch" in form and (resource, namespace, name) not in store.objects:
                return store.create(resource, namespace, cast("JsonObject", body)), 201
            return store.patch(resource, namespace, name, body, form), 200
        options: JsonObject = body if isinstance(body, dict) else {**query}  # of a request with a body nothing else is read
        given = options.get("gracePeriodSeconds")
        grace = int(str(given)) if given is not None else None
        if not name:
            for one in store.select(resource, namespace, query.get("labelSelector", "")):
                store.delete(resource, namespace, text_of(object_of(one, "metadata"), "name"), grace=grace)
            return {"kind": "Status", "status": "Success"}, 200
        return store.delete(resource, namespace, name, grace=grace, uid=text_of(object_of(options, "preconditions"), "uid")), 200

    def _checked(self, resource: str, namespace: str, body: JsonObject) -> JsonObject:
        """A new object with Kubernetes' defaults. Raises Refused for what admission refuses."""
        if self.namespaces is not None and namespace not in self.namespaces:
            raise Refused(404, "NotFound", f'namespaces "{namespace}" not found', name=namespace, kind="namespaces")
        name = text_of(object_of(body, "metadata"), "name")
        if name and (len(name) > 253 or not _NAME.fullmatch(name)):
            kind = text_of(body, "kind")
            raise Refused(422, "Invalid", f'{kind} "{name}" is invalid: metadata.name: Invalid value: "{name}": {_NAME_RULE}', name=name)
        if resource != "pods":
            return body
        if self.quota is not None:
            used = sum(text_of(object_of(one, "status"), "phase") not in ("Succeeded", "Failed") for one in self.objects("pods"))
            if used >= self.quota:
                text = f"exceeded quota: q, requested: pods=1, used: pods={used}, limited: pods={self.quota}"
                raise Refused(403, "Forbidden", f'pods "{name}" is forbidden: {text}', name=name, kind="pods")
        spec: JsonObject = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", **object_of(body, "spec")}
        return {**body, "spec": spec, "status": {"phase": "Pending", "qosClass": "BestEffort"}}

    # --- lists and watches ----------------------------------------------------------------------------------------------------------

    def _list(self, request: web.Request, resource: str, namespace: str) -> web.Response:
        query = request.query
        found = self.store.select(resource, namespace or None, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        version, start = self.store.version, 0
        if token := query.get("continue"):
            text, _, place = token.partition("/")
            if int(text) < self.store.oldest:
                message = "The provided continue parameter is too old to display a consistent list result."
                raise Refused(410, "Expired", message)
            version, start = int(text), int(place)
        limit = int(query.get("limit", "0")) or len(found) or 1
        metadata: JsonObject = {"resourceVersion": str(version)}
        if start + limit < len(found):
            metadata["continue"] = f"{version}/{start + limit}"
        kind = kind_of(resource)
        items: list[Json] = [*found[start : start + limit]]
        return web.json_response({"kind": f"{kind}List", "apiVersion": "v1", "metadata": metadata, "items": items})

    async def _watch(self, request: web.Request, resource: str, namespace: str) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        self._streams[id(request)] = request
        self.open_watches += 1
        self.most_watches = max(self.most_watches, self.open_watches)
        waiter = asyncio.Event()
        self.store.waiters.add(waiter)
        try:
            await self._follow(request, answer, resource, namespace, waiter)
            await answer.write_eof()
        except (ConnectionError, RuntimeError):
            pass  # whoever watched is gone
        finally:
            self.open_watches -= 1
            self._streams.pop(id(request), None)
            self.store.waiters.discard(waiter)
        return answer

    async def _follow(self, request: web.Request, answer: web.StreamResponse, resource: str, namespace: str, waiter: asyncio.Event) -> None:
        query, loop = request.query, asyncio.get_running_loop()
        at = int(query.get("resourceVersion") or self.store.version)
        ends_at = loop.time() + float(query.get("timeoutSeconds", "1800"))
        bookmark_at = loop.time() + self._bookmark_every
        while loop.time() < ends_at:
            if at < self.store.oldest:
                text = f"too old resource version: {at} ({self.store.oldest})"
                await self._send(answer, [{"type": "ERROR", "object": Refused(410, "Expired", text).body}])
                return
            waiter.clear()
            selected = self._since(at, resource, namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
            at = max(at, self.store.version)
            await self._send(answer, selected)
            if loop.time() >= bookmark_at and "allowWatchBookmarks" in query:
                await self._send(answer, [{"type": "BOOKMARK", "object": _bookmark(resource, at)}])
                bookmark_at = loop.time() + self._bookmark_every
            if self.store.version > at:
                continue
            try:
                await asyncio.wait_for(waiter.wait(), max(0.0, min(ends_at, bookmark_at) - loop.time()))
            except TimeoutError:
                continue

    async def _send(self, answer: web.StreamResponse, events: list[JsonObject]) -> None:
        data = b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)
        for start in range(0, len(data), self._piece):
            await answer.write(data[start : start + self._piece])

    def _since(self, at: int, resource: str, namespace: str, labels: str, fields: str) -> list[JsonObject]:
        events: list[Event] = []
        for event in reversed(self.store.history):
            if event.version <= at:
                break
            if event.resource == resource and namespace in ("", event.namespace):
                events.append(event)
        told = [_told(event, labels, fields) for event in reversed(events)]
        return [one for one in told if one is not None]

    async def _log(self, request: web.Request, namespace: str, name: str) -> web.StreamResponse:
        pod = self.store.get("pods", namespace, name)
        answer = self.pods.log_of(pod, request.query.get("container", "main"))
        if answer is None:
            return web.Response(status=204)
        answer_stream = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer_stream.prepare(request)
        self._streams[id(request)] = request
        try:
            sent = 0
            limit = int(request.query.get("limitBytes", "0")) or None
            while True:
                data, ended = answer()
                await answer_stream.write(data[sent:limit])
                sent = len(data)
                if ended or request.query.get("follow") != "true":
                    break
                await asyncio.sleep(0.02)
            await answer_stream.write_eof()
        except (ConnectionError, RuntimeError):
            pass  # whoever read is gone
        finally:
            self._streams.pop(id(request), None)
        return answer_stream


def _managed(body: JsonObject, manager: str) -> JsonObject:
    """A new object with who made it, as API servers note it."""
    note: JsonObject = {"manager": manager, "operation": "Update", "apiVersion": body.get("apiVersion", "v1"), "fieldsType": "FieldsV1"}
    return {**body, "metadata": {**object_of(body, "metadata"), "managedFields": [note]}}


def _told(event: Event, labels: str, fields: str) -> JsonObject | None:
    """An event as a watch with these selectors tells it: what enters the selection is added, what leaves it is deleted."""
    inside = matching(event.object, labels, fields)
    was = event.before is not None and matching({"metadata": {"labels": {**event.before}}}, labels, "")
    if event.kind == "DELETED":
        return {"type": "DELETED", "object": event.object} if inside else None
    if inside:
        return {"type": "MODIFIED" if was else "ADDED", "object": event.object}
    return {"type": "DELETED", "object": event.object} if was else None


def _bookmark(resource: str, version: int) -> JsonObject:
    return {"kind": kind_of(resource), "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}}


async def _body(request: web.Request) -> Json:
    text = await request.text()
    try:
        return cast("Json", json.loads(text)) if text else None
    except ValueError as error:
        raise Refused(400, "BadRequest", f"the object provided is unrecognized: {error}") from error
