"""The local backend: leaves run as processes of this machine, in a private view of the file system where the machine allows it.

The launcher imports this package with nothing but the standard library at hand, so the executor is imported when somebody asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowcore_backends.local.executor import LocalExecutor

__all__ = ["LocalExecutor"]


def __getattr__(name: str) -> object:
    if name == "LocalExecutor":
        from flowcore_backends.local.executor import LocalExecutor

        return LocalExecutor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
