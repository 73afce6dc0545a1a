"""Validation of templates: types, inputs, outputs, containers and their sets, scripts, resources, metrics, timeouts."""

from __future__ import annotations

import pytest

from tests.unit.validating import errors, problems, warnings

TWO_LEVELS = "{name: t, inputs: {artifacts: [{name: a, path: %s}]}, container: {image: i}}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{name: t}", "template 't' type is unknown"),
        ("{name: t, container: {image: i}, suspend: {}}", "templates.t multiple template types specified"),
        ("{name: t, container: {}}", "templates.t.container.image may not be empty"),
        ("{name: t, script: {source: x}}", "templates.t.script.image may not be empty"),
        ("{name: t, container: {image: i}, parallelism: 2}", "templates.t.parallelism is only valid for steps and dag templates"),
        ("{name: t, container: {image: i}, retryStrategy: {retryPolicy: Sometimes}}", "Sometimes is not a valid RetryPolicy"),
        ("{name: t, container: {image: i}, initContainers: [{image: i}]}", "initContainers must all have container name"),
        ("{name: t, container: {image: i}, sidecars: [{name: wait, image: i}]}", 'templates.t.sidecars: "wait" is a reserved'),
        ("{name: t, suspend: {}, timeout: 5s}", "Suspend template doesn't support timeout field"),
        ("{name: t, steps: [], timeout: 5s}", "Steps template doesn't support timeout field"),
        ("{name: t, suspend: {}, pendingTimeout: 5s}", "Suspend template doesn't support pendingTimeout field"),
        ("{name: t, container: {image: i}, timeout: '10'}", "t has invalid duration format in timeout"),
        ("{name: t, steps: [], activeDeadlineSeconds: 5}", "templates.t.activeDeadlineSeconds is only valid for leaf templates"),
        ("{name: t, container: {image: i}, activeDeadlineSeconds: -5}", "must be a positive integer > 0 or an argo variable"),
        ("{name: t, container: {image: i}, activeDeadlineSeconds: soon}", "must be a positive integer > 0 or an argo variable"),
        ("{name: t, http: {url: u}, podResources: {limits: {cpu: 1}}}", "podResources is not supported for HTTP templates"),
        ("{name: t, suspend: {}, resourceClaims: [{name: c}]}", "not supported for Suspend templates, which do not create a pod"),
        # inputs
        (
            "{name: t, container: {image: i}, inputs: {parameters: [{name: 'a b'}]}}",
            "templates.t.inputs.parameters[0].name: 'a b' is invalid",
        ),
        ("{name: t, container: {image: i}, inputs: {artifacts: [{name: a}]}}", "Artifact 'a' did not specify a path"),
        (TWO_LEVELS % "/tmp/../../etc", "Directory traversal is not permitted"),
        (TWO_LEVELS % "/tmp/..", "Directory traversal is not permitted"),
        (
            "{name: t, steps: [], inputs: {artifacts: [{name: a, path: /x}]}}",
            "inputs.artifacts.a.path only valid in container/script templates",
        ),
        ("{name: t, container: {image: i}, inputs: {artifacts: [{name: a, path: /x, from: b}]}}", "a.from not valid in inputs"),
        (
            "{name: t, container: {image: i}, inputs: {artifacts: [{name: a, path: /x, git: {}}]}}",
            "inputs.artifacts.a.git.repo is required",
        ),
        ("{name: t, container: {image: i}, inputs: {artifacts: [{name: a, path: /x, hdfs: {}}]}}", "hdfs.addresses is required"),
        (
            "{name: t, container: {image: i}, inputs: {artifacts: [{name: a, path: /x, hdfs: {addresses: [h], path: /p}}]}}",
            "either templates.t.inputs.artifacts.a.hdfs.hdfsUser",
        ),
        (
            "{name: t, container: {image: i, volumeMounts: [{name: v, mountPath: /d}]}, inputs: {artifacts: [{name: a, path: /d}]}}",
            "templates.t.inputs.artifacts[0].path '/d' already mounted in container.volumeMounts.v",
        ),
        (
            "{name: t, container: {image: i, volumeMounts: [{name: v, mountPath: /d}, {name: w, mountPath: /d}]}}",
            "volumeMounts[1].mountPath '/d' already mounted in container.volumeMounts.v",
        ),
        # outputs
        ("{name: t, container: {image: i}, outputs: {parameters: [{name: p}]}}", "does not have valueFrom or value specified"),
        (
            "{name: t, container: {image: i}, outputs: {parameters: [{name: p, value: x, valueFrom: {path: /x}}]}}",
            "has both valueFrom and value",
        ),
        ("{name: t, container: {image: i}, outputs: {parameters: [{name: p, valueFrom: {default: x}}]}}", "valueFrom type unspecified"),
        (
            "{name: t, container: {image: i}, outputs: {parameters: [{name: p, valueFrom: {path: /x, supplied: {}}}]}}",
            "multiple valueFrom types specified",
        ),
        (
            "{name: t, container: {image: i}, outputs: {parameters: [{name: p, valueFrom: {supplied: {}}}]}}",
            "templates.t.outputs.parameters.p.path must be specified for Container templates",
        ),
        (
            "{name: t, resource: {action: get}, outputs: {parameters: [{name: p, valueFrom: {path: /x}}]}}",
            "p .jqFilter or jsonPath must be specified for Resource templates",
        ),
        (
            "{name: t, steps: [], outputs: {parameters: [{name: p, valueFrom: {path: /x}}]}}",
            "p.parameter or expression must be specified for Steps templates",
        ),
        ("{name: t, container: {image: i}, outputs: {parameters: [{name: p, valueFrom: {path: /x}, globalName: a.b}]}}", "p.globalName: "),
        (
            "{name: t, container: {image: i}, outputs: {artifacts: [{name: a}]}}",
            "error in templates.t.outputs.artifacts.a: Artifact 'a' did",
        ),
        ("{name: t, steps: [], outputs: {artifacts: [{name: a, path: /x}]}}", "outputs.artifacts.a.path only valid in container/script"),
        ("{name: t, container: {image: i}, archiveLocation: {git: {}}}", "templates.t.archiveLocation.git.repo is required"),
        # tags
        ("{name: t, container: {image: i, args: ['{{inputs.parameters.x}}']}}", "templates.t: failed to resolve {{inputs.parameters.x}}"),
        ("{name: t, container: {image: i, args: ['{{item.x}}']}}", "failed to resolve {{item.x}}"),
        ("{name: t, suspend: {duration: '{{pod.name}}'}}", "failed to resolve {{pod.name}}"),
        (
            "{name: t, steps: [], outputs: {parameters: [{name: p, valueFrom: {parameter: '{{steps.a.id}}'}}]}}",
            "templates.t.outputs failed to resolve",
        ),
        ("{name: t, container: {image: i, args: ['{{inputs.parameters.x']}}", "failed to resolve {{inputs.parameters.x"),
        # resources
        (
            "{name: t, resource: {action: make, manifest: 'a: b'}}",
            "resource.action must be one of: get, create, apply, delete, replace, patch",
        ),
        ("{name: t, resource: {action: create}}", "either templates.t.resource.manifest or templates.t.resource.manifestFrom"),
        (
            "{name: t, resource: {action: create, manifest: 'a: b', manifestFrom: {artifact: {name: m}}}}",
            "shouldn't have both `manifest` and `manifestFrom`",
        ),
        ("{name: t, resource: {action: create, manifestFrom: {artifact: {name: m}}}}", "artifact m in `manifestFrom` refer to a non-exist"),
        ("{name: t, resource: {action: create, manifest: 'a: b: c'}}", "templates.t.resource.manifest must be a valid yaml"),
        # sets of containers
        ("{name: t, containerSet: {}}", "containerSet.containers must have at least one container"),
        ("{name: t, containerSet: {containers: [{name: a}, {name: a}]}}", "containerSet.containers[1].name 'a' is not unique"),
        ("{name: t, containerSet: {containers: [{name: a, dependencies: [b]}]}}", "containers.a dependency 'b' not defined"),
        (
            "{name: t, containerSet: {containers: [{name: a, dependencies: [c]}, {name: b, dependencies: [a]}, {name: c, dependencies: [b]}]}}",
            "containers dependency cycle detected: c->b->a->c",
        ),
        ("{name: t, containerSet: {containers: [{name: supervisor}]}}", '"supervisor" is a reserved Argo container name'),
        (
            "{name: t, containerSet: {containers: [{name: a}]}, outputs: {parameters: [{name: p, valueFrom: {path: /x}}]}}",
            'must have a container named "main" for input or output',
        ),
        (
            "{name: t, containerSet: {containers: [{name: a}], volumeMounts: [{name: v, mountPath: /d}, {name: w, mountPath: /d}]}}",
            "containerSet.volumeMounts[1].mountPath '/d' already mounted in volumeMounts.v",
        ),
        # metrics
        ("{name: t, suspend: {}, metrics: {prometheus: [{name: a.b, help: h, counter: {value: '1'}}]}}", "metric name 'a.b' is invalid"),
        (
            "{name: t, suspend: {}, metrics: {prometheus: [{name: a, help: h, labels: [{key: a-b}], counter: {value: '1'}}]}}",
            "metric label 'a-b' is invalid",
        ),
        ("{name: t, suspend: {}, metrics: {prometheus: [{name: a, counter: {value: '1'}}]}}", "must contain a help string"),
        ("{name: t, suspend: {}, metrics: {prometheus: [{name: a, help: h, counter: {}}]}}", "error: missing counter.value"),
        ("{name: t, suspend: {}, metrics: {prometheus: [{name: a, help: h, histogram: {}}]}}", "error: missing histogram.value"),
        (
            "{name: t, suspend: {}, metrics: {prometheus: [{name: a, help: h, gauge: {realtime: true, value: '{{resourcesDuration.cpu}}'}}]}}",
            "'resourcesDuration.*' metrics cannot be used in real-time",
        ),
    ],
)
def test_what_is_wrong_with_a_template(template, message):
    found = errors(problems(template, like_argo=True))
    assert any(message in text for text in found), found


@pytest.mark.parametrize(
    "template",
    [
        "{name: t, suspend: {duration: 10}}".replace("10", "'10'"),
        "{name: t, steps: []}",
        "{name: t, container: {image: i}, timeout: 1m30s, pendingTimeout: 10s, activeDeadlineSeconds: 20, daemon: true}",
        "{name: t, container: {image: i}, activeDeadlineSeconds: '{{inputs.parameters.d}}', inputs: {parameters: [{name: d, value: '5'}]}}",
        "{name: t, container: {image: i, args: ['{{pod.name}} {{ pod.name }} {{outputs.artifacts.a.path}}']}, outputs: {artifacts: [{name: a, path: /a}]}}",
        "{name: t, container: {image: i, args: ['{{retries}} {{lastRetry.exitCode}}']}, retryStrategy: {limit: '3', backoff: {duration: 1s, factor: 2}}}",
        "{name: t, script: {image: i, source: 'cat {{inputs.artifacts.a.path}}'}, inputs: {artifacts: [{name: a, path: /a, raw: {data: x}}]}}",
        "{name: t, resource: {action: create, manifest: '{{=toJson(inputs.parameters)}}'}}",
        "{name: t, resource: {action: delete, flags: [pod, x]}}",
        "{name: t, resource: {action: create, manifestFrom: {artifact: {name: m}}}, inputs: {artifacts: [{name: m, path: /m, raw: {data: x}}]}}",
        "{name: t, containerSet: {containers: [{name: main, dependencies: [a]}, {name: a}]}, outputs: {parameters: [{name: p, valueFrom: {path: /x}}]}}",
        "{name: t, http: {url: 'https://x', successCondition: response.statusCode == 200}}",
        "{name: t, suspend: {}, outputs: {parameters: [{name: p, valueFrom: {supplied: {}}}]}}",
        "{name: t, plugin: {hello: {}}}",
        "{name: t, data: {source: {artifactPaths: {name: a, s3: {key: k}}}, transformation: [{expression: 'filter(data, true)'}]}}",
        "{name: t, container: {image: i}, memoize: {key: k, maxAge: 10s, cache: {configMap: {name: c}}}}",
    ],
)
def test_what_is_right_with_a_template(template):
    assert problems(template) == []


def test_images_may_come_from_template_defaults():
    body = "{name: t, container: {args: [x]}}"
    assert problems(body, spec="{templateDefaults: {container: {image: i}}}") == []
    assert errors(problems(body, spec="{templateDefaults: {script: {image: i, source: x}}}"))


def test_a_path_within_its_folder_may_climb():
    assert problems(TWO_LEVELS % "/tmp/../tmp/x", spec="{arguments: {artifacts: [{name: a, raw: {data: x}}]}}") == []


def test_entrypoint_gets_the_arguments_of_the_workflow():
    body = "{name: t, inputs: {parameters: [{name: p}], artifacts: [{name: a, path: /a}]}, container: {image: i}}"
    assert errors(problems(body)) == [
        "templates.t inputs.parameters.p was not supplied",
        "templates.t inputs.artifacts.a was not supplied",
    ]
    given = "{arguments: {parameters: [{name: p, value: x}], artifacts: [{name: a, raw: {data: x}}]}}"
    assert problems(body, spec=given) == []


def test_a_timeout_that_an_argument_makes_invalid():
    body = "{name: t, inputs: {parameters: [{name: p}]}, timeout: '{{inputs.parameters.p}}', container: {image: i}}"
    assert problems(body, spec="{arguments: {parameters: [{name: p, value: 5s}]}}") == []
    assert errors(problems(body, spec="{arguments: {parameters: [{name: p, value: 5}]}}")) == ["t has invalid duration format in timeout"]


def test_several_kinds_of_metric_are_doubtful():
    body = "{name: t, suspend: {}, metrics: {prometheus: [{name: a, help: h, counter: {value: '1'}, gauge: {value: '1'}}]}}"
    assert warnings(problems(body)) == ["the metric 'a' has 2 kinds; it needs one of gauge, histogram, counter"]
