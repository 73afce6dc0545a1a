"""Whole workflows on pods that are processes here: the examples of the documentation that need no image give the tree that the page shows."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

import flowcore
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase, WorkflowPhase

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.testing import FakeKube, local_processes
from tests.backends.contract import until

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox on this machine")

LOOP_AND_RESULTS = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: loop}
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {name: list, template: list}
      - {name: each, template: each, depends: list, withParam: "{{tasks.list.outputs.result}}", arguments: {parameters: [{name: x, value: "{{item}}"}]}}
      - {name: all, template: all, depends: each, arguments: {parameters: [{name: x, value: "{{tasks.each.outputs.result}}"}]}}
  - name: list
    script: {image: i, command: [sh], source: 'echo "[1, 2, 3]"'}
  - name: each
    inputs: {parameters: [{name: x}]}
    container: {image: i, command: [sh, -c, "echo $(({{inputs.parameters.x}} * 2))"]}
  - name: all
    inputs: {parameters: [{name: x}]}
    container: {image: i, command: [echo, "{{inputs.parameters.x}}"]}
    retryStrategy: {limit: 1}
"""


async def test_results_flow_from_pod_to_pod(tmp_path: Path) -> None:
    async with FakeKube(default=local_processes(tmp_path)) as kube, asyncio.timeout(30):
        result = await flowcore.run(LOOP_AND_RESULTS, executor=KubernetesExecutor(api_server=kube.url), seed=1)
        assert result.phase is WorkflowPhase.SUCCEEDED, result.message
        assert {node.display_name for node in result.nodes.values() if node.phase is Phase.SUCCEEDED} >= {
            "list",
            "each(0:1)",
            "all",
            "all(0)",
        }
        assert result.node("all").inputs == {"parameters": [{"name": "x", "value": "[2,4,6]"}]}
        assert len(kube.objects("pods")) == 5
        assert kube.most_watches == 1


async def test_a_run_that_is_looked_away_from_is_adopted_by_the_next(tmp_path: Path) -> None:
    workflow: JsonObject = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "once"},
        "spec": {
            "entrypoint": "main",
            "templates": [
                {
                    "name": "main",
                    "container": {
                        "image": "i",
                        "command": ["sh", "-c", f"echo x >> {tmp_path}/count; until [ -e {tmp_path}/go ]; do sleep 0.02; done"],
                    },
                }
            ],
        },
    }
    async with FakeKube(default=local_processes(tmp_path / "pods")) as kube, asyncio.timeout(30):
        first = asyncio.create_task(flowcore.run(workflow, executor=KubernetesExecutor(api_server=kube.url), seed=1))
        await until((tmp_path / "count").exists)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        (tmp_path / "go").touch()
        second = await flowcore.run(workflow, executor=KubernetesExecutor(api_server=kube.url), seed=1)
        assert second.phase is WorkflowPhase.SUCCEEDED, second.message
        assert (tmp_path / "count").read_text() == "x\n"


def test_the_package_is_there_without_the_client() -> None:
    """Importing the executor does not import kubernetes-asyncio: who lacks it is told which extra to install."""
    import subprocess

    script = (
        "import sys; sys.modules['kubernetes_asyncio'] = sys.modules['aiohttp'] = None\n"
        "import asyncio, flowcore; from flowcore.errors import FlowError\n"
        "from flowcore_backends.kubernetes import KubernetesExecutor\n"
        "wf = {'apiVersion': 'argoproj.io/v1alpha1', 'kind': 'Workflow', 'metadata': {'name': 'x'}, 'spec': {'entrypoint': 'm',"
        " 'templates': [{'name': 'm', 'container': {'image': 'i', 'command': ['true']}}]}}\n"
        "print(asyncio.run(flowcore.run(wf, executor=KubernetesExecutor())).message)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install 'flowcore[kubernetes]'" in done.stdout, done.stderr
