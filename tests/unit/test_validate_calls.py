"""Validation of steps and DAGs: names, loops, hooks, dependencies, and what may be referred to where."""

from __future__ import annotations

import pytest

from tests.unit.validating import LEAF, PLAIN, errors, problems, warnings


def steps(*groups: str) -> str:
    return "{name: main, steps: [" + ", ".join(f"[{group}]" for group in groups) + "]}"


def dag(*tasks: str, more: str = "") -> str:
    return "{name: main, dag: {tasks: [" + ", ".join(tasks) + "]" + more + "}}"


def passing(name: str, value: str, more: str = "") -> str:
    return f"{{name: {name}, template: echo, arguments: {{parameters: [{{name: text, value: '{value}'}}]}}{more}}}"


A, B = passing("a", "x"), passing("b", "x")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (steps("{template: plain}"), "templates.main.steps[0].name is required"),
        (steps(A, A), "templates.main.steps[1].name 'a' is not unique"),
        (steps("{name: '-x', template: plain}"), "templates.main.steps[0].name '-x' is invalid"),
        (steps("{name: x, template: none}"), "templates.main.steps[0].x template name 'none' undefined"),
        (steps("{name: x}"), "templates.main.steps[0].x failed to get a template"),
        (steps("{name: x, template: echo}"), "templates.main.steps[0].x templates.echo inputs.parameters.text was not supplied"),
        (steps("{name: x, template: echo, arguments: {parameters: [{name: text}]}}"), "steps[0].x.arguments.text.value or "),
        (steps("{name: x, template: plain, withItems: [1], withSequence: {count: 1}}"), "only one of withItems, withParam, withSequence"),
        (steps("{name: x, template: plain, withSequence: {count: 1, end: 2}}"), "only one of count or end"),
        (steps("{name: x, template: plain, hooks: {late: {template: plain}}}"), "templates.main.steps[0].x.late Expression required"),
        (
            steps(A, passing("b", "{{steps.a.outputs.parameters.none}}")),
            "templates.main.steps failed to resolve {{steps.a.outputs.parameters.none}}",
        ),
        (steps(A, passing("b", "{{steps.c.id}}"), passing("c", "x")), "failed to resolve {{steps.c.id}}"),
        (steps(passing("b", "{{steps.b.id}}")), "failed to resolve {{steps.b.id}}"),
        (steps(passing("b", "{{tasks.b.id}}")), "failed to resolve {{tasks.b.id}}"),
        (steps(passing("b", "{{item.k}}", ", withItems: [{j: 1}]")), "failed to resolve {{item.k}}"),
        (steps("{name: x, template: gate}", passing("b", "{{steps.x.outputs.result}}")), "failed to resolve {{steps.x.outputs.result}}"),
        (dag(), "templates.main must have at least one task"),
        (dag("{template: plain}"), "templates.main.tasks[0].name is required"),
        (dag("{name: 'a.b', template: plain}"), "templates.main.tasks[0].name: 'a.b' is invalid"),
        (dag(A, A), "templates.main sorting failed: duplicated nodeName a"),
        (dag(passing("b", "x", ", dependencies: [z]")), "templates.main sorting failed: invalid dependency z"),
        (dag(passing("b", "x", ", depends: z.Failed")), "templates.main sorting failed: invalid dependency z"),
        (dag(passing("a", "x", ", dependencies: [b]"), passing("b", "x", ", dependencies: [a]")), "graph with cycle"),
        (dag(passing("a", "x", ", depends: a")), "graph with cycle"),
        (dag(A, passing("b", "x", ", depends: a.Sleepy")), "templates.main.tasks.b task result 'Sleepy' for task 'a' is invalid"),
        (dag(A, passing("b", "x", ", depends: a.AnySucceeded")), "templates.main.tasks.a dependency 'a' uses an items-based condition"),
        (
            dag(A, passing("b", "x", ", depends: a"), passing("c", "x", ", dependencies: [a]")),
            "cannot use both 'depends' and 'dependencies'",
        ),
        (dag(A, passing("b", "x", ", depends: a, continueOn: {failed: true}")), "cannot use 'continueOn' when using 'depends'"),
        (dag(passing("1a", "x"), passing("b", "x", ", depends: 1a")), "templates.main.tasks.1a name cannot begin with a digit"),
        (dag(A, more=", target: b"), "templates.main.targets: target 'b' is not defined"),
        (dag(A, passing("b", "{{tasks.a.outputs.parameters.out}}")), "templates.main.tasks.b missing dependency 'a' for parameter 'text'"),
        (dag(A, passing("b", "<<tasks.a.outputs.parameters.out>>")), "templates.main.tasks.b missing dependency 'a' for parameter 'text'"),
        (dag(A, passing("b", "is {{tasks.a.status}}")), "templates.main.tasks.b failed to resolve {{tasks.a.status}}"),
        (
            dag(A, passing("b", "{{tasks.a.outputs.parameters.none}}", ", dependencies: [a]")),
            "failed to resolve {{tasks.a.outputs.parameters.none}}",
        ),
        (dag("{name: a, template: echo}"), "templates.main.tasks.a templates.echo inputs.parameters.text was not supplied"),
    ],
)
def test_what_is_wrong_with_a_call(template, message):
    found = errors(problems(template, LEAF, PLAIN, "{name: gate, suspend: {}}", like_argo=True))
    assert any(message in text for text in found), found


@pytest.mark.parametrize(
    "template",
    [
        steps(A, passing("b", "{{steps.a.outputs.result}} {{steps.a.exitCode}} {{steps.a.status}} {{steps.a.outputs.parameters.out}}")),
        steps(passing("a", "{{item}}", ", withItems: [1, b, true]"), passing("b", "{{steps.a.outputs.parameters}}")),
        steps(passing("a", "{{item.k}} {{item.l}}", ", withItems: [{k: 1}, {l: 2}]")),
        steps(passing("a", "{{item.anything}} {{item}}", ", withParam: '{{workflow.name}}'")),
        steps(passing("a", "{{item}}", ", withSequence: {start: '1', end: '{{workflow.name}}'}")),
        steps(passing("a", "{{steps.name}} {{node.name}}")),
        steps("{name: a, inline: {container: {image: i, args: ['{{pod.name}}']}}}").replace("{{pod.name}}", "x"),
        steps("{name: 'run-{{workflow.name}}', template: plain}"),
        steps(A, "{name: b, template: plain, when: \"'{{steps.a.outputs.result}}' == x\"}"),
        dag(A, passing("b", "{{tasks.a.outputs.parameters.out}} {{tasks.a.status}}", ", dependencies: [a]")),
        dag(A, passing("b", "x", ", depends: a"), passing("c", "{{tasks.a.outputs.result}}", ", depends: b.Succeeded || b.Failed")),
        dag(
            passing("a", "x", ", withItems: [1, 2]"),
            passing("b", "{{tasks.a.outputs.parameters}}", ", depends: a.AnySucceeded && !a.AllFailed"),
        ),
        dag(passing("1a", "x"), more=", target: 1a"),
        dag(A, passing("b", "x", ", hooks: {late: {template: plain, expression: tasks.b.status == 'Failed'}}")),
    ],
)
def test_what_is_right_with_a_call(template):
    assert problems(template, LEAF, PLAIN) == []


def test_the_circle_is_shown():
    ring = dag(*(f"{{name: t{i}, template: plain, dependencies: [t{(i + 1) % 3}]}}" for i in range(3)))
    (found,) = (p for p in problems(ring, PLAIN) if p.rule == "cycle")
    assert found.remedy in {f"the circle is t{i} -> t{(i + 1) % 3} -> t{(i + 2) % 3} -> t{i}" for i in range(3)}


def test_messages_name_the_whole_way():
    inner = "{name: inner, dag: {tasks: [{name: x, template: echo}]}}"
    assert errors(problems(steps("{name: s, template: inner}"), inner, LEAF))[0] == (
        "templates.main.steps[0].s templates.inner.tasks.x templates.echo inputs.parameters.text was not supplied"
    )


def test_an_unknown_template_is_told_once_and_its_outputs_are_not():
    main = steps("{name: x, template: none}", passing("b", "{{steps.x.outputs.result}}"))
    assert errors(problems(main, LEAF)) == ["templates.main.steps[0].x template name 'none' undefined"]


def test_global_outputs_are_known_after_the_step_that_makes_them():
    makes = "{name: makes, container: {image: i}, outputs: {parameters: [{name: p, valueFrom: {path: /p}, globalName: shared}]}}"
    good = steps("{name: a, template: makes}", passing("b", "{{workflow.outputs.parameters.shared}}"))
    assert problems(good, LEAF, makes) == []
    early = steps(passing("b", "{{workflow.outputs.parameters.shared}}"), "{name: a, template: makes}")
    assert errors(problems(early, LEAF, makes))[0].endswith("failed to resolve {{workflow.outputs.parameters.shared}}")


def test_recursion_and_deep_nesting_come_to_an_end():
    loop = "{name: main, steps: [[{name: again, template: main, when: '1 == 2'}]]}"
    assert problems(loop) == []
    chain = [f"{{name: t{i}, steps: [[{{name: s, template: t{i + 1}}}]]}}" for i in range(300)]
    assert errors(problems(*chain, "{name: t300, container: {}}"))[0].endswith("templates.t300.container.image may not be empty")


def test_dynamic_references_wait_for_the_run():
    main = steps("{name: a, withParam: '[{}]', templateRef: {name: lib, template: '{{item.t}}'}}")
    assert problems(main, like_argo=True) == []


def test_inline_templates_are_looked_into():
    bad = "{container: {args: [x]}}"
    one = problems(steps(f"{{name: a, inline: {bad}}}"))
    assert errors(one) == ["templates.main.steps[0].a templates..container.image may not be empty"]
    assert one[0].path == "spec.templates[0].steps[0][0].inline.container"
    two = problems(steps("{name: a, inline: {suspend: {}}}", f"{{name: b, inline: {bad}}}"))
    assert errors(two) == []
    assert warnings(two) == ["templates.main.steps[1].b templates..container.image may not be empty"]


def test_item_without_a_loop_is_doubtful():
    assert warnings(problems(steps(passing("a", "{{item}}")), LEAF)) == ["{{item}} is used, but there is no loop"]
