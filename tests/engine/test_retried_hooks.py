"""Hooks that are retried themselves count as attempts of the retried node that they belong to, as in Argo."""

from __future__ import annotations

from flowcore.engine.messages import ShutdownRequested
from flowcore.nodes import Shutdown
from tests.engine.scene import Scene

RETRIED = """
retryStrategy: {limit: 1}
templates:
- name: main
  retryStrategy: {limit: 0}
  steps:
  - - name: a
      template: nested
      hooks: {h: {template: leaf, expression: 'true'}}
  - - {name: b, template: leaf}
- name: nested
  steps: [[{name: x, template: leaf}]]
"""


def test_the_steps_of_a_node_are_carried_on_in_the_name_of_its_hook() -> None:
    scene = Scene(RETRIED)
    assert scene.under_way() == ["(0)[0].a(0)[0].x(0)", "(0)[0].a.hooks.h(0)", "(0)[0].a.hooks.h[0].x(0)"]
    hook = scene.node("(0)[0].a.hooks.h")
    assert (hook.hooked, hook.retried) == (True, True)
    assert scene.node("(0)[0].a.hooks.h[0]").boundary == hook.id


def test_the_node_ends_with_its_hook_and_is_attempted_once_more_beside_it() -> None:
    """Nothing waits for the first attempt, for what was begun in the hook's name, or for what is attempted once more."""
    scene = Scene(RETRIED)
    scene.succeed("(0)[0].a.hooks.h(0)")
    phases = scene.phases()
    assert phases["(0)[0].a.hooks.h"] == phases["(0)[0].a"] == phases["(0)[0]"] == "Succeeded"
    assert phases["(0)[0].a(0)"] == "Running"
    assert scene.under_way() == [
        "(0)[0].a(0)[0].x(0)",
        "(0)[0].a.hooks.h[0].x(0)",
        "(0)[0].a.hooks.h(1)",
        "(0)[0].a(2)[0].x(0)",
        "(0)[1].b(0)",
    ]
    scene.succeed(*scene.under_way())
    assert (scene.phase, scene.phases()["(0)[0].a(2)"]) == ("Succeeded", "Running")


def test_a_hook_that_runs_no_longer_than_the_attempt_ends_the_node_too() -> None:
    """What a leaf is carried on as in the hook's name is nothing."""
    scene = Scene(
        """
        retryStrategy: {limit: 3}
        templates:
        - name: main
          dag: {tasks: [{name: a, template: leaf, hooks: {h: {template: leaf, expression: 'true'}}}]}
        """
    )
    scene.fail("(0).a(0)")
    assert scene.under_way() == ["(0).a.hooks.h(0)"]
    scene.succeed("(0).a.hooks.h(0)")
    assert (scene.phase, scene.phases()["(0).a"]) == ("Succeeded", "Succeeded")


def test_a_retried_group_of_which_all_ends_are_fulfilled_fails_with_a_shutdown() -> None:
    """Argo looks at the ends of the graph only, so the steps in between stay as they were."""
    scene = Scene(
        """
        templates:
        - name: main
          retryStrategy: {limit: 1}
          steps: [[{name: a, template: again}]]
        - name: again
          retryStrategy: {limit: 1, backoff: {duration: '60'}}
          container: {image: alpine}
        """
    )
    scene.fail("(0)[0].a(0)")
    scene.tell(ShutdownRequested(Shutdown.STOP))
    assert scene.phases() == {
        "wf": "Failed",
        "(0)": "Running",
        "(0)[0]": "Running",
        "(0)[0].a": "Failed",
        "(0)[0].a(0)": "Failed",
    }


def test_an_attempt_leaves_what_changes_with_time_to_its_steps() -> None:
    """The status is empty when the first attempt is made, and Running when the handler is."""
    scene = Scene(
        """
        templates:
        - name: main
          retryStrategy: {limit: 1}
          steps:
          - - name: a
              template: leaf
              hooks: {exit: {template: say, arguments: {parameters: [{name: status, value: '{{workflow.status}}'}]}}}
        - name: say
          inputs: {parameters: [{name: status}]}
          container: {image: alpine}
        """
    )
    scene.succeed("(0)[0].a")
    assert scene.value("(0)[0].a.onExit", "status") == "Running"
