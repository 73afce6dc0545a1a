"""From an invocation to the manifest of its pod. Pure; called by ``pod_run.py``.

Every pod-level field of spec and template passes through with Argo's precedence (its ``workflowpod.go``): the template's over the workflow's,
``podMetadata`` beneath the template's metadata, host aliases of both, the workflow's ``podSpecPatch`` before the template's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError, ExpressionError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.language.go_format import duration_text
from flowcore.language.quantities import parse_duration
from flowcore_backends.kubernetes import capture
from flowcore_backends.kubernetes.capture import MAIN, ROOT, URLS, VOLUME, Layout, PlacedInput
from flowcore_backends.kubernetes.ended_pods import delete_delay
from flowcore_backends.kubernetes.labels import DEFAULT_CONTAINER, GC_STRATEGY, pod_annotations, pod_labels
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.pod_spec_patch import patched_spec

HOST_LABEL = "kubernetes.io/hostname"
_DEBUG_PAUSES = ("ARGO_DEBUG_PAUSE_BEFORE", "ARGO_DEBUG_PAUSE_AFTER")
_NOT_KUBERNETES = ("source", "dependencies", "mirrorVolumeMounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodParts:
    """What a pod is made of besides its invocation: ``claims`` are the run's claims by volume name, ``owner`` is an owner reference.

    ``inputs`` are the input artifacts that are there, ``inline`` are the small ones (base64 of a gzipped tar); ``upload`` says that others are brought
    by exec; ``tasks`` are what the pod fetches and uploads itself, by URLs in the Secret ``secret``. ``avoid_hosts`` are the nodes on which earlier attempts failed.
    """

    owner: JsonObject | None = None
    claims: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[PlacedInput] = ()
    inline: str = ""
    upload: bool = False
    tasks: str = ""
    secret: str = ""
    avoid_hosts: Sequence[str] = ()


def pod_manifest(
    invocation: Invocation,
    spec: JsonObject,
    options: KubernetesOptions,
    parts: PodParts | None = None,
    layout: Layout | None = None,
) -> JsonObject:
    """The manifest of the pod; ``layout`` is ``capture.layout_of`` of it, if that is known. Raises ExecutorError for what cannot be a pod."""
    return _Builder(invocation, spec, options, parts or PodParts(), layout or capture.layout_of(invocation, options)).manifest()


class _Builder:
    def __init__(self, invocation: Invocation, spec: JsonObject, options: KubernetesOptions, parts: PodParts, layout: Layout) -> None:
        self.invocation, self.spec, self.options, self.parts = invocation, spec, options, parts
        self.body = invocation.body
        self.layout = layout

    def manifest(self) -> JsonObject:
        pod = patched_spec(self._pod_spec(), self.invocation, self.spec)
        return {"apiVersion": "v1", "kind": "Pod", "metadata": self._metadata(), "spec": pod}

    def _metadata(self) -> JsonObject:
        shared, own = object_of(self.spec, "podMetadata"), object_of(self.body, "metadata")
        default = MAIN if MAIN in self.layout.mains else self.layout.mains[-1]
        annotations = {**pod_annotations(self.invocation, self.options), DEFAULT_CONTAINER: default}
        if (collection := self.spec.get("podGC")) is not None and isinstance(collection, dict):
            annotations[GC_STRATEGY] = f"{text_of(collection, 'strategy')}/{duration_text(delete_delay(self.spec, self.options))}"
        metadata: JsonObject = {
            "name": self.invocation.pod_name,
            "namespace": self.options.namespace or self.invocation.namespace,
            "labels": {**object_of(shared, "labels"), **object_of(own, "labels"), **pod_labels(self.invocation, self.options)},
            "annotations": {**object_of(shared, "annotations"), **object_of(own, "annotations"), **annotations},
        }
        return {**metadata, "ownerReferences": [self.parts.owner]} if self.parts.owner else metadata

    # --- the pod --------------------------------------------------------------------------------------------------------------------

    def _pod_spec(self) -> JsonObject:
        mains, mirrored = self._mains()
        inits = [self._plain(one, mirrored) for one in objects_of(self.body, "initContainers")]
        native, regular = self._sidecars(mirrored)
        helpers = self._helpers(mains, 2 + len(inits) + len(native) + len(mains) + len(regular))
        pod: JsonObject = {
            "restartPolicy": "Never",
            "containers": [*mains, *regular],
            "volumes": [*self._volumes([*inits, *native, *mains, *regular])],
            **self._placement(),
            **self._surroundings(),
        }
        if helpers or inits or native:
            pod["initContainers"] = [*helpers, *native, *inits]
        if self.layout.hands_over:
            pod["terminationGracePeriodSeconds"] = int(self.options.output_grace.total_seconds())
        if (deadline := self._deadline(mains)) is not None:
            pod["activeDeadlineSeconds"] = deadline
        return pod

    def _placement(self) -> JsonObject:
        """Where the pod may run; of a field in template and workflow, the template's counts."""
        pod: JsonObject = {}
        for name in ("nodeSelector", "affinity", "tolerations", "schedulerName"):
            if value := self.body.get(name) or self.spec.get(name):
                pod[name] = value
        if value := self.body.get("priorityClassName") or self.spec.get("podPriorityClassName"):
            pod["priorityClassName"] = value
        if self.parts.avoid_hosts:
            pod["affinity"] = avoiding(object_of(pod, "affinity"), self.parts.avoid_hosts)
        return pod

    def _surroundings(self) -> JsonObject:
        body, spec = self.body, self.spec
        aliases = [*objects_of(spec, "hostAliases"), *objects_of(body, "hostAliases")]
        account = text_of(body, "serviceAccountName") or text_of(spec, "serviceAccountName") or self.options.service_account
        automount = body.get("automountServiceAccountToken", spec.get("automountServiceAccountToken"))
        pod: JsonObject = {name: spec[name] for name in ("imagePullSecrets", "hostNetwork", "dnsPolicy", "dnsConfig") if spec.get(name)}
        if aliases:
            pod["hostAliases"] = [*aliases]
        security = body.get("securityContext", spec.get("securityContext"))
        if security is not None:
            pod["securityContext"] = security
        if account:
            pod["serviceAccountName"] = account
        if automount is False:
            pod["automountServiceAccountToken"] = False
        if resources := body.get("podResources") or spec.get("podResources"):
            pod["resources"] = resources
        if claims := body.get("resourceClaims") or spec.get("resourceClaims"):
            pod["resourceClaims"] = claims
        return pod

    def _deadline(self, mains: Sequence[JsonObject]) -> int | None:
        given = self.body.get("activeDeadlineSeconds")
        names = [text_of(variable, "name") for main in mains for variable in objects_of(main, "env")]
        if given is None or isinstance(given, bool | dict | list) or any(pause in names for pause in _DEBUG_PAUSES):
            return None
        try:
            return max(1, int(given))  # the engine ends what has no time at all
        except ValueError as error:
            raise ExecutorError(f"activeDeadlineSeconds of template {self.invocation.template_name} is {given!r}, not a number") from error

    # --- containers -----------------------------------------------------------------------------------------------------------------

    def _mains(self) -> tuple[list[JsonObject], list[Json]]:
        """The main containers, and the mounts of ``main`` that others may mirror."""
        found: list[JsonObject] = []
        mirrored: list[Json] = []
        retries = _retries(self.invocation)
        for container in capture.main_containers(self.invocation, self.options):
            name = text_of(container, "name")
            own = objects_of(container, "volumeMounts")
            mounted: list[JsonObject] = []
            copied: list[PlacedInput] = []
            if name == MAIN:
                mounted, copied = capture.input_mounts(self.parts.inputs, own, text_of(container, "workingDir"))
                mirrored = [*own, *mounted]
            made = _cleaned({**container, "volumeMounts": [*own, *mounted]})
            if isinstance(script := self.body.get("script"), dict) and script.get("source"):
                made["args"] = [*strings_of(script, "args"), f"{ROOT}/in/{capture.SCRIPT}"]
            made["env"] = self._environment(made)
            if name in self.layout.wrapped:
                words = capture.main_words(name, self.layout, copied, strings_of(container, "dependencies"), retries)
                made = capture.wrapped_container(made, words)
            elif copied:
                raise ExecutorError(f"container {name} needs a command, so that its inputs can be put into its volumes")
            found.append(made)
        return found, mirrored

    def _sidecars(self, mirrored: list[Json]) -> tuple[list[JsonObject], list[JsonObject]]:
        """Those that Kubernetes ends by itself (native), and wrapped ones, whose end counts as in Argo."""
        native: list[JsonObject] = []
        regular: list[JsonObject] = []
        for sidecar in objects_of(self.body, "sidecars"):
            made = self._plain(sidecar, mirrored)
            if text_of(sidecar, "name") not in self.layout.native:
                grace = int(self.options.sidecar_grace.total_seconds())
                regular.append(capture.wrapped_container(made, ["-s", str(grace)]))
            else:
                native.append({**made, "restartPolicy": "Always"})
        return native, regular

    def _plain(self, container: JsonObject, mirrored: list[Json]) -> JsonObject:
        mounts: list[Json] = [*objects_of(container, "volumeMounts")]
        if container.get("mirrorVolumeMounts"):
            taken = {text_of(mount, "mountPath") for mount in objects_of(container, "volumeMounts")}
            mounts += [mount for mount in mirrored if isinstance(mount, dict) and mount.get("mountPath") not in taken]
        made = _cleaned({**container, "volumeMounts": mounts})
        return {**made, "env": self._environment(made)}

    def _environment(self, container: JsonObject) -> list[Json]:
        """The template's variables, after those that Argo sets in every container."""
        given = objects_of(container, "env")
        names = {text_of(variable, "name") for variable in given}
        ours = {
            "ARGO_CONTAINER_NAME": text_of(container, "name"),
            "ARGO_NODE_ID": self.invocation.node,
            "ARGO_WORKFLOW_NAME": self.invocation.workflow,
            "ARGO_INCLUDE_SCRIPT_OUTPUT": str(self.invocation.capture_result).lower(),
            "ARGO_PROGRESS_FILE": capture.PROGRESS,
        }
        own: list[Json] = [{"name": name, "value": capture.literal(value)} for name, value in ours.items() if name not in names]
        return [*own, *given]

    def _helpers(self, mains: Sequence[JsonObject], containers: int) -> list[JsonObject]:
        if not self.layout.holder:
            return []
        main = next((one for one in mains if text_of(one, "name") == MAIN), mains[0])
        around, inline = self._surroundings(), self.parts.inline
        tasks = self.parts.tasks
        helpers = [capture.holder_container(main, around, self.layout, self.options, inline=inline, containers=containers, tasks=tasks)]
        return [*helpers, capture.loader_container(main, around, self.options)] if self.parts.upload else helpers

    # --- volumes --------------------------------------------------------------------------------------------------------------------

    def _volumes(self, containers: Sequence[JsonObject]) -> list[JsonObject]:
        """The template's volumes, and those of the workflow that a container mounts. Raises ExecutorError for mounts of nothing."""
        volumes = {text_of(volume, "name"): volume for volume in objects_of(self.body, "volumes")}
        known = {text_of(volume, "name"): volume for volume in self.invocation.volumes}
        known |= {name: {"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in self.parts.claims.items()}
        ours: JsonObject = {"name": VOLUME, "emptyDir": {}}
        if VOLUME in volumes or (self.layout.holder and VOLUME in known):
            raise ExecutorError(
                f"the volume {VOLUME!r} of template {self.invocation.template_name} has a name that is reserved; call it otherwise"
            )
        for container in containers:
            for mount in (*objects_of(container, "volumeMounts"), *objects_of(container, "volumeDevices")):
                name = text_of(mount, "name")
                if name != VOLUME and name not in volumes:
                    if name not in known:
                        raise ExecutorError(f"volume '{name}' not found in workflow spec")
                    volumes[name] = known[name]
        made = [*volumes.values(), ours] if self.layout.holder else [*volumes.values()]
        return [*made, {"name": URLS, "secret": {"secretName": self.parts.secret}}] if self.parts.tasks else made


def avoiding(affinity: JsonObject, hosts: Sequence[str]) -> JsonObject:
    """``affinity`` with the further condition that the pod runs on none of ``hosts``."""
    condition: JsonObject = {"key": HOST_LABEL, "operator": "NotIn", "values": [*hosts]}
    node = object_of(affinity, "nodeAffinity")
    required = object_of(node, "requiredDuringSchedulingIgnoredDuringExecution")
    terms = objects_of(required, "nodeSelectorTerms") or [{}]
    stricter: list[Json] = [{**term, "matchExpressions": [*objects_of(term, "matchExpressions"), condition]} for term in terms]
    required = {**required, "nodeSelectorTerms": stricter}
    return {**affinity, "nodeAffinity": {**node, "requiredDuringSchedulingIgnoredDuringExecution": required}}


def _cleaned(container: JsonObject) -> JsonObject:
    """``container`` without what only Argo knows, and without empty members."""
    return {key: value for key, value in container.items() if key not in _NOT_KUBERNETES and value not in (None, "", [])}


def _retries(invocation: Invocation) -> tuple[int, float]:
    """How often a container of a set is run again, and after how many seconds."""
    strategy = object_of(object_of(invocation.body, "containerSet"), "retryStrategy")
    retries = strategy.get("retries")
    if retries is None:
        return 0, 0.0
    try:
        pause = parse_duration(text_of(strategy, "duration")).total_seconds() if strategy.get("duration") else 0.0
        return max(0, int(str(retries))), pause
    except (ValueError, ExpressionError) as error:
        raise ExecutorError(f"containerSet.retryStrategy of template {invocation.template_name}: {error}") from error
