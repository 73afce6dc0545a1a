"""The templates of a run as they were when it was submitted: a run that is continued does not change with its templates.

Argo keeps them in ``status.storedTemplates``; here ``open_run`` wraps the catalog, and what was asked for is recorded beside the run.
"""

from __future__ import annotations

from collections.abc import Callable

from flowcore.jsontypes import JsonObject
from flowcore.ports import Catalog, ChangingCatalog

_KEPT = frozenset({"WorkflowTemplate", "ClusterWorkflowTemplate"})


class KeptTemplates:
    """A catalog that answers from ``kept`` first and adds to it each template that ``catalog`` gave; all else is asked anew each time."""

    def __init__(self, catalog: Catalog, kept: JsonObject | None = None) -> None:
        self._catalog = catalog
        self.kept: JsonObject = dict(kept or {})

    def get(self, kind: str, name: str, namespace: str | None = None) -> JsonObject | None:
        """The manifest of ``kind`` called ``name``, or None."""
        if kind not in _KEPT:
            return self._catalog.get(kind, name, namespace)
        key = f"{kind}/{namespace or ''}/{name}"
        known = self.kept.get(key)
        if isinstance(known, dict):
            return known
        found = self._catalog.get(kind, name, namespace)
        if found is not None:
            self.kept[key] = found
        return found

    def on_change(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called when something that was asked for has changed, where the catalog can tell."""
        if isinstance(self._catalog, ChangingCatalog):
            self._catalog.on_change(wake)


__all__ = ["KeptTemplates"]
