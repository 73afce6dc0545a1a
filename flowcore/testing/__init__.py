"""For those who test workflows: ``Flow`` is what the pytest fixture ``flow`` gives, and works without pytest too.

``flowcore.testing.contract`` holds the suite that every executor must pass; it needs pytest.
"""

from __future__ import annotations

from flowcore.testing.checks import FlowResult
from flowcore.testing.flow import Flow
from flowcore.testing.views import NodeView

__all__ = ["Flow", "FlowResult", "NodeView"]
