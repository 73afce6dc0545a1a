"""What may become of reports on their way: they come twice, long after they were true, or never."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from flowcore.engine.messages import Event, Finished, Outcome, Progressed, Ready, Started
from flowcore.nodes import Phase
from flowcore.runner import Run

LATE = Outcome(phase=Phase.ERROR, message="news of yesterday")


def disturbed(chance: Random, *, loses: bool) -> Callable[[Run], None]:
    """Disturbs the reports of runs. ``loses`` says whether a ``Started`` may get lost: a workflow whose hooks wait for one would rightly differ."""

    def disturb(run: Run) -> None:
        agenda = run._agenda
        add = agenda.add

        def again(at: datetime, event: Event) -> None:
            if isinstance(event, Started) and loses and chance.random() < 0.3:
                return
            add(at, event)
            if isinstance(event, Started | Ready | Finished) and chance.random() < 0.4:
                add(at, event)
            if isinstance(event, Finished):
                later = at + timedelta(seconds=chance.randint(0, 20), microseconds=1)
                node = event.node
                stale: list[Event] = [Started(node), Ready(node), Progressed(node, "1/2", "late"), Finished(node, LATE)]
                add(later, chance.choice(stale))

        agenda.add = again

    return disturb
