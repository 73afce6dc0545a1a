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
    if "all-ended" in path.stem or "pending-containers-ended" in path.stem:
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
