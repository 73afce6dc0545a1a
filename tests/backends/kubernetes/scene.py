"""Invocations and contexts for the tests of the Kubernetes backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowcore.jsontypes import JsonObject
from flowcore.ports import Invocation
from tests.backends.contract import invocation

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "kubernetes"
"""What a real cluster answered, where it lies beside the repository."""


def container(**more: Any) -> JsonObject:
    return {"image": "alpine:latest", "command": ["sh", "-c", "true"], **more}


def pod_of(body: JsonObject, **more: Any) -> Invocation:
    """An invocation called ``work`` of a template with ``body``."""
    return invocation("work", body, **({"pod_name": "wf-work-1", "node_name": "wf.work"} | more))
