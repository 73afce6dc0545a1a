"""Orders to a run as JSON: what one process leaves in a store for the process that drives the run.

Services and the command line write them with the functions here, whoever drives a run gives them to ``obey``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from flowcore.engine import control
from flowcore.engine.messages import NodeSetRequested
from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.nodes import Node, Phase, RunRow, Shutdown
from flowcore.runner import Run

STOP: JsonObject = {"order": "stop"}
TERMINATE: JsonObject = {"order": "terminate"}
SUSPEND: JsonObject = {"order": "suspend"}


def resume_order(selector: str = "") -> JsonObject:
    """Resume the run, or the suspend nodes that ``selector`` matches."""
    return {"order": "resume", "selector": selector}


def set_order(
    selector: str, *, parameters: Mapping[str, str] | None = None, phase: Phase | None = None, message: str | None = None
) -> JsonObject:
    """Set outputs, phase or message of suspend nodes."""
    order: JsonObject = {"order": "set", "selector": selector, "parameters": dict(parameters or {})}
    if phase is not None:
        order["phase"] = str(phase)
    return order if message is None else {**order, "message": message}


def check(order: JsonObject, run: RunRow, nodes: Iterable[Node]) -> None:
    """Raise UsageError, with words for whoever gave the order, if it cannot be carried out on these rows."""
    kind = text_of(order, "order")
    if run.phase.completed:
        raise UsageError(f"run {run.name} has ended ({run.phase}); it takes no more orders")
    if kind == "resume":
        rows = list(nodes)
        waiting = control.active_suspends(rows, text_of(order, "selector"))
        if not waiting and not run.suspended and not text_of(order, "selector"):
            raise UsageError(f"run {run.name} is not suspended, and no node of it waits to be resumed")
        with _helpful(run, rows):
            control.check_resume(rows, text_of(order, "selector"))
    elif kind == "set":
        rows = list(nodes)
        with _helpful(run, rows):
            control.check_set(rows, _set_event(order))


@contextmanager
def _helpful(run: RunRow, rows: Sequence[Node]) -> Iterator[None]:
    """Say beside what is wrong with an order what can be done."""
    try:
        yield
    except UsageError as error:
        waiting = [node.display_name for node in control.active_suspends(rows, "")]
        if "has not been set" in str(error):
            hint = f"flowcore node set {run.name} -p NAME=VALUE sets it"
        else:
            hint = f"waiting are {', '.join(waiting[:5])}{' ...' if len(waiting) > 5 else ''}" if waiting else "no node of the run waits"
        raise UsageError(f"{error}: {hint}") from None


def applied(run: RunRow, waiting: Iterable[JsonObject]) -> RunRow:
    """The row of a run that is about to be driven, with what was ordered of the whole run meanwhile: so nothing begins that was not to begin."""
    for order in waiting:
        match text_of(order, "order"):
            case "stop" if run.shutdown is Shutdown.NONE:
                run = replace(run, shutdown=Shutdown.STOP)
            case "terminate":
                run = replace(run, shutdown=Shutdown.TERMINATE)
            case "suspend":
                run = replace(run, suspended=True)
            case "resume" if not text_of(order, "selector"):
                run = replace(run, suspended=False)
    return run


async def obey(run: Run, order: JsonObject) -> None:
    """Give ``order`` to the run. Raises UsageError for one that it cannot carry out (any more)."""
    match text_of(order, "order"):
        case "stop":
            await run.stop()
        case "terminate":
            await run.terminate()
        case "suspend":
            await run.suspend()
        case "resume":
            await run.resume(text_of(order, "selector"))
        case "set":
            event = _set_event(order)
            await run.set_node(event.selector, parameters=dict(event.parameters), phase=event.phase, message=event.message)
        case other:
            raise UsageError(f"there is no order {other!r}")


def _set_event(order: JsonObject) -> NodeSetRequested:
    values = {name: str(value) for name, value in object_of(order, "parameters").items()}
    phase = Phase(text_of(order, "phase")) if order.get("phase") else None
    return NodeSetRequested(text_of(order, "selector"), values, phase, cast("str | None", order.get("message")))


__all__ = ["STOP", "SUSPEND", "TERMINATE", "applied", "check", "obey", "resume_order", "set_order"]
