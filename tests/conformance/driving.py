"""Drives an engine by hand: one batch of events is one pass, and what Argo settles within a pass (locks, caches) is answered at once."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flowcore.engine.messages import Acquire, Command, Event, Granted, Recall, Refused, Release, Remember
from flowcore.errors import InvalidWorkflow
from tests.conformance.caches import Caches
from tests.conformance.submission import NAMESPACE, UID, PlainCatalog
from tests.conformance.verdicts import PartMissing

START = datetime(2026, 1, 5, 8, 0, 0, tzinfo=UTC)
REPOSITORY = {"s3": {"endpoint": "minio:9000", "bucket": "my-bucket", "insecure": True}}
ROUNDS_PER_PASS = 1000


@dataclass
class World:
    """What runs share: the time, documents, caches and locks."""

    catalog: PlainCatalog
    now: datetime = START
    caches: Caches = field(init=False)
    locks: Any = None

    def __post_init__(self) -> None:
        self.caches = Caches(self.catalog)

    def lock_table(self) -> Any:
        """The locks, made when first asked for."""
        if self.locks is None:
            self.locks = _make_locks(self.catalog)
        return self.locks

    def hold(self, holder: str, synchronization: Mapping[str, Any]) -> None:
        """Somebody else takes locks."""
        locks = importlib.import_module("flowcore.engine.gates").locks_of(synchronization)
        self.lock_table().acquire(holder, list(locks), namespace=NAMESPACE, priority=0, created=START)

    def let_go(self, holder: str) -> None:
        """Somebody else gives back what it held."""
        self.lock_table().release(holder)


def _make_locks(catalog: PlainCatalog) -> Any:
    try:
        module = importlib.import_module("flowcore.locks")
    except ImportError as error:
        raise PartMissing("flowcore.locks") from error
    return module.MemoryLocks(catalog)


@dataclass
class Drive:
    """One run under an engine. ``log`` keeps every command with the number of its pass."""

    engine: Any
    world: World
    plan: Any = None
    passes: int = 0
    changed: bool = False  # whether the last pass changed any row
    log: list[tuple[int, Command]] = field(default_factory=list)
    waiting: dict[str, Acquire] = field(default_factory=dict)
    at_once: bool = False  # the engine asks for the locks and caches of nodes within its pass, as Argo's controller does

    def handle(self, events: Sequence[Event]) -> list[Command]:
        """One pass. Returns the commands that the world has to carry out: starts, stops, wakes and waits."""
        self.passes += 1
        self.changed = False
        later: list[Command] = []
        batch: list[Event] = [*self._asked_again(), *events]
        for _ in range(ROUNDS_PER_PASS):
            before = self.engine.run
            reaction = self.engine.handle(batch, self.world.now)
            commands = reaction.commands
            self.changed = self.changed or bool(reaction.nodes) or reaction.run != before
            self.log.extend((self.passes, command) for command in commands)
            batch = []
            for command in commands:
                answer = self._answer(command)
                if answer is None:
                    later.append(command)
                else:
                    batch.extend(answer)
            if not batch:
                return later
        raise AssertionError(f"pass {self.passes} does not come to rest")

    def ask(self, command: Acquire | Release | Recall | Remember) -> Any:
        """The answer to what the engine asks within its pass."""
        self.log.append((self.passes, command))
        return next(iter(self._answer(command) or ()), None)

    def _answer(self, command: Command) -> Iterable[Event] | None:
        """The events that answer a command within the pass; None for what takes time."""
        if isinstance(command, Recall):
            return [self.world.caches.recall(command, self.world.now)]
        if isinstance(command, Remember):
            self.world.caches.remember(command, self.world.now)
            return []
        if isinstance(command, Acquire):
            return self._acquire(command)
        if isinstance(command, Release):
            return self._release(command)
        return None

    def _asked_again(self) -> list[Event]:
        """Whoever waits for a lock asks again in every pass; somebody else may have given it back."""
        return [event for command in list(self.waiting.values()) for event in self._acquire(command) if isinstance(event, Granted)]

    def _holder(self, node: str | None) -> str:
        run = self.engine.run
        return f"{run.namespace}/{run.name}" + (f"/{node}" if node else "")

    def _acquire(self, command: Acquire) -> list[Event]:
        holder = self._holder(command.node)
        run = self.engine.run
        answer = self.world.lock_table().acquire(
            holder, list(command.locks), namespace=run.namespace, priority=0, created=run.created_at or START
        )
        if answer.granted:
            self.waiting.pop(holder, None)
            return [Granted(command.node)]
        if not self.at_once or command.node is None:
            self.waiting[holder] = command
        return [Refused(command.node, message=answer.error or answer.message, waiting=answer.waiting, error=answer.error is not None)]

    def _release(self, command: Release) -> list[Event]:
        holder = self._holder(command.node)
        self.waiting.pop(holder, None)
        events: list[Event] = []
        for other in self.world.lock_table().release(holder):
            if other in self.waiting:
                events.extend(event for event in self._acquire(self.waiting[other]) if isinstance(event, Granted))
        return events


def open_run(
    workflow: Mapping[str, Any],
    world: World,
    *,
    rows: Sequence[Any] = (),
    run: Any = None,
    at_once: bool = False,
    one_pass: bool = True,
    **options: Any,
) -> Drive:
    """Compile ``workflow``, validate it if it is new, and put an engine over it; raises InvalidWorkflow for what is no valid workflow."""
    plan_module = importlib.import_module("flowcore.plan.plan")
    engine_module = importlib.import_module("flowcore.engine.engine")
    metadata = workflow.get("metadata", {})
    plan = plan_module.compile_plan(
        workflow,
        catalog=world.catalog,
        options=plan_module.PlanOptions(**{"artifact_repository": REPOSITORY, "artifact_drivers": frozenset(), **options}),
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", NAMESPACE),
        uid=metadata.get("uid", UID),
        created_at=START,
        parameters={},
    )
    if run is None:
        _validate(plan.manifest, world, options.get("workflow_defaults"))
    drive = Drive(None, world, plan, at_once=at_once)
    drive.engine = engine_module.Engine(plan, rows=rows, run=run, one_pass=one_pass, ask=drive.ask if at_once else None)
    return drive


def _validate(manifest: Mapping[str, Any], world: World, defaults: Any) -> None:
    """What a run does before it starts."""
    models = importlib.import_module("flowcore.models.workflows")
    validate = importlib.import_module("flowcore.plan.validate").validate
    problems = validate(models.Workflow.model_validate(manifest), catalog=world.catalog, workflow_defaults=defaults, like_argo=True)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise InvalidWorkflow(errors)


def rounded_up(at: datetime) -> datetime:
    """The next whole second after ``at``, as a controller's clock comes to it."""
    whole = at.replace(microsecond=0)
    return whole + timedelta(seconds=1)
