"""``KubernetesExecutor``: leaves run as pods of a cluster."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Unpack

from anyio import move_on_after, to_thread

from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import ArtifactError, ExecutorError, FlowError, MissingBackend, Problem
from flowcore.jsontypes import JsonObject, text_of
from flowcore.ports import Cache, Catalog, Reporter, RunContext, Watched
from flowcore_backends.data import DataExecutor
from flowcore_backends.http import HttpExecutor
from flowcore_backends.kubernetes.api import Api
from flowcore_backends.kubernetes.api_thread import ApiThread
from flowcore_backends.kubernetes.catalog import ClusterCatalog
from flowcore_backends.kubernetes.cluster import Cluster
from flowcore_backends.kubernetes.config_map_cache import ConfigMapCache
from flowcore_backends.kubernetes.dry_run import dry_run
from flowcore_backends.kubernetes.ended_pods import delete_pods
from flowcore_backends.kubernetes.inputs import Scratch
from flowcore_backends.kubernetes.options import KubernetesChoices, KubernetesOptions
from flowcore_backends.kubernetes.pod_run import PodRun
from flowcore_backends.kubernetes.resources import ResourceRun
from flowcore_backends.kubernetes.workflow_object import WorkflowObject, ensure_workflow
from flowcore_backends.plugin import Plugin, PluginExecutor
from flowcore_backends.router import RouterExecutor, kind_of

_log = logging.getLogger("flowcore.kubernetes")

_SECONDS_FOR_LAST_STATUS = 10.0
_IN_PROCESS = ("http", "data", "plugin")


class KubernetesExecutor:
    """An ``Executor`` whose leaves are pods; see ``KubernetesOptions`` for what can be chosen. Needs asyncio.

    ``http``, ``data`` and ``plugin`` templates run inside this process, ``resource`` templates are requests of this process. Cancelling ``run``
    leaves the pod alone; ``run`` for the same pod name adopts it.
    """

    def __init__(
        self, options: KubernetesOptions | None = None, *, plugins: Mapping[str, Plugin] | None = None, **choices: Unpack[KubernetesChoices]
    ) -> None:
        self.options = options if options is not None else KubernetesOptions(**choices)
        self._others = RouterExecutor({"http": HttpExecutor(), "data": DataExecutor(), "plugin": PluginExecutor(plugins)})
        self._cluster: Cluster | None = None
        self._running: dict[tuple[str, str], PodRun | ResourceRun] = {}

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Run the invocation to its end. Raises ExecutorError for what is not its commands' fault."""
        kind = kind_of(invocation)
        if kind in _IN_PROCESS:
            return await self._others.run(invocation, context, report)
        try:
            async with self._connected() as cluster, self._scratch(context) as folder, AsyncExitStack() as stack:
                if not invocation.daemon:
                    await stack.enter_async_context(cluster.slots)
                if kind == "resource":
                    return await self._known(invocation, ResourceRun(invocation, context, report, cluster))
                return await self._known(invocation, PodRun(invocation, context, report, cluster, folder))
        except (ArtifactError, MissingBackend) as error:
            raise ExecutorError(str(error)) from error
        except (OSError, ValueError) as error:
            if isinstance(error, FlowError):
                raise
            raise ExecutorError(f"the Kubernetes backend could not run this: {error}") from error

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Have the pod of the invocation end: it is deleted, with ``grace`` for its containers (whole seconds, at least one)."""
        if kind_of(invocation) in _IN_PROCESS:
            await self._others.stop(invocation, grace)
        running = self._running.get((invocation.uid, invocation.pod_name))
        if running is not None:
            running.stop(grace)

    async def forget(self, pods: Sequence[str], context: RunContext) -> None:
        """A retry begins these pods anew: delete them, and wait until they are gone. Raises ExecutorError."""
        async with self._connected() as cluster:
            await delete_pods(cluster.api, self.options.namespace or context.namespace, pods, context.uid)

    async def close(self, context: RunContext) -> None:
        """The run has ended: delete what its ``podGC`` and ``volumeClaimGC`` say, and close the connection if no other run needs it."""
        await self._others.close(context)
        if self._cluster is not None and self._cluster.usable:
            await self._cluster.leave(context)

    def check(self, manifest: JsonObject, catalog: Catalog) -> list[Problem]:
        """What the cluster would refuse of a document's templates; nothing is made. Blocks. Raises ExecutorError when it cannot be asked."""
        thread = ApiThread(self.options)
        try:
            return thread.call(lambda api: dry_run(api, manifest, catalog, self.options))
        finally:
            thread.close()

    # --- what a cluster has besides -------------------------------------------------------------------------------------------------

    def catalog(self, given: Catalog | None = None) -> ClusterCatalog:
        """The cluster's templates, ConfigMaps and Secrets, where ``given`` has none of the name; close it when it is not needed any more."""
        return ClusterCatalog(self.options, given)

    def cache(self) -> Cache | None:
        """Remembered outputs in ConfigMaps, unless that is switched off."""
        return ConfigMapCache(self._api, self.options.namespace) if self.options.config_map_caches else None

    @asynccontextmanager
    async def shown(self, run: Watched) -> AsyncIterator[None]:
        """Write the status of a run into its Workflow object while the block lasts, and once more at its end, where ``write_back`` asks for that."""
        if not self.options.write_back:
            yield
            return
        async with self._connected() as cluster:
            written = await self._workflow_object(cluster, run)
            every = self.options.write_back_every.total_seconds()
            task = asyncio.get_running_loop().create_task(written.follow(run, every)) if written is not None else None
            try:
                yield
            finally:
                if task is not None and written is not None:
                    task.cancel()
                    with move_on_after(_SECONDS_FOR_LAST_STATUS, shield=True):
                        await written.write(run.snapshot())
        await cluster.close_if_idle()

    async def _workflow_object(self, cluster: Cluster, run: Watched) -> WorkflowObject | None:
        """The object to write into; without one the run is not shown, and says so."""
        now = run.snapshot()
        namespace = self.options.namespace or now.row.namespace
        given = self.options.workflow_owner
        try:
            metadata = given or await ensure_workflow(cluster.api, namespace, now.row.name, now.row.uid, now.to_json(), self.options)
        except ExecutorError as error:
            _log.warning("run %s is not shown in the cluster: %s", now.row.name, error)
            return None
        return WorkflowObject(cluster.api, namespace, text_of(metadata, "name"))

    @asynccontextmanager
    async def _api(self) -> AsyncIterator[Api]:
        async with self._connected() as cluster:
            yield cluster.api

    async def _known(self, invocation: Invocation, running: PodRun | ResourceRun) -> Outcome:
        key = (invocation.uid, invocation.pod_name)
        if key in self._running:
            raise ExecutorError(f"{invocation.pod_name} is already running")
        self._running[key] = running
        try:
            return await running.run()
        finally:
            del self._running[key]

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Cluster]:
        """The connection of this event loop, opened by the first that needs it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise ExecutorError("the Kubernetes backend needs asyncio; run the workflow with anyio.run(..., backend='asyncio')") from error
        if self._cluster is None or not self._cluster.usable or self._cluster.loop is not loop:
            self._cluster = Cluster(self.options)
        cluster = self._cluster
        cluster.active += 1
        try:
            await cluster.opened()
            yield cluster
        except asyncio.CancelledError:
            cluster.active -= 1
            cluster.look_away()
            cluster.active += 1
            raise
        finally:
            cluster.active -= 1

    @asynccontextmanager
    async def _scratch(self, context: RunContext) -> AsyncIterator[Scratch]:
        """A folder for what comes from and goes to the pod, made when it is first needed."""
        scratch = Scratch(context.folder / "kubernetes" if context.folder is not None else None)
        try:
            yield scratch
        finally:
            if scratch.made is not None:
                await asyncio.shield(to_thread.run_sync(partial(shutil.rmtree, scratch.made, ignore_errors=True)))
