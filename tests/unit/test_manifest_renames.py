"""Documents written for older versions of Argo mean what they meant, and say what to write today."""

from __future__ import annotations

import pytest

from flowcore.errors import InvalidWorkflow
from flowcore.manifests import load_documents, load_workflow

OLD = """\
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly, clusterName: ""}
spec:
  schedule: "0 3 * * *"
  schedules: ["0 4 * * *"]
  workflowSpec:
    entrypoint: main
    ttlSecondsAfterFinished: 60
    synchronization:
      semaphore: {configMapKeyRef: {name: limits, key: all}}
    templates:
    - name: main
      resubmitPendingPods: true
      synchronization:
        mutex:
          name: one
      container: {image: alpine}
"""


def test_old_fields_keep_their_meaning() -> None:
    (document,) = load_documents(OLD)
    spec = document.model.spec
    inner = spec.workflow_spec
    assert spec.schedules == ["0 4 * * *", "0 3 * * *"]
    assert inner.ttl_strategy.seconds_after_completion == 60
    assert inner.synchronization.semaphores[0].config_map_key_ref.name == "limits"
    assert [mutex.name for mutex in inner.templates[0].synchronization.mutexes] == ["one"]
    assert document.json == document.model.to_json()


def test_each_is_warned_of_where_it_stands() -> None:
    (document,) = load_documents(OLD)
    told = [(problem.line, problem.path.rpartition(".")[2], problem.severity, problem.rule) for problem in document.problems]
    assert told == [
        (3, "clusterName", "warning", "old-name"),
        (5, "schedule", "warning", "old-name"),
        (9, "ttlSecondsAfterFinished", "warning", "old-name"),
        (11, "semaphore", "warning", "old-name"),
        (14, "resubmitPendingPods", "warning", "old-name"),
        (16, "mutex", "warning", "old-name"),
    ]
    assert [problem.remedy for problem in document.problems][1] == 'write a list: schedules: ["..."]'


def test_they_are_errors_when_strict_and_nothing_when_as_lenient_as_argos_controller() -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        load_documents(OLD, strict=True)
    assert len(caught.value.problems) == 6
    (document,) = load_documents(OLD, allow_unknown=True)
    assert document.model.spec.schedules == ["0 4 * * *"]


@pytest.mark.parametrize(
    ("field", "path"),
    [("mutex: 5", "spec.synchronization.mutexes[0]"), ("mutex: {nmae: x}", "spec.synchronization.mutexes[0].nmae")],
)
def test_what_is_wrong_in_an_old_field_is_told_all_the_same(field: str, path: str) -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        load_workflow(f"kind: Workflow\nspec:\n  synchronization: {{{field}}}\n")
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == (path, 3)


def test_a_list_beside_the_old_field_may_be_badly_formed() -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        load_documents("kind: CronWorkflow\nspec: {schedule: '@daily', schedules: 5, workflowSpec: {}}\n")
    assert [problem.path for problem in caught.value.problems] == ["spec.schedules"]
