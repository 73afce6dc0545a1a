"""Pure parts of the local backend: expansion of variables, fields of pods, output by lines, judgement of ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExecutorError
from flowcore.nodes import NodeId
from flowcore.ports import Logged
from flowcore_backends.environment import PodFacts, expand, field_value
from flowcore_backends.local.folder_names import folder_name
from flowcore_backends.output import LONGEST_LINE, LineReporter
from flowcore_backends.pod_judgement import Ended

VALUES = {"A": "1", "B": "", "with space": "s"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1yz"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$", "$"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$(with space)", "s"),
        ("$(echo $(A))", "$(echo $(A))"),
        ("$($(A)", "$($(A)"),
    ],
)
def test_variables_are_expanded_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, VALUES) == expanded


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "pod"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u"),
        ("spec.nodeName", "host"),
        ("status.podIP", "127.0.0.1"),
        ("metadata.labels['a/b']", "l"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['x']", "y"),
        ("metadata.labels", 'a/b="l"\nc="d"'),
    ],
)
def test_fields_of_a_pod(path: str, value: str) -> None:
    facts = PodFacts(name="pod", namespace="ns", uid="u", node_name="host", labels={"c": "d", "a/b": "l"}, annotations={"x": "y"})
    assert field_value(path, facts) == value
    with pytest.raises(ExecutorError, match=r"field label not supported: spec\.x"):
        field_value("spec.x", facts)


@given(text=st.text(max_size=300), cuts=st.lists(st.integers(0, 1200), max_size=8))
def test_output_comes_whole_however_it_is_cut(text: str, cuts: list[int]) -> None:
    """Nothing is lost or doubled, and no report ends within a line except the last."""
    reported: list[Logged] = []
    lines = LineReporter(NodeId("n"), "main", "stdout", reported.append)
    data, start = text.encode(), 0
    for cut in sorted(cut for cut in cuts if cut < len(data)):
        lines.feed(data[start:cut])
        start = cut
    lines.feed(data[start:])
    lines.end()
    assert "\n".join(report.text for report in reported) == text.removesuffix("\n")
    assert all(report.at.tzinfo is not None for report in reported)


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    reported: list[Logged] = []
    lines = LineReporter(NodeId("n"), "main", "stderr", reported.append)
    for _ in range(100):
        lines.feed(b"x" * 10_000)
    lines.end()
    assert sum(len(report.text) for report in reported) == 1_000_000
    assert max(len(report.text) for report in reported) <= LONGEST_LINE


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        (Ended("main", 0), ""),
        (Ended("main", 1), "main: Error (exit code 1)"),
        (Ended("main", 137, "OOMKilled"), "main: OOMKilled (exit code 137)"),
        (Ended("x", 2, note="why"), "x: Error (exit code 2): why"),
    ],
)
def test_how_ends_are_worded(ended: Ended, message: str) -> None:
    assert ended.message == message


@given(name=st.text(max_size=200))
def test_folder_names_are_single_plain_parts(name: str) -> None:
    folder = folder_name(name)
    assert folder.isascii()
    assert folder.strip(".")
    assert "/" not in folder
    assert len(folder) <= 120
    assert folder == name or len(folder) == 32
