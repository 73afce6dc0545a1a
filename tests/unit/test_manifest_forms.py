"""Documents in the forms in which they are found: in lists, in the encodings of other systems, and as templates of other tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowcore.catalogs import FolderCatalog
from flowcore.errors import InvalidWorkflow
from flowcore.manifests import load_documents, load_workflow
from flowcore.models import Workflow

LISTED = """\
apiVersion: v1
kind: List
items:
- kind: Workflow
  metadata: {name: first}
  spec: {entrypoint: main, templates: [{name: main, suspend: {}}]}
- kind: ConfigMap
  metadata: {name: settings}
- kind: WorkflowTemplate
  metadata: {name: shared}
  spec:
    templates:
    - name: main
      container: {image: a, imagee: b}
"""


def refused(text: str | bytes) -> tuple[int | None, str, str | None]:
    """Line, message and remedy of the only problem."""
    with pytest.raises(InvalidWorkflow) as caught:
        load_documents(text)
    (problem,) = caught.value.problems
    return problem.line, problem.message, problem.remedy


def test_the_items_of_a_list_are_documents_of_their_own() -> None:
    documents = load_documents(LISTED.replace(", imagee: b", ""))
    assert [document.kind for document in documents] == ["Workflow", "ConfigMap", "WorkflowTemplate"]
    assert isinstance(documents[0].model, Workflow)
    assert load_workflow(LISTED.replace(", imagee: b", "")).metadata.name == "first"


def test_their_problems_are_told_where_they_stand() -> None:
    assert refused(LISTED)[:2] == (14, 'unknown field "imagee"')
    assert refused(json.dumps({"kind": "List", "items": [5]}))[1] == "a document is a mapping"
    assert refused(json.dumps({"kind": "List", "items": [{"a": 1}]}))[1] == "kind is missing"


@pytest.mark.parametrize("items", ["[]", "5", "null", "{a: 1}"])
def test_a_list_may_be_empty(items: str) -> None:
    assert load_documents(f"kind: List\nitems: {items}\n") == []


def test_the_list_may_say_what_its_items_are(tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    items = [{"metadata": {"name": name}, "spec": {"templates": []}} for name in ("a", "b")]
    file.write_text(json.dumps({"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTemplateList", "items": items}))
    assert FolderCatalog(file).names("WorkflowTemplate") == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_are_told_by_their_marks(encoding: str) -> None:
    text = "kind: Workflow\r\nmetadata: {name: größe}\r\nspec: {}\r\n"
    (document,) = load_documents(text.encode(encoding))
    assert document.json["metadata"] == {"name": "größe"}
    assert "not text in UTF-" in refused(text.encode(encoding) + b"\xff")[1]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("kind: Workflow\nmetadata:\n  name: {{ .Release.Name }}\n", "render it first, with helm template"),
        ("{{- if .Values.on }}\nkind: Workflow\n{{- end }}\n", "render it first, with helm template"),
        ("kind: Workflow\nmetadata:\n  {{ include 'x' . }}\n", "render it first, with helm template"),
        ("kind: Workflow\n{% if x %}\nmetadata: {}\n{% endif %}\n", "Jinja"),
        ("kind: Workflow\nmetadata:\n  name: {{ workflow.name }}\n", "needs quotes"),
    ],
)
def test_templates_of_other_tools_are_recognised(text: str, remedy: str) -> None:
    assert remedy in (refused(text)[2] or "")


@pytest.mark.parametrize(
    ("kind", "meant"), [("workflow", "Workflow"), ("WorkFlowTemplate", "WorkflowTemplate"), ("CRONWORKFLOW", "CronWorkflow")]
)
def test_kinds_in_the_wrong_case_are_slips(kind: str, meant: str) -> None:
    assert refused(f"apiVersion: argoproj.io/v1alpha1\nkind: {kind}\n") == (2, f'there is no kind "{kind}"', f"did you mean {meant}?")
    assert len(load_documents(f"apiVersion: example.com/v1\nkind: {kind}\n")) == 1
