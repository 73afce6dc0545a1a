"""How work is retried, locked, cached, measured and cleaned up."""

from __future__ import annotations

from flowcore.models.base import Amount, Bool, FreeObject, Int32, IntOrString, Model, StringMap, empty_list
from flowcore.models.parameters import ConfigMapKeySelector


class Backoff(Model):
    """The pause before an attempt: ``duration`` times ``factor`` for each attempt before it, at most ``cap``, all within ``maxDuration``."""

    duration: str = ""
    factor: IntOrString | None = None
    max_duration: str = ""
    cap: str = ""


class RetryAffinity(Model):
    """Where the next attempt may run."""

    node_anti_affinity: FreeObject | None = None


class RetryStrategy(Model):
    """When a template is tried again: ``limit`` None means for ever."""

    limit: IntOrString | None = None
    retry_policy: str = ""
    backoff: Backoff | None = None
    affinity: RetryAffinity | None = None
    expression: str = ""


class ContinueOn(Model):
    """After which ends of a step or task the others go on."""

    error: Bool = False
    failed: Bool = False


class Mutex(Model):
    """A lock that one holder can have."""

    name: str = ""
    namespace: str = ""
    database: Bool = False


class SyncDatabaseRef(Model):
    """A limit kept in a database."""

    key: str = ""


class Semaphore(Model):
    """A lock with as many places as a ConfigMap or a database says."""

    config_map_key_ref: ConfigMapKeySelector | None = None
    database: SyncDatabaseRef | None = None
    namespace: str = ""


class Synchronization(Model):
    """The locks that a workflow or template holds while it runs."""

    semaphores: list[Semaphore] = empty_list()
    mutexes: list[Mutex] = empty_list()


class ConfigMapName(Model):
    """A ConfigMap by its name."""

    name: str = ""


class Cache(Model):
    """Where memoized outputs are kept."""

    config_map: ConfigMapName | None = None


class Memoize(Model):
    """Outputs are taken from a cache when it has a young enough entry for ``key``."""

    key: str = ""
    max_age: str = ""
    cache: Cache | None = None


class MetricLabel(Model):
    """One label of a metric."""

    key: str = ""
    value: str = ""


class Gauge(Model):
    """A metric that goes up and down."""

    value: str = ""
    realtime: Bool | None = None
    operation: str = ""


class Histogram(Model):
    """A metric that counts values by size."""

    value: str = ""
    buckets: list[Amount] = empty_list()


class Counter(Model):
    """A metric that only grows."""

    value: str = ""


class Prometheus(Model):
    """One metric, of exactly one type."""

    name: str = ""
    help: str = ""
    labels: list[MetricLabel] = empty_list()
    when: str = ""
    gauge: Gauge | None = None
    histogram: Histogram | None = None
    counter: Counter | None = None


class Metrics(Model):
    """The metrics that a workflow or template emits."""

    prometheus: list[Prometheus] = empty_list()


class LabelSelectorRequirement(Model):
    """One condition on a label."""

    key: str = ""
    operator: str = ""
    values: list[str] = empty_list()


class LabelSelector(Model):
    """Labels that objects must have."""

    match_labels: StringMap | None = None
    match_expressions: list[LabelSelectorRequirement] = empty_list()


class PodGC(Model):
    """When pods are deleted: OnPodCompletion, OnPodSuccess, OnWorkflowCompletion, OnWorkflowSuccess, or never."""

    strategy: str = ""
    label_selector: LabelSelector | None = None
    delete_delay_duration: str = ""


class TTLStrategy(Model):
    """How many seconds after its end a workflow is deleted."""

    seconds_after_completion: Int32 | None = None
    seconds_after_success: Int32 | None = None
    seconds_after_failure: Int32 | None = None


class VolumeClaimGC(Model):
    """When volume claims are deleted: OnWorkflowSuccess or OnWorkflowCompletion."""

    strategy: str = ""


class ArtifactRepositoryRef(Model):
    """Which default artifact repository a workflow uses."""

    config_map: str = ""
    key: str = ""


class ExecutorConfig(Model):
    """Settings of Argo's own sidecar."""

    service_account_name: str = ""
