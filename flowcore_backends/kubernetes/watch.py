"""One list and watch for all pods of a process in a namespace. Level-triggered: who follows a pod sees its latest object, not each event.

List, watch from the list's resourceVersion, go on from the last version that an event or bookmark told, and list again when that version is
too old (410, normal after a restart of the API) or when the watch is broken. A list also tells what is gone, so no lost event loses a pod.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import AsyncIterator

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore_backends.kubernetes.api import Api, ApiError, pods_path, query_of
from flowcore_backends.kubernetes.connection import read

_log = logging.getLogger("flowcore.kubernetes")

_PAGE = 500
_LONGEST_LINE = 32 << 20
_LONGEST_PAUSE = 10.0
_EXPIRED = 410
# The beginning of an event as API servers write it; metadata begins with the name, and the version stands in it before anything nested.
_PLAIN = re.compile(
    rb'\{"type":"(?:ADDED|MODIFIED|DELETED)","object":\{(?:"kind":"Pod","apiVersion":"v1"|"apiVersion":"v1","kind":"Pod"),"metadata":\{"name":"(?P<name>[a-z0-9.-]+)",'
    rb'(?:"[A-Za-z]+":(?:"[^"\\]*"|\d+),){0,6}?"resourceVersion":"(?P<version>\d+)"'
)
_NEVER = frozenset({401, 403, 404})


class Followed:
    """What is known of one pod. ``gone`` says that it was there and is no more; ``pod`` is then its last object."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pod: JsonObject | None = None
        self.gone = False
        self.error: Exception | None = None
        self.created = False  # it is known to exist: a list without it means that it is gone
        self._changed = asyncio.Event()
        self._changes = 0

    def show(self, pod: JsonObject, *, gone: bool = False) -> None:
        """Take the latest object."""
        metadata, known = object_of(pod, "metadata"), object_of(self.pod or {}, "metadata")
        if gone and known and metadata.get("uid") != known.get("uid"):
            return  # an earlier pod of this name
        self.pod, self.gone, self.created = pod, gone, True
        self.poke()

    def expect(self) -> None:
        """It is known to exist, though nothing was seen of it yet."""
        self.created = True

    def lose(self) -> None:
        """It is not there any more."""
        self.gone = True
        self.poke()

    def fail(self, error: Exception) -> None:
        """It cannot be watched."""
        self.error = error
        self.poke()

    def poke(self) -> None:
        """Wake whoever waits for a change."""
        self._changes += 1
        self._changed.set()

    async def change(self, seconds: float | None = None) -> bool:
        """Wait until something changed since the last call, at most so long. Raises what made watching impossible."""
        if not self._changed.is_set() and not await self._woken(seconds):
            return False
        self._changed.clear()
        if self.error is not None:
            raise self.error
        return True

    async def _woken(self, seconds: float | None) -> bool:
        """Wait for a change; ``asyncio.wait_for`` would make a task each time."""
        if seconds is None:
            return await self._changed.wait()
        before = self._changes
        timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
        if self._changes == before:
            self._changed.clear()
            return False
        return True


class PodWatch:
    """Follows pods by name; ``run`` does the work, in a task of its own, for as long as anything is followed."""

    def __init__(self, api: Api, namespace: str, selector: str, *, seconds: int = 280, pause: float = 0.2) -> None:
        self._api, self._namespace, self._selector = api, namespace, selector
        self._seconds, self._pause = seconds, pause
        self._followed: dict[str, Followed] = {}
        self._version = ""
        self.lists = self.watches = 0  # how often, for tests and for the log

    def follow(self, name: str) -> Followed:
        """Begin to follow a pod. Raises ExecutorError if it is followed already."""
        if name in self._followed:
            raise ExecutorError(f"the pod {name} is already waited for")
        found = self._followed[name] = Followed(name)
        return found

    def forget(self, name: str) -> None:
        """No longer follow it."""
        self._followed.pop(name, None)

    async def run(self) -> None:
        """List and watch until cancelled."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                failures = 0 if await self._watch() else failures + 1
            except Exception as error:  # noqa: BLE001 - whatever it was: the next list puts it right
                failures += 1
                if self._impossible(error):
                    return
            if failures:
                await asyncio.sleep(min(_LONGEST_PAUSE, self._pause * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0))

    def _impossible(self, error: Exception) -> bool:
        """Tell all who wait if there is no use in trying again."""
        if isinstance(error, ApiError) and error.status in _NEVER and not error.passes:
            for each in self._followed.values():
                each.fail(error)
            return True
        if isinstance(error, ApiError) and error.status == _EXPIRED:
            self._version = ""
        _log.info("the watch of pods in %s is begun again: %s", self._namespace, error or type(error).__name__)
        return False

    async def _list(self) -> None:
        known = {name for name, each in self._followed.items() if each.created}
        found: set[str] = set()
        version, further = "", ""
        while True:
            self.lists += 1
            query = query_of(labelSelector=self._selector, limit=_PAGE, **{"continue": further or None})
            page = await self._api.request("GET", pods_path(self._namespace), query=query)
            for pod in objects_of(page, "items"):
                name = text_of(object_of(pod, "metadata"), "name")
                found.add(name)
                if (each := self._followed.get(name)) is not None:
                    each.show(pod)
            version = text_of(object_of(page, "metadata"), "resourceVersion")
            further = text_of(object_of(page, "metadata"), "continue")
            if not further:
                break
        for name in known - found:
            if (each := self._followed.get(name)) is not None:
                each.lose()
        self._version = version

    async def _watch(self) -> bool:
        """One watch to its end; whether it was of use."""
        self.watches += 1
        query = query_of(
            watch=True,
            allowWatchBookmarks=True,
            resourceVersion=self._version,
            labelSelector=self._selector,
            timeoutSeconds=int(self._seconds * random.uniform(0.8, 1.0)) or 1,
        )
        began, useful = asyncio.get_running_loop().time(), False
        async with self._api.stream(pods_path(self._namespace), query=query, read_seconds=self._seconds + 30) as response:
            async for line in lines(response.content.iter_any()):
                self._take(line)
                useful = True
        return useful or asyncio.get_running_loop().time() - began > 1

    def _take(self, line: bytes) -> None:
        known = _PLAIN.match(line)
        if known is not None and known["name"].decode() not in self._followed:
            self._version = known["version"].decode()  # of a pod that nobody waits for any more: not worth reading
            return
        event = read(line)
        if not isinstance(event, dict):
            raise TypeError("a line of a watch is no object")
        kind, pod = event.get("type"), object_of(event, "object")
        if kind == "ERROR":
            code = pod.get("code")
            raise ApiError(code if isinstance(code, int) else 500, pod)
        metadata = object_of(pod, "metadata")
        self._version = text_of(metadata, "resourceVersion") or self._version
        each = self._followed.get(text_of(metadata, "name")) if kind != "BOOKMARK" else None
        if each is not None:
            each.show(pod, gone=kind == "DELETED")


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The whole lines of a body that comes in pieces cut anywhere. Raises ValueError for a line without end."""
    begun = bytearray()
    async for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            begun += line
            if begun.strip():
                yield bytes(begun)
            begun.clear()
        begun += rest
        if len(begun) > _LONGEST_LINE:
            raise ValueError(f"a line of a watch is longer than {_LONGEST_LINE} bytes")
