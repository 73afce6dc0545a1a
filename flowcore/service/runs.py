"""``Runs``: everything that can be asked of recorded runs, whoever drives them. Services and the command line are built on it."""

from __future__ import annotations

import random
import shutil
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from anyio import to_thread

from flowcore import operations, orders
from flowcore.artifacts import FolderArtifacts
from flowcore.artifacts.collection import Moment, collect
from flowcore.artifacts.repository import RepositoryArtifacts
from flowcore.driving import LEFT_PODS, strike_all
from flowcore.durable import RunStore, StoredSummary, archive_key, outline
from flowcore.errors import UsageError
from flowcore.jsontypes import Json, JsonObject, object_of, strings_of
from flowcore.kept_templates import KeptTemplates
from flowcore.models.workflows import Workflow
from flowcore.nodes import Phase, RunRow
from flowcore.operations.documents import archived_row, unarchived_row
from flowcore.operations.estimates import Estimates, earlier_run, estimated
from flowcore.operations.resubmit import memoized as carried_over
from flowcore.operations.resubmit import name_prefix
from flowcore.plan.plan import PlanOptions
from flowcore.plan.repository import repository_of
from flowcore.ports import ArtifactStore, Catalog, Clock, RunContext, StoredRun
from flowcore.running import SUFFIX_LETTERS, plan_run
from flowcore.secrecy import Vault, sealed_run, with_values
from flowcore.selection import find_run
from flowcore.service.copying import PATTERN, CopiedArtifact, Wanted, copy_artifacts
from flowcore.service.documents import StoreCatalog
from flowcore.service.waiting import membership
from flowcore.stores import state_folder

Parameters = Mapping[str, str]
P = ParamSpec("P")


def _makes_work(
    operation: Callable[Concatenate[Runs, P], Awaitable[RunRow]],
) -> Callable[Concatenate[Runs, P], Coroutine[Any, Any, RunRow]]:
    """An operation after which there is a run to drive: whoever drives runs is told of it, and a virtual clock waits for both."""

    @wraps(operation)
    async def told(self: Runs, /, *args: P.args, **given: P.kwargs) -> RunRow:
        with membership(self.clock):
            row = await operation(self, *args, **given)
            await self._there_is_work(row)
        return row

    return told


class Runs:
    """The runs of a store. ``text`` is always a run's name, its id, the beginning of either, or ``@latest``; UsageError if it means none or several."""

    def __init__(
        self,
        store: RunStore,
        catalog: Catalog | None,
        clock: Clock,
        *,
        options: PlanOptions | None = None,
        seed: int | None = None,
        artifacts: ArtifactStore | None = None,
    ) -> None:
        self.store, self.clock, self.options, self.artifacts = store, clock, options, artifacts
        self.catalog = StoreCatalog(store, catalog)
        self._chance = random.Random(seed)

    @_makes_work
    async def submit(
        self,
        workflow: Workflow | JsonObject | str | Path,
        *,
        parameters: Mapping[str, object] | None = None,
        entrypoint: str | None = None,
        name: str | None = None,
        namespace: str | None = None,
    ) -> RunRow:
        """Record a new run, which a service then drives. Raises InvalidWorkflow, and UsageError if there is a run of that name."""
        await self.catalog.refresh()
        kept = KeptTemplates(self.catalog)
        plan = plan_run(
            workflow,
            catalog=kept,
            clock=self.clock,
            parameters=parameters,
            entrypoint=entrypoint,
            name=name,
            namespace=namespace,
            options=self.options,
            chance=self._chance,
        )
        await self._put(StoredRun(plan.run, (), plan.manifest), kept.kept)
        return plan.run

    async def _there_is_work(self, run: RunRow) -> None:
        """``run`` waits for somebody to drive it."""

    async def _put(self, stored: StoredRun, templates: JsonObject) -> None:
        """Record a run under a name that is not taken."""
        run = stored.run
        if await outline(self.store, run.name, run.namespace) is not None:
            raise UsageError(f'workflows "{run.name}" already exists: delete it, or give another name')
        await self._replace(stored, templates)

    async def _replace(self, stored: StoredRun, templates: JsonObject) -> None:
        """Record a run in place of what was recorded under its name, without its sensitive values."""
        sealed, kept = await sealed_run(stored, templates)
        if kept:
            await self.store.put_document("RunTemplates", stored.run.name, stored.run.namespace, kept)
        await self.store.replace(sealed.run, sealed.nodes, sealed.manifest)

    async def list(
        self, namespace: str | None = None, *, unfinished: bool = False, prefix: str = "", archived: bool = False
    ) -> list[StoredSummary]:
        """All runs of the live list or of the archive, newest first."""
        return await self.store.runs(namespace, unfinished=unfinished, prefix=prefix, archived=archived)

    async def get(self, text: str, namespace: str | None = None, *, archived: bool = False) -> StoredRun:
        """All that is recorded of a run. Raises StoreError where one of its large outputs is not to be had."""
        return (await self._found(text, namespace, archived, self.store.load))[1]

    async def outline(self, text: str, namespace: str | None = None, *, archived: bool = False) -> StoredRun:
        """The same without large outputs that are kept elsewhere, for which nothing is fetched."""
        return (await self._found(text, namespace, archived, partial(outline, self.store)))[1]

    async def _found(
        self, text: str, namespace: str | None, archived: bool, load: Callable[[str, str], Awaitable[StoredRun | None]]
    ) -> tuple[StoredSummary, StoredRun]:
        found = await find_run(self.store, text, namespace, archived=archived)
        stored = await load(found.key, found.run.namespace)
        if stored is None:
            raise UsageError(f"run {found.run.name} was deleted just now")
        return found, stored

    async def estimates(self, stored: StoredRun) -> Estimates:
        """How long a run and its nodes probably take, by the latest run of the same template that succeeded."""
        run = stored.run
        earlier = earlier_run(run, [each.run for each in await self.store.runs(run.namespace)]) if run.labels else None
        return estimated(run, stored.nodes, await outline(self.store, earlier.name, earlier.namespace) if earlier is not None else None)

    # --- orders ---------------------------------------------------------------------------------------------------------------------

    async def stop(self, text: str, namespace: str | None = None, *, selector: str = "", message: str = "") -> RunRow:
        """Stop a run (exit handlers still run), or fail the suspend nodes that ``selector`` matches."""
        if selector:
            return await self.order(text, orders.set_order(selector, phase=Phase.FAILED, message=message or None), namespace)
        return await self.order(text, orders.STOP, namespace)

    async def terminate(self, text: str, namespace: str | None = None) -> RunRow:
        """Stop a run without exit handlers."""
        return await self.order(text, orders.TERMINATE, namespace)

    async def suspend(self, text: str, namespace: str | None = None) -> RunRow:
        """Start nothing new in a run until it is resumed."""
        return await self.order(text, orders.SUSPEND, namespace)

    async def resume(self, text: str, namespace: str | None = None, *, selector: str = "") -> RunRow:
        """Resume a run, or the suspend nodes that ``selector`` matches."""
        return await self.order(text, orders.resume_order(selector), namespace)

    async def set_node(
        self,
        text: str,
        selector: str,
        namespace: str | None = None,
        *,
        parameters: Parameters | None = None,
        phase: Phase | None = None,
        message: str | None = None,
    ) -> RunRow:
        """Set outputs, phase or message of suspend nodes."""
        return await self.order(text, orders.set_order(selector, parameters=parameters, phase=phase, message=message), namespace)

    async def order(self, text: str, order: JsonObject, namespace: str | None = None) -> RunRow:
        """Give an order to a run, through the store: whoever drives it carries it out within a second. Raises UsageError for one that cannot be."""
        stored = await self.outline(text, namespace)
        orders.check(order, stored.run, stored.nodes)
        await self.store.give_order(stored.run.name, stored.run.namespace, order)
        return stored.run

    # --- operations -----------------------------------------------------------------------------------------------------------------

    @_makes_work
    async def retry(
        self,
        text: str,
        namespace: str | None = None,
        *,
        restart_successful: bool = False,
        selector: str = "",
        parameters: Parameters | None = None,
        archived: bool = False,
    ) -> RunRow:
        """Have an ended run go on from where it failed; one of the archive is then in the live list again."""
        if not archived:
            run = await self._when_let_go(text, namespace)
            text, namespace = run.name, run.namespace
        found, stored = await self._found(text, namespace, archived, self.store.load)
        made = operations.retry(
            stored.run,
            stored.nodes,
            stored.manifest,
            now=self.clock.now(),
            restart_successful=restart_successful,
            selector=selector,
            parameters=parameters,
        )
        if archived:
            await self.store.move(found.key, made.run.name, unarchived_row(found.run), archived=False)
        await strike_all(self.store, made.run)
        await self._leave_pods(made.run, made.pods)
        await self._replace(StoredRun(made.run, made.nodes, made.manifest), {})
        await self.store.delete_document("RunExpiry", found.key, made.run.namespace)
        return made.run

    @_makes_work
    async def resubmit(
        self,
        text: str,
        namespace: str | None = None,
        *,
        memoized: bool = False,
        parameters: Parameters | None = None,
        name: str | None = None,
        archived: bool = False,
    ) -> RunRow:
        """Record a new run of the same workflow; ``memoized`` takes over what had succeeded."""
        found, stored = await self._found(text, namespace, archived, self.store.load)
        chosen = name or name_prefix(stored.run, stored.manifest) + self._suffix()
        document = operations.resubmit(stored.run, stored.manifest, chosen, parameters=parameters)
        if not memoized:
            return await self.submit(await with_values(stored.run, document), name=chosen, namespace=stored.run.namespace)
        now = self.clock.now()
        rows = carried_over(stored.run, stored.nodes, chosen, now=now)
        run = RunRow(name=chosen, namespace=stored.run.namespace, uid=self._uid(), created_at=now.replace(microsecond=0))
        await self._hand_down(stored.run, run)
        await self._put(StoredRun(run, rows, document), await self._templates(found))
        return run

    @_makes_work
    async def fork(
        self,
        text: str,
        namespace: str | None = None,
        *,
        selector: str = "",
        parameters: Parameters | None = None,
        changed: JsonObject | None = None,
        name: str | None = None,
        archived: bool = False,
    ) -> RunRow:
        """Record a new run that begins at nodes of an old one, with all that had been done before them."""
        found, stored = await self._found(text, namespace, archived, self.store.load)
        made = operations.fork(
            stored.run,
            stored.nodes,
            stored.manifest,
            name or name_prefix(stored.run, stored.manifest) + self._suffix(),
            now=self.clock.now(),
            uid=self._uid(),
            selector=selector,
            parameters=parameters,
            changed=changed,
        )
        await self._hand_down(stored.run, made.run)
        await self._put(StoredRun(made.run, made.nodes, made.manifest), await self._templates(found))
        return made.run

    async def import_run(self, workflow: JsonObject) -> RunRow:
        """Record a run that came as a Workflow object with its status."""
        stored = operations.import_run(workflow)
        await self._put(stored, {})
        return stored.run

    async def archive(self, text: str, namespace: str | None = None) -> RunRow:
        """Move an ended run with all that belongs to it from the live list into the archive; its name can be given again.

        Raises UsageError for a run that has not ended, and StoreError while somebody drives it.
        """
        run = await self._when_let_go(text, namespace)
        if not run.phase.completed:
            raise UsageError(f"run {run.name} is {run.phase or 'Pending'}: only runs that have ended can be archived; stop it first")
        return await self._put_away(run)

    async def _put_away(self, run: RunRow) -> RunRow:
        """Move a run that has ended into the archive."""
        row = archived_row(run)
        await self.store.move(run.name, archive_key(run), row, archived=True)
        await self.store.delete_document("RunExpiry", run.name, run.namespace)
        await self._archived(row)
        return row

    async def _when_let_go(self, text: str, namespace: str | None) -> RunRow:
        """A run; if it has ended, once nobody here is busy with its end any more."""
        run = (await find_run(self.store, text, namespace)).run
        await self._let_go(run)
        return (await find_run(self.store, run.name, run.namespace)).run

    async def _let_go(self, run: RunRow) -> None:
        """Wait until a run that has ended is driven no more."""

    async def _archived(self, run: RunRow) -> None:
        """``run`` has gone into the archive."""

    async def delete(self, text: str, namespace: str | None = None, *, archived: bool = False) -> RunRow:
        """Forget a run, with its logs and those artifacts that its ``artifactGC`` says. Raises StoreError while somebody drives it."""
        found, stored = await self._found(text, namespace, archived, partial(outline, self.store))
        run = stored.run
        await self.store.delete(found.key, run.namespace)
        await collect(object_of(stored.manifest, "spec"), stored.nodes, self._context(stored), Moment.DELETION)
        await self.store.delete_document("RunExpiry", found.key, run.namespace)
        await Vault(run).forget()
        if run.uid:
            await to_thread.run_sync(partial(shutil.rmtree, state_folder() / "runs" / run.uid, ignore_errors=True))
        return run

    async def copy_artifacts(
        self,
        text: str,
        folder: Path,
        namespace: str | None = None,
        *,
        wanted: Wanted | None = None,
        pattern: str = PATTERN,
        archived: bool = False,
    ) -> Sequence[CopiedArtifact]:
        """Copy output artifacts of a run, unpacked, below ``folder``; what could not be had says why. Raises UsageError."""
        stored = await self.get(text, namespace, archived=archived)
        return await copy_artifacts(stored, self._context(stored), folder, wanted or Wanted(), pattern)

    def _context(self, stored: StoredRun) -> RunContext:
        """What is needed to reach the artifacts of a run."""
        run, spec = stored.run, object_of(stored.manifest, "spec")
        repository = repository_of(spec, self.catalog, run.namespace) if self.artifacts is None else None
        artifacts = self.artifacts or FolderArtifacts(state_folder() / "artifacts")
        if repository is not None:
            artifacts = RepositoryArtifacts(repository, self.catalog, run.namespace)
        return RunContext(name=run.name, namespace=run.namespace, uid=run.uid, catalog=self.catalog, artifacts=artifacts, spec=spec)

    async def _leave_pods(self, run: RunRow, pods: Sequence[str]) -> None:
        """Note the pods that whoever drives the run must not take up."""
        before = await self.store.documents(LEFT_PODS, name=run.name, namespace=run.namespace)
        known = strings_of(before[0], "pods") if before else []
        if pods:
            listed: list[Json] = [*dict.fromkeys([*known, *pods])]
            await self.store.put_document(LEFT_PODS, run.name, run.namespace, {"pods": listed})

    async def _hand_down(self, old: RunRow, new: RunRow) -> None:
        """A run that is made of another has the sensitive values that marks in its documents stand for."""
        await Vault(new).keep(await Vault(old).values())

    async def _templates(self, found: StoredSummary) -> JsonObject:
        kept = await self.store.documents("RunTemplates", name=found.key, namespace=found.run.namespace)
        return kept[0] if kept else {}

    def _suffix(self) -> str:
        return "".join(self._chance.choices(SUFFIX_LETTERS, k=5))

    def _uid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


__all__ = ["Runs"]
