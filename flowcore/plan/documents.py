"""Where referenced documents come from: WorkflowTemplates, ConfigMaps, Secrets. Every catalog is one."""

from __future__ import annotations

from typing import Protocol

from flowcore.jsontypes import JsonObject


class Documents(Protocol):
    """Where referenced documents come from; every catalog is one."""

    def get(self, kind: str, name: str, namespace: str | None = None) -> JsonObject | None:
        """The manifest, or None."""
        ...


class NoDocuments:
    """A catalog with nothing in it."""

    def get(self, kind: str, name: str, namespace: str | None = None) -> JsonObject | None:
        """Nothing."""
        return None


__all__ = ["Documents", "NoDocuments"]
