"""Catalogs: what is found, from which namespace, from which files, and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from flowcore.catalogs import FolderCatalog, MemoryCatalog, values_of
from flowcore.errors import InvalidWorkflow
from flowcore.jsontypes import JsonObject
from flowcore.models import WorkflowTemplate


def document(kind: str, name: str, namespace: str | None = None, **more: JsonObject) -> JsonObject:
    return {"kind": kind, "metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, **more}


TEMPLATE = """\
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata:
  name: {name}
spec:
  templates:
    - name: main
      container: {{image: alpine, command: [echo]}}
"""


def test_documents_are_found_by_kind_and_name() -> None:
    template = document("WorkflowTemplate", "a")
    catalog = MemoryCatalog([template, document("ConfigMap", "a", data={"k": "v"})])
    assert catalog.get("WorkflowTemplate", "a") is template
    assert catalog.get("WorkflowTemplate", "b") is None
    assert catalog.get("CronWorkflow", "a") is None
    assert catalog.names("ConfigMap") == ["a"]
    assert len(catalog) == len(list(catalog)) == 2


def test_models_are_documents_too() -> None:
    catalog = MemoryCatalog([WorkflowTemplate.model_validate(document("WorkflowTemplate", "a", spec={}))])
    found = catalog.get("WorkflowTemplate", "a")
    assert found is not None
    assert found["metadata"] == {"name": "a"}


def test_a_namespace_hides_others_and_none_is_everywhere() -> None:
    mine, yours, everywhere = (document("ConfigMap", name, namespace) for name, namespace in (("a", "x"), ("a", "y"), ("b", None)))
    catalog = MemoryCatalog([mine, yours, everywhere])
    assert catalog.get("ConfigMap", "a", "x") is mine
    assert catalog.get("ConfigMap", "a", "y") is yours
    assert catalog.get("ConfigMap", "a", "z") is None
    assert catalog.get("ConfigMap", "a") is mine
    assert catalog.get("ConfigMap", "b", "z") is everywhere


def test_cluster_wide_kinds_have_no_namespace() -> None:
    template = document("ClusterWorkflowTemplate", "a", "x")
    assert MemoryCatalog([template]).get("ClusterWorkflowTemplate", "a", "y") is template


def test_a_later_document_replaces_an_earlier_one() -> None:
    first, second = document("ConfigMap", "a"), document("ConfigMap", "a")
    assert MemoryCatalog([first, second]).get("ConfigMap", "a") is second


def test_lists_are_taken_apart() -> None:
    listed: JsonObject = {"kind": "List", "items": [document("ConfigMap", "a"), document("Secret", "b")]}
    assert [one["kind"] for one in MemoryCatalog([listed])] == ["ConfigMap", "Secret"]


def test_a_secrets_plain_values_are_also_encoded_as_in_a_cluster() -> None:
    encoded = base64.b64encode(b"\x00old").decode()
    catalog = MemoryCatalog([document("Secret", "s", data={"a": encoded, "b": encoded}, stringData={"b": "né"})])
    found = catalog.get("Secret", "s")
    assert found is not None
    assert found["data"] == {"a": encoded, "b": base64.b64encode("né".encode()).decode()}
    assert values_of(found) == {"a": b"\x00old", "b": "né".encode()}


def test_values_of_a_config_map() -> None:
    manifest = document("ConfigMap", "c", data={"a": "text"}, binaryData={"b": "AAE="})
    assert values_of(manifest) == {"a": b"text", "b": b"\x00\x01"}


def test_a_catalog_shows_names_and_no_values() -> None:
    catalog = MemoryCatalog([document("Secret", "s", stringData={"password": "hunter2"})])
    assert "Secret/s" in repr(catalog)
    assert "hunter2" not in repr(catalog)
    assert base64.b64encode(b"hunter2").decode() not in repr(catalog)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ({}, "kind: a document of a catalog needs a kind"),
        ({"kind": "ConfigMap"}, "metadata.name: this ConfigMap needs a name"),
        ({"kind": "ConfigMap", "metadata": {"name": 3}}, "metadata.name"),
        (document("Secret", "s", data={"a": "??"}), "data.a: Secret s: not base64"),
        ({"kind": "Secret", "metadata": {"name": "s"}, "data": {"a": 3}}, "data: Secret s: values must be strings"),
        ({"kind": "Secret", "metadata": {"name": "s"}, "stringData": ["a"]}, "stringData: Secret s: values must be strings"),
    ],
)
def test_documents_that_cannot_be_found_again_are_refused(bad: JsonObject, problem: str) -> None:
    with pytest.raises(InvalidWorkflow) as error:
        MemoryCatalog([bad])
    assert problem in str(error.value)
    assert "??" not in str(error.value)


# --- files ------------------------------------------------------------------------------------------------------------------------


def test_a_folder_gives_all_documents_below_it_but_workflows(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a.yml").write_text(TEMPLATE.format(name="a") + "---\n" + TEMPLATE.format(name="b"))
    (tmp_path / "c.json").write_text('{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}, "data": {"k": "v"}}')
    (tmp_path / "s.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}\n")
    (tmp_path / "run.yaml").write_text(TEMPLATE.format(name="w").replace("WorkflowTemplate", "Workflow"))
    (tmp_path / "notes.txt").write_text("{nothing")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.yaml").write_text("{nothing")
    catalog = FolderCatalog(tmp_path)
    assert [(one["kind"], one["metadata"]["name"]) for one in catalog] == [
        ("ConfigMap", "c"),
        ("WorkflowTemplate", "a"),
        ("WorkflowTemplate", "b"),
        ("Secret", "s"),
    ]


def test_single_files_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "template").write_text(TEMPLATE.format(name="a"))
    assert FolderCatalog([tmp_path / "template"]).names("WorkflowTemplate") == ["a"]


def test_problems_of_all_files_are_told_with_their_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: ConfigMap\n")
    (tmp_path / "b.yaml").write_text("kind: [unclosed\n")
    (tmp_path / "c.yaml").write_text(TEMPLATE.format(name="fine"))
    with pytest.raises(InvalidWorkflow) as error:
        FolderCatalog([tmp_path, tmp_path / "absent.yaml"])
    assert {Path(problem.file or "").name for problem in error.value.problems} == {"a.yaml", "b.yaml", "absent.yaml"}


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"#" * ((10 << 20) + 1))
    with pytest.raises(InvalidWorkflow, match="10 MiB"):
        FolderCatalog(tmp_path)
