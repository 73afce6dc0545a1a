"""``FakeKube``: a Kubernetes API server for tests, on a loopback port, that answers as a real one does where it matters.

resourceVersions, 410, bookmarks, selectors, generateName, graceful deletion, finalizers, owner references, scripted or local pods, logs, exec,
and knobs for latency and faults. It schedules nothing and pulls no image.
"""

from __future__ import annotations

from flowcore_backends.kubernetes.testing.lives import Life, ends, never_scheduled, replays, runs_for_ever
from flowcore_backends.kubernetes.testing.local import local_processes
from flowcore_backends.kubernetes.testing.server import FakeKube, Fault

__all__ = ["FakeKube", "Fault", "Life", "ends", "local_processes", "never_scheduled", "replays", "runs_for_ever"]
