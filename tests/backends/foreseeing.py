"""What a fake executor foresees of an invocation."""

from __future__ import annotations

from flowcore.ports import Foreseen, Invocation, Outcome
from flowcore_backends.fake import FakeExecutor


def foreseen(fake: FakeExecutor, asked: Invocation) -> Foreseen:
    """What it foresees, which must be something."""
    found = fake.foresee(asked)
    assert found is not None
    return found


def outcome(fake: FakeExecutor, asked: Invocation) -> Outcome:
    """The outcome that it foresees."""
    found = foreseen(fake, asked).outcome
    assert found is not None
    return found
