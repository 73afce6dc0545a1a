"""Artifacts that go with the end of a run, or with the run."""

from __future__ import annotations

from pathlib import Path

import pytest

import flowcore
from flowcore.artifacts import FolderArtifacts
from flowcore.artifacts.collection import Moment, collectable
from flowcore.clocks import RealClock
from flowcore.errors import ArtifactError
from flowcore.jsontypes import object_of, objects_of
from flowcore.service import Runs
from flowcore.stores import open_store
from flowcore_backends.local import LocalExecutor

WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  artifactGC: {strategy: OnWorkflowCompletion}
  templates:
  - name: main
    steps: [[{name: make, template: make}]]
    outputs: {artifacts: [{name: passed, from: "{{steps.make.outputs.artifacts.early}}"}]}
  - name: make
    script: {image: alpine, command: [sh], source: "mkdir /tmp/late; for f in early late/a late/b kept; do echo x > /tmp/$f; done"}
    outputs:
      artifacts:
      - {name: early, path: /tmp/early}
      - {name: late, path: /tmp/late, archive: {none: {}}, artifactGC: {strategy: OnWorkflowDeletion}, s3: {key: late}}
      - {name: kept, path: /tmp/kept, artifactGC: {strategy: Never}, s3: {key: kept}}
"""


class Stubborn(FolderArtifacts):
    async def delete(self, key: str) -> None:
        raise ArtifactError(f"{key} is held")


async def test_artifacts_go_when_their_strategy_says(tmp_path: Path) -> None:
    store, artifacts = open_store(f"sqlite:///{tmp_path}/store.db"), FolderArtifacts(tmp_path / "artifacts")
    try:
        result = await flowcore.run(WORKFLOW, executor=LocalExecutor(), store=store, artifacts=artifacts)
        assert (result.phase, result.message) == ("Succeeded", "")
        assert await artifacts.keys("") == ["kept", "late/a", "late/b"]
        runs = Runs(store, None, RealClock(), artifacts=artifacts)
        stored = await runs.get("wf")
        (make,) = [node for node in stored.nodes if node.display_name == "make"]
        assert [(each["name"], each.get("deleted")) for each in objects_of(make.outputs or {}, "artifacts")] == [
            ("early", True),
            ("late", None),
            ("kept", None),
        ]
        await runs.delete("wf")
        assert await artifacts.keys("") == ["kept"]
    finally:
        await store.close()


async def test_a_store_that_refuses_is_told_in_the_status(tmp_path: Path) -> None:
    store, artifacts = open_store(f"sqlite:///{tmp_path}/store.db"), Stubborn(tmp_path / "artifacts")
    try:
        await flowcore.run(WORKFLOW, executor=LocalExecutor(), store=store, artifacts=artifacts)
        run = (await Runs(store, None, RealClock()).get("wf")).run
        (condition,) = run.conditions
        assert (run.phase, condition["type"]) == ("Succeeded", "ArtifactGCError")
        assert str(condition["message"]).endswith("early.tgz is held")
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("general", "moment", "names"),
    [
        (None, Moment.COMPLETION, []),
        (None, Moment.DELETION, ["late"]),
        ("OnWorkflowDeletion", Moment.COMPLETION, []),
        ("OnWorkflowDeletion", Moment.DELETION, ["early", "late"]),
    ],
)
async def test_an_artifacts_own_strategy_goes_first(tmp_path: Path, general: str | None, moment: Moment, names: list[str]) -> None:
    text = WORKFLOW.replace(
        "  artifactGC: {strategy: OnWorkflowCompletion}\n", f"  artifactGC: {{strategy: {general}}}\n" if general else ""
    )
    result = await flowcore.run(text, executor=LocalExecutor(), artifacts=FolderArtifacts(tmp_path))
    spec = object_of(result.manifest, "spec")
    assert [artifact["name"] for _, artifact in collectable(spec, result.nodes.values(), moment)] == names
