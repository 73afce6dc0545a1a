"""Daemons: leaves that are fulfilled once they are up, and end with the node around them."""

from __future__ import annotations

from dataclasses import replace

from flowcore.engine import times
from flowcore.engine.frames import LeafFrame
from flowcore.engine.turn import Turn
from flowcore.nodes import NodeId, Phase


def end_beneath(turn: Turn, boundary: NodeId | None) -> None:
    """End the daemons directly beneath a node that is fulfilled (None: all that are left)."""
    for id_ in list(turn.state.daemons):
        row = turn.row(id_)
        if boundary is not None and row.boundary != boundary:
            continue
        times.stop(turn, row)
        frame = turn.state.frames.pop(id_, None)
        if isinstance(frame, LeafFrame) and frame.processed.entry.kind != "container":
            turn.state.late.add(id_)  # Argo waits for what scripts report, and so sees how they ended
        turn.put(replace(row, phase=Phase.SUCCEEDED, daemoned=False, finished_at=row.finished_at or turn.now))
