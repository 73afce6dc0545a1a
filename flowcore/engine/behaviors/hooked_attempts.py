"""What Argo makes of a hook that is retried itself, when the node that it belongs to is retried too.

Argo tells attempts by a flag, and such a hook bears it: it counts as the last attempt of the node. While it runs, the node's own template is
carried on in its name, so that steps or tasks appear beneath the hook; when it has ended, the node has. And a node that is found to have
ended while something beneath it has not is attempted once more, though nothing waits for that. Called by ``retry``.
"""

from __future__ import annotations

from collections.abc import Callable

from flowcore.engine.frames import Frame, RetryFrame
from flowcore.engine.turn import Turn
from flowcore.nodes import Node


def is_hook_of(row: Node, wrapper: Node) -> bool:
    """Whether an attempt of ``wrapper`` is a hook that counts as one."""
    return row.hooked and not row.name.startswith(f"{wrapper.name}(")


def carry_on(turn: Turn, frame: RetryFrame, hook: Node, begin: Callable[[], Node], go_on: Callable[[Frame, Node], Node]) -> None:
    """Carry the template of a retried node on in the name of its hook. The hook has a frame of its own, which is put aside meanwhile."""
    frames = turn.state.frames
    own = frames.pop(hook.id, None)
    try:
        if frame.in_its_name is None:
            begin()
        else:
            frames[hook.id] = frame.in_its_name
            go_on(frame.in_its_name, hook)
    finally:
        frame.in_its_name = frames.pop(hook.id, None)
        if own is not None and not turn.row(hook.id).phase.fulfilled:
            frames[hook.id] = own
