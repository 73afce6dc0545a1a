"""One list and watch for all pods of a process in a namespace. Level-triggered: who follows a pod sees its latest object, not each event.

``Followed`` is what is known of one pod, for the ``PodRun`` that waits for it; ``PodWatch`` keeps all of them up to date.
"""

from __future__ import annotations

import asyncio
import re

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore_backends.kubernetes.api import Api, ApiError, pods_path
from flowcore_backends.kubernetes.list_watch import ListWatch

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


class PodWatch(ListWatch):
    """Follows pods by name; ``run`` does the work, in a task of its own, for as long as anything is followed."""

    def __init__(self, api: Api, namespace: str, selector: str, *, seconds: int = 280, pause: float = 0.2) -> None:
        super().__init__(api, pods_path(namespace), selector, seconds=seconds, pause=pause)
        self._followed: dict[str, Followed] = {}
        self._missing: set[str] = set()  # of those that were there when the list that is under way began, what it has not shown so far

    def follow(self, name: str) -> Followed:
        """Begin to follow a pod. Raises ExecutorError if it is followed already."""
        if name in self._followed:
            raise ExecutorError(f"the pod {name} is already waited for")
        found = self._followed[name] = Followed(name)
        return found

    def forget(self, name: str) -> None:
        """No longer follow it."""
        self._followed.pop(name, None)

    # --- what is made of lists and watches ------------------------------------------------------------------------------------------

    def listing(self) -> None:
        """A list begins; only pods that were there before can be missing in it."""
        self._missing = {name for name, each in self._followed.items() if each.created}

    def show(self, found: JsonObject, *, gone: bool = False) -> None:
        """Show whoever follows a pod its latest object."""
        name = text_of(object_of(found, "metadata"), "name")
        self._missing.discard(name)
        if (each := self._followed.get(name)) is not None:
            each.show(found, gone=gone)

    def listed(self) -> None:
        """What is not in the list is gone."""
        for name in self._missing:
            if (each := self._followed.get(name)) is not None:
                each.lose()
        self._missing = set()

    def impossible(self, error: Exception) -> bool:
        """Tell all who wait if there is no use in trying again."""
        if isinstance(error, ApiError) and error.status in _NEVER and not error.passes:
            for each in self._followed.values():
                each.fail(error)
            return True
        return False

    def is_of_no_interest(self, line: bytes) -> bool:
        """An event of a pod that nobody waits for any more is not worth reading."""
        known = _PLAIN.match(line)
        if known is None or known["name"].decode() in self._followed:
            return False
        self._version = known["version"].decode()
        return True
