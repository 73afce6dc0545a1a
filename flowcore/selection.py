"""Finding the run that somebody means: by name, by id, by the beginning of either, or ``@latest``."""

from __future__ import annotations

from flowcore.durable import RunStore, StoredSummary
from flowcore.errors import UsageError

LATEST = "@latest"
_SHOWN = 5


async def find_run(store: RunStore, text: str, namespace: str | None = None) -> StoredSummary:
    """The one run that ``text`` names. Raises UsageError, and says which there are, if there is none or more than one."""
    if not text:
        raise UsageError("name a run: its name, its id, the beginning of either, or @latest")
    if text == LATEST:
        runs = await store.runs(namespace)
        if not runs:
            raise UsageError(f"there is no run{_in(namespace)} yet")
        return runs[0]
    found = await store.runs(namespace, prefix=text)
    exact = [each for each in found if text in (each.run.name, each.run.uid)]
    if len(exact) == 1 or (not exact and len(found) == 1):
        return (exact or found)[0]
    if not found:
        raise UsageError(f"there is no run {text!r}{_in(namespace)}: flowcore list shows which there are")
    names = ", ".join(f"{each.run.namespace}/{each.run.name}" for each in (exact or found)[:_SHOWN])
    more = " ..." if len(exact or found) > _SHOWN else ""
    raise UsageError(f"{text!r} means {len(exact or found)} runs: {names}{more}")


def _in(namespace: str | None) -> str:
    return f" in namespace {namespace}" if namespace else ""


__all__ = ["LATEST", "find_run"]
