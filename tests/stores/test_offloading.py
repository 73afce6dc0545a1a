"""Large outputs are kept in an artifact store: rows refer to them, and whoever reads a run has them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import flowcore
from flowcore.artifacts import FolderArtifacts, MemoryArtifacts
from flowcore.artifacts.offloading import Offload, folder_of
from flowcore.clocks import RealClock
from flowcore.errors import ArtifactError, MissingBackend, StoreError, UsageError
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, WorkflowPhase
from flowcore.operations import export_run
from flowcore.service import Runs
from flowcore.stores import offload_of
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.stores.sql_store import SqlStore
from flowcore_backends.stores.sqlite import SqliteStore

LARGE = "large ü" * 100
RUN = RunRow(name="wf", uid="0000-1")
FLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
    - name: main
      steps:
        - - {name: make, template: make}
        - - {name: use, template: use, arguments: {parameters: [{name: text, value: "{{steps.make.outputs.result}}"}]}}
        - - {name: last, template: make}
    - name: make
      container: {image: any, command: [make]}
    - name: use
      inputs: {parameters: [{name: text}]}
      outputs: {parameters: [{name: whole, globalName: whole, valueFrom: {path: /tmp/whole}}]}
      container: {image: any, command: [use, "{{inputs.parameters.text}}"]}
"""


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Artifacts and folders of recorded runs go here."""
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path / "state"))


@pytest.fixture
def kept(store: SqlStore) -> Iterator[MemoryArtifacts]:
    """Where the store puts away what has more than 500 bytes."""
    artifacts = MemoryArtifacts()
    store.offload = Offload(artifacts, above=500)
    yield artifacts
    store.offload = None


def node(number: int, **given: object) -> Node:
    return Node(id=NodeId(f"wf-{number}"), name=f"wf[{number}]", display_name="n", type=NodeType.POD, seq=number, **given)


def rows() -> list[Node]:
    outputs = {"result": LARGE, "exitCode": "0", "parameters": [{"name": "p", "value": LARGE + "!"}, {"name": "q", "value": "small"}]}
    raw = {"artifacts": [{"name": "a", "raw": {"data": LARGE}}, {"name": "b", "s3": {"key": "k"}}], "parameters": [{"name": "none"}]}
    return [node(1, outputs=outputs), node(2, inputs=raw), node(3, outputs={"result": "small"}), node(4)]


async def test_rows_refer_to_what_is_large(store: SqlStore, kept: MemoryArtifacts) -> None:
    """Equal texts are kept once; small ones stay where they are."""
    run = replace(RUN, outputs={"parameters": [{"name": "g", "value": LARGE}]})
    await store.replace(run, rows(), {"kind": "Workflow"})
    assert sorted(map(len, kept.files.values())) == [800, 801]
    outline = await store.outline("wf", "default")
    assert outline is not None
    assert LARGE not in str(outline)
    assert "small" in str(outline.nodes)
    stored = await store.load("wf", "default")
    assert stored is not None
    assert (stored.run, list(stored.nodes)) == (run, rows())


async def test_what_a_driver_saves_is_there_before_its_rows(store: SqlStore, kept: MemoryArtifacts) -> None:
    """A store of artifacts that refuses stops the run before anything refers to what it does not have."""
    claim = await store.claim("wf", "default")
    await claim.save(RUN, [], {"kind": "Workflow"})

    async def refuse(key: str, source: Path) -> None:
        raise ArtifactError("the disk is full")

    kept.save = refuse
    with pytest.raises(StoreError, match="run wf: a large output could not be kept in"):
        await claim.save(RUN, rows())
    assert (await store.outline("wf", "default")).nodes == ()
    del kept.save
    await claim.save(RUN, rows())
    assert list((await claim.load("wf", "default")).nodes) == rows()


async def test_a_forgotten_run_leaves_nothing(store: SqlStore, kept: MemoryArtifacts) -> None:
    """What other runs put away stays, also that of a run with the same outputs."""
    other = replace(RUN, name="wf2", uid="0000-2")
    for run in (RUN, other):
        await store.replace(run, rows(), {"kind": "Workflow"})
    assert await store.delete("wf", "default")
    assert {key.rpartition("/")[0] for key in kept.files} == {folder_of(other)}
    assert list((await store.load("wf2", "default")).nodes) == rows()


@pytest.mark.parametrize("damage", ["missing", "damaged"])
async def test_what_is_not_there_is_told_in_one_line(store: SqlStore, kept: MemoryArtifacts, damage: str) -> None:
    """With the output and the key; the run can still be looked at in outline, and be deleted."""
    await store.replace(RUN, rows()[:1], {"kind": "Workflow"})
    key = min(kept.files, key=lambda key: len(kept.files[key]))
    if damage == "missing":
        del kept.files[key]
    else:
        kept.files[key] = b"something else"
    word = "is not there" if damage == "missing" else "is damaged"
    with pytest.raises(
        StoreError, match=rf"^run wf: the result among the outputs of node wf\[1\] was put away in .*{key} and {word}: .* delete the run$"
    ):
        await store.load("wf", "default")
    runs = Runs(store, None, RealClock())
    assert (await runs.outline("wf")).run.name == "wf"
    await runs.delete("wf")
    assert not kept.files


def make_executor() -> FakeExecutor:
    fake = FakeExecutor()
    fake.when(template="make").returns(LARGE)
    fake.when(template="use", text=LARGE).outputs(parameters={"whole": LARGE + "?"})
    return fake


async def test_a_run_knows_nothing_of_it(store: SqlStore, kept: MemoryArtifacts) -> None:
    """Substitution, the end, export, retry and a resubmission that takes over have the texts themselves."""
    executor = make_executor()
    executor.when(template="make", step="last").fails(exit_code=1)
    result = await flowcore.run(FLOW, executor=executor, store=store)
    assert result.phase == "Failed"
    assert result.outputs.parameters == {"whole": LARGE + "?"}
    assert kept.files
    runs = Runs(store, None, RealClock())
    assert LARGE in str(export_run(await runs.get("flow")))
    assert LARGE not in str((await runs.outline("flow")).nodes)
    again = await runs.resubmit("flow", memoized=True, name="again")
    await runs.retry("flow")
    for name in ("flow", again.name):
        end = await flowcore.resume(name, store=store, executor=make_executor())
        assert end.phase == "Succeeded"
        assert end.node("use").outputs["parameters"][0]["value"] == LARGE + "?"
    await runs.delete("flow")
    assert LARGE + "?" in str((await runs.get("again")).nodes)
    await runs.delete("again")
    assert not kept.files


async def test_secrets_are_masked_before(store: SqlStore, kept: MemoryArtifacts) -> None:
    """What is put away has marks in place of values, as rows have."""
    sensitive = FLOW.replace("{name: flow}", "{name: flow, annotations: {flowcore.dev/sensitive-parameters: token}}")
    sensitive = sensitive.replace("spec:", "spec:\n  arguments: {parameters: [{name: token, value: my-secret}]}", 1)
    fake = FakeExecutor()
    fake.when(template="make").returns(LARGE + "my-secret")
    fake.when(template="use").outputs(parameters={"whole": "small"})
    result = await flowcore.run(sensitive, executor=fake, store=store)
    assert LARGE + "my-secret" in str(result.nodes)
    assert any(b"***sensitive:token***" in data for data in kept.files.values())
    assert not any(b"my-secret" in data for data in kept.files.values())


@pytest.mark.parametrize(
    ("url", "place", "above"),
    [
        ("sqlite:///x.db", "/usual", 256 << 10),
        ("sqlite:///x.db?offload=1Mi&synchronous=full", "/usual", 1 << 20),
        ("sqlite:///x.db?offload-to=/srv/large&offload=100", "/srv/large", 100),
    ],
)
def test_the_url_says_where_and_from_which_size_on(url: str, place: str, above: int) -> None:
    rest, offload = offload_of(url, Path("/usual"))
    assert "offload" not in rest
    assert ("synchronous=full" in rest) == ("synchronous=full" in url)
    assert offload is not None
    assert (offload.artifacts.path, offload.above) == (Path(place), above)


def test_a_repository_is_described_in_a_file(tmp_path: Path) -> None:
    """As Argo's configuration writes it."""
    described = tmp_path / "repository.yaml"
    described.write_text("no-such-driver: {bucket: b}")
    with pytest.raises((UsageError, MissingBackend), match="artifact repository"):
        offload_of(f"postgresql://h/d?offload-to={described}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me:pass@h/d?offload=1Mi", "store: offload=1Mi needs offload-to=FOLDER"),
        ("sqlite:///x?offload=big&offload-to=/a", "offload=big: write a size such as 256Ki"),
        ("sqlite:///x?offload-to=/not/there.yaml", "offload-to=/not/there.yaml: .*No such file"),
    ],
)
def test_what_the_url_cannot_mean(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        offload_of(url)
    assert "pass" not in str(caught.value)


def test_stores_by_url(tmp_path: Path) -> None:
    """A file of this machine uses the state folder; ``off`` keeps everything in it."""
    usual = SqliteStore.from_url(f"sqlite:///{tmp_path}/runs.db").offload
    assert usual is not None
    assert isinstance(usual.artifacts, FolderArtifacts)
    assert usual.artifacts.path == tmp_path / "state" / "artifacts"
    assert SqliteStore.from_url(f"sqlite:///{tmp_path}/runs.db?offload=off").offload is None
    assert SqliteStore.from_url("sqlite:///:memory:").offload is None


async def test_a_crash_between_is_healed(tmp_path: Path) -> None:
    """Another process, with nothing in memory, goes on from files alone."""
    place = FolderArtifacts(tmp_path / "artifacts")
    url = f"sqlite:///{tmp_path}/runs.db?offload=500&offload-to={place.path}"
    first = flowcore.open_store(url)
    stopped = make_executor()
    stopped.when(template="make", step="last").fails(exit_code=1)
    assert (await flowcore.run(FLOW, executor=stopped, store=first)).phase == "Failed"
    runs = Runs(first, None, RealClock())
    row = await runs.retry("flow")
    await first.close()
    second = flowcore.open_store(url)
    result = await flowcore.resume(row.name, store=second, executor=make_executor())
    assert (result.phase, result.outputs.parameters) == (WorkflowPhase.SUCCEEDED, {"whole": LARGE + "?"})
    assert all(each.phase is Phase.SUCCEEDED for each in result.nodes.values())
    await second.close()
