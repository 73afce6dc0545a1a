"""Pod objects and what Argo makes of them: small ones written here, and all that a real cluster left where they are at hand."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from flowcore_backends.kubernetes.status import PodView, is_transient
from tests.backends.kubernetes.scene import RECORDED

_FOLDER = RECORDED / "statuses"
_FILES = sorted(_FOLDER.glob("*.json"))


@cache
def recorded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def mains_of(pod: JsonObject) -> list[str]:
    return ["main"]


def test_the_recorded_pods_are_at_hand() -> None:
    if not _FILES:
        pytest.skip(f"no pods of a real cluster at {_FOLDER}: the fixtures of this file alone are tested")
    assert len(_FILES) >= 260


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_recorded_pods_are_judged_as_by_argo(path: Path) -> None:
    case = recorded(path)
    expected = case["expected_argo"]
    if case["pod"] is None:
        assert is_transient(case["api_answer"]) == (expected["phase"] == "Pending")
        return
    verdict = PodView(case["pod"]).verdict()
    assert (verdict.phase.value, verdict.message) == (expected["phase"], expected["message"])


@pytest.mark.parametrize("path", [path for path in _FILES if "-ended" in path.stem], ids=lambda path: path.stem)
def test_the_end_of_containers_is_seen_before_the_phase(path: Path) -> None:
    view = PodView(recorded(path)["pod"])
    if path.stem.startswith("crashloop"):
        assert not view.main_ended  # its container is started again
    elif "all-ended" in path.stem or "pending-containers-ended" in path.stem:
        assert view.main_ended and view.regular_ended and not view.final


@pytest.mark.parametrize("path", [path for path in _FILES if path.stem.endswith("running-all-ended")], ids=lambda path: path.stem)
def test_the_verdict_on_containers_is_the_one_that_the_phase_brings(path: Path) -> None:
    later = [other for other in _FILES if other.stem.split(".")[0] == path.stem.split(".")[0]]
    final = next((PodView(recorded(one)["pod"]) for one in later if PodView(recorded(one)["pod"]).final), None)
    if final is not None and not path.stem.startswith("crashloop"):
        assert PodView(recorded(path)["pod"]).judged_by_containers() == final.verdict()


# --- small ones of our own --------------------------------------------------------------------------------------------------------------


def status(phase: str, *containers: JsonObject, inits: list[JsonObject] | None = None, **more: Any) -> PodView:
    given: JsonObject = {"phase": phase, "containerStatuses": [*containers], "initContainerStatuses": [*(inits or [])], **more}
    init_specs: list[Any] = [{"name": "flowcore", "restartPolicy": "Always"}]
    return PodView({"metadata": {"name": "p", "namespace": "ns"}, "spec": {"initContainers": init_specs}, "status": given})


def ended(name: str, code: int, reason: str = "Error", **more: Any) -> JsonObject:
    return {"name": name, "state": {"terminated": {"exitCode": code, "reason": reason, "startedAt": "2026-01-01T00:00:00Z", **more}}}


def running(name: str, *, ready: bool = True) -> JsonObject:
    return {"name": name, "ready": ready, "state": {"running": {}}}


def waiting(name: str, reason: str, message: str = "") -> JsonObject:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize(
    ("view", "phase", "message"),
    [
        (status("Failed", ended("main", 1)), "Failed", "main: Error (exit code 1)"),
        (status("Failed", ended("main", 1, message="why")), "Failed", "main: Error (exit code 1): why"),
        (status("Failed", ended("main", 137, "OOMKilled")), "Failed", "main: OOMKilled (exit code 137)"),
        (status("Failed", ended("a-sidecar", 3), ended("main", 1)), "Failed", "main: Error (exit code 1)"),
        (status("Failed", ended("a-sidecar", 3), ended("main", 0)), "Failed", "a-sidecar: Error (exit code 3)"),
        (status("Failed", ended("a-sidecar", 137), ended("main", 0)), "Succeeded", ""),
        (status("Failed", ended("main", 0), inits=[ended("flowcore", 137)]), "Succeeded", ""),
        (status("Failed", waiting("main", "PodInitializing"), inits=[ended("prep", 5)]), "Failed", "prep: Error (exit code 5)"),
        (status("Failed", waiting("main", "Oops", "m")), "Error", "Pod failed before main container starts due to Oops: m"),
        (status("Failed", ended("main", 0), message="evicted", reason="Evicted"), "Failed", "evicted"),
        (status("Failed"), "Failed", "can't find failed message for pod p namespace ns"),
        (status("Failed", running("main")), "Failed", "pod failed: neither main nor wait container completed successfully"),
        (status("Pending", waiting("main", "ImagePullBackOff", "no")), "Pending", "ImagePullBackOff: no"),
        (status("Pending", conditions=[{"reason": "Unschedulable", "message": "0/1"}]), "Pending", "Unschedulable: 0/1"),
        (status("Pending"), "Pending", ""),
        (status("Odd"), "Error", "Unexpected pod phase for p: Odd"),
    ],
)
def test_verdicts(view: PodView, phase: str, message: str) -> None:
    verdict = view.verdict()
    assert (verdict.phase.value, verdict.message) == (phase, message)


def of_argo(phase: str, *containers: JsonObject, inits: list[JsonObject] | None = None, spec: Any = None, **more: Any) -> PodView:
    """A pod that flowcore has not made."""
    given: JsonObject = {"phase": phase, "containerStatuses": [*containers], "initContainerStatuses": [*(inits or [])], **more}
    return PodView({"metadata": {"name": "p", "namespace": "ns"}, "spec": spec or {}, "status": given})


NATIVE: Any = {"initContainers": [{"name": "side", "restartPolicy": "Always"}]}


@pytest.mark.parametrize(
    ("view", "phase", "message"),
    [
        (of_argo("Failed", ended("main", 0), ended("wait", 0), ended("side", 137)), "Succeeded", ""),
        (of_argo("Failed", ended("main", 0), ended("wait", 143)), "Error", "wait: Error (exit code 143)"),
        (of_argo("Failed", ended("main", 0), running("wait")), "Failed", "pod failed: wait container did not complete successfully"),
        (of_argo("Failed", ended("main", 0), ended("side", 137)), "Failed", "pod failed: wait container did not complete successfully"),
        (of_argo("Failed", running("main"), ended("wait", 0)), "Failed", "pod failed: main container did not complete successfully"),
        (of_argo("Failed", ended("main", 2), ended("wait", 1)), "Failed", "main: Error (exit code 2)"),
        (of_argo("Failed", ended("main", 65), ended("supervisor", 1)), "Error", "supervisor: Error (exit code 1)"),
        (of_argo("Failed", ended("main", 1), ended("supervisor", 1)), "Failed", "main: Error (exit code 1)"),
        (of_argo("Failed", ended("main", 1), inits=[ended("init", 2)]), "Error", "init: Error (exit code 2)"),
        (of_argo("Failed", ended("main", 1), inits=[ended("side", 3)], spec=NATIVE), "Failed", "side: Error (exit code 3)"),
        (of_argo("Failed", ended("main", 1), inits=[ended("side", 137)], spec=NATIVE), "Failed", "main: Error (exit code 1)"),
        (of_argo("Failed", ended("main", 0, "OOMKilled"), ended("wait", 0)), "Succeeded", ""),
        (of_argo("Succeeded", ended("main", 0, "OOMKilled")), "Succeeded", ""),
        (of_argo("Failed", waiting("main", "PodInitializing"), inits=[waiting("prep", "ImagePullBackOff", "no such image")]),
         "Error", "Pod failed before prep container starts due to ImagePullBackOff: no such image"),
        (of_argo("Failed", waiting("main", "CreateContainerConfigError", "no secret")),
         "Error", "Pod failed before main container starts due to CreateContainerConfigError: no secret"),
        (of_argo("Failed", reason="NodeShutdown", message="Pod was terminated in response to imminent node shutdown."),
         "Failed", "Pod was terminated in response to imminent node shutdown."),
        (of_argo("Failed", ended("main", 0), reason="Evicted", message="The node was low on resource: memory."),
         "Failed", "The node was low on resource: memory."),
        (of_argo("Failed", ended("main", 137), ephemeralContainerStatuses=[ended("debugger", 1)]), "Failed", "main: Error (exit code 137)"),
        (of_argo("Failed", {"name": "main"}), "Failed", "pod failed: neither main nor wait container completed successfully"),
        (of_argo("Pending", waiting("main", "PodInitializing"), inits=[waiting("prep", "ErrImagePull", "no")]), "Pending", "PodInitializing"),
        (of_argo("Pending", waiting("a", ""), waiting("b", "X")), "Pending", ""),
        (of_argo("Pending", running("a"), waiting("b", "ErrImagePull", "no")), "Pending", "ErrImagePull: no"),
        (of_argo("Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated", "message": "gated"}]), "Pending", ""),
        (of_argo("Unknown", running("main")), "Error", "Unexpected pod phase for p: Unknown"),
    ],
)  # fmt: skip
def test_verdicts_on_pods_of_any_make(view: PodView, phase: str, message: str) -> None:
    verdict = view.verdict()
    assert (verdict.phase.value, verdict.message) == (phase, message)


RULES: Any = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]


@pytest.mark.parametrize(
    ("spec", "code", "over"),
    [
        ({"restartPolicy": "Never"}, 1, True),
        ({"restartPolicy": "OnFailure"}, 1, False),
        ({"restartPolicy": "OnFailure"}, 0, True),
        ({"restartPolicy": "Always"}, 0, False),
        ({"restartPolicy": "Never", "containers": [{"name": "main", "restartPolicy": "OnFailure"}]}, 1, False),
        ({"containers": [{"name": "main", "restartPolicy": "Never", "restartPolicyRules": RULES}]}, 42, False),
        ({"containers": [{"name": "main", "restartPolicy": "Never", "restartPolicyRules": RULES}]}, 1, True),
    ],
)
def test_a_container_that_is_started_again_has_not_ended(spec: Any, code: int, over: bool) -> None:
    for phase in ("Running", "Pending"):
        assert of_argo(phase, ended("main", code), spec=spec).main_ended is over
    assert of_argo("Failed", ended("main", code), spec=spec).main_ended


def test_native_sidecars_count_when_the_pod_has_failed_and_those_of_a_template_never() -> None:
    crashed = [ended("flowcore", 137), ended("side", 3)]
    view = of_argo("Running", ended("main", 0), inits=crashed, spec=NATIVE)
    assert view.judged_by_containers().phase is Phase.SUCCEEDED
    failed = of_argo("Failed", ended("main", 1), inits=crashed, spec=NATIVE)
    assert failed.verdict().message == "side: Error (exit code 3)"
    assert PodView(failed.pod, aside=["side"]).verdict().message == "main: Error (exit code 1)"


def test_members_of_a_pod_that_failed_have_all_ended() -> None:
    view = PodView(of_argo("Failed", ended("a", 0), running("main"), message="evicted").pod, ("a", "b", "main"))
    assert {name: (member.phase.value, member.message) for name, member in view.members().items()} == {
        "a": ("Succeeded", ""),
        "main": ("Failed", "Pod Failed whilst container running"),
    }


def test_daemons_do_not_succeed() -> None:
    assert status("Succeeded", ended("main", 0)).verdict(daemon=True).phase is Phase.FAILED


def test_main_counts_though_its_pod_is_pending() -> None:
    view = status("Pending", running("main"), waiting("other", "ImagePullBackOff"))
    assert view.started
    assert not view.ready
    assert status("Pending", ended("main", 0), waiting("other", "ImagePullBackOff")).main_ended


def test_containers_that_are_said_to_have_ended_without_a_start_did_not_start() -> None:
    never: JsonObject = {"name": "main", "state": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None}}}
    assert not status("Failed", never).started


def test_ready_means_every_container() -> None:
    assert status("Running", running("main"), running("side")).ready
    assert not status("Running", running("main"), running("side", ready=False)).ready


def test_members_of_sets_have_their_own_ends() -> None:
    view = PodView(status("Running", ended("a", 64), ended("b", 2), running("main")).pod, ("a", "b", "main"))
    assert {name: (member.phase.value, member.message) for name, member in view.members().items()} == {
        "a": ("Error", "a: Error (exit code 64): "),
        "b": ("Failed", "b: Error (exit code 2): "),
    }


@pytest.mark.parametrize("message", ["", "no base64!", "QUJD", "H4sIAAAAAAAA"])
def test_a_termination_message_that_is_not_the_holders_is_none(message: str) -> None:
    assert status("Succeeded", inits=[ended("flowcore", 0, message=message)]).note() is None


@pytest.mark.parametrize("garbage", [{}, {"status": 3}, {"status": {"containerStatuses": [None, {"state": 1}]}}, {"metadata": []}])
def test_any_object_can_be_read(garbage: Any) -> None:
    view = PodView(garbage)
    view.verdict()
    assert not (view.started or view.ready or view.main_ended or view.terminating or view.disrupted)
