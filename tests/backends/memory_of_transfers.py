"""``python -m tests.backends.memory_of_transfers KIND ADDRESS FOLDER BYTES``: store and fetch an artifact of that size, and print by how many bytes the memory of this process grew at most."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

import flowcore
from flowcore.artifacts import FolderArtifacts, locations
from flowcore.catalogs import MemoryCatalog
from flowcore.jsontypes import JsonObject
from flowcore.ports import RunContext
from flowcore_backends.local import LocalExecutor

SECRET: JsonObject = {"kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"id": "me", "secret": "pssst"}}
LOGIN: JsonObject = {"accessKeySecret": {"name": "keys", "key": "id"}, "secretKeySecret": {"name": "keys", "key": "secret"}}
RUN = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: big}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: make, template: make}
    - - {name: take, template: take, arguments: {artifacts: [{name: file, from: "{{steps.make.outputs.artifacts.file}}"}]}}
  - name: make
    script: {image: alpine, command: [sh], source: "truncate -s BYTES /tmp/file"}
    outputs: {artifacts: [{name: file, path: /tmp/file}]}
  - name: take
    inputs: {artifacts: [{name: file, path: /tmp/in}]}
    script: {image: alpine, command: [sh], source: "test $(stat -c %s /tmp/in) = BYTES"}
"""


def most_memory() -> int:
    """The most bytes that this process had in memory since it began or since ``forget``."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def forget() -> None:
    """Begin to count from what is in memory now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def place(kind: str, address: str, name: str) -> JsonObject:
    """The location of an artifact; one with a key alone is in the run's own store."""
    match kind:
        case "s3":
            return {"s3": {"endpoint": address, "insecure": True, "bucket": "bucket", "key": name, **LOGIN}}
        case "hdfs":
            return {"hdfs": {"addresses": [f"http://{address}"], "path": f"/{name}", "hdfsUser": "ann"}}
        case "http":
            return {"http": {"url": f"http://{address}/{name}"}}
        case _:
            return {"s3": {"key": name}}


async def there_and_back(kind: str, address: str, folder: Path, size: int) -> None:
    """Store a file of that size and fetch it."""
    (folder / "file").touch()
    with (folder / "file").open("r+b") as file:
        file.truncate(size)
    store = FolderArtifacts(folder / "store")
    context = RunContext(name="wf", namespace="default", uid="u", catalog=MemoryCatalog([SECRET]), artifacts=store)
    where = place(kind, address, f"of-{size}")
    await locations.save(where, folder / "file", context, "")
    await locations.load(where, folder / "back", context)
    if (folder / "back").stat().st_size != size:
        raise SystemExit("it did not come back")
    (folder / "back").unlink()


async def run(folder: Path, size: int) -> None:
    """Run a workflow that hands a file of that size on, packed as artifacts are by default."""
    result = await flowcore.run(
        RUN.replace("BYTES", str(size)), executor=LocalExecutor(), artifacts=FolderArtifacts(folder / f"store-{size}")
    )
    if result.phase != "Succeeded":
        raise SystemExit(result.message)


async def main(kind: str, address: str, folder: Path, size: int) -> None:
    """A small one first, so that what is only loaded once does not count."""
    for each in (1 << 20, size):
        forget()
        before = most_memory()
        await (run(folder, each) if kind == "run" else there_and_back(kind, address, folder, each))
    print(most_memory() - before)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
