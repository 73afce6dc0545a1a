"""The fake backend: workflows run to their end without running anything, as a script says; for tests, for trying out and for teaching.

``FakeExecutor`` is the executor; ``FakeExecutor.when`` writes the script, fact by fact.
"""

from __future__ import annotations

from flowcore_backends.fake.executor import FakeExecutor
from flowcore_backends.fake.facts import Fact

__all__ = ["Fact", "FakeExecutor"]
