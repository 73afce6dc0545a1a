"""Arguments, inputs, outputs and artifact locations: names, values, sources."""

from __future__ import annotations

import posixpath

from flowcore.models import Arguments, Artifact, ArtifactLocation, HDFSArtifact, Parameter, Template, ValueFrom
from flowcore.plan.validate_names import is_parameter, loose_name_faults, name_faults
from flowcore.plan.validate_report import Report

_ONLY = "valueFrom only allows: default, configMapKeyRef and supplied"


def check_arguments(report: Report, prefix: str, arguments: Arguments, path: str, *, may_be_empty: bool) -> None:
    """Arguments as they are passed: each named, and each with a value or a place."""
    for kind, things in (("parameters", arguments.parameters), ("artifacts", arguments.artifacts)):
        for index, fault in name_faults([thing.name for thing in things], loose=True):
            report.add(f"{prefix}{kind}{fault}", f"{path}.{kind}[{index}].name", rule="name")
    for index, parameter in enumerate(arguments.parameters):
        _check_argument(report, f"{prefix}{parameter.name}", parameter, f"{path}.parameters[{index}]", may_be_empty=may_be_empty)
    for index, artifact in enumerate(arguments.artifacts):
        place = f"{path}.artifacts[{index}]"
        if not artifact.from_ and not (artifact.has_location or artifact.has_key):
            report.add(f"{prefix}{artifact.name}.from, artifact location, or key is required", place, rule="artifact-source")
        if artifact.from_ and artifact.from_expression:
            text = f"{prefix}{artifact.name} shouldn't have both `from` and `fromExpression` in Artifact"
            report.add(text, place, rule="artifact-source")


def _check_argument(report: Report, name: str, parameter: Parameter, path: str, *, may_be_empty: bool) -> None:
    source = parameter.value_from
    if source is None and parameter.value is None and not may_be_empty:
        report.add(
            f"{name}.value or {name}.valueFrom is required", path, remedy="give it a value, for instance with -p", rule="argument-value"
        )
        return
    if source is not None and (not _may_supply(source) or _is_output_source(source)):
        report.add(f"{name}.{_ONLY}", f"{path}.valueFrom", rule="value-from")
    if "enum" not in parameter.model_fields_set:
        return
    if not parameter.enum:
        report.add(f"{name}.enum should contain at least one value", f"{path}.enum", rule="enum")
    elif parameter.value is None:
        if not may_be_empty:
            report.add(f"{name}.value is required", path, rule="enum")
    elif parameter.value not in parameter.enum:
        remedy = f"one of: {', '.join(parameter.enum)}"
        report.add(f"{name}.value should be present in {name}.enum list", f"{path}.value", remedy=remedy, rule="enum")


def _may_supply(source: ValueFrom) -> bool:
    return source.config_map_key_ref is not None or bool(source.event) or source.supplied is not None


def _is_output_source(source: ValueFrom) -> bool:
    return bool(source.path or source.json_path or source.parameter or source.expression)


def check_inputs(report: Report, template: Template, path: str) -> None:
    """Inputs as a template declares them (rules 7, 28 to 32)."""
    name = template.name
    for kind, things in (("parameters", template.inputs.parameters), ("artifacts", template.inputs.artifacts)):
        for index, fault in name_faults([thing.name for thing in things], loose=True):
            report.add(f"templates.{name}.inputs.{kind}{fault}", f"{path}.inputs.{kind}[{index}].name", rule="name")
    for index, artifact in enumerate(template.inputs.artifacts):
        place, reference = f"{path}.inputs.artifacts[{index}]", f"inputs.artifacts.{artifact.name}"
        _check_path(report, template, artifact, reference, place)
        if artifact.from_:
            report.add(f"templates.{name}.{reference}.from not valid in inputs", f"{place}.from", rule="artifact-source")
        check_location(report, f"templates.{name}.{reference}", artifact, place)


def _check_path(report: Report, template: Template, artifact: Artifact, reference: str, place: str) -> None:
    """A path where there is a file system, and none elsewhere."""
    if template.is_leaf:
        fault = _path_fault(artifact)
        if fault:
            report.add(f"error in templates.{template.name}.{reference}: {fault}", place, rule="artifact-path")
    elif artifact.path:
        text = f"templates.{template.name}.{reference}.path only valid in container/script templates"
        report.add(text, f"{place}.path", rule="artifact-path")


def _path_fault(artifact: Artifact) -> str:
    """Why the path cannot be used: there is none, or it climbs out of the folder in which it begins."""
    path = artifact.path
    if not path:
        return f"Artifact '{artifact.name}' did not specify a path"
    safe = ""
    if "/../" in path:
        safe = path[: path.index("/../")]
    elif path.endswith("/.."):
        safe = path[:-3]
    cleaned = posixpath.normpath(path)
    if safe and (not cleaned.startswith(f"{safe}/") or len(cleaned) <= len(safe) + 1):
        return f"Artifact '{artifact.name}' attempted to use a path containing '..'. Directory traversal is not permitted"
    return ""


def check_location(report: Report, prefix: str, location: ArtifactLocation, path: str) -> None:
    """A place of an artifact that Argo checks: git and hdfs."""
    if location.git is not None and not location.git.repo:
        report.add(f"{prefix}.git.repo is required", f"{path}.git", rule="artifact-location")
    if location.hdfs is not None:
        for fault in _hdfs_faults(f"{prefix}.hdfs", location.hdfs)[:1]:
            report.add(fault, f"{path}.hdfs", rule="artifact-location")


def _hdfs_faults(prefix: str, place: HDFSArtifact) -> list[str]:
    cache, keytab = place.krb_c_cache_secret is not None, place.krb_keytab_secret is not None
    service = bool(place.krb_service_principal_name) and place.krb_config_config_map is not None
    user = bool(place.krb_username) and bool(place.krb_realm)
    named = [f"{prefix}.{field}" for field in ("krbServicePrincipalName", "krbConfigConfigMap", "krbUsername", "krbRealm")]
    secrets = f"either {prefix}.hdfsUser, {prefix}.krbCCacheSecret or {prefix}.krbKeytabSecret is required"
    checks = (
        (not place.addresses, f"{prefix}.addresses is required"),
        (not place.path, f"{prefix}.path is required"),
        (not place.path.startswith("/"), f"{prefix}.path must be a absolute file path"),
        (not place.hdfs_user and not cache and not keytab, secrets),
        (keytab and not (service and user), f"{', '.join(named[:3])} and {named[3]} are required with {prefix}.krbKeytabSecret"),
        (cache and not service, f"{named[0]} and {named[1]} are required with {prefix}.krbCCacheSecret"),
    )
    return [text for fault, text in checks if fault]


def check_output_names(report: Report, template: Template, path: str) -> None:
    """The names of outputs (rule 51)."""
    for kind, things in (("parameters", template.outputs.parameters), ("artifacts", template.outputs.artifacts)):
        for index, fault in name_faults([thing.name for thing in things], loose=True):
            report.add(f"templates.{template.name}.outputs.{kind} {fault}", f"{path}.outputs.{kind}[{index}].name", rule="name")


def check_outputs(report: Report, template: Template, path: str) -> None:
    """Outputs as a template declares them, after its tags were found to be known (rules 51 to 57)."""
    for index, artifact in enumerate(template.outputs.artifacts):
        place, reference = f"{path}.outputs.artifacts[{index}]", f"outputs.artifacts.{artifact.name}"
        _check_path(report, template, artifact, reference, place)
        _check_global_name(report, f"templates.{template.name}.{reference}", artifact.global_name, place)
    for index, parameter in enumerate(template.outputs.parameters):
        place = f"{path}.outputs.parameters[{index}]"
        reference = f"templates.{template.name}.outputs.parameters.{parameter.name}"
        if _check_output_source(report, reference, parameter, place) and parameter.value_from is not None:
            _check_source_fits(report, template, reference, parameter.value_from, place)
        _check_global_name(report, reference, parameter.global_name, place)


def _check_global_name(report: Report, reference: str, name: str, place: str) -> None:
    if name and not is_parameter(name) and (fault := loose_name_faults(name)):
        report.add(f"{reference}.globalName: {fault}", f"{place}.globalName", rule="name")


def _check_output_source(report: Report, reference: str, parameter: Parameter, place: str) -> bool:
    """Exactly one of value and valueFrom, and one source in the latter; whether that holds."""
    source = parameter.value_from
    if source is not None and parameter.value is not None:
        report.add(f"{reference} has both valueFrom and value specified, choose one", place, rule="output-source")
        return False
    if source is None:
        if parameter.value is None:
            report.add(f"{reference} does not have valueFrom or value specified", place, rule="output-source")
        return parameter.value is not None
    given = [source.path, source.jq_filter, source.json_path, source.parameter, source.expression]
    count = sum(map(bool, given)) + (source.supplied is not None)
    if count == 0:
        text = "valueFrom type unspecified. choose one of: path, jqFilter, jsonPath, parameter, raw, expression"
        report.add(text, f"{place}.valueFrom", rule="output-source")
    elif count > 1:
        text = "multiple valueFrom types specified. choose one of: path, jqFilter, jsonPath, parameter, raw"
        report.add(text, f"{place}.valueFrom", rule="output-source")
    return count == 1


def _check_source_fits(report: Report, template: Template, reference: str, source: ValueFrom, place: str) -> None:
    """The source is one that the template's type can have."""
    where, kind = f"{place}.valueFrom", template.template_type
    if kind in ("container", "containerSet", "script") and not source.path:
        report.add(f"{reference}.path must be specified for {type_name(template)} templates", where, rule="output-source")
    elif kind == "resource" and not (source.jq_filter or source.json_path):
        text = f"{reference} .jqFilter or jsonPath must be specified for {type_name(template)} templates"
        report.add(text, where, rule="output-source")
    elif kind in ("dag", "steps") and not (source.parameter or source.expression):
        text = f"{reference}.parameter or expression must be specified for {type_name(template)} templates"
        report.add(text, where, rule="output-source")


def type_name(template: Template) -> str:
    """The template's type as Argo's messages write it."""
    kind = template.template_type or "unknown"
    return {"dag": "DAG", "http": "HTTP"}.get(kind, kind[0].upper() + kind[1:])
