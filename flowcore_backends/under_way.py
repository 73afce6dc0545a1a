"""The pods that a backend runs at the moment, by their run and name: none runs twice, and orders find theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError

P = TypeVar("P")


class UnderWay(Generic[P]):
    """What runs, as the backend has it."""

    def __init__(self) -> None:
        self._pods: dict[tuple[str, str], P] = {}

    @contextmanager
    def known(self, invocation: Invocation, pod: P) -> Iterator[None]:
        """Let ``get`` find ``pod`` within the block. Raises ExecutorError if the invocation has one already."""
        key = (invocation.uid, invocation.pod_name)
        if key in self._pods:
            raise ExecutorError(f"{invocation.pod_name} is already running")
        self._pods[key] = pod
        try:
            yield
        finally:
            del self._pods[key]

    def get(self, invocation: Invocation) -> P | None:
        """What runs for ``invocation``, if anything does."""
        return self._pods.get((invocation.uid, invocation.pod_name))
