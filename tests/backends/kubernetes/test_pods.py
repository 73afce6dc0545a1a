"""From invocations to manifests: every pod-level field with Argo's precedence, and the layout around it."""

from __future__ import annotations

from typing import Any

import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, named, object_of, objects_of
from flowcore_backends.kubernetes.capture import PlacedInput, layout_of
from flowcore_backends.kubernetes.labels import label_value
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.pods import PodParts, pod_manifest
from tests.backends.kubernetes.scene import container, pod_of

OPTIONS = KubernetesOptions()


def manifest(
    body: JsonObject | None = None, spec: JsonObject | None = None, parts: PodParts | None = None, more: Any = None, **options: Any
) -> JsonObject:
    given = {"container": container()} | (body or {})
    return pod_manifest(pod_of(given, **(more or {})), spec or {}, KubernetesOptions(**options), parts)


def spec_of(*given: Any, **more: Any) -> JsonObject:
    return object_of(manifest(*given, **more), "spec")


def main_of(spec: JsonObject, name: str = "main") -> JsonObject:
    found = named(spec, "containers", name)
    assert found is not None
    return found


def test_names_labels_and_annotations_are_argos() -> None:
    made = object_of(manifest({}, {}, None, {"on_exit": True}), "metadata")
    assert (made["name"], made["namespace"]) == ("wf-work-1", "default")
    assert made["labels"] == {
        "workflows.argoproj.io/workflow": "wf",
        "workflows.argoproj.io/completed": "false",
        "workflows.argoproj.io/on-exit": "true",
        "workflows.argoproj.io/controller-instanceid": "flowcore",
        "app.kubernetes.io/managed-by": "flowcore",
    }
    annotations = object_of(made, "annotations")
    assert annotations["workflows.argoproj.io/node-name"] == "wf.work"
    assert str(annotations["workflows.argoproj.io/node-id"]).startswith("wf-")
    assert annotations["kubectl.kubernetes.io/default-container"] == "main"


@pytest.mark.parametrize(("given", "expected"), [
    ({"strategy": "OnPodSuccess"}, "OnPodSuccess/5s"), ({"strategy": "OnPodCompletion", "deleteDelayDuration": "90s"}, "OnPodCompletion/1m30s"),
])  # fmt: skip
def test_pods_say_how_they_are_collected(given: Any, expected: str) -> None:
    assert (
        object_of(object_of(manifest({}, {"podGC": given}), "metadata"), "annotations")["workflows.argoproj.io/pod-gc-strategy"] == expected
    )


def test_metadata_of_the_template_lies_over_that_of_the_workflow() -> None:
    spec: JsonObject = {"podMetadata": {"labels": {"a": "wf", "b": "wf"}, "annotations": {"c": "wf"}}}
    made = object_of(manifest({"metadata": {"labels": {"a": "tmpl"}}}, spec), "metadata")
    assert object_of(made, "labels")["a"] == "tmpl"
    assert object_of(made, "labels")["b"] == "wf"
    assert object_of(made, "annotations")["c"] == "wf"


@pytest.mark.parametrize(
    ("field", "workflow_field", "below", "above"),
    [
        ("nodeSelector", "nodeSelector", {"disk": "hdd"}, {"disk": "ssd"}),
        ("affinity", "affinity", {"podAffinity": {}}, {"nodeAffinity": {}}),
        ("tolerations", "tolerations", [{"key": "a"}], [{"key": "b"}]),
        ("schedulerName", "schedulerName", "one", "two"),
        ("priorityClassName", "podPriorityClassName", "low", "high"),
        ("serviceAccountName", "serviceAccountName", "wf", "tmpl"),
        ("securityContext", "securityContext", {"runAsUser": 1}, {"runAsUser": 2}),
        ("automountServiceAccountToken", "automountServiceAccountToken", True, False),
    ],
)
def test_of_a_field_in_workflow_and_template_the_templates_counts(field: str, workflow_field: str, below: Any, above: Any) -> None:
    assert spec_of({field: above}, {workflow_field: below})[field] == above
    if below is not True:
        assert spec_of({}, {workflow_field: below})[field] == below
        assert field not in spec_of({}, {})


def test_resources_and_claims_of_pods_come_under_their_kubernetes_names() -> None:
    made = spec_of({"podResources": {"limits": {"cpu": "1"}}}, {"podResources": {}, "resourceClaims": [{"name": "gpu"}]})
    assert made["resources"] == {"limits": {"cpu": "1"}}
    assert made["resourceClaims"] == [{"name": "gpu"}]


def test_host_aliases_of_both_and_what_only_workflows_say() -> None:
    spec: JsonObject = {
        "hostAliases": [{"ip": "1.1.1.1"}],
        "imagePullSecrets": [{"name": "s"}],
        "hostNetwork": True,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["9.9.9.9"]},
    }
    made = spec_of({"hostAliases": [{"ip": "2.2.2.2"}]}, spec)
    assert made["hostAliases"] == [{"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}]
    assert {key: made[key] for key in ("imagePullSecrets", "hostNetwork", "dnsPolicy", "dnsConfig")} == {
        key: spec[key] for key in ("imagePullSecrets", "hostNetwork", "dnsPolicy", "dnsConfig")
    }


def test_patches_are_applied_in_order_with_tags_filled_in() -> None:
    workflow = '{"containers": [{"name": "main", "resources": {"limits": {"cpu": "1"}}}], "subdomain": "{{pod.name}}"}'
    template = "containers:\n- name: main\n  resources:\n    limits:\n      memory: 1Gi\nsubdomain: '{{inputs.parameters.where}}'\n"
    inputs: JsonObject = {"parameters": [{"name": "where", "value": "there"}]}
    assert spec_of({}, {"podSpecPatch": workflow})["subdomain"] == "wf-work-1"
    made = spec_of({"podSpecPatch": template}, {"podSpecPatch": workflow}, None, {"inputs": inputs})
    assert made["subdomain"] == "there"
    assert object_of(main_of(made), "resources")["limits"] == {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize("patch", ["[1]", "{", "a: b: c", "containers: [{image: x}]"])
def test_a_patch_that_is_none_says_where_it_stands(patch: str) -> None:
    with pytest.raises(ExecutorError, match=r"PodSpecPatch of the template \(work\)"):
        manifest({"podSpecPatch": patch})


def test_the_command_goes_behind_the_wrapper_and_args_stay() -> None:
    made = spec_of({"container": container(args=["-x"], volumeMounts=[])}, {}, None, {"capture_result": True})
    main = main_of(made)
    assert main["command"] == ["/flowcore/bin/busybox", "sh", "/flowcore/bin/run.sh", "main", "-c", "--", "sh", "-c", "true"]
    assert main["args"] == ["-x"]
    assert main["volumeMounts"] == [{"name": "flowcore", "mountPath": "/flowcore"}]
    holder = objects_of(made, "initContainers")[0]
    assert (holder["name"], holder["restartPolicy"], holder["image"]) == ("flowcore", "Always", "busybox:musl")
    assert made["terminationGracePeriodSeconds"] == 120
    assert {"name": "flowcore", "emptyDir": {}} in objects_of(made, "volumes")


def test_output_paths_go_to_the_wrapper_each_once_and_as_they_are() -> None:
    outputs: JsonObject = {
        "parameters": [{"name": "p", "valueFrom": {"path": "/tmp/$(x)"}}],
        "artifacts": [{"name": "a", "path": "/tmp/$(x)"}, {"name": "b", "path": "/out"}],
    }
    command = main_of(spec_of({"outputs": outputs}))["command"]
    assert isinstance(command, list)
    assert command[4:8] == ["-o", "/tmp/$$(x)", "-o", "/out"]


def test_scripts_come_as_last_argument() -> None:
    body: JsonObject = {"script": {"image": "python", "command": ["python"], "source": "print(1)"}}
    main = main_of(object_of(pod_manifest(pod_of(body), {}, OPTIONS), "spec"))
    assert main["args"] == ["/flowcore/in/script"]
    assert "source" not in main


def test_inputs_are_mounted_or_copied_into_the_volume_that_covers_them() -> None:
    parts = PodParts(inputs=[PlacedInput("0", "/tmp/in"), PlacedInput("1", "/srv/in")], inline="QUJD")
    body: JsonObject = {
        "container": container(volumeMounts=[{"name": "w", "mountPath": "/srv"}]),
        "inputs": {"artifacts": [{"name": "x", "path": "/tmp/in"}]},
        "sidecars": [{"name": "helper", "image": "nginx", "mirrorVolumeMounts": True}],
    }
    made = pod_manifest(pod_of(body, volumes=({"name": "w", "emptyDir": {}},)), {}, OPTIONS, parts)
    spec = object_of(made, "spec")
    mounts = [
        {"name": "w", "mountPath": "/srv"},
        {"name": "flowcore", "mountPath": "/tmp/in", "subPath": "in/0"},
    ]
    assert main_of(spec)["volumeMounts"] == [*mounts, {"name": "flowcore", "mountPath": "/flowcore"}]
    assert main_of(spec)["command"][4:7] == ["-i", "1", "/srv/in"]
    helper = objects_of(spec, "initContainers")[1]
    assert (helper["name"], helper["restartPolicy"], helper["volumeMounts"]) == ("helper", "Always", mounts)
    assert "mirrorVolumeMounts" not in helper


def test_large_inputs_are_waited_for_by_a_container_of_their_own() -> None:
    made = spec_of({}, {}, PodParts(inputs=[PlacedInput("0", "/tmp/in")], upload=True))
    assert [one["name"] for one in objects_of(made, "initContainers")] == ["flowcore", "flowcore-inputs"]
    assert "'FLOWCORE_INPUTS'" not in str(made)


def test_sidecars_with_a_command_are_wrapped_and_others_are_kubernetes_own() -> None:
    body: JsonObject = {"sidecars": [{"name": "a", "image": "i", "command": ["serve"]}, {"name": "b", "image": "i"}]}
    made = spec_of(body)
    assert [one["name"] for one in objects_of(made, "containers")] == ["main", "a"]
    assert main_of(made, "a")["command"][3:] == ["a", "-s", "30", "--", "serve"]
    assert objects_of(made, "initContainers")[1]["restartPolicy"] == "Always"


def test_containers_of_a_set_know_what_they_wait_for() -> None:
    group: JsonObject = {
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "retryStrategy": {"retries": "2", "duration": "1.5s"},
        "containers": [{"name": "a", **container()}, {"name": "main", **container(), "dependencies": ["a"]}],
    }
    body: JsonObject = {"containerSet": group, "volumes": [{"name": "v", "emptyDir": {}}]}
    made = object_of(pod_manifest(pod_of(body), {}, OPTIONS), "spec")
    assert main_of(made)["command"][3:10] == ["main", "-n", "a", "-r", "2", "-p", "1.5"]
    assert "dependencies" not in main_of(made)
    assert {"name": "v", "mountPath": "/v"} in objects_of(main_of(made, "a"), "volumeMounts")


class TestWithoutCommand:
    def test_what_is_not_captured_runs_as_it_is(self) -> None:
        made = spec_of({"container": {"image": "nginx", "args": ["-v"]}})
        assert "command" not in main_of(made)
        assert "initContainers" not in made

    def test_what_is_captured_needs_to_know_the_images_own(self) -> None:
        body: JsonObject = {"container": {"image": "tool"}, "outputs": {"artifacts": [{"name": "a", "path": "/a"}]}}
        with pytest.raises(ExecutorError, match=r'image "tool" of template work: .*images='):
            layout_of(pod_of(body), OPTIONS)
        known = main_of(spec_of(body, images={"tool": ["/entry", "serve"]}))
        assert known["command"][-2:] == ["/entry", "serve"]

    def test_args_replace_the_command_of_the_image_but_not_its_entrypoint(self) -> None:
        made = main_of(spec_of({"container": {"image": "tool", "args": ["x"]}}, images={"tool": ["/entry", "serve"]}))
        assert (made["command"][-1], made["args"]) == ("/entry", ["x"])


class TestVolumes:
    def test_those_of_the_template_and_of_the_workflow_that_are_mounted(self) -> None:
        body: JsonObject = {
            "container": container(volumeMounts=[{"name": "w", "mountPath": "/w"}, {"name": "c", "mountPath": "/c"}]),
            "volumes": [{"name": "t", "emptyDir": {}}],
        }
        parts = PodParts(claims={"c": "wf-c"})
        volumes: Any = ({"name": "w", "secret": {"secretName": "s"}}, {"name": "unused", "emptyDir": {}})
        made = object_of(pod_manifest(pod_of(body, volumes=volumes), {}, OPTIONS, parts), "spec")
        assert objects_of(made, "volumes") == [
            {"name": "t", "emptyDir": {}},
            {"name": "w", "secret": {"secretName": "s"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "wf-c"}},
            {"name": "flowcore", "emptyDir": {}},
        ]

    def test_a_mount_of_nothing_is_refused(self) -> None:
        with pytest.raises(ExecutorError, match="volume 'w' not found in workflow spec"):
            manifest({"container": container(volumeMounts=[{"name": "w", "mountPath": "/w"}])})

    def test_the_reserved_name_is_refused(self) -> None:
        with pytest.raises(ExecutorError, match="reserved"):
            manifest({"volumes": [{"name": "flowcore", "emptyDir": {}}]})


class TestDeadline:
    @pytest.mark.parametrize(("given", "expected"), [(20, 20), ("20", 20), (0, 1), (None, None)])
    def test_it_is_the_templates(self, given: Any, expected: Any) -> None:
        assert spec_of({"activeDeadlineSeconds": given}).get("activeDeadlineSeconds") == expected

    def test_debugging_has_none(self) -> None:
        body = {"activeDeadlineSeconds": 5, "container": container(env=[{"name": "ARGO_DEBUG_PAUSE_AFTER", "value": "true"}])}
        assert "activeDeadlineSeconds" not in spec_of(body)

    def test_nonsense_is_refused(self) -> None:
        with pytest.raises(ExecutorError, match="activeDeadlineSeconds of template work"):
            manifest({"activeDeadlineSeconds": "soon"})


def test_retries_avoid_the_nodes_where_they_failed() -> None:
    terms = [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}]
    body: JsonObject = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [*terms]}}}}
    avoid = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n1"]}
    required: Any = object_of(object_of(spec_of(body, {}, PodParts(avoid_hosts=["n1"])), "affinity"), "nodeAffinity")
    assert required["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] == [
        {"matchExpressions": [{"key": "a", "operator": "Exists"}, avoid]},
        {"matchExpressions": [avoid]},
    ]


def test_the_holder_may_do_what_the_main_container_may_but_for_privileges() -> None:
    made = spec_of({"container": container(securityContext={"runAsUser": 7, "privileged": True})})
    assert objects_of(made, "initContainers")[0]["securityContext"] == {"runAsUser": 7}


@pytest.mark.parametrize(
    ("of_main", "of_pod", "expected"),
    [
        ({"runAsNonRoot": True}, {}, 65534),
        ({}, {"runAsNonRoot": True}, 65534),
        ({"runAsNonRoot": True, "runAsUser": 7}, {}, 7),
        ({"runAsNonRoot": True}, {"runAsUser": 7}, None),
        ({"runAsNonRoot": False}, {"runAsNonRoot": True}, None),
        ({}, {}, None),
    ],
)
def test_where_root_may_not_run_the_holder_is_nobody(of_main: Any, of_pod: Any, expected: int | None) -> None:
    """The image of the main container may name a user; that of the holder does not, and a kubelet would refuse it."""
    made = spec_of({"container": container(securityContext=of_main), "securityContext": of_pod})
    assert object_of(objects_of(made, "initContainers")[0], "securityContext").get("runAsUser") == expected


def test_the_holder_is_within_the_resources_of_a_pod_that_has_some() -> None:
    made = spec_of({"podResources": {"requests": {"cpu": "1"}}, "container": container(resources={"requests": {"cpu": "1"}})})
    assert "resources" not in objects_of(made, "initContainers")[0]


def test_the_termination_message_shares_what_a_pod_may_say() -> None:
    sidecars = [{"name": f"s{n}", "image": "i", "command": ["x"]} for n in range(4)]
    few, many = spec_of(), spec_of({"sidecars": [*sidecars]})
    limits = [int(objects_of(made, "initContainers")[0]["command"][7]) for made in (few, many)]
    assert limits[0] == 4000
    assert limits[1] == 12288 // 7 - 96


def test_no_value_of_a_secret_is_written_into_a_pod() -> None:
    body: JsonObject = {"container": container(env=[{"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}])}
    assert {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}} in objects_of(main_of(spec_of(body)), "env")


@pytest.mark.parametrize("text", ["wf", "a" * 64, "a" * 300, "with space", "-x-", "ä", "", "a.b_c"])
def test_label_values_fit(text: str) -> None:
    made = label_value(text)
    assert len(made) <= 63
    assert made == made.strip("-._")
    assert made == text or made != label_value(text + "x")
