"""Outputs of suspend nodes that somebody supplies."""

from __future__ import annotations

import pytest

from flowcore.engine.control import check_set
from flowcore.engine.messages import NodeSetRequested, ResumeRequested
from flowcore.errors import UsageError
from tests.engine.scene import Scene

WAITING = """
    templates:
    - name: main
      steps: [[{name: a, template: ask}], [{name: b, template: pause}]]
    - name: pause
      suspend: {}
    - name: ask
      suspend: {}
      outputs:
        parameters:
        - {name: one, globalName: first, valueFrom: {supplied: {}}}
        - {name: two, globalName: second, valueFrom: {supplied: {}}}
"""


def test_what_is_set_is_an_output_of_the_run_at_once() -> None:
    scene = Scene(WAITING)
    scene.tell(NodeSetRequested("displayName=a", parameters={"two": "x"}))
    assert scene.run.outputs == {"parameters": [{"name": "second", "value": "x"}]}
    scene.tell(NodeSetRequested("displayName=a", parameters={"one": "y"}), ResumeRequested("displayName=a"))
    assert scene.run.outputs == {"parameters": [{"name": "second", "value": "x"}, {"name": "first", "value": "y"}]}


def test_a_node_that_wants_nothing_is_given_nothing() -> None:
    scene = Scene(WAITING)
    scene.tell(NodeSetRequested("", parameters={"one": "1", "two": "2"}), ResumeRequested("displayName=a"))
    with pytest.raises(UsageError, match=r"node is not expecting any raw parameters"):
        check_set(scene.rows.values(), NodeSetRequested("displayName=b", parameters={"one": "1"}))
