"""What comes after a node hangs below the nodes where the graph leaves it."""

from __future__ import annotations

from tests.engine.scene import Scene


def test_a_set_of_containers_is_left_through_its_last_containers_and_its_handler() -> None:
    scene = Scene(
        """
        templates:
        - name: main
          steps:
          - - {name: a, template: set, onExit: leaf}
          - - {name: b, template: leaf}
        - name: set
          containerSet: {containers: [{name: first, image: alpine}, {name: last, image: alpine, dependencies: [first]}]}
        """
    )
    scene.succeed("[0].a", "[0].a.onExit")
    assert scene.children("[0].a.last") == scene.children("[0].a.onExit") == ["[1]"]
    assert scene.children("[0].a.first") == ["[0].a.last"]
