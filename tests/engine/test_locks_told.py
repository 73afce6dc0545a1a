"""What a run's row tells of its locks, and what becomes of a run that is ended while it waits for one."""

from __future__ import annotations

from flowcore.engine.messages import Granted, Opened, Refused, Release, ShutdownRequested
from flowcore.nodes import Shutdown
from tests.engine.scene import Scene

TWO = """
    parallelism: 5
    templates:
    - name: main
      steps: [[{name: a, template: locked}, {name: b, template: locked}]]
    - name: locked
      synchronization: {semaphores: [{configMapKeyRef: {name: limits, key: k}}], mutexes: [{name: m}]}
      container: {image: alpine, command: ['true']}
"""
WHOLE = """
    synchronization: {mutexes: [{name: m}]}
    templates:
    - name: main
      container: {image: alpine, command: ['true']}
"""
MUTEX, SEMAPHORE = "default/Mutex/m", "default/ConfigMap/limits/k"


class Limits:
    """A catalog with one ConfigMap."""

    def get(self, kind: str, name: str, _namespace: str | None = None) -> dict[str, object] | None:
        return {"data": {"k": "1"}} if (kind, name) == ("ConfigMap", "limits") else None


def test_held_locks_are_told_with_their_holders_until_they_are_given_back() -> None:
    scene = Scene(TWO, catalog=Limits())
    assert scene.run.synchronization is None
    scene.grant("[0].a")
    held = {
        "semaphore": {"holding": [{"semaphore": SEMAPHORE, "holders": ["default/wf/wf[0].a"]}]},
        "mutex": {"holding": [{"mutex": MUTEX, "holder": "default/wf/wf[0].a"}]},
    }
    assert scene.run.synchronization == held
    scene.tell(Refused(scene.id("[0].b"), "wait", MUTEX))
    assert scene.run.synchronization == {**held, "mutex": {**held["mutex"], "waiting": [{"mutex": MUTEX}]}}
    scene.reopen()
    assert scene.run.synchronization is not None
    assert scene.run.synchronization["semaphore"] == held["semaphore"]
    scene.tell(Granted(scene.id("[0].a")))
    scene.begin("[0].a")
    scene.succeed("[0].a")
    assert scene.run.synchronization is None
    scene.grant("[0].b")
    assert scene.run.synchronization is not None
    scene.begin("[0].b")
    scene.succeed("[0].b")
    assert (scene.phase, scene.run.synchronization) == ("Succeeded", None)


def test_a_run_that_waits_for_its_lock_has_failed_when_it_is_terminated() -> None:
    scene = Scene(WHOLE)
    scene.tell(Refused(None, "Waiting", MUTEX))
    assert scene.run.synchronization == {"mutex": {"waiting": [{"mutex": MUTEX}]}}
    scene.tell(ShutdownRequested(Shutdown.TERMINATE))
    assert (scene.phase, scene.run.message, scene.rows) == ("Failed", "Stopped with strategy 'Terminate'", {})
    assert scene.run.synchronization is None
    assert Release(None) in scene.commands


def test_a_run_that_waits_for_its_lock_goes_on_waiting_when_it_is_stopped() -> None:
    scene = Scene(WHOLE, opened=False)
    scene.tell(Opened())
    scene.tell(Refused(None, "Waiting", MUTEX), ShutdownRequested(Shutdown.STOP))
    assert scene.phase == "Pending"
    assert scene.run.synchronization == {"mutex": {"waiting": [{"mutex": MUTEX}]}}
