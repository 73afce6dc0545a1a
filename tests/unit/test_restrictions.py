"""Fields that a workflow may set beside its workflowTemplateRef where that is restricted."""

from __future__ import annotations

from typing import Any

import pytest

from flowcore.errors import InvalidWorkflow
from flowcore.plan.plan import PlanOptions, compile_plan
from flowcore.plan.restrictions import check_overrides, forbidden_overrides, permitted_overrides

HARMLESS: Any = {
    "workflowTemplateRef": {"name": "t"},
    "entrypoint": "main",
    "arguments": {"parameters": [{"name": "a", "value": "1"}]},
    "priority": 10,
    "shutdown": "Stop",
    "artifactGC": {"strategy": "OnWorkflowCompletion", "forceFinalizerRemoval": True},
    "serviceAccountName": "",
    "volumes": None,
}


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (HARMLESS, []),
        ({"serviceAccountName": "admin", "hostNetwork": True, "dnsPolicy": "None"}, ["DNSPolicy", "HostNetwork", "ServiceAccountName"]),
        ({"securityContext": {}, "templates": []}, ["SecurityContext", "Templates"]),
        ({"artifactGC": {"podSpecPatch": "{}", "podMetadata": {}}}, ["ArtifactGC.PodMetadata", "ArtifactGC.PodSpecPatch"]),
        ({"somethingNew": 1}, ["SomethingNew"]),
    ],
)
def test_forbidden_fields_are_named(spec: Any, names: list[str]) -> None:
    assert forbidden_overrides(spec) == names
    assert forbidden_overrides(permitted_overrides(spec)) == []


def test_harmless_fields_are_kept() -> None:
    check_overrides(HARMLESS)
    assert permitted_overrides(HARMLESS) == {key: value for key, value in HARMLESS.items() if key not in ("serviceAccountName", "volumes")}


def test_the_error_names_all_of_them() -> None:
    with pytest.raises(InvalidWorkflow, match=r"fields \[OnExit Templates\] are not permitted when using workflowTemplateRef"):
        check_overrides({"templates": [{"name": "x"}], "onExit": "x"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"entrypoint": "main", "templates": []}, "workflows must use workflowTemplateRef"),
        ({"workflowTemplateRef": {"name": "t"}, "podSpecPatch": "{}"}, r"fields \[PodSpecPatch\] are not permitted"),
    ],
)
def test_a_plan_that_must_refer_is_refused(spec: Any, message: str) -> None:
    with pytest.raises(InvalidWorkflow, match=message):
        compile_plan({"metadata": {"name": "w"}, "spec": spec}, options=PlanOptions(must_refer=True))


def test_a_plan_that_must_refer_is_made_from_the_template() -> None:
    class Catalog:
        def get(self, _kind: str, name: str, _namespace: str | None = None) -> Any:
            return {"metadata": {"name": name}, "spec": {"entrypoint": "b", "templates": []}}

    spec: Any = {"workflowTemplateRef": {"name": "t"}, "entrypoint": "a"}
    plan = compile_plan({"metadata": {"name": "w"}, "spec": spec}, catalog=Catalog(), options=PlanOptions(must_refer=True))
    assert plan.spec["entrypoint"] == "a"
