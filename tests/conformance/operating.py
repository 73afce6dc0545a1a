"""Operations on ended runs in scripts: retry and resubmit, as pure functions of the document that was loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowcore.ports import StoredRun
from tests.conformance.answers import part
from tests.conformance.simulation import Simulated

if TYPE_CHECKING:
    from tests.conformance.scripts import Script


def retry(script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    """The workflow is now its own retry; the names of the pods that Argo would delete are the result."""
    workflow.absorb()
    stored = _stored(workflow)
    made = part("operations", "retry")(
        stored.run,
        stored.nodes,
        stored.manifest,
        now=script.world.now,
        restart_successful=bool(arguments.get("restartSuccessful")),
        selector=str(arguments.get("nodeFieldSelector", "")),
        parameters=_parameters(arguments),
    )
    script.result["podsToDelete"] = list(made.pods)
    for pod in [node for node, pod in workflow.pods.items() if pod.invocation.pod_name in made.pods]:
        del workflow.pods[pod]
    workflow.load(part("operations", "export_run")(StoredRun(made.run, made.nodes, made.manifest)))


def resubmit(script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    """The workflow is now the new one."""
    stored = _stored(workflow)
    prefix = part("operations.resubmit", "name_prefix")(stored.run, stored.manifest)
    name = f"{prefix}x7k2p"
    document = part("operations", "resubmit")(stored.run, stored.manifest, name, parameters=_parameters(arguments))
    if not arguments.get("memoized"):
        workflow.load(document)
        return
    rows = part("operations.resubmit", "memoized")(stored.run, stored.nodes, name, now=script.world.now)
    run = replace(part("operations.retry", "reopened")(stored.run, script.world.now), name=name, started_at=None)
    workflow.load(part("operations", "export_run")(StoredRun(run, rows, document)))


def _stored(workflow: Simulated) -> StoredRun:
    document = workflow.document()
    if not document.get("status"):
        document = {**document, "status": {"phase": ""}}
    stored: StoredRun = part("operations", "import_run")(document)
    return stored


def _parameters(arguments: Mapping[str, Any]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in arguments.get("parameters") or ())
