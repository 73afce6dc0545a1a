"""A reference that leads nowhere is told together with the way that leads somewhere."""

from __future__ import annotations

import pytest

from flowcore.catalogs import MemoryCatalog
from flowcore.errors import InvalidWorkflow
from flowcore.jsontypes import JsonObject
from flowcore.manifests import load_workflow
from flowcore.plan.plan import compile_plan
from flowcore.plan.validate import validate
from tests.scenarios.documents import yaml


def shared(kind: str, name: str, namespace: str = "") -> JsonObject:
    """A document of templates."""
    return yaml(f"""
    kind: {kind}
    metadata: {{name: {name}, namespace: "{namespace}"}}
    spec: {{entrypoint: build, templates: [{{name: build, container: {{image: a}}}}, {{name: test, container: {{image: a}}}}]}}
    """)


CATALOG = MemoryCatalog(
    [shared("WorkflowTemplate", "near"), shared("WorkflowTemplate", "far", "argo"), shared("ClusterWorkflowTemplate", "wide")]
)
CASES = [
    ("{name: nobody, template: build}", "give the file it is in to the catalog (--template)"),
    ("{name: far, template: build}", "there is one in namespace argo, and this is namespace team"),
    ("{name: wide, template: build}", "there is a ClusterWorkflowTemplate of that name: add clusterScope: true"),
    ("{name: near, template: build, clusterScope: true}", "there is a WorkflowTemplate of that name: leave clusterScope out"),
    ("{name: near, template: biuld}", "did you mean build?"),
    ("{name: near, template: deploy-all}", "WorkflowTemplate/near has no such template; it has build, test"),
]


@pytest.mark.parametrize(("reference", "remedy"), CASES)
def test_of_a_step(reference: str, remedy: str) -> None:
    workflow = load_workflow(f"""
    kind: Workflow
    metadata: {{name: wf, namespace: team}}
    spec: {{entrypoint: main, templates: [{{name: main, steps: [[{{name: a, templateRef: {reference}}}]]}}]}}
    """)
    (problem,) = validate(workflow, catalog=CATALOG)
    assert problem.remedy == remedy


@pytest.mark.parametrize(("reference", "remedy"), CASES[:4])
def test_of_a_workflow(reference: str, remedy: str) -> None:
    reference = reference.replace(", template: build", "")
    workflow = load_workflow(
        f"{{kind: Workflow, metadata: {{name: wf, namespace: team}}, spec: {{entrypoint: build, workflowTemplateRef: {reference}}}}}"
    )
    told = [problem.remedy for problem in validate(workflow, catalog=CATALOG)]
    assert told[0] == remedy
    with pytest.raises(InvalidWorkflow) as caught:
        compile_plan(workflow, catalog=CATALOG)
    assert [problem.remedy for problem in caught.value.problems] == [remedy]
