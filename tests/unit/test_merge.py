"""Merging specs: workflow over template over defaults, templates over templateDefaults, and patches for pods."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import InvalidWorkflow
from flowcore.plan.merge import (
    apply_workflow_defaults,
    merge_template_defaults,
    merge_workflow_spec,
    strategic_patch,
)
from flowcore.plan.merge_keys import WORKFLOW, WORKFLOW_SPEC
from flowcore.plan.strategic import overlay

# --- workflow, template, defaults -------------------------------------------------------------------------------------------------


def test_the_workflow_wins_over_the_template_and_that_over_defaults() -> None:
    merged = merge_workflow_spec(
        {"workflowTemplateRef": {"name": "t"}, "priority": 1, "ttlStrategy": {"secondsAfterFailure": 5}, "onExit": ""},
        {"entrypoint": "main", "priority": 2, "onExit": "bye", "ttlStrategy": {"secondsAfterSuccess": 1, "secondsAfterFailure": 1}},
        {"entrypoint": "other", "parallelism": 7, "ttlStrategy": {"secondsAfterCompletion": 9}},
    )
    assert merged == {
        "workflowTemplateRef": {"name": "t"},
        "entrypoint": "main",
        "priority": 1,
        "onExit": "bye",
        "parallelism": 7,
        "ttlStrategy": {"secondsAfterFailure": 5, "secondsAfterSuccess": 1, "secondsAfterCompletion": 9},
    }


def test_suspend_is_the_workflows_own() -> None:
    assert merge_workflow_spec({}, {"suspend": True, "entrypoint": "x"}) == {"entrypoint": "x"}
    assert merge_workflow_spec({"suspend": True}, {"entrypoint": "x"}) == {"entrypoint": "x", "suspend": True}
    assert merge_workflow_spec({"suspend": None}, {"suspend": True}) == {}


def parameters(*given: tuple[str, Any]) -> dict[str, Any]:
    return {"arguments": {"parameters": [{"name": name, **fields} for name, fields in given]}}


def test_a_parameter_with_a_value_wins_as_a_whole() -> None:
    merged = merge_workflow_spec(
        parameters(("a", {"value": "wf"}), ("b", {"description": "no value"}), ("e", {"value": ""})),
        parameters(
            ("a", {"value": "t", "enum": ["t"]}),
            ("b", {"value": "t"}),
            ("c", {"valueFrom": {"configMapKeyRef": {}}}),
            ("e", {"value": "t"}),
        ),
        parameters(("b", {"value": "d"}), ("c", {"value": "d"}), ("d", {"default": "d"})),
    )
    by_name = {item["name"]: item for item in merged["arguments"]["parameters"]}
    assert by_name == {
        "a": {"name": "a", "value": "wf"},
        "b": {"name": "b", "value": "t"},
        "c": {"name": "c", "valueFrom": {"configMapKeyRef": {}}},
        "d": {"name": "d", "default": "d"},
        "e": {"name": "e", "value": ""},
    }


def test_the_workflows_own_parameters_come_first_among_new_ones() -> None:
    merged = merge_workflow_spec(
        parameters(("new", {"value": "1"}), ("b", {"value": "2"})), parameters(("a", {"value": "3"}), ("b", {"value": "4"}))
    )
    assert [item["name"] for item in merged["arguments"]["parameters"]] == ["new", "a", "b"]


def artifacts(**fields: Any) -> dict[str, Any]:
    return {"arguments": {"artifacts": [{"name": "x", **fields}]}}


@pytest.mark.parametrize(
    ("workflow", "template", "result"),
    [
        ({"s3": {"key": "k"}}, {"s3": {"key": "t", "bucket": "b"}, "path": "/x"}, {"s3": {"key": "k", "bucket": "b"}}),
        ({"http": {"url": "u"}}, {"s3": {"key": "t"}}, {"http": {"url": "u"}}),
        ({"from": "{{x}}"}, {"s3": {"key": "t"}}, {"from": "{{x}}"}),
    ],
)
def test_artifacts_are_completed_within_one_kind_of_storage(workflow: Any, template: Any, result: Any) -> None:
    merged = merge_workflow_spec(artifacts(**workflow), artifacts(**template))
    assert merged["arguments"]["artifacts"] == [{"name": "x", **result}]
    from_defaults = merge_workflow_spec(artifacts(**workflow), None, artifacts(**template))
    assert from_defaults["arguments"]["artifacts"] == [{"name": "x", **result}]


def test_hooks_and_labels_from_are_only_added() -> None:
    merged = merge_workflow_spec(
        {"hooks": {"exit": {"template": "mine"}}, "workflowMetadata": {"labelsFrom": {"a": {"expression": "1"}}}},
        {
            "hooks": {"exit": {"template": "theirs", "expression": "x"}, "running": {"template": "r"}},
            "workflowMetadata": {"labels": {"l": "1"}, "labelsFrom": {"a": {"expression": "2"}, "b": {"expression": "3"}}},
        },
        {"hooks": {"other": {"template": "o"}}},
    )
    assert merged["hooks"] == {"exit": {"template": "mine"}, "running": {"template": "r"}, "other": {"template": "o"}}
    assert merged["workflowMetadata"] == {"labels": {"l": "1"}, "labelsFrom": {"a": {"expression": "1"}, "b": {"expression": "3"}}}


def test_lists_with_keys_are_merged_and_others_replaced() -> None:
    merged = merge_workflow_spec(
        {
            "volumes": [{"name": "v", "emptyDir": {}}],
            "volumeClaimTemplates": [{"metadata": {"name": "mine"}}],
            "tolerations": [{"key": "k", "effect": "NoSchedule"}],
            "imagePullSecrets": [],
        },
        {
            "volumes": [{"name": "w"}, {"name": "v", "configMap": {}}],
            "volumeClaimTemplates": [{"metadata": {"name": "theirs"}}],
            "tolerations": [{"key": "k", "operator": "Exists"}],
            "imagePullSecrets": [{"name": "s"}],
        },
    )
    assert merged == {
        "volumes": [{"name": "w"}, {"name": "v", "configMap": {}, "emptyDir": {}}],
        "volumeClaimTemplates": [{"metadata": {"name": "mine"}}],
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
        "imagePullSecrets": [{"name": "s"}],
    }


def test_items_without_their_key_cannot_be_merged() -> None:
    with pytest.raises(InvalidWorkflow, match="does not contain declared merge key: key"):
        merge_workflow_spec({"tolerations": [{"operator": "Exists"}]}, {"tolerations": [{"key": "k"}]})


def test_defaults_go_beneath_a_whole_workflow() -> None:
    workflow = {
        "apiVersion": "v",
        "kind": "Workflow",
        "metadata": {"name": "w", "labels": {"a": "1"}},
        "spec": {"entrypoint": "m", "templates": [{"name": "m", "container": {"image": "i"}}]},
        "status": {"phase": "Running"},
    }
    defaults = {
        "kind": "X",
        "metadata": {"labels": {"a": "0", "b": "2"}},
        "spec": {"entrypoint": "d", "parallelism": 2, "hooks": {"h": {}}},
    }
    merged = apply_workflow_defaults(workflow, defaults)
    assert merged["kind"] == "Workflow"
    assert merged["status"] == {"phase": "Running"}
    assert merged["metadata"] == {"name": "w", "labels": {"a": "1", "b": "2"}}
    assert merged["spec"] == {"entrypoint": "m", "parallelism": 2, "hooks": {"h": {}}, "templates": workflow["spec"]["templates"]}
    assert apply_workflow_defaults(workflow, {}) == workflow


# --- templateDefaults -------------------------------------------------------------------------------------------------------------


def test_template_defaults_of_other_kinds_are_left_out() -> None:
    defaults = {"script": {"image": "p"}, "container": {"image": "c"}, "suspend": {}, "steps": [[{"name": "s"}]], "timeout": "1m"}
    assert merge_template_defaults(defaults, {"name": "t", "container": {"args": ["a"]}}) == {
        "name": "t",
        "container": {"image": "c", "args": ["a"]},
        "timeout": "1m",
    }
    assert merge_template_defaults(defaults, {"name": "t", "steps": [[{"name": "mine"}]]}) == {
        "name": "t",
        "steps": [[{"name": "mine"}]],
        "timeout": "1m",
    }


def test_template_defaults_beneath_a_template() -> None:
    defaults = {
        "name": "ignored",
        "container": {
            "image": "c",
            "command": ["x"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "ports": [{"containerPort": 80, "name": "web"}],
            "volumeMounts": [{"mountPath": "/a", "name": "v"}],
        },
        "metadata": {"labels": {"d": "1"}},
        "retryStrategy": {"limit": 2},
    }
    template = {
        "name": "t",
        "container": {
            "image": "mine",
            "command": [],
            "env": [{"name": "B", "value": "3"}],
            "ports": [{"containerPort": 80, "protocol": "UDP"}],
            "volumeMounts": [{"mountPath": "/b", "name": "v"}],
        },
        "metadata": None,
    }
    assert merge_template_defaults(defaults, template) == {
        "name": "t",
        "container": {
            "image": "mine",
            "command": ["x"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}],
            "ports": [{"containerPort": 80, "name": "web", "protocol": "UDP"}],
            "volumeMounts": [{"mountPath": "/b", "name": "v"}, {"mountPath": "/a", "name": "v"}],
        },
        "metadata": {"labels": {"d": "1"}},
        "retryStrategy": {"limit": 2},
    }


# --- patches ----------------------------------------------------------------------------------------------------------------------

POD: Any = {
    "containers": [{"name": "main", "image": "a", "resources": {"limits": {"cpu": 1}}}, {"name": "wait", "image": "w"}],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "nodeSelector": {"x": "y"},
    "tolerations": [{"operator": "Exists"}],
    "restartPolicy": "Never",
}


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({"restartPolicy": "Always"}, {"restartPolicy": "Always"}),
        ({"restartPolicy": None, "unheard": None}, {"restartPolicy": None}),
        ({"nodeSelector": {"x": None, "z": "1"}}, {"nodeSelector": {"z": "1"}}),
        ({"nodeSelector": {"$patch": "replace", "z": "1"}}, {"nodeSelector": {"z": "1"}}),
        ({"nodeSelector": {"$patch": "delete"}}, {"nodeSelector": {}}),
        ({"tolerations": [{"key": "k"}]}, {"tolerations": [{"key": "k"}]}),
        (
            {"containers": [{"name": "main", "resources": {"limits": {"memory": "1Gi"}}}]},
            {
                "containers": [
                    {"name": "main", "image": "a", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}},
                    {"name": "wait", "image": "w"},
                ]
            },
        ),
        ({"containers": [{"name": "wait", "$patch": "delete"}]}, {"containers": [POD["containers"][0]]}),
        ({"containers": [{"$patch": "replace"}, {"name": "only"}]}, {"containers": [{"name": "only"}]}),
        ({"containers": [{"name": "new"}]}, {"containers": [{"name": "new"}, *POD["containers"]]}),
        (
            {"$setElementOrder/containers": [{"name": "wait"}, {"name": "main"}], "containers": [{"name": "main", "image": "b"}]},
            {"containers": [{"name": "wait", "image": "w"}, {"name": "main", "image": "b", "resources": {"limits": {"cpu": 1}}}]},
        ),
        (
            {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]},
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
        ),
        ({"securityContext": {"runAsUser": 1, "fsGroup": None, "x": {"$patch": "delete"}}}, {"securityContext": {"runAsUser": 1}}),
        ({"hostAliases": [{"ip": "1"}, {"ip": "2", "$patch": "delete"}]}, {"hostAliases": [{"ip": "1"}]}),
    ],
)
def test_patches_for_pods(patch: Any, changed: Any) -> None:
    target, given_patch = copy.deepcopy(POD), copy.deepcopy(patch)
    wanted = {key: value for key, value in {**POD, **changed}.items() if value is not None}
    assert strategic_patch(target, given_patch) == wanted
    assert target == POD, "the target is left as it was"
    assert given_patch == patch, "and so is the patch"


def test_plain_lists_are_united_and_cut() -> None:
    target: Any = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategic_patch(target, {"metadata": {"finalizers": ["c", "b"]}}, WORKFLOW) == {"metadata": {"finalizers": ["c", "a", "b"]}}
    assert strategic_patch(target, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, WORKFLOW) == {
        "metadata": {"finalizers": ["b"]}
    }


@pytest.mark.parametrize(
    "patch",
    [
        {"$patch": "shake"},
        {"containers": [{"name": "main", "$patch": "shake"}]},
        {"containers": [{"image": "x"}]},
        {"containers": ["main"]},
        {"containers": [{"name": {}}]},
        {"nodeSelector": {"$retainKeys": "x"}},
        {"nodeSelector": {"$retainKeys": ["x"], "y": "1"}},
        {"$setElementOrder/containers": "x"},
        {"$setElementOrder/containers": [{"image": "x"}]},
        {"$deleteFromPrimitiveList/tolerations": "x"},
    ],
)
def test_patches_that_are_not_well_formed_are_refused(patch: Any) -> None:
    with pytest.raises(InvalidWorkflow):
        strategic_patch(POD, patch)


def test_deep_objects_are_refused() -> None:
    deep: Any = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(InvalidWorkflow, match="nested"):
        strategic_patch(deep, deep)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["", "a", "replace"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "key", "spec", "env", "volumes", "arguments", "parameters", "$patch", "$retainKeys"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
objects = st.dictionaries(
    st.sampled_from(["volumes", "arguments", "hooks", "templates", "tolerations", "$patch", "x"]), json_values, max_size=4
)


@given(objects, objects)
def test_merging_anything_gives_an_object_or_says_why_not(first: Any, second: Any) -> None:
    for merge in (strategic_patch, merge_workflow_spec, merge_template_defaults, apply_workflow_defaults):
        before = copy.deepcopy((first, second))
        with contextlib.suppress(InvalidWorkflow):
            assert isinstance(merge(first, second), dict)
        assert (first, second) == before


@given(
    st.dictionaries(
        st.sampled_from("abc"), st.one_of(st.integers(1, 3), st.dictionaries(st.sampled_from("de"), st.integers(1, 3), min_size=1))
    )
)
def test_merging_a_document_over_itself_changes_nothing(document: Any) -> None:
    assert overlay(document, document, WORKFLOW_SPEC) == document
    assert strategic_patch(document, document) == document
