"""What becomes of pods whose work has ended: the label that says so, and ``podGC``. Used by ``RunObjects``.

Rules are Argo's: a pod that stays is labelled ``workflows.argoproj.io/completed: "true"``; one that goes is deleted after
``deleteDelayDuration``. What earlier processes of the same run left is found by its labels when the run ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta

from flowcore.errors import ExecutorError, ExpressionError
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.language.quantities import parse_duration
from flowcore.language.selectors import label_selector
from flowcore.nodes import Phase
from flowcore.ports import RunContext
from flowcore_backends.kubernetes.api import MERGE_PATCH, Api, ApiError, labels_of, pods_path, query_of
from flowcore_backends.kubernetes.labels import COMPLETED, INSTANCE, RUN, WORKFLOW, label_value
from flowcore_backends.kubernetes.options import KubernetesOptions

_log = logging.getLogger("flowcore.kubernetes")

_COMPLETION, _SUCCESS = "OnWorkflowCompletion", "OnWorkflowSuccess"
_PAGE = 500
_SECONDS_FOR_LABEL = 10.0
_GONE_WITHIN = 60  # seconds for pods that a retry begins anew


class EndedPods:
    """The pods of one run that have ended."""

    def __init__(self, api: Api, context: RunContext, options: KubernetesOptions, namespace: str) -> None:
        self._api, self._context, self._options, self._namespace = api, context, options, namespace
        self._deleting: set[asyncio.Task[None]] = set()
        self._labelling: set[asyncio.Task[None]] = set()
        self._may_label = options.completed_label
        self._over = asyncio.Event()

    def add(self, phase: Phase, metadata: JsonObject) -> None:
        """The work of a pod has ended in ``phase``: begin to delete it where ``podGC`` says so, or to label it."""
        strategy = self.strategy
        goes = strategy == "OnPodCompletion" or (strategy == "OnPodSuccess" and phase is Phase.SUCCEEDED)
        if goes and self._selected(metadata):
            self._begin(self._deleting, self._delete_later(metadata))
        elif self._may_label:
            self._begin(self._labelling, self._label(metadata))

    @staticmethod
    def _begin(tasks: set[asyncio.Task[None]], work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    @property
    def strategy(self) -> str:
        """The strategy of ``podGC``."""
        return text_of(object_of(self._context.spec, "podGC"), "strategy") or self._options.pod_gc or ""

    def _selected(self, metadata: JsonObject) -> bool:
        """Whether ``podGC`` is about this pod."""
        selector = object_of(object_of(self._context.spec, "podGC"), "labelSelector")
        labels = {key: str(value) for key, value in object_of(metadata, "labels").items()}
        return label_selector(selector).matches(labels)

    # --- one pod --------------------------------------------------------------------------------------------------------------------

    async def _label(self, metadata: JsonObject) -> None:
        labels: JsonObject = {"labels": {COMPLETED: "true"}, "uid": metadata.get("uid")}
        path = pods_path(self._namespace, text_of(metadata, "name"))
        try:
            await self._api.send("PATCH", path, body={"metadata": labels}, content_type=MERGE_PATCH, patience=_SECONDS_FOR_LABEL)
        except ExecutorError as error:
            if isinstance(error, ApiError) and error.status == 403 and self._may_label:
                self._may_label = False
                _log.warning("run %s: ended pods are not labelled: %s", self._context.name, error)

    async def _delete_later(self, metadata: JsonObject) -> None:
        with suppress(TimeoutError):  # the end of the run makes it hurry
            await asyncio.wait_for(self._over.wait(), delete_delay(self._context.spec, self._options).total_seconds())
        await delete_pod(self._api, self._namespace, metadata)

    # --- the end of the run ---------------------------------------------------------------------------------------------------------

    async def close(self, *, succeeded: bool) -> None:
        """The run has ended: delete what goes with it, and finish what was begun."""
        self._over.set()
        await asyncio.gather(*self._deleting, *self._labelling, return_exceptions=True)
        if self.strategy == _COMPLETION or (self.strategy == _SUCCESS and succeeded):
            await self._delete_all()

    async def _delete_all(self) -> None:
        """Delete all pods of the run, by whichever process they were made."""
        try:
            for metadata in await self._pods():
                if object_of(metadata, "annotations").get(RUN) == self._context.uid and self._selected(metadata):
                    await delete_pod(self._api, self._namespace, metadata)
        except ExecutorError as error:
            _log.warning("the pods of run %s were not deleted: %s", self._context.name, error)

    async def _pods(self) -> list[JsonObject]:
        selector = labels_of({WORKFLOW: label_value(self._context.name), INSTANCE: label_value(self._options.instance)})
        found: list[JsonObject] = []
        further = ""
        while True:
            query = query_of(labelSelector=selector, limit=_PAGE, **{"continue": further or None})
            page = await self._api.request("GET", pods_path(self._namespace), query=query)
            found += [object_of(pod, "metadata") for pod in objects_of(page, "items")]
            further = text_of(object_of(page, "metadata"), "continue")
            if not further:
                return found


def delete_delay(spec: JsonObject, options: KubernetesOptions) -> timedelta:
    """How long an ended pod stays that ``podGC`` deletes."""
    given = text_of(object_of(spec, "podGC"), "deleteDelayDuration")
    try:
        return parse_duration(given) if given else options.delete_delay
    except (ExpressionError, ValueError):
        return options.delete_delay


async def delete_pod(api: Api, namespace: str, metadata: JsonObject, grace: int | None = None, *, must: bool = False) -> None:
    """Delete a pod, and no other of its name; ``grace`` (seconds) is for its containers that run. One that is gone is no error.

    Raises ExecutorError where it ``must`` be, else that is logged. The grace stands in the body: of a request with a body, servers read nothing else.
    """
    body: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": metadata.get("uid")}}
    if grace is not None:
        body["gracePeriodSeconds"] = grace
    try:
        await api.send("DELETE", pods_path(namespace, text_of(metadata, "name")), body=body)
    except ExecutorError as error:
        if isinstance(error, ApiError) and error.status in (404, 409):
            return
        if must:
            raise
        _log.warning("pod %s was not deleted: %s", metadata.get("name"), error)


async def delete_pods(api: Api, namespace: str, names: Sequence[str], run: str) -> None:
    """Delete those pods of these names that are of the run with this uid, and wait until they are gone. Raises ExecutorError."""
    left = list(names)
    for pause in (0.0, 0.1, 0.3, *[1.0] * _GONE_WITHIN):
        await asyncio.sleep(pause)
        left = [name for name in left if await _is_there(api, namespace, name, run)]
        if not left:
            return
    raise ExecutorError(f"pod {left[0]} of an earlier attempt is not gone after {_GONE_WITHIN} seconds: delete it, then continue the run")


async def _is_there(api: Api, namespace: str, name: str, run: str) -> bool:
    """Whether a pod is there and of the run; it is told to go."""
    try:
        pod = await api.request("GET", pods_path(namespace, name))
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    metadata = object_of(pod, "metadata")
    if object_of(metadata, "annotations").get(RUN) != run:
        return False
    if not metadata.get("deletionTimestamp"):
        await delete_pod(api, namespace, metadata, grace=1, must=True)
    return True


__all__ = ["EndedPods", "delete_delay", "delete_pod", "delete_pods"]
