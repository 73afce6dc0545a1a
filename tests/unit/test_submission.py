"""What submitting adds to a document: other keys of artifacts, the time at which a CronWorkflow was due."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from flowcore.errors import UsageError
from flowcore.service.submission import apply_options, workflow_from_cron


def submitted(spec: Any, *artifacts: str) -> Any:
    return apply_options({"spec": spec}, {"artifacts": list(artifacts)})["spec"]


def test_artifacts_are_moved_by_name() -> None:
    listed: Any = [
        {"name": "a", "s3": {"key": "k", "bucket": "b"}},
        {"name": "b", "http": {"url": "https://h/x"}},
        {"name": "c", "raw": {}},
    ]
    spec = submitted({"arguments": {"artifacts": listed, "parameters": []}}, "a=new/k", "b=y=z")
    assert spec["arguments"] == {
        "artifacts": [{"name": "a", "s3": {"key": "new/k", "bucket": "b"}}, {"name": "b", "http": {"url": "https://h/y=z"}}, listed[2]],
        "parameters": [],
    }


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("d=k", r"matched no artifact: d"),
        ("c=k", r"failed to set key for artifact c: key unsupported"),
        ("a=", r"of the form: NAME=KEY"),
        ("a", r"of the form: NAME=KEY"),
    ],
)
def test_an_override_that_changes_nothing_is_refused(override: str, message: str) -> None:
    listed: Any = [{"name": "a", "s3": {"key": "k"}}, {"name": "c", "raw": {"data": "x"}}]
    with pytest.raises(UsageError, match=message):
        submitted({"arguments": {"artifacts": listed}}, override)


def test_artifacts_of_a_template_are_not_known_here() -> None:
    assert submitted({"workflowTemplateRef": {"name": "t"}}, "a=k") == {"workflowTemplateRef": {"name": "t"}, "arguments": {}}


@pytest.mark.parametrize(
    ("due", "told"),
    [("2024-02-01T10:29:05-08:00", "2024-02-01T10:29:05-08:00"), ("2024-02-01T10:29:05.7+00:00", "2024-02-01T10:29:05Z")],
)
def test_the_time_that_a_run_was_due_keeps_its_zone(due: str, told: str) -> None:
    made: Any = workflow_from_cron({"metadata": {"name": "c"}, "spec": {}}, datetime.fromisoformat(due))
    assert made["metadata"]["annotations"] == {"workflows.argoproj.io/scheduled-time": told}
