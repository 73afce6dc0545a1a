"""The seeds that need no image of their own run as processes of this machine.

What the images would bring is put on PATH: a ``cowsay`` that says what it is told, and a ``sleep`` that is a hundred times too quick. The
seed about timeouts has the real one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.local import LocalExecutor
from tests.scenarios.documents import SEEDS, split, yaml
from tests.scenarios.trees import phases, table
from tests.scenarios.worlds import SEEDS as WORLDS

SECRET = yaml(
    """
    apiVersion: v1
    kind: Secret
    metadata: {name: my-secret}
    stringData: {mypassword: S00perS3cretPa55word}
    """
)
COWSAY = """#!/bin/sh
echo "$@"
"""
SLEEP = """#!/bin/sh
exec {sleep} "0.0$1"
"""

# Their trees do not depend on luck, so they are those of the fake backend to the letter.
SAME_AS_FAKE = [
    "000-00-exit-handlers",
    "001-00-exit-handler-example",
    "002-00-exit-handlers",
    "003-02-hello-world",
    "003-03-hello-world-parameters",
    "003-05-steps",
    "003-06-dag-diamond",
    "003-07-artifact-passing",
    "003-08-secret-example",
    "003-10-output-parameter",
    "003-11-loops",
    "003-12-loops-maps",
    "003-13-loops-param-arg",
    "003-14-loops-param-result",
    "003-17-exit-handlers",
    "003-19-volumes-pvc",
    "003-20-volumes-existing",
]


@pytest.fixture(autouse=True)
def what_images_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of stand-ins in front of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"cowsay": COWSAY, "sleep": SLEEP.format(sleep=shutil.which("sleep"))}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    yield


def executor(tmp_path: Path) -> LocalExecutor:
    """One that has a folder for the claim that a seed takes for granted."""
    claim = tmp_path / "claim"
    claim.mkdir(exist_ok=True)
    return LocalExecutor(claims={"my-existing-volume": claim})


async def play(name: str, local: LocalExecutor) -> Any:
    workflow, catalog = split(SEEDS / f"{name}.yaml", SECRET)
    return await flowcore.run(flowcore.load_workflow(workflow), executor=local, catalog=catalog, name="wf")


@pytest.mark.parametrize("name", SAME_AS_FAKE)
async def test_leaves_the_tree_of_the_fake_backend(name: str, tmp_path: Path) -> None:
    fake = FakeExecutor()
    WORLDS[name](fake)
    workflow, catalog = split(SEEDS / f"{name}.yaml", SECRET)
    expected = await flowcore.run(flowcore.load_workflow(workflow), executor=fake, catalog=catalog, name="wf")
    result = await play(name, executor(tmp_path))
    assert (result.phase, result.message) == (expected.phase, expected.message)
    assert table("wf", result.nodes) == table("wf", expected.nodes)


async def logs_of(name: str, local: LocalExecutor) -> tuple[Any, dict[str, str]]:
    """The result of a run, and what each node printed, by display name."""
    workflow, catalog = split(SEEDS / f"{name}.yaml", SECRET)
    printed: dict[str, str] = {}
    async with flowcore.open_run(flowcore.load_workflow(workflow), executor=local, catalog=catalog, name="wf") as run:
        async for change in run.events():
            if isinstance(change, flowcore.Logged):
                printed[change.node] = printed.get(change.node, "") + change.text + "\n"
        result = await run.result()
    return result, {result.nodes[node].display_name: text for node, text in printed.items()}


async def test_the_exit_handler_is_told_what_failed(tmp_path: Path) -> None:
    _, printed = await logs_of("002-00-exit-handlers", executor(tmp_path))
    assert printed["wf"] == "intentional failure\n"
    assert printed["cry"] == "boohoo!\n"
    assert "celebrate" not in printed
    assert printed["notify"].startswith("send e-mail: wf Failed ")
    assert '"message":"main: Error (exit code 1)"' in printed["notify"]


async def test_a_secret_is_seen_in_both_ways(tmp_path: Path) -> None:
    _, printed = await logs_of("003-08-secret-example", executor(tmp_path))
    masked = "***secret:my-secret/mypassword***"  # what is kept of a log names the Secret that stood there
    assert printed["wf"].splitlines() == [f"secret from env: {masked}", f"secret from file: {masked}"]


async def test_volumes_and_artifacts_carry_files(tmp_path: Path) -> None:
    _, printed = await logs_of("003-19-volumes-pvc", executor(tmp_path))
    assert printed["print"].splitlines()[-1] == "hello world"
    _, printed = await logs_of("003-20-volumes-existing", executor(tmp_path))
    assert printed["print"].splitlines()[-1] == "hello world"
    _, printed = await logs_of("003-07-artifact-passing", executor(tmp_path))
    assert printed["consume-artifact"] == "hello world\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="the seed's script is for bash")
async def test_the_result_of_a_bash_script_is_printed(tmp_path: Path) -> None:
    result, printed = await logs_of("003-09-scripts-bash", executor(tmp_path))
    number = result.node("generate").outputs["result"]
    assert 1 <= int(number) <= 100
    assert printed["print"] == f"result was: {number}\n"


async def test_one_side_of_the_coin_is_skipped() -> None:
    result = await play("003-15-coinflip", LocalExecutor())
    assert result.phase == "Succeeded"
    up = result.node("flip-coin").outputs["result"]
    down = {"heads": "tails", "tails": "heads"}[up]
    assert (result.node(up).phase, result.node(down).phase) == ("Succeeded", "Skipped")


async def test_coins_are_flipped_until_heads() -> None:
    result = await play("003-16-coinflip-recursive", LocalExecutor())
    flips = [node for node in result.nodes.values() if node.display_name == "flip-coin"]
    results = [node.outputs["result"] for node in sorted(flips, key=lambda node: len(node.name))]
    assert result.phase == "Succeeded"
    assert results == ["tails"] * (len(results) - 1) + ["heads"]


async def test_attempts_are_made_until_one_works(tmp_path: Path) -> None:
    """Luck is replaced: the program's ``random.choice`` fails twice, then it works. The waits are the document's, one and two seconds."""
    counter = tmp_path / "tries"
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, random\n"
        f"tries = pathlib.Path({str(counter)!r})\n"
        "def choice(numbers):\n"
        "    made = int(tries.read_text()) if tries.exists() else 0\n"
        "    tries.write_text(str(made + 1))\n"
        "    return 1 if made < 2 else 0\n"
        "random.choice = choice\n"
    )
    local = LocalExecutor(environment={"PYTHONPATH": str(tmp_path)}, visible=[tmp_path])
    result = await play("000-01-retry-backoff", local)
    assert phases(result.nodes) == {"wf": "Succeeded", "wf(0)": "Failed", "wf(1)": "Failed", "wf(2)": "Succeeded"}
    attempts = sorted((node for node in result.nodes.values() if node.retried), key=lambda node: node.started_at)
    first, second = (after.started_at - before.finished_at for before, after in pairwise(attempts))
    assert timedelta(seconds=1) <= first < timedelta(seconds=2) <= second


@pytest.mark.slow
async def test_the_timeout_ends_a_real_sleep_after_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"].split(":", 1)[1])
    result = await play("003-18-timeouts", LocalExecutor())
    node = result.node("wf")
    assert (node.phase, node.message) == ("Failed", "Pod was active on the node longer than the specified deadline")
    assert timedelta(seconds=10) <= node.finished_at - node.started_at < timedelta(seconds=20)


@pytest.mark.parametrize("name", ["003-24-k8s-jobs", "003-25-k8s-patch"])
async def test_what_needs_a_cluster_says_so(name: str) -> None:
    result = await play(name, LocalExecutor())
    assert result.phase == "Error"
    assert "resource" in result.message
