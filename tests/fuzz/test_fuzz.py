"""A moment of fuzzing for each way in, the same one each time; and what longer ones have found."""

from __future__ import annotations

import json
import os
from random import Random

import pytest

import flowcore
from flowcore.errors import ExpressionError
from flowcore.jsontypes import object_of, strings_of
from flowcore.language.cron import parse_schedule
from flowcore.language.zones import load_zone
from flowcore_backends.fake import FakeExecutor
from tests.fuzz.mutations import archive, mutated, texts
from tests.fuzz.targets import TEXTS, feed

TRIES = int(os.environ.get("FLOWCORE_EXAMPLES", "120"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TEXTS)
def test_any_text_is_answered_or_refused(name: str) -> None:
    chance, beginnings = Random(name), texts(name)
    for _ in range(TRIES):
        feed(name, mutated(chance.choice(beginnings), chance))


@pytest.mark.timeout(600)
def test_any_archive_is_unpacked_or_refused() -> None:
    chance = Random("archives")
    for _ in range(TRIES):
        feed("archives", archive(chance))


def test_halves_of_surrogate_pairs_are_no_characters() -> None:
    for text in ("sprig.trim('\ud800 a')", "'\udcff' + upper(item)", "\ud800"):
        feed("expressions", text)
    workflow = """
        apiVersion: argoproj.io/v1alpha1
        kind: Workflow
        metadata: {name: wf}
        spec:
          entrypoint: main
          arguments: {parameters: [{name: p}]}
          templates: [{name: main, container: {image: i, command: ["{{=sprig.upper(workflow.parameters.p)}}"]}}]
    """
    executor = FakeExecutor(record=True)
    assert flowcore.run_sync(workflow, executor=executor, parameters={"p": "a\ud800"}).phase == "Succeeded"
    assert strings_of(object_of(executor.calls("main")[0].body, "container"), "command") == ["A\ufffd"]


@pytest.mark.parametrize(
    "zone", ["a.b" * 200, "../../etc/localtime", "/etc/localtime", "Europe/" + "a" * 200, "x" * 5000, "a\x00b", "Europe"]
)
def test_names_of_time_zones_are_looked_at_before_they_are_looked_up(zone: str) -> None:
    for schedule in (f"CRON_TZ={zone} 0 0 * * *", f"TZ={zone} @daily"):
        with pytest.raises(ExpressionError):
            parse_schedule(schedule)
    feed("expressions", f"timezone({json.dumps(zone)})")
    assert load_zone(zone) is None


@pytest.mark.parametrize("name", TEXTS)
def test_the_beginnings_are_good(name: str) -> None:
    """What mutations start from is accepted, so that they are about more than the first word."""
    for text in texts(name):
        TEXTS[name](text)
