"""``lastRetry.duration`` is in whole seconds, as Argo keeps times to the second, so that ``asInt`` can read it on any clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

import flowcore
from flowcore_backends.fake import FakeExecutor

RETRIED = """
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
  - name: main
    retryStrategy: {limit: 3, expression: "asInt(lastRetry.duration) < 2"}
    container: {image: a, args: ["{{lastRetry.duration}}"]}
"""


@pytest.mark.parametrize(("takes", "attempts", "seen"), [("400ms", 4, "0"), ("1200ms", 4, "1"), ("2s", 1, None), ("90s", 1, None)])
async def test_a_fraction_of_a_second_does_not_count(takes: str, attempts: int, seen: str | None) -> None:
    fake = FakeExecutor(record=True)
    fake.when("main").takes(takes).fails()
    result = await flowcore.run(RETRIED, executor=fake)
    calls = fake.calls("main")
    assert (result.phase, len(calls)) == ("Failed", attempts)
    if seen is not None:
        assert calls[1].body["container"]["args"] == [seen]


async def test_an_attempt_is_measured_from_full_second_to_full_second() -> None:
    fake = FakeExecutor(record=True)
    clock = flowcore.VirtualClock(fake.clock.now() + timedelta(milliseconds=900))
    fake.when("main").takes("200ms").fails()
    await flowcore.run(RETRIED, executor=fake, clock=clock)
    assert fake.calls("main")[1].body["container"]["args"] == ["1"]
