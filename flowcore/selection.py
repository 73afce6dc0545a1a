"""Finding the run that somebody means: by name, by id, by the beginning of either, or ``@latest``."""

from __future__ import annotations

from flowcore.durable import RunStore, StoredSummary
from flowcore.errors import UsageError

LATEST = "@latest"
_SHOWN = 5


async def find_run(store: RunStore, text: str, namespace: str | None = None, *, archived: bool = False) -> StoredSummary:
    """The one run that ``text`` names, among the live ones or those of the archive. Raises UsageError, and says which there are, if there is
    none or more than one.
    """
    if not text:
        raise UsageError("name a run: its name, its id, the beginning of either, or @latest")
    if text == LATEST:
        runs = await store.runs(namespace, archived=archived)
        if not runs:
            raise UsageError(f"there is no run{_in(namespace)}{' in the archive' if archived else ''} yet")
        return runs[0]
    found = await store.runs(namespace, prefix=text, archived=archived)
    exact = [each for each in found if text in (each.run.name, each.run.uid)]
    if len(exact) == 1 or (not exact and len(found) == 1):
        return (exact or found)[0]
    if not found:
        raise UsageError(await _absent(store, text, namespace, archived=archived))
    shown = (exact or found)[:_SHOWN]
    alike = len({(each.run.namespace, each.run.name) for each in shown}) < len(shown)
    names = ", ".join(f"{each.run.namespace}/{each.run.name}{f' ({each.run.uid})' if alike else ''}" for each in shown)
    more = " ..." if len(exact or found) > _SHOWN else ""
    raise UsageError(f"{text!r} means {len(exact or found)} runs: {names}{more}")


async def _absent(store: RunStore, text: str, namespace: str | None, *, archived: bool) -> str:
    where = f"{_in(namespace)}{' in the archive' if archived else ''}"
    if await store.runs(namespace, prefix=text, archived=not archived):
        remedy = f"leave --archived out, {text} is not archived" if archived else "it is in the archive: add --archived"
    else:
        remedy = f"flowcore list{' --archived' if archived else ''} shows which there are"
    return f"there is no run {text!r}{where}: {remedy}"


def _in(namespace: str | None) -> str:
    return f" in namespace {namespace}" if namespace else ""


__all__ = ["LATEST", "find_run"]
