"""Looking at runs while they go on: Prometheus metrics, OpenTelemetry spans and structured logs, each an observer of runs.

``open_run``, ``open_resumed`` and ``Service`` take observers; nothing here is loaded for runs that have none.
"""

from __future__ import annotations

from flowcore.observing.logs import JsonLines, RunLog
from flowcore.observing.metrics import Metrics

__all__ = ["JsonLines", "Metrics", "RunLog"]
