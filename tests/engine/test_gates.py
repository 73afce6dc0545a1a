"""Locks and remembered outputs: who has to wait, and what a node is while it does."""

from __future__ import annotations

from flowcore.engine.engine import Engine
from flowcore.engine.messages import Acquire, Granted, Opened, Recall, Recalled, Refused, Release, Remember
from flowcore.nodes import NodeId, NodeType, Phase
from tests.engine.scene import Scene

CACHE = "memoize: {key: k, cache: {configMap: {name: c}}}"
LOOP = f"""
parallelism: 1
templates:
- name: main
  steps: [[{{name: a, template: cached, withItems: [1, 2]}}]]
- name: cached
  {CACHE}
  container: {{image: alpine}}
"""


class Gatekeeper:
    """One mutex and one cache, which answer at once."""

    def __init__(self) -> None:
        self.holders: list[NodeId | None] = []
        self.kept: dict[str, object] = {}

    def __call__(self, asked: Acquire | Release | Recall | Remember) -> Granted | Refused | Recalled | None:
        match asked:
            case Acquire(node) if self.holders in ([], [node]):
                self.holders = [node]
                return Granted(node)
            case Acquire(node):
                return Refused(node, message="taken", waiting="m")
            case Release(node):
                self.holders = [holder for holder in self.holders if holder != node]
            case Recall(node, _, key):
                return Recalled(node, hit=key in self.kept, outputs=self.kept.get(key))
            case Remember(_, _, key, outputs):
                self.kept[key] = outputs
        return None


def at_once(spec: str) -> tuple[Scene, Gatekeeper]:
    """A run whose engine asks a gatekeeper."""
    scene, gatekeeper = Scene(spec, opened=False), Gatekeeper()
    scene.engine = Engine(scene.plan, ask=gatekeeper)
    scene.tell(Opened())
    return scene, gatekeeper


def test_what_looks_into_the_cache_takes_its_slot_already() -> None:
    """Otherwise both items would miss, though the second may only begin when the first has ended and is remembered."""
    scene = Scene(LOOP)
    assert scene.id("[0].a(1:2)") not in scene.rows
    scene.recall("[0].a(0:1)")
    scene.succeed("[0].a(0:1)")
    assert scene.remembered[scene.id("[0].a(0:1)")].key == "k"
    scene.recall("[0].a(1:2)", {"exitCode": "0"}, hit=True)
    assert scene.phase == "Succeeded"


def test_a_cache_that_answers_at_once_lets_the_work_begin_in_the_same_pass() -> None:
    scene, _ = at_once(LOOP)
    assert scene.under_way() == ["[0].a(0:1)"]
    scene.succeed("[0].a(0:1)")
    assert scene.under_way() == []
    assert scene.node("[0].a(1:2)").memoization == {"hit": True, "key": "k", "cacheName": "c"}
    assert scene.phase == "Succeeded"


def test_a_lock_is_asked_for_in_every_pass_until_it_is_free() -> None:
    scene, gatekeeper = at_once(
        """
        templates:
        - name: main
          steps: [[{name: a, template: alone}, {name: b, template: alone}]]
        - name: alone
          synchronization: {mutexes: [{name: m}]}
          container: {image: alpine}
        """
    )
    waiting = scene.node("[0].b")
    assert (waiting.phase, waiting.waiting, waiting.message) == (Phase.PENDING, "m", "taken")
    scene.succeed("[0].a")
    assert gatekeeper.holders == [scene.id("[0].b")]
    assert (scene.node("[0].b").waiting, scene.node("[0].b").message) == (None, "")
    scene.succeed("[0].b")
    assert gatekeeper.holders == []
    assert scene.phase == "Succeeded"


def retried_and_remembered(own: str, general: str) -> Scene:
    scene = Scene(
        f"""
        {general}
        templates:
        - name: main
          steps: [[{{name: a, template: cached}}]]
        - name: cached
          {own}
          {CACHE}
          container: {{image: alpine}}
        """
    )
    root = "(0)[0].a" if general else "[0].a"
    scene.recall(root)
    scene.succeed(f"{root}(0)")
    assert scene.node(root).phase is Phase.SUCCEEDED
    return scene


def test_a_remembered_node_is_a_retry_only_by_its_templates_own_strategy() -> None:
    """Argo makes it before it asks for the strategy of the whole workflow."""
    assert retried_and_remembered("retryStrategy: {limit: 1}", "").node("[0].a").type is NodeType.RETRY
    assert retried_and_remembered("", "retryStrategy: {limit: 1}").node("(0)[0].a").type is NodeType.POD


HELD = """
templates:
- name: main
  steps: [[{name: a, template: held}, {name: b, template: held}]]
- name: held
  synchronization: {mutexes: [{name: m}]}
  steps: [[{name: x, template: leaf}]]
"""


def test_a_composite_template_gives_its_locks_back_at_its_end() -> None:
    """Also one that began long before its end, and one that failed."""
    scene = Scene(HELD)
    scene.grant("[0].a")
    scene.fail("[0].a[0].x")
    assert [command.node for command in scene.commands if isinstance(command, Release)] == [scene.id("[0].a")]


INNER = """
- name: inner
  synchronization: {mutexes: [{name: m}]}
  container: {image: alpine}
"""
ABANDONED = """
templates:
- name: main
  dag:
    tasks: [{name: a, template: inner}, {name: b, template: locked}]
- name: inner
  parallelism: 1
  failFast: false
  steps: [[{name: p, template: cached, hooks: {exit: {template: leaf}}}, {name: q, template: locked}]]
- name: cached
  memoize: {key: k, cache: {configMap: {name: c}}}
  container: {image: alpine}
- name: locked
  synchronization: {mutexes: [{name: m}]}
  container: {image: alpine}
"""


def test_who_is_waited_for_by_nobody_gives_locks_back_at_once() -> None:
    """A lock comes to a node whose step group has ended meanwhile."""
    scene = Scene(ABANDONED)
    scene.recall(".a[0].p")
    scene.succeed(".a[0].p")
    assert scene.node(".a").phase.fulfilled
    waiting = scene.node(".a[0].q")
    assert waiting.waiting is not None
    scene.grant(".a[0].q")
    assert [command.node for command in scene.commands if isinstance(command, Release)] == [waiting.id]


def released(scene: Scene) -> list[str]:
    """The short names of those whose locks the last reaction gave back."""
    return [scene.short(command.node) for command in scene.commands if isinstance(command, Release) and command.node is not None]


SLOTS = """
parallelism: 1
templates:
- name: main
  steps: [[{name: a, template: inner}, {name: b, template: locked}]]
- name: inner
  parallelism: 2
  failFast: true
  dag:
    tasks: [{name: p, template: locked}, {name: q, template: leaf}]
- name: locked
  synchronization: {mutexes: [{name: m}]}
  container: {image: alpine}
"""


def test_who_got_a_lock_and_waits_for_a_slot_gives_it_back_when_all_around_has_ended() -> None:
    """Otherwise nobody else would ever get it."""
    scene = Scene(SLOTS)
    scene.grant("[0].a.p")
    assert (scene.under_way(), released(scene)) == (["[0].a.q"], [])
    scene.fail("[0].a.q")
    assert (scene.node("[0].a").phase, scene.node("[0].a.p").phase) == (Phase.FAILED, Phase.PENDING)
    assert released(scene) == ["[0].a.p"]
    scene.grant("[0].b")
    scene.succeed("[0].b")
    assert scene.phase == "Failed"


def test_who_will_not_begin_any_more_is_not_waited_for() -> None:
    """A graph waits for all beneath it, so the run cannot end well; Argo would wait for ever."""
    scene = Scene(
        SLOTS.replace("steps: [[{name: a, template: inner}, {name: b, template: locked}]]", "dag: {tasks: [{name: a, template: inner}]}")
    )
    scene.fail(".a.q")
    assert scene.node(".a.p").waiting is not None
    assert (scene.phase, scene.run.message) == ("Error", "nothing runs and nothing can start any more")


def test_a_mutex_that_the_run_holds_itself_is_not_waited_for_when_nothing_else_runs() -> None:
    scene = Scene(HELD.replace("steps: [[{name: x, template: leaf}]]", "steps: [[{name: x, template: inner}]]") + INNER)
    scene.grant("[0].a")
    scene.refuse("[0].b")
    scene.refuse("[0].a[0].x")
    assert scene.phase == "Error"
    assert scene.run.message == "nothing can start any more: what is left waits for default/Mutex/m, which this run holds itself"


def test_who_will_not_begin_any_more_does_not_queue_again_after_a_crash() -> None:
    """It gives back what it may have got just before the crash."""
    scene = Scene(SLOTS)
    scene.fail("[0].a.q")
    scene.reopen()
    assert released(scene) == ["[0].a.p"]
    assert [scene.short(node) for node in scene.asked if node is not None] == ["[0].b"]


def test_a_remembered_composite_node_stays_pending_until_it_ends() -> None:
    """So a hook that asks whether it runs never fires; as in Argo."""
    scene = Scene(
        f"""
        templates:
        - name: main
          dag: {{tasks: [{{name: a, template: cached, hooks: {{h: {{template: leaf, expression: tasks.a.status == "Running"}}}}}}]}}
        - name: cached
          {CACHE}
          steps: [[{{name: x, template: leaf}}]]
        """
    )
    scene.recall(".a")
    scene.begin(".a[0].x")
    assert (scene.node(".a").phase, scene.under_way()) == (Phase.PENDING, [".a[0].x"])
    scene.succeed(".a[0].x")
    assert (scene.node(".a").phase, scene.phase) == (Phase.SUCCEEDED, "Succeeded")
