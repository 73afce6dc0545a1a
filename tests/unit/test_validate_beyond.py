"""What would only fail in a run: durations, limits, expressions, conditions, hooks. Errors, or warnings when it is to be like Argo."""

from __future__ import annotations

import pytest

from tests.unit.validating import PLAIN, errors, problems, warnings


def leaf(more: str) -> str:
    return "{name: main, container: {image: i}, " + more + "}"


def step(more: str) -> str:
    return "{name: main, steps: [[{name: a, template: plain, " + more + "}]]}"


def after(more: str) -> str:
    return "{name: main, dag: {tasks: [{name: a, template: plain}, {name: b, template: plain, " + more + "}]}}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (leaf("timeout: 10x"), 'timeout: unable to parse 10x as a duration: time: unknown unit "x" in duration "10x"'),
        (leaf("timeout: 1d"), "timeout: unable to parse 1d"),
        (leaf("timeout: -5s"), "timeout: a length of time cannot be negative: -5s"),
        (leaf("pendingTimeout: soon"), "pendingTimeout: unable to parse soon"),
        (leaf("retryStrategy: {limit: -1}"), "limit must be at least 0, got -1"),
        (leaf("retryStrategy: {limit: '-1'}"), "limit must be at least 0, got -1"),
        (leaf("retryStrategy: {limit: many}"), "limit: 'many' is no whole number"),
        (leaf("retryStrategy: {backoff: {duration: 1 s}}"), "duration: unable to parse 1 s"),
        (leaf("retryStrategy: {backoff: {duration: 1s, maxDuration: long}}"), "maxDuration: unable to parse long"),
        (leaf("retryStrategy: {backoff: {duration: 1s, cap: 1h1}}"), "cap: unable to parse 1h1"),
        (leaf("retryStrategy: {backoff: {duration: 1s, factor: -2}}"), "factor must be at least 0, got -2"),
        (leaf("retryStrategy: {backoff: {maxDuration: 1s}}"), "backoff needs a duration"),
        (leaf("retryStrategy: {expression: 'lastRetry.status =='}"), "expression: "),
        (leaf("memoize: {maxAge: '10', key: k, cache: {configMap: {name: c}}}"), "maxAge: time: missing unit in duration"),
        (leaf("memoize: {maxAge: 10s, cache: {configMap: {name: c}}}"), "memoize needs a key"),
        (leaf("memoize: {maxAge: 10s, key: k}"), "memoize needs a cache"),
        (leaf("synchronization: {mutexes: [{}]}"), "the mutex has no name"),
        (leaf("synchronization: {semaphores: [{}]}"), "the semaphore does not say where its limit is"),
        ("{name: main, suspend: {duration: 5 minutes}}", "duration: unable to parse 5 minutes"),
        ("{name: main, http: {}}", "the request has no url"),
        (
            leaf("outputs: {artifacts: [{name: a, path: /a, s3: {key: k}, gcs: {key: k}}]}"),
            "the artifact 'a' is in several places: gcs, s3",
        ),
        ("{name: main, containerSet: {containers: [{name: a}], retryStrategy: {retries: -2}}}", "retries must be at least 0, got -2"),
        ("{name: main, parallelism: 0, steps: []}", "parallelism must be at least 1, got 0"),
        ("{name: main, steps: [], outputs: {parameters: [{name: p, valueFrom: {expression: '1 +'}}]}}", "expression: "),
        ("{name: main, steps: [], outputs: {artifacts: [{name: p, fromExpression: '1 +'}]}}", "fromExpression: "),
        (step("when: a-b == c"), "Failed to evaluate 'when' expresion 'a-b == c'"),
        (step("when: '== x'"), "Invalid 'when' expression '== x'"),
        (step("when: 1 + 1"), "Expected boolean evaluation for '1 + 1'. Got 2"),
        (step("withParam: '{}'"), "withParam is no JSON list"),
        (step("withParam: '[1,'"), "withParam is no JSON list"),
        (step("withSequence: {}"), "must have end or count in withSequence"),
        (step("withSequence: {count: ten}"), "count: 'ten' is no whole number"),
        (step("onExit: gone"), "template name 'gone' undefined"),
        (step("hooks: {exit: {template: gone}}"), "template name 'gone' undefined"),
        (step("hooks: {late: {template: plain, expression: '('}}"), "expression: "),
        (after("depends: a.Succeeded &&"), "unable to evaluate expression"),
    ],
)
def test_what_would_fail_in_a_run(template, message):
    found = problems(template, PLAIN)
    assert len(errors(found)) == 1, found
    assert message in errors(found)[0]
    like_argo = problems(template, PLAIN, like_argo=True)
    assert errors(like_argo) == []
    assert message in warnings(like_argo)[0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{parallelism: -1}", "parallelism must be at least 1, got -1"),
        ("{activeDeadlineSeconds: -1}", "activeDeadlineSeconds must be at least 0, got -1"),
        ("{ttlStrategy: {secondsAfterSuccess: -1}}", "secondsAfterSuccess must be at least 0"),
        ("{shutdown: Now}", "shutdown: 'Now' is unknown"),
        ("{podGC: {deleteDelayDuration: soon}}", "deleteDelayDuration: unable to parse soon"),
        ("{volumeClaimGC: {strategy: Never}}", "strategy: 'Never' is unknown"),
        ("{artifactGC: {strategy: Now}}", "strategy: 'Now' is unknown"),
        ("{retryStrategy: {limit: -2}}", "limit must be at least 0, got -2"),
        ("{synchronization: {mutexes: [{namespace: x}]}}", "the mutex has no name"),
        ("{hooks: {exit: {template: gone}}}", "template name 'gone' undefined"),
        ("{hooks: {late: {template: plain, expression: '1 +'}}}", "expression: "),
    ],
)
def test_what_would_fail_for_the_whole_workflow(spec, message):
    found = errors(problems(PLAIN, spec=spec))
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    "template",
    [
        leaf("timeout: '{{inputs.parameters.t}}', inputs: {parameters: [{name: t, value: 5s}]}"),
        leaf("retryStrategy: {limit: '{{=1 + 1}}', backoff: {duration: '5', maxDuration: 1h30m, factor: '2', cap: 500ms}}"),
        step("when: \"'a' == 'a' && (1 < 2 || true)\""),
        step("withParam: '[1, {\"a\": 2}]'"),
        step("withSequence: {start: '-3', end: '3', format: 'n%02d'}"),
        after("depends: (a.Succeeded || a.Skipped) && !a.Daemoned"),
    ],
)
def test_what_would_not_fail(template):
    assert problems(template, PLAIN) == []


def test_expressions_in_tags_that_cannot_be_read_are_doubtful():
    body = "{name: main, container: {image: i, args: ['{{=1 +}} {{=known.or.not}}']}}"
    assert [text.split(":")[0] for text in warnings(problems(body))] == ["{{=1 +}}"]


def test_only_pods_can_be_daemons():
    assert warnings(problems("{name: main, suspend: {}, daemon: true}")) == ["only pods can be daemons; suspend is none"]


@pytest.mark.parametrize(
    ("more", "doubted"),
    [
        ("arguments: {artifacts: [{name: r, raw: {data: '{{tasks.b.outputs.result}}'}}]}", True),
        ('withParam: "{{=tasks.b.outputs.parameters.p}}"', True),
        ("hooks: {exit: {template: plain, arguments: {parameters: [{name: p, value: '{{tasks.b.outputs.result}}'}]}}}", False),
        ("depends: a, arguments: {artifacts: [{name: r, raw: {data: '{{tasks.a.outputs.result}}'}}]}", False),
    ],
)
def test_a_task_that_refers_to_its_own_outputs(more: str, doubted: bool) -> None:
    told = [text for text in warnings(problems(after(more), PLAIN)) if "refers to its own tasks.b.outputs." in text]
    assert bool(told) is doubted
