"""Looking at runs while they go on: Prometheus metrics, OpenTelemetry spans and structured logs, each an observer of runs.

``open_run``, ``open_resumed`` and ``Service`` take observers; what they find of a run's metrics stands in its status.
"""

from __future__ import annotations

from flowcore.observing.logs import JsonLines, RunLog
from flowcore.observing.metrics import Metrics

__all__ = ["JsonLines", "Metrics", "RunLog"]
