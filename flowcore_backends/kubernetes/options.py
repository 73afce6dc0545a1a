"""What a user can choose about the Kubernetes backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict

from flowcore.jsontypes import JsonObject

Logs: TypeAlias = Literal["follow", "end", "none"]
Crons: TypeAlias = Literal["instance", "all", "none"]


def _holder_resources() -> JsonObject:
    return {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesOptions:
    """The options of ``KubernetesExecutor``, by their meaning:

    - ``kubeconfig``, ``kube_context``: the file and the context in it; by default ``KUBECONFIG``, ``~/.kube/config``, or the pod's own account in a cluster.
    - ``api_server``: the address of an API that needs no authentication (``kubectl proxy``, a test server), instead of both.
    - ``namespace``: where pods are made; by default the namespace of the run.
    - ``instance``: the value of the label that tells this user's pods from those of others; one process watches one value.
    - ``busybox_image``: an image with a static busybox, for the container that puts inputs in place and holds outputs; and ``curl``, see below.
    - ``images``: entrypoint and command of images whose templates give no command, by image name.
    - ``exec``: whether exec may be used: for outputs above 4 KB and for inputs above ``inline_inputs`` bytes. Without it pods fetch and upload
      large artifacts by themselves where their stores give signed URLs, which wait for them in a Secret.
    - ``direct_uploads``, ``direct_downloads``: large artifacts go straight between the pod and a store that speaks S3's language, by a signed URL;
      stores with https need ``curl`` in ``busybox_image``.
    - ``inline_inputs``: input artifacts up to this many bytes (packed) travel in the pod's manifest.
    - ``service_account``: for pods whose workflow names none.
    - ``logs``: ``follow`` (as containers print; at most ``followed_logs`` at once, the others at their end), ``end`` or ``none``.
    - ``parallelism``: how many pods are waited for at once; ``requests``: how many requests are under way at once;
      ``requests_per_second``: how many are begun in a second on average; ``execs``: how many exec streams are open at once.
    - ``patience``: how long an API that is away, or a quota that is used up, is asked again before a node ends in Error.
    - ``output_grace``: how long a pod keeps its large outputs for this process after its containers ended.
    - ``sidecar_grace``: how long a sidecar may take to end after the main container did.
    - ``delete_delay``: how long finished pods stay that ``podGC`` deletes, where the workflow does not say.
    - ``pod_gc``: the strategy of ``podGC`` where the workflow gives none; None keeps pods, as Argo does.
    - ``completed_label``: label ended pods that stay, as Argo does: a request for each pod, which needs the right to patch pods.
    - ``owner``: make a ConfigMap that stands for the run and owns its pods and claims.
    - ``workflow_owner``: the ``metadata`` of an existing Workflow object (name, uid) that owns them instead.
    - ``write_back``: make a Workflow object that stands for the run and owns its pods instead (or take ``workflow_owner``), and write the run's
      status into it, for the ``argo`` command and its UI; at most every ``write_back_every``. Needs Argo's definition of Workflows.
    - ``config_map_caches``: keep memoized outputs in ConfigMaps, as Argo does; else they are kept where runs are recorded.
    - ``cron_workflows``: which CronWorkflows of the cluster a service runs: those that carry the label of ``instance`` (as with Argo's controllers),
      ``all`` (where no controller of Argo's runs them too), or ``none``.
    - ``labels``, ``annotations``: for every object made.
    - ``poll``: how often the object of a ``resource`` template is looked at.
    """

    kubeconfig: str | Path | None = None
    kube_context: str | None = None
    api_server: str | None = None
    namespace: str | None = None
    instance: str = "flowcore"
    busybox_image: str = "busybox:musl"
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exec: bool = True
    direct_uploads: bool = True
    direct_downloads: bool = True
    inline_inputs: int = 64 << 10
    service_account: str | None = None
    holder_resources: JsonObject = field(default_factory=_holder_resources)
    logs: Logs = "follow"
    followed_logs: int = 40
    parallelism: int = 2000
    requests: int = 32
    requests_per_second: float = 200.0
    execs: int = 8
    patience: timedelta = timedelta(minutes=5)
    output_grace: timedelta = timedelta(seconds=120)
    sidecar_grace: timedelta = timedelta(seconds=30)
    delete_delay: timedelta = timedelta(seconds=5)
    pod_gc: str | None = None
    completed_label: bool = True
    owner: bool = True
    workflow_owner: JsonObject | None = None
    write_back: bool = False
    write_back_every: timedelta = timedelta(seconds=2)
    config_map_caches: bool = True
    cron_workflows: Crons = "instance"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    poll: timedelta = timedelta(seconds=5)


class KubernetesChoices(TypedDict, total=False):
    """The same as keyword arguments of ``KubernetesExecutor``."""

    kubeconfig: str | Path | None
    kube_context: str | None
    api_server: str | None
    namespace: str | None
    instance: str
    busybox_image: str
    images: Mapping[str, Sequence[str]]
    exec: bool
    direct_uploads: bool
    direct_downloads: bool
    inline_inputs: int
    service_account: str | None
    holder_resources: JsonObject
    logs: Logs
    followed_logs: int
    parallelism: int
    requests: int
    requests_per_second: float
    execs: int
    patience: timedelta
    output_grace: timedelta
    sidecar_grace: timedelta
    delete_delay: timedelta
    pod_gc: str | None
    completed_label: bool
    owner: bool
    workflow_owner: JsonObject | None
    write_back: bool
    write_back_every: timedelta
    config_map_caches: bool
    cron_workflows: Crons
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    poll: timedelta
