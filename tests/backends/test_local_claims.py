"""Claims of a run on the local backend: how long they live, and what a retry finds in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowcore.artifacts import FolderArtifacts
from flowcore.service import Service
from flowcore.stores import open_store
from flowcore_backends.local import LocalExecutor

SECOND_TIME = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: again}
spec:
  entrypoint: main
  GC
  volumeClaimTemplates: [{metadata: {name: work}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}]
  templates:
  - name: main
    script:
      image: alpine
      command: [sh]
      volumeMounts: [{name: work, mountPath: /srv}]
      source: "test -f /srv/seen || { touch /srv/seen; exit 1; }"
"""


@pytest.mark.parametrize(
    ("collection", "after_failure", "after_retry"),
    [
        ("", ["work"], "Succeeded"),
        ("volumeClaimGC: {strategy: OnWorkflowSuccess}", ["work"], "Succeeded"),
        ("volumeClaimGC: {strategy: OnWorkflowCompletion}", [], "Failed"),
    ],
)
async def test_claims_of_a_run_that_failed_stay_for_its_retry(
    tmp_path: Path, collection: str, after_failure: list[str], after_retry: str
) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    service = Service(store, LocalExecutor(), artifacts=FolderArtifacts(tmp_path / "artifacts"), folder=tmp_path / "runs")
    try:
        async with service.start():
            await service.submit(SECOND_TIME.replace("GC", collection, 1))
            row = await service.wait("again")
            assert row.phase == "Failed"
            claims = tmp_path / "runs" / row.uid / "local" / "claims"
            assert [path.name for path in (claims.iterdir() if claims.is_dir() else ())] == after_failure
            await service.retry("again")
            assert (await service.wait("again")).phase == after_retry
            assert not claims.exists()
    finally:
        await store.close()
