"""The models: names, null as absent, scalar types, lossless round trips, small questions that engine and backends ask."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flowcore.models import Artifact, Parameter, RetryStrategy, Step, Template, Workflow
from flowcore.models.base import number_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (493, "493"),
        (1e3, "1000"),
        (1.50, "1.5"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (1.25e-7, "0.000000125"),
        (-2.5, "-2.5"),
        (12345678901234567890, "12345678901234567890"),
    ],
)
def test_a_parameter_value_becomes_text_without_exponent(value, text):
    assert Parameter.model_validate({"name": "p", "value": value}).value == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_text_names_the_same_number(value):
    text = number_text(value)
    assert float(text) == value
    assert "e" not in text


@pytest.mark.parametrize("value", [["a"], {"a": 1}])
def test_a_parameter_value_is_never_a_structure(value):
    with pytest.raises(ValidationError):
        Parameter.model_validate({"name": "p", "value": value})


@pytest.mark.parametrize("limit", [3, "3", "{{inputs.parameters.limit}}"])
def test_int_or_string_is_kept_as_given(limit):
    assert RetryStrategy.model_validate({"limit": limit}).to_json() == {"limit": limit}


@pytest.mark.parametrize("limit", [True, 1.5, 2**31, [1]])
def test_int_or_string_refuses_the_rest(limit):
    with pytest.raises(ValidationError):
        RetryStrategy.model_validate({"limit": limit})


def test_absent_and_zero_differ_and_null_is_absent():
    given_zero = Workflow.model_validate({"spec": {"activeDeadlineSeconds": 0, "suspend": False, "parallelism": None}})
    assert (given_zero.spec.active_deadline_seconds, given_zero.spec.suspend, given_zero.spec.parallelism) == (0, False, None)
    assert given_zero.to_json() == {"spec": {"activeDeadlineSeconds": 0, "suspend": False}}


def test_null_for_a_list_or_structure_gives_the_empty_one():
    template = Template.model_validate({"name": "t", "inputs": None, "sidecars": None, "suspend": None})
    assert template.inputs.parameters == []
    assert template.sidecars == []
    assert template.template_type is None


def test_names_that_are_no_plain_camel_case_are_read_and_written():
    document = {
        "metadata": {"name": "w"},
        "spec": {
            "podGC": {"strategy": "OnPodCompletion"},
            "artifactGC": {"strategy": "Never"},
            "volumeClaimGC": {"strategy": "OnWorkflowCompletion"},
            "ttlStrategy": {"secondsAfterCompletion": 5},
            "dnsPolicy": "Default",
            "templates": [
                {
                    "name": "t",
                    "outputs": {
                        "parameters": [{"name": "o", "valueFrom": {"jsonPath": "{.a}", "jqFilter": ".a"}}],
                        "artifacts": [{"name": "a", "from": "{{x}}", "fromExpression": "y", "s3": {"useSDKCreds": True, "roleARN": "r"}}],
                    },
                }
            ],
        },
    }
    workflow = Workflow.model_validate(document)
    assert workflow.spec.pod_gc is not None
    assert workflow.spec.templates[0].outputs.artifacts[0].from_ == "{{x}}"
    assert workflow.to_json() == document
    assert not workflow.spec.model_extra


def test_what_is_not_known_passes_through_untouched():
    template = {
        "name": "t",
        "affinity": {"nodeAffinity": {"x": [1, None, {"y": None}]}},
        "container": {
            "image": "i",
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "securityContext": {"runAsUser": 0},
            "newField": {"deep": [None]},
        },
        "volumes": [{"name": "v", "emptyDir": {}}],
        "somethingNew": 1,
    }
    assert Template.model_validate(template).to_json() == template


def test_what_is_filled_in_after_reading_is_written_too():
    template = Template(name="t")
    template.inputs.parameters.append(Parameter(name="p", value="1"))
    template.daemon = True
    assert template.to_json() == {"name": "t", "inputs": {"parameters": [{"name": "p", "value": "1"}]}, "daemon": True}


def test_items_may_be_anything():
    items = ["a", 1, 1.5, True, None, {"a": None}, [1, [2]]]
    step = Step.model_validate({"name": "s", "template": "t", "withItems": items})
    assert step.with_items == items
    assert json.loads(json.dumps(step.to_json()))["withItems"] == items


@pytest.mark.parametrize(
    ("field", "body", "pod", "leaf"),
    [
        ("container", {}, True, True),
        ("containerSet", {"containers": []}, True, True),
        ("script", {"source": ""}, True, True),
        ("resource", {"action": "get"}, True, True),
        ("data", {}, True, True),
        ("http", {"url": "u"}, False, True),
        ("plugin", {"p": {}}, False, True),
        ("suspend", {}, False, False),
        ("steps", [[]], False, False),
        ("dag", {"tasks": []}, False, False),
    ],
)
def test_template_types(field, body, pod, leaf):
    template = Template.model_validate({"name": "t", field: body})
    assert (template.template_type, template.is_pod, template.is_leaf) == (field, pod, leaf)


def test_of_several_types_the_first_in_argos_order_counts():
    template = Template.model_validate({"suspend": {}, "script": {}, "container": {}})
    assert template.template_types == ("container", "script", "suspend")
    assert template.template_type == "container"


def test_a_plugin_has_exactly_one_name():
    with pytest.raises(ValidationError, match="exactly one key, got 2"):
        Template.model_validate({"plugin": {"a": {}, "b": {}}})


def test_inline_templates_nest():
    step = {"name": "s", "inline": {"steps": [[{"name": "x", "inline": {"suspend": {}}}]]}}
    parsed = Step.model_validate(step)
    assert parsed.inline is not None
    assert parsed.inline.steps is not None
    assert parsed.to_json() == step


@pytest.mark.parametrize(
    ("artifact", "located", "keyed"),
    [
        ({}, False, False),
        ({"s3": {"key": "k"}}, False, True),
        ({"s3": {"endpoint": "e", "bucket": "b", "key": "k"}}, True, True),
        ({"raw": {"data": "d"}}, True, False),
        ({"git": {"repo": "r"}}, True, False),
        ({"http": {"url": "u"}}, True, True),
        ({"gcs": {"bucket": "b"}}, False, False),
    ],
)
def test_whether_an_artifact_says_where_it_is(artifact, located, keyed):
    parsed = Artifact.model_validate({"name": "a", **artifact})
    assert (parsed.has_location, parsed.has_key) == (located, keyed)
