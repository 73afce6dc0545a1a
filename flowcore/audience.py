"""Who is told of what happens in a run: subscribers of its changes, and observers of many runs. The runner tells them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable
from weakref import WeakSet

import anyio
import anyio.lowlevel

from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, RunRow
from flowcore.plan.plan import Plan
from flowcore.ports import Logged
from flowcore.secrecy import Mask

_log = logging.getLogger("flowcore")
MOST_UNREAD = 10_000  # changes that a reader may be behind before what he missed is drawn together
MOST_TEXT = 4 << 20  # characters of output that are kept for him
_READ_AT_ONCE = 5000


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


@runtime_checkable
class ConditionObserver(Observer, Protocol):
    """An observer whose findings belong to the status of the run."""

    def found(self, run: RunRow) -> Sequence[JsonObject]:
        """Conditions (type, status, message) that have come up in a run since this was asked last."""
        ...


class Mailbox:
    """What one reader of a run has not read yet. Nobody waits for him, and he costs no more than the run itself.

    A reader who keeps up gets every change. For one who falls behind by more than ``most`` changes, those of one node are drawn together: he gets
    its latest row, with the row that he saw last as ``previous``. So he always learns how each node and the run ended. Of output he gets the newest.
    It is an asynchronous iterator; one that nobody holds any more gets nothing more. ``given`` is unread from the start.
    """

    def __init__(self, given: Iterable[Change] = (), *, most: int = MOST_UNREAD, text: int = MOST_TEXT) -> None:
        self._unread = deque(given)
        self._most, self._most_text = most, text
        self._room = max(most, 2 * len(self._unread))
        self._text = 0  # characters of output among them
        self._awake = anyio.Event()
        self._closed = False
        self._read = 0

    def __len__(self) -> int:
        return len(self._unread)

    def put(self, change: Change) -> None:
        """Keep a change until it is read."""
        if self._closed:
            return
        self._unread.append(change)
        if isinstance(change, Logged):
            self._text += len(change.text)
        if len(self._unread) > self._room or self._text > self._most_text:
            self._draw_together()
        self._awake.set()

    def close(self) -> None:
        """Nothing more will come; what is unread can still be read."""
        self._closed = True
        self._awake.set()

    async def aclose(self) -> None:
        """The reader goes away: what is unread is thrown away."""
        self.close()
        self._unread.clear()

    def __aiter__(self) -> Mailbox:
        return self

    async def __anext__(self) -> Change:
        self._read += 1
        if self._read % _READ_AT_ONCE == 0:  # often enough for others to have their turn, seldom enough to keep up with them
            await anyio.lowlevel.checkpoint()
        while not self._unread:
            if self._closed:
                raise StopAsyncIteration
            self._awake = anyio.Event()
            await self._awake.wait()
        change = self._unread.popleft()
        if isinstance(change, Logged):
            self._text -= len(change.text)
        return change

    def _draw_together(self) -> None:
        before: dict[NodeId, Node | None] = {}
        for change in self._unread:
            if isinstance(change, NodeChanged):
                before.setdefault(change.node.id, change.previous)
        kept: deque[Change] = deque()
        taken: set[NodeId | None] = set()
        lines = self._text = 0
        for change in reversed(self._unread):
            if isinstance(change, Logged):
                if lines >= self._most // 2 or self._text + len(change.text) > self._most_text // 2:
                    continue
                lines, self._text = lines + 1, self._text + len(change.text)
                kept.appendleft(change)
                continue
            key = change.node.id if isinstance(change, NodeChanged) else None
            if key not in taken:
                taken.add(key)
                kept.appendleft(NodeChanged(change.node, before[change.node.id]) if isinstance(change, NodeChanged) else change)
        self._unread = kept
        self._room = max(self._most, 2 * len(kept))  # so that drawing together costs little for each change


class Audience:
    """All who are told of the changes of one run. Sensitive values are masked before anybody sees them."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._mailboxes: WeakSet[Mailbox] = WeakSet()
        self._tells: list[Tell] = []
        self._seen: dict[NodeId, Node] = {}
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._mailboxes or self._tells)

    def admit(self, observers: Sequence[Observer], run: Observed, nodes: Iterable[Node]) -> None:
        """Have ``observers`` told from now on; ``nodes`` are known already."""
        if observers:
            self._seen = {node.id: self._mask.row(node) for node in nodes}
            self._tells = [observer.watch(run) for observer in observers]

    def subscribe(self, nodes: Iterable[Node], *, replay: bool) -> Mailbox:
        """All changes from now on, until the run has ended, for as long as somebody holds the box. ``nodes`` are the rows as they stand, which
        come first with ``replay``.
        """
        if not self:  # nobody was told of them
            self._seen = {node.id: self._mask.row(node) for node in nodes}
        standing = sorted(self._seen.values(), key=lambda node: node.seq) if replay else ()
        box = Mailbox(NodeChanged(node, None) for node in standing)
        if self._closed:
            box.close()
        else:
            self._mailboxes.add(box)
        return box

    def close(self) -> None:
        """The run has ended, or is looked away from."""
        self._closed = True
        for box in self._mailboxes:
            box.close()

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
        for box in self._mailboxes:
            box.put(change)


__all__ = ["Audience", "Change", "ConditionObserver", "Mailbox", "NodeChanged", "Observed", "Observer", "RunChanged", "Tell"]
