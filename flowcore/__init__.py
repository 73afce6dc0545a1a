"""flowcore runs, tests and embeds Argo-style workflows anywhere: a pure-Python workflow engine on asyncio and trio.

::

    import flowcore
    from flowcore_backends.local import LocalExecutor

    result = flowcore.run_sync("workflow.yaml", executor=LocalExecutor())
    print(result.phase, result.outputs.parameters)

These are the names for users; what only few need stands in the modules, which ``docs/api.md`` names.
"""

from __future__ import annotations

from flowcore.catalogs import FolderCatalog, MemoryCatalog
from flowcore.clocks import SharedVirtualClock, VirtualClock
from flowcore.durable import RunStore
from flowcore.errors import (
    ExecutorError,
    FlowError,
    InvalidWorkflow,
    MissingBackend,
    Problem,
    StoreError,
    UsageError,
    WorkflowFailed,
)
from flowcore.functions import template
from flowcore.manifests import dump_workflow, load_workflow
from flowcore.models import ClusterWorkflowTemplate, CronWorkflow, Workflow, WorkflowTemplate
from flowcore.nodes import Node, NodeType, Phase, WorkflowPhase
from flowcore.plan.validate import validate
from flowcore.ports import Executor, Invocation, Logged, Outcome
from flowcore.results import RunResult
from flowcore.runner import NodeChanged, Run, RunChanged
from flowcore.running import open_resumed, open_run, resume, run, run_sync
from flowcore.service import Service
from flowcore.stores import open_store

__all__ = [
    "ClusterWorkflowTemplate",
    "CronWorkflow",
    "Executor",
    "ExecutorError",
    "FlowError",
    "FolderCatalog",
    "InvalidWorkflow",
    "Invocation",
    "Logged",
    "MemoryCatalog",
    "MissingBackend",
    "Node",
    "NodeChanged",
    "NodeType",
    "Outcome",
    "Phase",
    "Problem",
    "Run",
    "RunChanged",
    "RunResult",
    "RunStore",
    "Service",
    "SharedVirtualClock",
    "StoreError",
    "UsageError",
    "VirtualClock",
    "Workflow",
    "WorkflowFailed",
    "WorkflowPhase",
    "WorkflowTemplate",
    "dump_workflow",
    "load_workflow",
    "open_resumed",
    "open_run",
    "open_store",
    "resume",
    "run",
    "run_sync",
    "template",
    "validate",
]
