"""Who belongs to whom: parents, owners and the order of creation, concluded from the entries of Argo's ``status.nodes``.

Argo stores edges as ``children`` and leaves the rest to names: ``N(k)`` is an attempt of N, ``N[i]`` a step group, ``N.hooks.X`` and
``N.onExit`` belong to N. ``kinship_of`` is what reading a status calls, once for all nodes.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from flowcore.jsontypes import JsonObject

_ATTEMPT = re.compile(r"\(\d+\)$")
_ITEM = re.compile(r"\(\d+:[^()]*\)$", re.DOTALL)
_GROUP_OF_STEP = re.compile(r"\[\d+\]")
_HOOKS = ".hooks."
_ON_EXIT = ".onExit"

Entries = Mapping[str, JsonObject]
Children = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Kin:
    """What follows for one node: its place in the order of creation, its owner's id and the ids of its parents, in that order."""

    seq: int
    owner: str | None
    parents: tuple[str, ...]
    attempt: bool = False  # by its name, one of a Retry node


def kinship_of(entries: Entries) -> dict[str, Kin]:
    """The kin of every node by id, in order of creation. Edges to nodes that are not there do not count."""
    children = {key: _known(entry.get("children"), entries) for key, entry in entries.items()}
    order = _order(entries, children)
    parents: dict[str, list[str]] = {key: [] for key in entries}
    for key in order:
        for child in children[key]:
            parents[child].append(key)
    ids = {cast("str", entry["name"]): key for key, entry in entries.items()}
    return {
        key: Kin(seq, _owner(key, entries, ids), tuple(parents[key]), _wrapper(cast("str", entries[key]["name"]), ids, entries) is not None)
        for seq, key in enumerate(order)
    }


def _known(children: object, entries: Entries) -> tuple[str, ...]:
    if not isinstance(children, list):
        return ()
    return tuple(dict.fromkeys(child for child in children if isinstance(child, str) and child in entries))


# --- the order of creation --------------------------------------------------------------------------------------------------------


def _order(entries: Entries, children: Children) -> list[str]:
    """The ids so that parents come before children and every list of children is in order: the document's order, if it is one."""
    given = {key: place for place, key in enumerate(entries)}
    followers = _followers(children)
    if all(given[before] < given[after] for before, afters in followers.items() for after in afters):
        return list(entries)
    walked = _walk(entries, children)
    return _sorted_by_constraints({key: (str(entries[key].get("startedAt") or "~"), walked[key], key) for key in entries}, followers)


def _followers(children: Children) -> dict[str, list[str]]:
    """For each node those that were made after it: its first child, and the next in each list that it is in."""
    followers: dict[str, list[str]] = {key: [] for key in children}
    for parent, listed in children.items():
        before = parent
        for child in listed:
            followers[before].append(child)
            before = child
    return followers


def _walk(entries: Entries, children: Children) -> dict[str, int]:
    """When each node is first met from those that are nobody's child, level by level."""
    listed = {child for many in children.values() for child in many}
    queue = deque(sorted((key for key in entries if key not in listed), key=len))
    met: dict[str, int] = {}
    while queue:
        key = queue.popleft()
        if key not in met:
            met[key] = len(met)
            queue.extend(children[key])
    for key in entries:
        met.setdefault(key, len(met))
    return met


def _sorted_by_constraints(keys: Mapping[str, tuple[str, int, str]], followers: Mapping[str, Sequence[str]]) -> list[str]:
    """The smallest first among those whose predecessors are out; what is left by a cycle comes last."""
    waiting: dict[str, int] = dict.fromkeys(keys, 0)
    for afters in followers.values():
        for after in afters:
            waiting[after] += 1
    heap = [keys[key] for key, count in waiting.items() if not count]
    heapq.heapify(heap)
    order: dict[str, None] = {}
    while heap:
        key = heapq.heappop(heap)[2]
        order[key] = None
        for after in followers[key]:
            waiting[after] -= 1
            if not waiting[after]:
                heapq.heappush(heap, keys[after])
    order |= dict.fromkeys(sorted((key for key in keys if key not in order), key=lambda key: keys[key]))
    return list(order)


# --- owners -----------------------------------------------------------------------------------------------------------------------


def _owner(key: str, entries: Entries, ids: Mapping[str, str]) -> str | None:
    """The id of the node that is told when ``key`` ends: its wrapper, the hooked node, its group or its boundary.

    None for the root, and for hooks and the exit handler of the workflow.
    """
    entry = entries[key]
    name = cast("str", entry["name"])
    wrapper = _wrapper(name, ids, entries)
    if wrapper is not None:
        return wrapper
    boundary = entry.get("boundaryID")
    if not isinstance(boundary, str) or boundary not in entries or boundary == key:
        return None
    hooked = _hooked(name, ids)
    if hooked is not None:
        return hooked
    return _group(key, name, boundary, entries, ids) or boundary


def _wrapper(name: str, ids: Mapping[str, str], entries: Entries) -> str | None:
    """The Retry node of an attempt."""
    stripped = _ATTEMPT.sub("", name)
    wrapper = ids.get(stripped) if stripped != name else None
    return wrapper if wrapper is not None and entries[wrapper].get("type") == "Retry" else None


def _hooked(name: str, ids: Mapping[str, str]) -> str | None:
    """The node whose hook or exit handler this is."""
    if name.endswith(_ON_EXIT):
        return ids.get(name.removesuffix(_ON_EXIT))
    before, hooks, hook = name.rpartition(_HOOKS)
    return ids.get(before) if hooks and hook else None


def _group(key: str, name: str, boundary: str, entries: Entries, ids: Mapping[str, str]) -> str | None:
    """The StepGroup of a step, or the TaskGroup of an item."""
    around = cast("str", entries[boundary]["name"])
    if entries[boundary].get("type") == "Steps" and name.startswith(around):
        match = _GROUP_OF_STEP.match(name, len(around))
        group, kind = ids.get(name[: match.end()]) if match else None, "StepGroup"
    else:
        group, kind = ids.get(_ITEM.sub("", name)), "TaskGroup"
    return group if group is not None and group != key and entries[group].get("type") == kind else None


__all__ = ["Kin", "kinship_of"]
