"""Artifacts: stores that keep them by key, places they can come from, and the packing in between.

``FolderArtifacts`` and ``MemoryArtifacts`` are stores; ``staging`` is what backends use to place inputs and keep outputs.
"""

from __future__ import annotations

from flowcore.artifacts.folder import FolderArtifacts
from flowcore.artifacts.memory import MemoryArtifacts

__all__ = ["FolderArtifacts", "MemoryArtifacts"]
