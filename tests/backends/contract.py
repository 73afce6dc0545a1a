"""The contract of executors under the name by which the tests of backends know it; it is part of what users get (``flowcore.testing.contract``)."""

from __future__ import annotations

from flowcore.testing.contract import COMMANDS, ExecutorContract, Play, invocation, loop, run_context, until

__all__ = ["COMMANDS", "ExecutorContract", "Play", "invocation", "loop", "run_context", "until"]
