"""The pure half of the Docker backend: what becomes of invocations and of what the engine shows. No engine is needed."""

from __future__ import annotations

import base64
import json
import platform
import struct
import subprocess
import sys
import tarfile
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ArtifactError, ExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.models.containers import Container
from flowcore.nodes import Phase
from flowcore_backends.container_paths import absolute
from flowcore_backends.docker import labels, pause, probe_program, tarballs
from flowcore_backends.docker.credentials import configured_credentials, credentials_in, header_of, registry_of, secret_credentials
from flowcore_backends.docker.endpoint import Endpoint, find_endpoint
from flowcore_backends.docker.executor import reaches_containers
from flowcore_backends.docker.frames import Frames
from flowcore_backends.docker.images import PullProgress, policy_of, pull_parameters
from flowcore_backends.docker.options import DockerOptions
from flowcore_backends.docker.pod import PodPlan, plan_pod
from flowcore_backends.docker.security import Machine, resources_of, security_of, user_of
from flowcore_backends.docker.settings import PodSettings, container_body, holder_body, names_of, network_of
from flowcore_backends.docker.states import address_of, ended_of, when
from flowcore_backends.pod_judgement import Collected, Ended, judge
from flowcore_backends.probes import get_request
from tests.backends.contract import invocation, run_context

HOST = "here"


def plan(
    tmp_path: Path, body: JsonObject, spec: JsonObject | None = None, documents: tuple[JsonObject, ...] = (), **choices: Any
) -> PodPlan:
    asked = invocation("shell", body, inputs=body.get("inputs"))
    return plan_pod(asked, run_context(tmp_path, *documents, spec=spec or {}), DockerOptions(**choices), HOST)


def settings(**more: Any) -> PodSettings:
    return PodSettings(**{"network": "net", "host_name": "pod", "security": {}, "options": DockerOptions(), **more})


# --- containers -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, {}),
        ({"command": ["a"]}, {"Entrypoint": ["a"]}),
        ({"args": ["b"]}, {"Cmd": ["b"]}),
        (
            {"command": ["$(X)"], "args": ["$(X)", "$$(X)", "$(NO)"], "env": [{"name": "X", "value": "y"}]},
            {"Entrypoint": ["y"], "Cmd": ["y", "$(X)", "$(NO)"]},
        ),
        ({"workingDir": "/w"}, {"WorkingDir": "/w"}),
        ({"tty": True, "stdin": True}, {"Tty": True, "OpenStdin": True}),
        ({"securityContext": {"runAsUser": 5, "runAsGroup": 6}}, {"User": "5:6"}),
        ({"ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]}, {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}}),
    ],
)
def test_a_container_in_dockers_words(tmp_path: Path, container: JsonObject, expected: JsonObject) -> None:
    pod = plan(tmp_path, {"container": {"image": "i", **container}})
    body = container_body(pod.containers[0], pod, settings())
    assert {key: body.get(key) for key in expected} == expected
    assert ("Entrypoint" in body, "Cmd" in body) == ("Entrypoint" in expected, "Cmd" in expected)
    assert (body["Hostname"], body["Image"], body["Healthcheck"]) == ("pod", "i", {"Test": ["NONE"]})
    assert (pod.holder, pod.shared) == (False, False)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {}),
        ({"limits": {"memory": "64Mi"}}, {"Memory": 64 << 20, "MemorySwap": 64 << 20}),
        ({"limits": {"memory": "1"}}, {"Memory": 6 << 20, "MemorySwap": 6 << 20}),
        ({"limits": {"cpu": "250m"}}, {"NanoCpus": 250_000_000}),
        ({"limits": {"cpu": 1.5}}, {"NanoCpus": 1_500_000_000}),
        ({"limits": {"cpu": "99"}}, {"NanoCpus": 4_000_000_000}),
        ({"requests": {"cpu": "500m", "memory": "1Gi"}}, {"CpuShares": 512, "MemoryReservation": 1 << 30}),
        (
            {"requests": {"memory": "1Gi"}, "limits": {"memory": "512Mi"}},
            {"Memory": 1 << 29, "MemorySwap": 1 << 29, "MemoryReservation": 1 << 29},
        ),
        ({"limits": {"nvidia.com/gpu": 2}}, {"DeviceRequests": [{"Driver": "nvidia", "Count": 2, "Capabilities": [["gpu"]]}]}),
    ],
)
def test_resources(resources: JsonObject, expected: JsonObject) -> None:
    assert resources_of(Container(name="main", resources=resources), Machine(processors=4)) == expected


@pytest.mark.parametrize("amount", ["lots", "1Zz", ""])
def test_resources_that_are_none(amount: str) -> None:
    with pytest.raises(ExecutorError, match="container main: resources: memory"):
        resources_of(Container(name="main", resources={"limits": {"memory": amount}}), Machine())


@pytest.mark.parametrize(
    ("context", "pod", "expected"),
    [
        ({}, {}, {}),
        ({"readOnlyRootFilesystem": True}, {}, {"ReadonlyRootfs": True}),
        ({"allowPrivilegeEscalation": False}, {}, {"SecurityOpt": ["no-new-privileges:true"]}),
        ({"capabilities": {"add": ["CAP_CHOWN"], "drop": ["all"]}}, {}, {"CapAdd": ["CHOWN"], "CapDrop": ["ALL"]}),
        ({}, {"fsGroup": 7, "supplementalGroups": [8]}, {"GroupAdd": ["8", "7"]}),
        ({}, {"sysctls": [{"name": "net.core.somaxconn", "value": "9"}]}, {"Sysctls": {"net.core.somaxconn": "9"}}),
    ],
)
def test_security(context: JsonObject, pod: JsonObject, expected: JsonObject) -> None:
    assert security_of(Container(name="main", security_context=context), pod, DockerOptions()) == expected


@pytest.mark.parametrize(
    ("context", "allowed"),
    [
        ({"privileged": True}, {"allow_privileged": True}),
        ({"capabilities": {"add": ["NET_ADMIN"]}}, {"capabilities": ["NET_ADMIN"]}),
        ({"capabilities": {"add": ["ALL"]}}, {"allow_privileged": True}),
        ({"seccompProfile": {"type": "Unconfined"}}, {"allow_privileged": True}),
    ],
)
def test_privileges_are_refused_unless_allowed(context: JsonObject, allowed: dict[str, Any]) -> None:
    container = Container(name="main", security_context=context)
    with pytest.raises(ExecutorError, match=r"container main .* not allowed here; allow it with"):
        security_of(container, {}, DockerOptions())
    assert security_of(container, {}, DockerOptions(**allowed))


@pytest.mark.parametrize(
    ("context", "pod", "user"),
    [
        ({}, {}, ""),
        ({"runAsUser": 1}, {}, "1"),
        ({"runAsGroup": 2}, {}, "0:2"),
        ({"runAsUser": 1}, {"runAsUser": 3, "runAsGroup": 4}, "1:4"),
    ],
)
def test_users(context: JsonObject, pod: JsonObject, user: str) -> None:
    assert user_of(Container(security_context=context), pod) == user


def test_networks_and_names(tmp_path: Path) -> None:
    assert network_of({}, DockerOptions(), "private") == "private"
    assert network_of({}, DockerOptions(network="mine"), "private") == "mine"
    assert network_of({"hostNetwork": True}, DockerOptions(allow_privileged=True), "private") == "host"
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        with pytest.raises(ExecutorError, match=f"{field} is not allowed here"):
            network_of({field: True}, DockerOptions(), "private")
    template = invocation("shell", {"container": {"image": "i"}, "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]}).template
    assert names_of(template, {"dnsConfig": {"nameservers": ["9.9.9.9"]}}) == {"ExtraHosts": ["a:1.2.3.4", "b:1.2.3.4"], "Dns": ["9.9.9.9"]}


# --- pods -----------------------------------------------------------------------------------------------------------------------------

SIDE: JsonObject = {"name": "side", "image": "i"}
EMPTY: JsonObject = {"name": "v", "emptyDir": {}}
MOUNT: JsonObject = {"name": "v", "mountPath": "/v"}


@pytest.mark.parametrize(
    ("body", "holder", "shared"),
    [
        ({"container": {}}, False, False),
        ({"container": {"volumeMounts": [MOUNT]}, "volumes": [EMPTY]}, False, False),
        ({"container": {"volumeMounts": [{**MOUNT, "subPath": "x"}]}, "volumes": [EMPTY]}, True, False),
        ({"container": {"volumeMounts": [{**MOUNT, "readOnly": True}]}, "volumes": [EMPTY]}, True, False),
        ({"container": {"volumeMounts": [MOUNT]}, "volumes": [{"name": "v", "downwardAPI": {}}]}, True, False),
        ({"container": {"volumeMounts": [MOUNT]}, "volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]}, True, True),
        ({"container": {"securityContext": {"readOnlyRootFilesystem": True}}}, True, False),
        ({"container": {}, "sidecars": [SIDE]}, True, True),
        ({"container": {}, "initContainers": [SIDE]}, False, False),
        ({"container": {}, "initContainers": [{**SIDE, "volumeMounts": [MOUNT]}], "volumes": [EMPTY]}, True, False),
    ],
)
def test_when_a_pod_is_held_together(tmp_path: Path, body: JsonObject, holder: bool, shared: bool) -> None:
    container = body["container"]
    assert isinstance(container, dict)
    pod = plan(tmp_path, {**body, "container": {"image": "i", **container}})
    assert (pod.holder, pod.shared) == (holder, shared)


def test_containers_of_a_pod_share_the_network_of_its_holder(tmp_path: Path) -> None:
    pod = plan(tmp_path, {"container": {"image": "i", "volumeMounts": [MOUNT]}, "sidecars": [SIDE], "volumes": [EMPTY]})
    main = container_body(pod.of_role("main")[0], pod, settings(names={"Dns": ["9.9.9.9"]}))
    assert ("Hostname" in main, main["HostConfig"]["NetworkMode"], "Dns" in main["HostConfig"]) == (
        False,
        f"container:{pod.holder_name}",
        False,
    )
    held: Any = holder_body(pod, "pause", settings(names={"Dns": ["9.9.9.9"]}))
    assert (held["HostConfig"]["NetworkMode"], held["HostConfig"]["Dns"], held["Hostname"]) == ("net", ["9.9.9.9"], "pod")
    assert [mount["Target"] for mount in held["HostConfig"]["Mounts"]] == ["/v/0"]


@pytest.mark.parametrize(("version", "kind"), [((1, 41), "bind"), ((1, 45), "volume")])
def test_parts_of_volumes_on_old_and_new_engines(tmp_path: Path, version: tuple[int, int], kind: str) -> None:
    pod = plan(tmp_path, {"container": {"image": "i", "volumeMounts": [{**MOUNT, "subPath": "a//./b"}]}, "volumes": [EMPTY]})
    source = pod.volumes[0].source
    body: Any = container_body(pod.containers[0], pod, settings(api_version=version, mountpoints={source: "/lib/vol"}))
    (mount,) = body["HostConfig"]["Mounts"]
    assert mount["Type"] == kind
    assert (mount["Source"], mount.get("VolumeOptions", {}).get("Subpath")) == (
        ("/lib/vol/a/b", None) if kind == "bind" else (source, "a/b")
    )


def test_mirrored_mounts_show_the_inputs_of_main(tmp_path: Path) -> None:
    inputs: JsonObject = {
        "artifacts": [{"name": "a", "path": "/in", "raw": {"data": "x"}}, {"name": "b", "path": "/v/in", "raw": {"data": "y"}}]
    }
    body: JsonObject = {
        "container": {"image": "i", "volumeMounts": [MOUNT]},
        "sidecars": [{**SIDE, "mirrorVolumeMounts": True}, {**SIDE, "name": "other"}],
        "volumes": [EMPTY],
        "inputs": inputs,
    }
    pod = plan(tmp_path, body)
    mirror, other = pod.of_role("sidecar")
    assert ([mount.path for mount in mirror.mounts], other.mounts) == (["/v", "/in"], [])
    assert [each.mount.path if each.mount else None for each in pod.inputs] == ["/in", "/v"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"container": {"image": ""}}, "has no image, which Docker needs"),
        ({"container": {"image": "i", "volumeMounts": [{"name": "v", "mountPath": "v"}]}}, "it begins with a slash"),
        (
            {"container": {"image": "i", "volumeMounts": [{"name": "no", "mountPath": "/v"}]}},
            "names no volume of the workflow or the template",
        ),
        ({"container": {"image": "i", "volumeMounts": [{**MOUNT, "subPath": "../x"}]}, "volumes": [EMPTY]}, "leads out of the volume"),
        ({"container": {"image": "i"}, "inputs": {"artifacts": [{"name": "a", "path": "/a/../b"}]}}, "leads upwards"),
        ({"resource": {"action": "get"}}, "cannot run templates of the type"),
        (
            {"container": {"image": "i", "volumeMounts": [MOUNT]}, "volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
            'secret "s" not found',
        ),
    ],
)
def test_what_cannot_be_planned(tmp_path: Path, body: JsonObject, words: str) -> None:
    with pytest.raises(ExecutorError, match=words):
        plan(tmp_path, body)


@pytest.mark.parametrize(
    ("path", "around", "expected"), [("/a//b/", "", "/a/b"), ("b", "/w", "/w/b"), ("b", "", "/b"), ("//b", "/w", "/b")]
)
def test_paths(path: str, around: str, expected: str) -> None:
    assert absolute(path, around) == expected


# --- ends -----------------------------------------------------------------------------------------------------------------------------

RAN: JsonObject = {"Status": "exited", "StartedAt": "2024-01-02T03:04:05.123456789Z", "FinishedAt": "2024-01-02T03:04:06Z"}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({**RAN, "ExitCode": 0}, ""),
        ({**RAN, "ExitCode": 3}, "main: Error (exit code 3)"),
        ({**RAN, "ExitCode": 137, "OOMKilled": True}, "main: OOMKilled (exit code 137)"),
        ({**RAN, "ExitCode": 0, "OOMKilled": True}, "main: OOMKilled (exit code 137)"),
        ({"StartedAt": "0001-01-01T00:00:00Z", "ExitCode": 127, "Error": "no such file"}, "main: StartError (exit code 128): no such file"),
        ({**RAN}, "main: Error (exit code 137)"),
    ],
)
def test_how_ends_are_worded(state: JsonObject, message: str) -> None:
    assert ended_of("main", {"State": state}).message == message


def test_points_in_time() -> None:
    assert when(RAN, "StartedAt") == datetime(2024, 1, 2, 3, 4, 5, 123456, UTC)
    assert when({"t": "2024-01-02T03:04:05+02:00"}, "t") == datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert [when({"t": text}, "t") for text in ("", "0001-01-01T00:00:00Z", "yesterday", "2024.x")] == [None] * 4


@pytest.mark.parametrize(
    ("codes", "phase", "message"),
    [
        ({"main": 0, "side": 0}, Phase.SUCCEEDED, ""),
        ({"main": 0, "side": 143}, Phase.SUCCEEDED, ""),
        ({"main": 0, "side": 137}, Phase.SUCCEEDED, ""),
        ({"main": 0, "side": 2}, Phase.FAILED, "side: Error (exit code 2)"),
        ({"main": 4, "side": 2}, Phase.FAILED, "main: Error (exit code 4)"),
        ({"first": 5}, Phase.FAILED, "first: Error (exit code 5)"),
    ],
)
def test_the_outcome_of_a_pod(tmp_path: Path, codes: dict[str, int], phase: Phase, message: str) -> None:
    pod = plan(tmp_path, {"container": {"image": "i"}, "sidecars": [SIDE], "initContainers": [{**SIDE, "name": "first"}]})
    outcome = judge(pod.containers, {name: Ended(name, code) for name, code in codes.items()}, Collected())
    assert (outcome.phase, outcome.message, outcome.exit_code) == (phase, message, codes.get("main"))
    unsaved = judge(pod.containers, {"main": Ended("main", 0)}, Collected(problem="no room"))
    assert (unsaved.phase, unsaved.message) == (Phase.ERROR, "no room")


def test_addresses() -> None:
    assert address_of({"NetworkSettings": {"Networks": {"net": {"IPAddress": "172.18.0.2"}}}}) == "172.18.0.2"
    assert address_of({"NetworkSettings": {"Networks": {"net": {"IPAddress": ""}}, "IPAddress": ""}}) is None


# --- streams and archives -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20)), max_size=8), st.integers(1, 30))
def test_frames_come_apart_however_the_stream_is_cut(pieces: list[tuple[int, bytes]], size: int) -> None:
    stream = b"".join(struct.pack(">BxxxL", number, len(data)) + data for number, data in pieces)
    frames, found = Frames(), {"stdout": b"", "stderr": b""}
    for at in range(0, len(stream), size):
        for name, data in frames.feed(stream[at : at + size]):
            found[name] += data
    assert found == {name: b"".join(data for number, data in pieces if number == wanted) for name, wanted in (("stdout", 1), ("stderr", 2))}


def test_a_terminal_has_no_frames() -> None:
    assert list(Frames(framed=False).feed(b"\x01\x00x")) == [("stdout", b"\x01\x00x")]


def tar(path: Path, *members: tuple[str, bytes, str]) -> Path:
    with tarfile.open(path, "w") as written:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.uid = kind, target, 7
            written.addfile(member)
    return path


def test_repacking_renames_the_first_part_and_leaves_devices_out(tmp_path: Path) -> None:
    source = tar(
        tmp_path / "in.tar",
        ("old", tarfile.DIRTYPE, ""),
        ("old/a", tarfile.REGTYPE, ""),
        ("old/b", tarfile.LNKTYPE, "old/a"),
        ("old/c", tarfile.SYMTYPE, "/etc"),
        ("old/d", tarfile.CHRTYPE, ""),
        ("old/e", tarfile.FIFOTYPE, ""),
    )
    tarballs.repack(source, tmp_path / "out.tgz", "new", level=-1)
    with tarfile.open(tmp_path / "out.tgz") as read:
        assert [(member.name, member.linkname, member.uid) for member in read] == [
            ("new", "", 0),
            ("new/a", "", 0),
            ("new/b", "new/a", 0),
            ("new/c", "/etc", 0),
        ]
    tarballs.repack(source, tmp_path / "out.tar", "new", level=None, links=False)
    with tarfile.open(tmp_path / "out.tar", "r:") as read:
        assert read.getnames() == ["new", "new/a"]


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE])
def test_only_files_are_read(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(ArtifactError, match="/p is not a regular file"):
        tarballs.only_file(tar(tmp_path / "in.tar", ("p", kind, "x")), 10, "/p")


def test_a_tar_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "in.tar").write_bytes(b"x" * 600)
    with pytest.raises(ArtifactError, match="could not be"):
        tarballs.only_file(tmp_path / "in.tar", 10, "/p")
    with pytest.raises(ArtifactError, match="could not be packed"):
        tarballs.repack(tmp_path / "in.tar", tmp_path / "out", "p", level=None)


@pytest.mark.parametrize(("architecture", "machine"), [("x86_64", 62), ("aarch64", 183)])
def test_the_program_that_waits_for_ever(architecture: str, machine: int) -> None:
    content = pause.program(architecture)
    assert (content[:4], content[18], len(content) < 200) == (b"\x7fELF", machine, True)
    with pytest.raises(ExecutorError, match=r"give DockerExecutor.pause_image="):
        pause.program("vax")


# --- names, images, credentials, endpoints ---------------------------------------------------------------------------------------------


def test_names_tell_runs_apart_and_suit_docker() -> None:
    body: JsonObject = {"container": {"image": "i"}}
    one, same = (invocation("a", body, pod_name="é/" * 200) for _ in range(2))
    other = invocation("a", body, pod_name="é/" * 200, uid="other")
    name = labels.pod_object_name(one, "main")
    assert name == labels.pod_object_name(same, "main") != labels.pod_object_name(other, "main")
    assert (len(name) < 255, name.replace("-", "").isalnum(), name.isascii()) == (True, True, True)
    assert labels.host_name("a" * 62 + "--b") == "a" * 62
    assert json.loads(labels.label_filters(run="u", pod="")) == {"label": ["flowcore.run=u", "flowcore.pod"]}


@pytest.mark.parametrize(
    ("image", "parameters", "registry"),
    [
        ("alpine", {"fromImage": "alpine", "tag": "latest"}, "docker.io"),
        ("alpine:3", {"fromImage": "alpine", "tag": "3"}, "docker.io"),
        ("org/app", {"fromImage": "org/app", "tag": "latest"}, "docker.io"),
        ("host:5000/app", {"fromImage": "host:5000/app", "tag": "latest"}, "host:5000"),
        ("host.io/app:1@sha256:ab", {"fromImage": "host.io/app:1@sha256:ab"}, "host.io"),
        ("localhost/app:1", {"fromImage": "localhost/app", "tag": "1"}, "localhost"),
    ],
)
def test_names_of_images(image: str, parameters: dict[str, str], registry: str) -> None:
    assert (pull_parameters(image), registry_of(image)) == (parameters, registry)


def test_policies_and_progress() -> None:
    assert [policy_of("", "Never"), policy_of("Always", "Never")] == ["Never", "Always"]
    with pytest.raises(ExecutorError, match="imagePullPolicy 'Maybe' is not known"):
        policy_of("Maybe", "Never")
    progress = PullProgress("i")
    assert progress.text == 'Pulling image "i"'
    progress.take({"id": "a", "status": "Downloading", "progressDetail": {"current": 500_000, "total": 1_000_000}})
    progress.take({"id": "b", "status": "Downloading", "progressDetail": {"current": 9, "total": 1_000_000}})
    progress.take({"id": "b", "status": "Pull complete", "progressDetail": {}})
    progress.take({"id": "c", "status": "Waiting"})
    assert progress.text == 'Pulling image "i": 75% of 2.0 MB'


AUTH = base64.b64encode(b"me:pass:word").decode()
FOUND = {"username": "me", "password": "pass:word", "serveraddress": "host.io"}


async def test_credentials(tmp_path: Path) -> None:
    auths: JsonObject = {
        "auths": {"https://host.io/v1/": {"auth": AUTH}, "https://index.docker.io/v1/": {"identitytoken": "t"}, "empty.io": {}}
    }
    (tmp_path / "config.json").write_text(json.dumps(auths))
    assert await configured_credentials("host.io", tmp_path) == FOUND
    assert await configured_credentials("docker.io", tmp_path) == {"identitytoken": "t", "serveraddress": "https://index.docker.io/v1/"}
    assert [await configured_credentials(name, tmp_path) for name in ("empty.io", "none.io")] == [None, None]
    assert await configured_credentials("host.io", tmp_path / "none") is None
    secret: JsonObject = {"kind": "Secret", "metadata": {"name": "pull"}, "stringData": {".dockerconfigjson": json.dumps(auths)}}
    catalog = run_context(tmp_path, secret).catalog
    assert secret_credentials("host.io", ["gone", "pull"], "default", catalog) == FOUND
    assert json.loads(base64.urlsafe_b64decode(header_of(FOUND))) == FOUND
    with pytest.raises(ExecutorError, match="are not base64"):
        credentials_in({"auth": "%"}, "host.io")


async def test_credential_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread registry\n[ "$registry" = host.io ] && echo \'{"Username": "me", "Secret": "pass:word"}\' || exit 1\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "test", "credHelpers": {"gone.io": "gone"}}))
    assert await configured_credentials("host.io", tmp_path) == FOUND
    assert [await configured_credentials(name, tmp_path) for name in ("other.io", "gone.io")] == [None, None]


def test_endpoints_are_found_as_the_docker_command_finds_them(tmp_path: Path) -> None:
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of "test"
    meta = tmp_path / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "tcp://far:2376", "SkipTLSVerify": True}}}))
    around = {"DOCKER_CONFIG": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    assert find_endpoint("unix:///x", {**around, "DOCKER_HOST": "tcp://y"}).url == "unix:///x"
    assert find_endpoint(None, {**around, "DOCKER_HOST": "tcp://y", "DOCKER_CONTEXT": "test"}).url == "tcp://y"
    found = find_endpoint(None, {**around, "DOCKER_CONTEXT": "test"})
    assert (found.url, found.found_by, found.verify, found.socket) == ("tcp://far:2376", "the docker context 'test'", False, None)
    (tmp_path / "config.json").write_text('{"currentContext": "test"}')
    assert find_endpoint(None, around).url == "tcp://far:2376"
    with pytest.raises(ExecutorError, match="the docker context 'gone' cannot be read"):
        find_endpoint(None, {**around, "DOCKER_CONTEXT": "gone"})
    with pytest.raises(ExecutorError, match="'y', from DOCKER_HOST, has no scheme"):
        find_endpoint(None, {"DOCKER_HOST": "y"})
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ExecutorError, match=r"config.json cannot be read"):
        find_endpoint(None, around)
    assert find_endpoint(None, {**around, "DOCKER_HOST": "tcp://y", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"}).tls == Path("/c")


# --- probes from inside a pod's network -------------------------------------------------------------------------------------------------


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64") or sys.platform != "linux", reason="the program is for Linux")
@pytest.mark.parametrize(("path", "code"), [(None, 0), ("/200", 0), ("/302", 0), ("/404", 1), ("/500", 1)])
def test_the_program_that_asks_a_probe(tmp_path: Path, path: str | None, code: int) -> None:
    """Without a path a connection is enough. Where nobody listens it ends with 1 in any case."""
    file = tmp_path / "probe"

    def asked(port: int) -> int:
        request = get_request("127.0.0.1", port, {"path": path}) if path else b""
        file.write_bytes(probe_program.program(platform.machine(), "127.0.0.1", port, request))
        file.chmod(0o755)
        return subprocess.run([str(file)], timeout=10, check=False).returncode

    with HTTPServer(("127.0.0.1", 0), _Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert asked(server.server_port) == code
        finally:
            server.shutdown()
            thread.join()
    assert asked(server.server_port) == 1


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_program_holds_address_and_request(architecture: str) -> None:
    made = probe_program.program(architecture, "10.1.2.3", 8080, b"GET / HTTP/1.1")
    assert made.startswith(b"\x7fELF")
    assert made.endswith(bytes([2, 0, 0x1F, 0x90, 10, 1, 2, 3]) + bytes(8) + b"GET / HTTP/1.1")
    with pytest.raises(ExecutorError, match="use exec probes"):
        probe_program.program("riscv64", "10.1.2.3", 8080)


@pytest.mark.parametrize(
    ("choice", "url", "facts", "expected"),
    [
        ("auto", "unix:///var/run/docker.sock", {}, sys.platform == "linux"),
        ("auto", "unix:///var/run/docker.sock", {"OperatingSystem": "Docker Desktop"}, False),
        ("auto", "unix:///run/user/1000/docker.sock", {"SecurityOptions": ["name=rootless"]}, False),
        ("auto", "tcp://build:2376", {}, False),
        ("outside", "tcp://build:2376", {}, True),
        ("inside", "unix:///var/run/docker.sock", {}, False),
    ],
)
def test_whether_containers_are_within_reach(choice: str, url: str, facts: JsonObject, expected: bool) -> None:
    assert reaches_containers(choice, Endpoint(url, "test"), facts) is expected
