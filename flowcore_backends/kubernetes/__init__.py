"""The Kubernetes backend: leaves run as pods of a cluster. Needs the extra ``kubernetes``; nothing of it is loaded before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowcore_backends.kubernetes.executor import KubernetesExecutor
    from flowcore_backends.kubernetes.options import KubernetesOptions

__all__ = ["KubernetesExecutor", "KubernetesOptions"]


def __getattr__(name: str) -> object:
    if name == "KubernetesExecutor":
        from flowcore_backends.kubernetes.executor import KubernetesExecutor

        return KubernetesExecutor
    if name == "KubernetesOptions":
        from flowcore_backends.kubernetes.options import KubernetesOptions

        return KubernetesOptions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
