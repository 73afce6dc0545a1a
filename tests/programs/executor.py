"""An executor as a third party would write it, on the ports alone: works end, fail, print, last or serve as their names say."""

from __future__ import annotations

from datetime import timedelta

import anyio

from flowcore.nodes import NodeId, Phase
from flowcore.ports import Invocation, Outcome, Ready, Reporter, RunContext, Started

KILLED = Outcome(phase=Phase.FAILED, exit_code=143, message="main: Error (exit code 143)")


class Somebodys:
    """Does the works of the contract in this process."""

    def __init__(self) -> None:
        self._asked: dict[NodeId, anyio.Event] = {}

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Do the work that the template is named after."""
        asked = self._asked[invocation.node] = anyio.Event()
        try:
            report(Started(invocation.node))
            if invocation.template_name == "fails":
                return Outcome(phase=Phase.FAILED, exit_code=1, message="main: Error (exit code 1)")
            if invocation.daemon:
                report(Ready(invocation.node, "127.0.0.1"))
            if invocation.daemon or invocation.template_name in ("lasts", "stubborn"):
                await asked.wait()
                return KILLED
            return Outcome(phase=Phase.SUCCEEDED, exit_code=0, result="one\ntwo" if invocation.capture_result else None)
        finally:
            self._asked.pop(invocation.node, None)

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Ask the work to end."""
        if invocation.node in self._asked:
            self._asked[invocation.node].set()

    async def close(self, context: RunContext) -> None:
        """Nothing is kept."""
