"""What an administrator's defaults give to workflows is there when they are checked."""

from __future__ import annotations

from flowcore.catalogs import MemoryCatalog
from flowcore.clocks import RealClock
from flowcore.plan.plan import PlanOptions
from flowcore.running import plan_run

WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: says}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: alpine, command: [echo], args: ["{{workflow.labels.team}}"]}
"""


def test_a_label_of_the_defaults_may_be_named() -> None:
    options = PlanOptions(workflow_defaults={"spec": {"workflowMetadata": {"labels": {"team": "red"}}}})
    plan = plan_run(WORKFLOW, catalog=MemoryCatalog([]), clock=RealClock(), options=options)
    assert plan.spec["workflowMetadata"] == {"labels": {"team": "red"}}
