"""What backends say of documents before anything runs: Docker by itself, Kubernetes by asking its API for a dry run."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowcore.catalogs import MemoryCatalog
from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject
from tests.scenarios.documents import EXAMPLES, split

CONTAINER: JsonObject = {"image": "i", "command": ["true"]}


def workflow(*templates: JsonObject, **spec: Any) -> JsonObject:
    named = [{"name": f"t{number}", **template} for number, template in enumerate(templates)]
    return {"kind": "Workflow", "metadata": {"generateName": "wf-"}, "spec": {"entrypoint": "t0", "templates": named, **spec}}


def told(problems: Any) -> list[tuple[str, str, str]]:
    return [(problem.severity, problem.path, problem.message) for problem in problems]


class TestDocker:
    @staticmethod
    def check(manifest: JsonObject, **choices: Any) -> list[tuple[str, str, str]]:
        pytest.importorskip("aiodocker")
        from flowcore_backends.docker import DockerExecutor

        return told(DockerExecutor(**choices).check(manifest, MemoryCatalog()))

    def test_of_the_examples_only_the_resource_template_cannot_run(self) -> None:
        found = {}
        for file in EXAMPLES.glob("*.yaml"):
            from flowcore_backends.docker import DockerExecutor

            document, catalog = split(file)
            if problems := told(DockerExecutor().check(document, catalog)):
                found[file.stem] = problems
        message = "resource templates need a Kubernetes API, which Docker is not; use the kubernetes backend"
        assert found == {"resource": [("error", "spec.templates[0]", message)]}

    @pytest.mark.parametrize(
        ("container", "spec", "allowed", "message"),
        [
            ({"securityContext": {"privileged": True}}, {}, {"allow_privileged": True}, "container main is privileged"),
            (
                {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}},
                {},
                {"capabilities": ["NET_ADMIN"]},
                "adds the capabilities NET_ADMIN",
            ),
            ({}, {"hostNetwork": True}, {"allow_privileged": True}, "hostNetwork is not allowed"),
            (
                {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
                {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "mine"}}]},
                {"claims": {"mine": "/srv"}},
                'persistentvolumeclaim "mine" not found',
            ),
            (
                {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
                {"volumes": [{"name": "v", "hostPath": {"path": "/srv"}}]},
                {"host_paths": ["/srv"]},
                "shows the host path /srv",
            ),
        ],
        ids=["privileged", "capability", "host network", "claim", "host path"],
    )
    def test_what_is_not_allowed_is_an_error_until_it_is(self, container: Any, spec: Any, allowed: Any, message: str) -> None:
        manifest = workflow({"container": CONTAINER | container}, **spec)
        ((severity, path, found),) = self.check(manifest)
        assert (severity, message in found) == ("error", True), found
        assert path in ("spec", "spec.templates[0]")
        assert self.check(manifest, **allowed) == []

    @pytest.mark.parametrize(
        ("template", "spec", "message"),
        [
            ({"tolerations": [{"operator": "Exists"}]}, {}, "tolerations means nothing to Docker"),
            ({}, {"nodeSelector": {"a": "b"}}, "nodeSelector means nothing to Docker"),
            (
                {"container": CONTAINER | {"resources": {"limits": {"example.com/fpga": "1"}}}},
                {},
                "resources.limits[example.com/fpga] of container main",
            ),
            (
                {"container": CONTAINER | {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}},
                {},
                'secret "s" not found',
            ),
            ({"container": CONTAINER | {"resources": {"limits": {"memory": "{{inputs.parameters.m}}Wi"}}}}, {}, "resources: memory"),
        ],
        ids=["template", "spec", "device", "secret", "uncertain"],
    )
    def test_what_is_left_alone_or_not_known_yet_is_a_warning(self, template: Any, spec: Any, message: str) -> None:
        ((severity, _, found),) = self.check(workflow({"container": CONTAINER} | template, **spec))
        assert (severity, message in found) == ("warning", True), found

    def test_places_of_inline_templates_and_of_schedules(self) -> None:
        bad = {"container": CONTAINER | {"securityContext": {"privileged": True}}}
        steps = {"steps": [[{"name": "a", "template": "t1"}, {"name": "b", "inline": bad}]]}
        tasks = {"dag": {"tasks": [{"name": "c", "inline": bad}]}}
        spec = workflow(steps, tasks)["spec"]
        found = self.check({"kind": "CronWorkflow", "metadata": {"name": "c"}, "spec": {"workflowSpec": spec}})
        inside = "spec.workflowSpec.templates"
        assert [path for _, path, _ in found] == [f"{inside}[0].steps[0][1].inline", f"{inside}[1].dag.tasks[0].inline"]

    def test_a_patch_counts(self) -> None:
        patch = json.dumps({"containers": [{"name": "main", "securityContext": {"privileged": True}}]})
        ((severity, _, message),) = self.check(workflow({"container": CONTAINER, "podSpecPatch": patch}))
        assert (severity, "is privileged" in message) == ("error", True)


class TestKubernetes:
    @pytest.fixture
    def kube(self) -> Any:
        pytest.importorskip("kubernetes_asyncio")
        from tests.backends.kubernetes.test_shared import cluster

        with cluster() as made:
            yield made

    @staticmethod
    def check(kube: Any, manifest: JsonObject) -> list[tuple[str, str, str]]:
        from flowcore_backends.kubernetes import KubernetesExecutor

        return told(KubernetesExecutor(api_server=kube.url).check(manifest, MemoryCatalog()))

    def test_nothing_is_made(self, kube: Any) -> None:
        job = {"action": "create", "manifest": json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "j-"}})}
        assert self.check(kube, workflow({"container": CONTAINER}, {"resource": job}, {"suspend": {}})) == []
        asked = [request for request in kube.requests if request.startswith("POST")]
        assert len(asked) == 2
        assert all("dryRun=All&fieldValidation=Strict" in request for request in asked)
        assert kube.objects("pods") == kube.objects("jobs") == []

    def test_what_the_server_refuses_is_told_cause_by_cause_at_the_template(self, kube: Any) -> None:
        from flowcore_backends.kubernetes.testing import Fault

        causes = [{"field": "spec.containers[0].image", "message": "Required value"}, {"field": "spec.x", "message": "no"}]
        body = {"kind": "Status", "message": "Pod is invalid", "reason": "Invalid", "details": {"causes": causes}}
        kube.faults.append(Fault("POST .*pods", status=422, body=body))
        expected = [
            ("error", "spec.templates[0]", "spec.containers[0].image: Required value"),
            ("error", "spec.templates[0]", "spec.x: no"),
        ]
        assert self.check(kube, workflow({"container": CONTAINER})) == expected

    def test_what_a_value_may_mend_is_a_warning(self, kube: Any) -> None:
        from flowcore_backends.kubernetes.testing import Fault

        kube.faults.append(Fault("POST .*pods", status=422, body={"kind": "Status", "message": "bad quantity"}))
        manifest = workflow({"container": CONTAINER | {"resources": {"limits": {"cpu": "{{inputs.parameters.x}}"}}}})
        assert self.check(kube, manifest) == [("warning", "spec.templates[0]", "bad quantity")]

    def test_an_unknown_kind_is_an_error_and_a_server_that_is_away_ends_it(self, kube: Any) -> None:
        from flowcore_backends.kubernetes import KubernetesExecutor

        odd = {"action": "create", "manifest": "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g}"}
        ((severity, _, message),) = self.check(kube, workflow({"resource": odd}))
        assert (severity, 'no matches for kind "Gadget"' in message) == ("error", True)
        kube.away = True
        executor = KubernetesExecutor(api_server=kube.url, patience=timedelta(0))
        with pytest.raises(ExecutorError, match="did not answer"):
            executor.check(workflow({"container": CONTAINER}), MemoryCatalog())
        kube.away = False


def test_the_command_line_asks_the_backend(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from flowcore.cli.app import app

    pytest.importorskip("aiodocker")
    file = tmp_path / "wf.json"
    file.write_text(
        json.dumps({"apiVersion": "argoproj.io/v1alpha1", **workflow({"container": CONTAINER | {"securityContext": {"privileged": True}}})})
    )
    plain = CliRunner().invoke(app, ["lint", str(file)])
    asked = CliRunner().invoke(app, ["lint", str(file), "--backend", "docker"])
    allowed = CliRunner().invoke(app, ["lint", str(file), "--backend", "docker", "--backend-option", "allow-privileged=true"])
    unable = CliRunner().invoke(app, ["lint", str(file), "--backend", "fake"])
    assert [each.exit_code for each in (plain, asked, allowed, unable)] == [0, 2, 0, 2]
    assert "container main is privileged" in asked.output
    assert "[backend]" in asked.output
    assert "cannot say beforehand" in unable.output
