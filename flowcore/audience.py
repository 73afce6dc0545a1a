"""Who is told of what happens in a run: subscribers of its changes, and observers of many runs. The runner tells them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from flowcore.nodes import Node, NodeId, RunRow
from flowcore.plan.plan import Plan
from flowcore.ports import Logged
from flowcore.secrecy import Mask

_log = logging.getLogger("flowcore")


@dataclass(frozen=True, slots=True)
class NodeChanged:
    """A node was made, or its row changed."""

    node: Node
    previous: Node | None


@dataclass(frozen=True, slots=True)
class RunChanged:
    """The row of the run changed."""

    run: RunRow


Change: TypeAlias = NodeChanged | RunChanged | Logged
Tell: TypeAlias = Callable[[Change], None]


class Observed(Protocol):
    """What observers may know of a run; every ``flowcore.Run`` is one."""

    @property
    def row(self) -> RunRow: ...
    @property
    def plan(self) -> Plan: ...


class Observer(Protocol):
    """Somebody who looks at many runs: metrics, tracing, logs. What he raises is told in the log, and the run goes on."""

    def watch(self, run: Observed) -> Tell:
        """A run begins or is driven on; what is returned is told of every change from now on, with sensitive values masked."""
        ...


class Audience:
    """All who are told of the changes of one run. Sensitive values are masked before anybody sees them."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._subscribers: list[MemoryObjectSendStream[Change]] = []
        self._tells: list[Tell] = []
        self._seen: dict[NodeId, Node] = {}
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._subscribers or self._tells)

    def admit(self, observers: Sequence[Observer], run: Observed, nodes: Iterable[Node]) -> None:
        """Have ``observers`` told from now on; ``nodes`` are known already."""
        if observers:
            self._seen = {node.id: self._mask.row(node) for node in nodes}
            self._tells = [observer.watch(run) for observer in observers]

    def subscribe(self) -> tuple[MemoryObjectSendStream[Change], MemoryObjectReceiveStream[Change]]:
        """A stream of all changes from now on, until the run has ended; give its first half back to ``dismiss``."""
        send, receive = anyio.create_memory_object_stream[Change](math.inf)
        if self._closed:
            send.close()
        else:
            self._subscribers.append(send)
        return send, receive

    def dismiss(self, send: MemoryObjectSendStream[Change]) -> None:
        """Tell a subscriber nothing more."""
        if send in self._subscribers:
            self._subscribers.remove(send)
        send.close()

    def close(self) -> None:
        """The run has ended, or is looked away from."""
        self._closed = True
        for send in self._subscribers:
            send.close()

    def publish(self, nodes: Sequence[Node], run: RunRow) -> None:
        """Tell of rows that changed."""
        mask = self._mask
        mask.learn_rows(run, nodes)
        for node in map(mask.row, nodes):
            self.tell(NodeChanged(node, self._seen.get(node.id)))
            self._seen[node.id] = node
        self.tell(RunChanged(mask.run(run)))

    def tell(self, change: Change) -> None:
        """Tell everybody of one change."""
        for tell in self._tells:
            try:
                tell(change)
            except Exception:  # noqa: BLE001 - whatever an observer raises is his, and told
                _log.exception("an observer of a run failed")
        for send in self._subscribers:
            try:
                send.send_nowait(change)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                continue


__all__ = ["Audience", "Change", "NodeChanged", "Observed", "Observer", "RunChanged", "Tell"]
