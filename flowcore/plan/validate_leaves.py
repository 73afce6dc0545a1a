"""Leaf templates: containers, sets of containers, scripts, resources, and what no leaf may have."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from flowcore.errors import InvalidWorkflow
from flowcore.jsontypes import JsonObject
from flowcore.models import Container, ContainerSet, Prometheus, Resource, Template
from flowcore.models.base import FreeObject
from flowcore.plan.graph import find_cycle
from flowcore.plan.validate_arguments import type_name
from flowcore.plan.validate_names import is_placeholder, name_faults, names_of
from flowcore.plan.validate_report import Report
from flowcore.yaml import read

_ACTIONS = ("get", "create", "apply", "delete", "replace", "patch")
_EXPRESSION = re.compile(r"\{\{\s*=\s*.+?\s*\}\}|<<\s*=\s*.+?\s*>>")
_METRIC_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_INTEGER = re.compile(r"[+-]?[0-9]+")


def check_leaf(report: Report, template: Template, path: str, *, defaults: Template | None) -> None:
    """The body of a leaf (rules 21 to 27, 36 to 44); ``defaults`` may supply images."""
    name = template.name
    if template.container is not None:
        _check_mounts(report, template, template.container, path)
        if not template.container.image and not (defaults and defaults.container and defaults.container.image):
            report.add(f"templates.{name}.container.image may not be empty", f"{path}.container", remedy="set image", rule="image")
    if template.container_set is not None:
        _check_container_set(report, template, template.container_set, f"{path}.containerSet")
    for index, sidecar in enumerate(template.sidecars):
        if is_reserved(sidecar.name):
            text = f'templates.{name}.sidecars: "{sidecar.name}" is a reserved Argo container name'
            report.add(text, f"{path}.sidecars[{index}].name", rule="container-name")
    if template.resource is not None:
        _check_resource(report, template, template.resource, f"{path}.resource")
    if template.script is not None and not template.script.image:
        if not (defaults and defaults.script and defaults.script.image):
            report.add(f"templates.{name}.script.image may not be empty", f"{path}.script", remedy="set image", rule="image")
    _check_deadline(report, template, path)
    if template.parallelism is not None:
        text = f"templates.{name}.parallelism is only valid for steps and dag templates"
        report.add(text, f"{path}.parallelism", rule="parallelism")


def _check_deadline(report: Report, template: Template, path: str) -> None:
    seconds = template.active_deadline_seconds
    if seconds is None:
        return
    number = int(seconds) if isinstance(seconds, int) or (_INTEGER.fullmatch(seconds) and len(seconds) < 20) else None
    tag = isinstance(seconds, str) and ((seconds.startswith(("{{", "<<")) and seconds.endswith(("}}", ">>"))) or is_placeholder(seconds))
    if (number is None and not tag) or (number is not None and number < 0):
        text = f"templates.{template.name}.activeDeadlineSeconds must be a positive integer > 0 or an argo variable"
        report.add(text, f"{path}.activeDeadlineSeconds", rule="deadline")


def _check_mounts(report: Report, template: Template, container: Container, path: str) -> None:
    """No two things at the same path."""
    prefix = f"templates.{template.name}.container."
    taken = _mount_paths(report, container.volume_mounts, "container.volumeMounts", prefix, f"{path}.container")
    for index, artifact in enumerate(template.inputs.artifacts):
        if artifact.path in taken:
            text = f"templates.{template.name}.inputs.artifacts[{index}].path '{artifact.path}' already mounted in {taken[artifact.path]}"
            report.add(text, f"{path}.inputs.artifacts[{index}].path", rule="mount")
        taken[artifact.path] = f"inputs.artifacts.{artifact.name}"


def _mount_paths(report: Report, mounts: Iterable[JsonObject], named: str, prefix: str, path: str) -> dict[str, str]:
    """Where the mounts stand, and what each is called there; two at one path are told."""
    taken: dict[str, str] = {}
    for index, mount in enumerate(mounts):
        where = str(mount.get("mountPath", ""))
        if where in taken:
            text = f"{prefix}volumeMounts[{index}].mountPath '{where}' already mounted in {taken[where]}"
            report.add(text, f"{path}.volumeMounts[{index}].mountPath", rule="mount")
        taken[where] = f"{named}.{mount.get('name', '')}"
    return taken


def is_reserved(name: str) -> bool:
    """Whether Argo gives its own containers such a name."""
    return name in ("wait", "supervisor") or name.startswith("artifact-plugin-")


def _check_container_set(report: Report, template: Template, members: ContainerSet, path: str) -> None:
    prefix = f"templates.{template.name}.containerSet."
    if not members.containers:
        report.add(f"{prefix}containers must have at least one container", path, rule="container-set")
    for index, fault in name_faults(names_of(members.containers)):
        report.add(f"{prefix}containers{fault}", f"{path}.containers[{index}].name", rule="name")
    _mount_paths(report, members.volume_mounts, "volumeMounts", prefix, path)
    graph = {member.name: tuple(member.dependencies) for member in members.containers}
    for index, member in enumerate(members.containers):
        for other in member.dependencies:
            if other not in graph:
                text = f"{prefix}containers.{member.name} dependency '{other}' not defined"
                report.add(text, f"{path}.containers[{index}].dependencies", rule="dependency")
    cycle = find_cycle({name: [other for other in needed if other in graph] for name, needed in graph.items()})
    if cycle:
        report.add(f"{prefix}containers dependency cycle detected: {_arrows(cycle)}", f"{path}.containers", rule="cycle")
    exchanges = template.inputs.artifacts or template.outputs.parameters or template.outputs.artifacts
    if exchanges and "main" not in graph:
        report.add(f'{prefix}containers must have a container named "main" for input or output', f"{path}.containers", rule="container-set")
    for index, member in enumerate(members.containers):
        if is_reserved(member.name):
            text = f'{prefix}containers: "{member.name}" is a reserved Argo container name'
            report.add(text, f"{path}.containers[{index}].name", rule="container-name")


def _arrows(cycle: tuple[str, ...]) -> str:
    """A circle as Argo prints it: from what the first name needs, each followed by what it needs in turn."""
    names = list(reversed(cycle[1:]))
    start = (names.index(min(names)) + 1) % len(names)
    names = names[start:] + names[:start]
    return "->".join([*names, names[0]])


def _check_resource(report: Report, template: Template, resource: Resource, path: str) -> None:
    name = f"templates.{template.name}.resource"
    if resource.action not in _ACTIONS and not is_placeholder(resource.action):
        report.add(f"{name}.action must be one of: {', '.join(_ACTIONS)}", f"{path}.action", rule="resource")
    if resource.action in ("delete", "get"):
        return
    source = resource.manifest_from
    if not resource.manifest and source is None:
        report.add(f"either {name}.manifest or {name}.manifestFrom must be specified", path, rule="resource")
    if resource.manifest and source is not None:
        text = "shouldn't have both `manifest` and `manifestFrom` specified in `Manifest` for resource template"
        report.add(text, path, rule="resource")
    if source is not None and source.artifact is not None and template.inputs.artifact(source.artifact.name) is None:
        text = f"artifact {source.artifact.name} in `manifestFrom` refer to a non-exist artifact"
        report.add(text, f"{path}.manifestFrom.artifact.name", remedy="declare it in inputs.artifacts", rule="resource")
    if resource.manifest and not is_placeholder(resource.manifest) and not _is_yaml(resource.manifest):
        report.add(f"{name}.manifest must be a valid yaml", f"{path}.manifest", rule="resource")


def _is_yaml(text: str) -> bool:
    """Whether the text is YAML, as far as that can be told before its expressions are evaluated."""
    numbers = itertools.count()
    try:
        read(_EXPRESSION.sub(lambda match: f"placeholder-{next(numbers)}", text))
    except InvalidWorkflow:
        return False
    return True


def check_pod_resources(report: Report, prefix: str, resources: FreeObject | None, path: str) -> None:
    """Resources of a whole pod: Kubernetes allows few kinds of them (rule 24)."""
    if resources is None:
        return
    if resources.get("claims"):
        report.add(f"{prefix}.claims is not supported for pod-level resources", f"{path}.claims", rule="pod-resources")
    for part in ("limits", "requests"):
        amounts = resources.get(part)
        for kind in sorted(amounts) if isinstance(amounts, dict) else ():
            if kind not in ("cpu", "memory") and not kind.startswith("hugepages-"):
                text = f'{prefix}: "{kind}" is not a valid pod-level resource, only cpu, memory and hugepages-* are supported'
                report.add(text, f"{path}.{part}", rule="pod-resources")


def check_template_resources(report: Report, template: Template, path: str) -> None:
    """``podResources`` of a template."""
    if template.pod_resources is None:
        return
    prefix = f"templates.{template.name}.podResources"
    if template.template_type in ("http", "plugin"):
        report.add(f"{prefix} is not supported for {type_name(template)} templates", f"{path}.podResources", rule="pod-resources")
    else:
        check_pod_resources(report, prefix, template.pod_resources, f"{path}.podResources")


def check_metrics(report: Report, template: Template, path: str) -> None:
    """The metrics of a template (rules 67 and 68)."""
    for index, metric in enumerate(template.metrics.prometheus if template.metrics else ()):
        place = f"{path}.metrics.prometheus[{index}]"
        prefix = f"templates.{template.name} metric"
        if not _METRIC_NAME.fullmatch(metric.name):
            text = f"{prefix} name '{metric.name}' is invalid. Metric names must contain alphanumeric characters or '_'"
            report.add(text, f"{place}.name", rule="metric")
        for label in metric.labels:
            if not _METRIC_NAME.fullmatch(label.key):
                text = f"metric label '{label.key}' is invalid: keys may only contain alphanumeric characters or '_'"
                report.add(text, f"{place}.labels", rule="metric")
        if not metric.help:
            report.add(f"{prefix} '{metric.name}' must contain a help string under 'help: ' field", place, rule="metric")
        fault = _metric_fault(metric)
        if fault:
            report.add(f"{prefix} '{metric.name}' error: {fault}", place, rule="metric")


def _metric_fault(metric: Prometheus) -> str:
    if metric.gauge is not None:
        if not metric.gauge.value:
            return "missing gauge.value"
        if metric.gauge.realtime and "resourcesDuration." in metric.gauge.value:
            return "'resourcesDuration.*' metrics cannot be used in real-time"
    if metric.counter is not None and not metric.counter.value:
        return "missing counter.value"
    if metric.histogram is not None and not metric.histogram.value:
        return "missing histogram.value"
    return ""
