"""What a run left behind, for the user: its artifacts as files, and the lines of its log that he looks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.webhdfs_server import webhdfs
from tests.cli.test_commands import flowcore

MAKES = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: makes}
spec:
  entrypoint: main
  artifactGC: {strategy: OnWorkflowDeletion}
  volumes: [{name: shared, emptyDir: {}}]
  templates:
  - name: main
    sidecars:
    - {name: beside, image: alpine, command: [sh, -c, "echo from beside; touch /v/said; sleep 300"], volumeMounts: [{name: shared, mountPath: /v}]}
    script:
      image: alpine
      command: [sh]
      volumeMounts: [{name: shared, mountPath: /v}]
      source: |
        until test -e /v/said; do sleep 0.01; done
        echo one; echo two
        echo text > /tmp/f
        mkdir -p /tmp/d; echo in > /tmp/d/x; echo in > /tmp/d/y
    outputs: {artifacts: [{name: file, path: /tmp/f}, {name: folder, path: /tmp/d, archive: {zip: {}}}]}
"""
REPOSITORY = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: artifact-repositories, annotations: {{workflows.argoproj.io/default-artifact-repository: lake}}}}
data:
  lake: "hdfs: {{addresses: ['http://{address}'], hdfsUser: ann, pathFormat: '/lake/{{{{workflow.name}}}}'}}"
"""


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FLOWCORE_STORE", str(tmp_path / "runs.db"))
    (tmp_path / "makes.yaml").write_text(MAKES)


def below(folder: Path) -> dict[str, str]:
    """The files in a folder, and what is in them."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_artifacts_and_lines_of_a_run(tmp_path: Path) -> None:
    ran = flowcore("run", str(tmp_path / "makes.yaml"), "--backend", "local")
    assert ran.exit_code == 0, ran.output
    out = tmp_path / "out"
    told = flowcore("cp", "makes", str(out))
    assert told.exit_code == 0, told.output
    outputs = "default/makes/makes/outputs"
    assert told.stdout.splitlines() == [f"{out}/{outputs}/file/f", f"{out}/{outputs}/folder/d"]
    assert below(out) == {f"{outputs}/file/f": "text\n", f"{outputs}/folder/d/x": "in\n", f"{outputs}/folder/d/y": "in\n"}
    some = flowcore("cp", "makes", str(tmp_path / "some"), "--artifact-name", "file", "--path", "{templateName}")
    assert (some.exit_code, below(tmp_path / "some")) == (0, {"main/f": "text\n"})
    for arguments, words in (
        ([str(out)], "is there already: name another folder"),
        ([str(tmp_path / "o"), "--path", "{node}"], "there is no {node} in a path of artifacts; there are {namespace}"),
        ([str(tmp_path / "o"), "--path", "../{nodeId}"], "could leave its store"),
        ([str(tmp_path / "o"), "--node", "none"], "run makes has no output artifact that fits"),
    ):
        refused = flowcore("cp", "makes", *arguments)
        assert (refused.exit_code, words in refused.stderr) == (2, True), refused.output
    assert flowcore("logs", "makes", "-c", "beside").stdout == "makes/beside: from beside\n"
    assert flowcore("logs", "makes", "--grep", "^t.o$").stdout == "makes: two\n"
    assert "--grep (: it is no regular expression" in flowcore("logs", "makes", "--grep", "(").stderr


def test_a_repository_that_was_given_is_known_afterwards(tmp_path: Path) -> None:
    (lake := tmp_path / "hdfs").mkdir()
    with webhdfs(lake) as address:
        (tmp_path / "repository.yaml").write_text(REPOSITORY.format(address=address))
        ran = flowcore("run", str(tmp_path / "makes.yaml"), "--backend", "local", "--resource", str(tmp_path / "repository.yaml"))
        assert ran.exit_code == 0, ran.output
        assert sorted(path.name for path in lake.rglob("*") if path.is_file()) == ["file.tgz", "folder.zip"]
        assert flowcore("cp", "makes", str(tmp_path / "out"), "--artifact-name", "file", "--path", "{artifactName}").exit_code == 0
        assert below(tmp_path / "out") == {"file/f": "text\n"}
        assert flowcore("delete", "makes").exit_code == 0
        assert [path for path in lake.rglob("*") if path.is_file()] == []


def test_an_artifact_that_is_gone_is_told_and_the_others_come(tmp_path: Path) -> None:
    assert flowcore("run", str(tmp_path / "makes.yaml"), "--backend", "local").exit_code == 0
    (kept,) = (tmp_path / "state").rglob("file.tgz")
    kept.unlink()
    told = flowcore("cp", "makes", str(tmp_path / "out"), "--path", "{artifactName}")
    assert (told.exit_code, list(below(tmp_path / "out"))) == (1, ["folder/d/x", "folder/d/y"])
    assert "makes: file: artifact file failed to load: " in told.stderr
