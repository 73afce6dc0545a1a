"""Loops whose items wait for a free slot."""

from __future__ import annotations

from tests.engine.scene import Scene


def test_a_loop_of_a_dag_is_not_over_before_its_last_item_found_a_slot() -> None:
    """All items that exist are fulfilled while the handler of the first one runs; the second is yet to come."""
    scene = Scene(
        """
        templates:
        - name: main
          parallelism: 1
          dag:
            tasks:
            - {name: a, template: nested, withItems: [1, 2], onExit: leaf}
            - {name: b, template: leaf, depends: a}
        - name: nested
          dag: {tasks: [{name: x, template: leaf}]}
        """
    )
    scene.succeed(".a(0:1).x")
    assert scene.under_way() == [".a(0:1).onExit"]
    assert scene.phases()[".a"] == "Running"
    scene.succeed(".a(0:1).onExit")
    assert scene.under_way() == [".a(1:2).x"]
    scene.succeed(".a(1:2).x", ".a(1:2).onExit", ".a.onExit", ".b")
    assert scene.phase == "Succeeded"


def test_a_hook_that_runs_when_the_last_slot_is_taken_is_an_error() -> None:
    """Argo asks for a slot whenever it looks at a hook, not only when it starts one."""
    scene = Scene(
        """
        parallelism: 3
        templates:
        - name: main
          dag:
            tasks:
            - {name: a, template: leaf, hooks: {h: {template: leaf, expression: tasks.a.status == "Running"}}}
            - {name: b, template: leaf}
            - {name: c, template: leaf, depends: b, withItems: [1, 2]}
        """
    )
    scene.begin(".a")
    assert scene.under_way() == [".a", ".b", ".a.hooks.h"]
    scene.succeed(".b")
    assert scene.node("wf").message == "Max parallelism reached"
