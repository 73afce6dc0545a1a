"""Validation of whole documents: names, arguments, entrypoint, what is referred to, settings, the kinds, all problems at once."""

from __future__ import annotations

import pytest

from flowcore.models import ClusterWorkflowTemplate, CronWorkflow, WorkflowEventBinding, WorkflowTemplate
from flowcore.plan.validate import validate
from tests.unit.validating import LEAF, PLAIN, Catalog, errors, problems, warnings, workflow


def test_a_good_workflow_has_no_problems():
    main = "{name: main, steps: [[{name: a, template: echo, arguments: {parameters: [{name: text, value: hi}]}}]]}"
    assert problems(main, LEAF) == []


def test_all_problems_are_found_and_argos_comes_first():
    main = """
name: main
steps:
- - {name: a, template: ecko, arguments: {parameters: [{name: text, value: "{{workflow.parameters.x}}"}]}}
  - {name: a.b, template: echo}
- - {name: c, template: plain, withItems: [1], withParam: "[]"}
"""
    found = problems(main, LEAF, PLAIN, spec="{parallelism: 0, podGC: {strategy: Now}}")
    assert [(p.message, p.path, p.remedy) for p in found if p.severity == "error"] == [
        ("templates.main.steps[0].a template name 'ecko' undefined", "spec.templates[0].steps[0][0]", "did you mean echo?"),
        (
            "templates.main.steps failed to resolve {{workflow.parameters.x}}",
            "spec.templates[0].steps[0][0].arguments.parameters[0].value",
            None,
        ),
        (
            "templates.main.steps[0].name 'a.b' is invalid: name must consist of alpha-numeric characters or '-', "
            "and must start with an alpha-numeric character (e.g. My-name1-2, 123-NAME)",
            "spec.templates[0].steps[0][1].name",
            None,
        ),
        (
            "templates.main.steps[0].a.b templates.echo inputs.parameters.text was not supplied",
            "spec.templates[0].steps[0][1]",
            "pass it in arguments, or give it a default",
        ),
        (
            "templates.main.steps[1].c only one of withItems, withParam, withSequence can be specified",
            "spec.templates[0].steps[1][0]",
            None,
        ),
        (
            "podGC.strategy unknown strategy 'Now'",
            "spec.podGC.strategy",
            "one of: OnPodCompletion, OnPodSuccess, OnWorkflowCompletion, OnWorkflowSuccess",
        ),
        ("parallelism must be at least 1, got 0", "spec.parallelism", None),
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{entrypoint: ''}", "spec.entrypoint is required"),
        ("{entrypoint: nowhere}", "template name 'nowhere' undefined"),
        ("{onExit: nowhere}", "template name 'nowhere' undefined"),
        ("{hooks: {late: {template: plain}}}", "hooks.late Expression required"),
        ("{arguments: {parameters: [{name: p}]}}", "spec.arguments.p.value or spec.arguments.p.valueFrom is required"),
        ("{arguments: {parameters: [{name: p.q, value: 1}]}}", "is invalid: Parameter/Artifact name must consist of"),
        ("{arguments: {parameters: [{value: 1}]}}", "spec.arguments.parameters[0].name is required"),
        ("{arguments: {parameters: [{name: p, value: 1}, {name: p, value: 2}]}}", "spec.arguments.parameters[1].name 'p' is not unique"),
        ("{arguments: {parameters: [{name: p, valueFrom: {path: /x}}]}}", "valueFrom only allows: default, configMapKeyRef and supplied"),
        ("{arguments: {parameters: [{name: p, valueFrom: {default: x}}]}}", "valueFrom only allows: default, configMapKeyRef and supplied"),
        ("{arguments: {parameters: [{name: p, value: c, enum: [a, b]}]}}", "p.value should be present in spec.arguments.p.enum list"),
        ("{arguments: {parameters: [{name: p, value: c, enum: []}]}}", "p.enum should contain at least one value"),
        ("{arguments: {artifacts: [{name: a}]}}", "spec.arguments.a.from, artifact location, or key is required"),
        (
            "{arguments: {artifacts: [{name: a, from: '{{x}}', fromExpression: 'y'}]}}",
            "spec.arguments.a shouldn't have both `from` and `fromExpression`",
        ),
        ("{podGC: {labelSelector: {matchExpressions: [{key: a, operator: Near}]}}}", '"Near" is not a valid label selector operator'),
        ("{podResources: {limits: {nvidia.com/gpu: 1}}}", 'spec.podResources: "nvidia.com/gpu" is not a valid pod-level resource'),
        ("{podResources: {claims: [{name: a}]}}", "spec.podResources.claims is not supported"),
        ("{executorPlugins: [{spec: {sidecar: {container: {ports: [{}]}}}}]}", "executor plugin metadata name is mandatory"),
        ("{executorPlugins: [{metadata: {name: p}}]}", "spec.executorPlugins: at least one port is mandatory"),
        ("{templates: [{name: plain, suspend: {}}, {name: plain, suspend: {}}]}", "spec.templates[1].name 'plain' is not unique"),
        ("{templates: [{name: plain, suspend: {}}, {suspend: {}}]}", "spec.templates[1].name is required"),
        ("{templates: [{name: plain}]}", "template 'plain' type is unknown"),
    ],
)
def test_what_is_wrong_with_a_spec(spec, message):
    found = problems(PLAIN, spec=spec, like_argo=True)
    assert any(message in text for text in errors(found)), found


@pytest.mark.parametrize(
    "spec",
    [
        "{arguments: {parameters: [{name: p, valueFrom: {configMapKeyRef: {name: c, key: k}}}]}}",
        "{arguments: {parameters: [{name: p, value: a, enum: [a, b]}]}}",
        "{arguments: {artifacts: [{name: a, s3: {key: k}}, {name: b, raw: {data: ''}}]}}",
        "{podGC: {strategy: OnPodSuccess, labelSelector: {matchLabels: {a: b}, matchExpressions: [{key: k, operator: In, values: [x]}]}}}",
        "{hooks: {exit: {template: plain}, late: {template: plain, expression: workflow.status == 'Failed'}}}",
        "{podResources: {limits: {cpu: 1, memory: 1Gi, hugepages-2Mi: 1}}}",
        "{activeDeadlineSeconds: 0, parallelism: 1, priority: -1}",
    ],
)
def test_what_is_right(spec):
    assert problems(PLAIN, spec=spec) == []


def test_globals_are_known_where_they_exist():
    body = "{name: main, container: {image: alpine, args: ['{{%s}}']}}"
    known = "{arguments: {parameters: [{name: p, value: v}]}, priority: 3, workflowMetadata: {labels: {l: x}, labelsFrom: {m: {expression: 'x'}}}}"
    names = [
        "name",
        "namespace",
        "uid",
        "parameters.p",
        "parameters",
        "priority",
        "labels.l",
        "labels.m",
        "status",
        "duration",
        "annotations",
    ]
    for name in [*names, "creationTimestamp.s", "scheduledTime", "parameters.json", "mainEntrypoint", "serviceAccountName"]:
        assert problems(body % f"workflow.{name}", spec=known) == []
    for name in ("parameters.q", "labels.n", "failures", "outputs.parameters.x"):
        assert errors(problems(body % f"workflow.{name}", spec=known)) == [f"templates.main: failed to resolve {{{{workflow.{name}}}}}"]
    assert errors(problems(body % "workflow.priority"))


def test_failures_are_known_to_exit_handlers_only():
    bye = "{name: bye, container: {image: alpine, args: ['{{workflow.failures}}']}}"
    assert problems(PLAIN, bye, spec="{onExit: bye}") == []
    assert errors(problems(PLAIN, bye)) == ["templates.bye templates.bye: failed to resolve {{workflow.failures}}"]


def test_somebody_elses_tags_are_left_alone():
    assert problems("{name: main, container: {image: alpine, args: ['{{user.x}} {{ foo }} {{=whatever.x}} {{item}}']}}") == []


def test_angle_brackets_warn_only():
    found = problems("{name: main, container: {image: alpine, args: ['cat <<EOF >>out', '<<inputs.parameters.nope>>']}}")
    assert errors(found) == []
    assert warnings(found) == ["templates.main: failed to resolve <<inputs.parameters.nope>>"]


def test_lint_needs_no_values():
    spec = "{arguments: {parameters: [{name: p}]}}"
    assert errors(problems(PLAIN, spec=spec)) == ["spec.arguments.p.value or spec.arguments.p.valueFrom is required"]
    assert problems(PLAIN, spec=spec, lint=True) == []


TEMPLATE = """
kind: WorkflowTemplate
metadata: {name: lib}
spec:
  entrypoint: main
  arguments: {parameters: [{name: p, value: v}]}
  templates:
  - {name: main, container: {image: alpine, args: ["{{workflow.parameters.p}}"]}}
  - {name: needs, inputs: {parameters: [{name: x}]}, container: {image: alpine}}
"""


def test_a_workflow_that_is_a_reference():
    catalog = Catalog(TEMPLATE)
    assert problems(spec="{workflowTemplateRef: {name: lib}}", catalog=catalog) == []
    assert errors(problems(spec="{workflowTemplateRef: {name: bil}}", catalog=catalog)) == ['workflowtemplates.argoproj.io "bil" not found']
    both = "{workflowTemplateRef: {name: lib}, templates: [{name: a, suspend: {}}]}"
    assert errors(problems(spec=both, catalog=catalog))[0].startswith("Templates is invalid field in spec")
    missing = "{workflowTemplateRef: {name: lib}, entrypoint: needs}"
    assert errors(problems(spec=missing, catalog=catalog)) == ["templates.needs inputs.parameters.x was not supplied"]


def test_template_references():
    call = "{name: main, steps: [[{name: a, templateRef: %s}]]}"
    catalog = Catalog(
        TEMPLATE.replace("kind: WorkflowTemplate", "kind: ClusterWorkflowTemplate").replace("workflow.parameters.p", "pod.name")
    )
    cases = {
        "{name: lib, template: main, clusterScope: true}": None,
        "{name: lib, template: main}": "template reference lib.main not found",
        "{name: lib, template: nope, clusterScope: true}": "template reference lib.nope not found",
        "{template: main}": "resource name is required",
        "{name: lib}": "template name is required",
        "{name: lib, template: '{{item}}'}": None,
    }
    for reference, message in cases.items():
        expected = [f"templates.main.steps[0].a {message}"] if message else []
        assert errors(problems(call % reference, catalog=catalog, like_argo=True)) == expected
    assert "template name cannot be specified with templateRef" in errors(problems(call % "{name: l, template: t}, template: x"))[0]


def test_problems_of_other_documents_name_them():
    broken = TEMPLATE.replace("{{workflow.parameters.p}}", "{{inputs.parameters.gone}}")
    found = problems("{name: main, steps: [[{name: a, templateRef: {name: lib, template: main}}]]}", catalog=Catalog(broken))
    assert [(p.file, p.path) for p in found] == [("WorkflowTemplate/lib", "spec.templates[0].container.args[0]")]


def test_templates_by_themselves_may_get_more_from_those_who_use_them():
    body = {"metadata": {"name": "t"}, "spec": workflow(LEAF, spec="{arguments: {parameters: [{name: p}]}}").spec.to_json()}
    body["spec"]["templates"][0]["container"]["args"] = ["{{workflow.parameters.from-elsewhere}}"]
    del body["spec"]["entrypoint"]
    assert validate(WorkflowTemplate.model_validate(body)) == []
    assert validate(ClusterWorkflowTemplate.model_validate(body)) == []


def test_names_have_a_length():
    long = "a" * 64
    assert errors(validate(workflow(PLAIN, metadata=f"{{name: {long}}}")))[0].startswith(f'workflow name "{long}" must not be more than 63')
    spec = {"templates": [{"name": "a", "suspend": {}}]}
    for model, what in ((WorkflowTemplate, "workflow template"), (ClusterWorkflowTemplate, "cluster workflow template")):
        assert errors(validate(model.model_validate({"metadata": {"name": long}, "spec": spec})))[0].startswith(f'{what} name "{long}"')


def test_defaults_of_the_cluster_count():
    defaults = {"spec": {"entrypoint": "plain", "workflowMetadata": {"labels": {"team": "x"}}}}
    body = "{name: plain, container: {image: alpine, args: ['{{workflow.labels.team}}']}}"
    assert problems(body, spec="{entrypoint: ''}", workflow_defaults=defaults) == []


def cron(**spec):
    whole = {"schedules": ["* * * * *"], "workflowSpec": workflow(PLAIN).spec.to_json(), **spec}
    return CronWorkflow.model_validate({"metadata": {"name": "c"}, "spec": whole})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, None),
        ({"timezone": "Europe/Berlin", "concurrencyPolicy": "Forbid"}, None),
        ({"schedules": []}, "cron workflow must have at least one schedule"),
        ({"schedules": ["* * * * *", "61 * * * *"]}, "cron schedule 61 * * * * is malformed: end of range (61) above maximum (59): 61"),
        ({"schedules": ["@hourly", "@every 90s"]}, None),
        ({"timezone": "Mars/Base"}, 'invalid timezone "Mars/Base"'),
        ({"timezone": "../../etc/passwd"}, "invalid timezone"),
        ({"concurrencyPolicy": "Perhaps"}, "'Perhaps' is not a valid concurrencyPolicy"),
        ({"startingDeadlineSeconds": -1}, "startingDeadlineSeconds must be positive"),
        ({"workflowSpec": {}}, "cannot validate Workflow: spec.entrypoint is required"),
        ({"failedJobsHistoryLimit": -1}, "failedJobsHistoryLimit must be at least 0"),
    ],
)
def test_cron_workflows(spec, message):
    found = errors(validate(cron(**spec)))
    assert found == [] if message is None else message in found[0]


def test_event_bindings():
    good = {"spec": {"event": {"selector": "payload.x == 1"}, "submit": {"workflowTemplateRef": {"name": "t"}}}}
    assert validate(WorkflowEventBinding.model_validate(good)) == []
    bad = {"spec": {"event": {"selector": "payload.x =="}, "submit": {}}}
    assert len(errors(validate(WorkflowEventBinding.model_validate(bad)))) == 2
