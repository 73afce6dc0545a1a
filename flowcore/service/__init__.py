"""Many runs in one process: queue and limits, orders by name, schedules, events and time to live."""

from __future__ import annotations

from flowcore.service.runs import Runs
from flowcore.service.service import Service

__all__ = ["Runs", "Service"]
