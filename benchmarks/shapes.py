"""The shapes that are measured: for each, a workflow document of about so many leaves, and the same work as bare asyncio tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]

LEAF: Document = {"name": "leaf", "container": {"image": "alpine", "command": ["true"]}}
WIDTH = 100  # of a layer
FAN_IN = 3  # dependencies of a task on the layer before
BRANCHES = 10  # of each level of the nested shape


def workflow(*templates: Document, entrypoint: str = "main") -> Document:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "bench-"},
        "spec": {"entrypoint": entrypoint, "templates": [*templates, LEAF]},
    }


def fan_out(leaves: int) -> Document:
    """One step with so many items."""
    step = {"name": "each", "template": "leaf", "withSequence": {"count": str(leaves)}}
    return workflow({"name": "main", "steps": [[step]]})


async def bare_fan_out(leaves: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(leaves):
            tasks.create_task(work())


def chain(leaves: int) -> Document:
    """Tasks that each wait for the one before."""
    tasks = [{"name": f"t{i}", "template": "leaf", **({"dependencies": [f"t{i - 1}"]} if i else {})} for i in range(leaves)]
    return workflow({"name": "main", "dag": {"tasks": tasks}})


async def bare_chain(leaves: int) -> None:
    await bare_graph([[i - 1] if i else [] for i in range(leaves)])


def layer_dependencies(leaves: int) -> list[list[int]]:
    """For each task of the layered shape, the tasks of the layer before that it waits for."""
    found: list[list[int]] = []
    for i in range(leaves):
        layer, place = divmod(i, WIDTH)
        found.append([(layer - 1) * WIDTH + (place + k) % WIDTH for k in range(FAN_IN)] if layer else [])
    return found


def layered(leaves: int) -> Document:
    """Layers of tasks; each task waits for three of the layer before."""
    tasks = [
        {"name": f"t{i}", "template": "leaf", **({"depends": " && ".join(f"t{j}" for j in waits)} if waits else {})}
        for i, waits in enumerate(layer_dependencies(leaves))
    ]
    return workflow({"name": "main", "dag": {"tasks": tasks}})


async def bare_layered(leaves: int) -> None:
    await bare_graph(layer_dependencies(leaves))


def levels_of(leaves: int) -> int:
    """How many levels of ten branches hold at least so many leaves."""
    levels = 1
    while BRANCHES**levels < leaves:
        levels += 1
    return levels


def nested(leaves: int) -> Document:
    """Steps within steps: each level runs the next one ten times."""
    levels = levels_of(leaves)
    templates = []
    for level in range(levels):
        callee = "leaf" if level == levels - 1 else f"level-{level + 1}"
        step = {"name": "each", "template": callee, "withSequence": {"count": str(BRANCHES)}}
        templates.append({"name": f"level-{level}", "steps": [[step]]})
    return workflow(*templates, entrypoint="level-0")


async def bare_nested(leaves: int) -> None:
    async def level(remaining: int) -> None:
        if not remaining:
            await work()
            return
        async with asyncio.TaskGroup() as tasks:
            for _ in range(BRANCHES):
                tasks.create_task(level(remaining - 1))

    await level(levels_of(leaves))


async def bare_graph(dependencies: list[list[int]]) -> None:
    """One asyncio task for each node, which awaits those it depends on."""
    done: list[asyncio.Task[None]] = []

    async def node(waits: list[int]) -> None:
        for each in waits:
            await done[each]
        await work()

    async with asyncio.TaskGroup() as tasks:
        for waits in dependencies:
            done.append(tasks.create_task(node(waits)))


async def work() -> None:
    """What a leaf does: one turn of the event loop."""
    await asyncio.sleep(0)


@dataclass(frozen=True)
class Shape:
    document: Callable[[int], Document]
    bare: Callable[[int], Awaitable[None]]


SHAPES = {
    "fan-out": Shape(fan_out, bare_fan_out),
    "chain": Shape(chain, bare_chain),
    "layered": Shape(layered, bare_layered),
    "nested": Shape(nested, bare_nested),
}
