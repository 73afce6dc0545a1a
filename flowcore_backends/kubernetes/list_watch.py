"""A list and watch of objects that never loses one: what ``PodWatch`` and ``ObjectWatch`` have in common.

List, watch from the list's resourceVersion, go on from the last version that an event or bookmark told, and list again when that version is
too old (410, normal after a restart of the API) or when the watch is broken. A list also tells what is gone, so no lost event loses an object.
"""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore_backends.kubernetes.api import Api, ApiError, query_of
from flowcore_backends.kubernetes.connection import read

_log = logging.getLogger("flowcore.kubernetes")

_PAGE = 500
_LONGEST_LINE = 32 << 20
_LONGEST_PAUSE = 10.0
_EXPIRED = 410


class ListWatch(ABC):
    """Tells of the objects at ``path`` that fulfil a label selector; ``run`` does the work, in a task of its own."""

    def __init__(self, api: Api, path: str, selector: str, *, seconds: int = 280, pause: float = 0.2) -> None:
        self._api, self._path, self._selector = api, path, selector
        self._seconds, self._pause = seconds, pause
        self._version = ""
        self.lists = self.watches = 0  # how often, for tests and for the log

    async def run(self) -> None:
        """List and watch until cancelled, or until that is impossible."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                failures = 0 if await self._watch() else failures + 1
            except Exception as error:  # noqa: BLE001 - whatever it was: the next list puts it right
                failures += 1
                if isinstance(error, ApiError) and error.status == _EXPIRED:
                    self._version = ""
                if self.impossible(error):
                    return
                _log.info("the watch of %s is begun again: %s", self._path, error or type(error).__name__)
            if failures:
                await asyncio.sleep(min(_LONGEST_PAUSE, self._pause * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0))

    # --- what is made of it ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def listing(self) -> None:
        """A list begins; what is not shown before it has been ``listed`` is gone."""

    @abstractmethod
    def show(self, found: JsonObject, *, gone: bool = False) -> None:
        """The latest state of an object."""

    @abstractmethod
    def listed(self) -> None:
        """The list is complete."""

    def impossible(self, error: Exception) -> bool:
        """Whether there is no use in trying again after this error; whoever waits is then told."""
        return False

    def is_of_no_interest(self, line: bytes) -> bool:
        """Whether a line of a watch need not be read; its version is noted then."""
        return False

    # --- how it is had --------------------------------------------------------------------------------------------------------------

    async def _list(self) -> None:
        self.listing()
        further = ""
        while True:
            self.lists += 1
            query = query_of(labelSelector=self._selector or None, limit=_PAGE, **{"continue": further or None})
            page = await self._api.request("GET", self._path, query=query)
            for found in objects_of(page, "items"):
                self.show(found)
            further = text_of(object_of(page, "metadata"), "continue")
            if not further:
                break
        self.listed()
        self._version = text_of(object_of(page, "metadata"), "resourceVersion")

    async def _watch(self) -> bool:
        """One watch to its end; whether it was of use."""
        self.watches += 1
        query = query_of(
            watch=True,
            allowWatchBookmarks=True,
            resourceVersion=self._version,
            labelSelector=self._selector or None,
            timeoutSeconds=int(self._seconds * random.uniform(0.8, 1.0)) or 1,
        )
        began, useful = asyncio.get_running_loop().time(), False
        async with self._api.stream(self._path, query=query, read_seconds=self._seconds + 30) as response:
            async for line in lines(response.content.iter_any()):
                if not self.is_of_no_interest(line):
                    self._take(line)
                useful = True
        return useful or asyncio.get_running_loop().time() - began > 1

    def _take(self, line: bytes) -> None:
        event = read(line)
        if not isinstance(event, dict):
            raise TypeError("a line of a watch is no object")
        kind, found = event.get("type"), object_of(event, "object")
        if kind == "ERROR":
            code = found.get("code")
            raise ApiError(code if isinstance(code, int) else 500, found)
        self._version = text_of(object_of(found, "metadata"), "resourceVersion") or self._version
        if kind != "BOOKMARK":
            self.show(found, gone=kind == "DELETED")


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


__all__ = ["ListWatch", "lines"]
