"""What pods do in the oracle's world: the rules of a case made into outcomes, worded as Argo words them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowcore.engine.messages import Invocation, MemberOutcome, Outcome
from flowcore.nodes import NodeType, Phase

Rule = Mapping[str, Any]
KILLED = 143
DEPENDENCY_FAILED = 64
DATA_RESULT = '["data-0.txt","data-1.txt"]'
HTTP_FAILED = "received non-2xx response code: 500"


class Rules:
    """The rules of a case: first match decides."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [(rule, re.compile(rule.get("match", {}).get("node", ""))) for rule in rules]

    def find(self, node_name: str, template: str, attempt: int = 0) -> Rule:
        """The rule for a node, or an empty one."""
        for rule, pattern in self._rules:
            wanted = rule.get("match", {}).get("template")
            if wanted is not None and wanted != template:
                continue
            if not pattern.search(node_name) or rule.get("nth", attempt) != attempt:
                continue
            return rule
        return {}

    def for_invocation(self, invocation: Invocation) -> Rule:
        """The rule for what an invocation runs."""
        return self.find(invocation.node_name, invocation.template_name, invocation.attempt)


def outcome_of(invocation: Invocation, rules: Rules) -> Outcome | None:
    """How the invocation ends; None: it runs until it is stopped."""
    rule = rules.for_invocation(invocation)
    phase = rule.get("phase", "Succeeded")
    if phase == "Running":
        return None
    if invocation.node_type in (NodeType.HTTP, NodeType.PLUGIN):
        return _by_agent(invocation, rule, phase)
    if invocation.body.get("containerSet"):
        return _of_set(invocation, rule, rules)
    if phase == "Failed":
        return _failed(invocation, rule)
    if phase == "Error":
        return _broken(invocation, rule)
    return _succeeded(invocation, rule)


def killed(invocation: Invocation) -> Outcome:
    """The end of work that was stopped."""
    if invocation.node_type in (NodeType.HTTP, NodeType.PLUGIN):
        return Outcome(phase=Phase.FAILED)
    names = _members(invocation)
    code = None if names and "main" not in names else KILLED
    members = {name: MemberOutcome(phase=Phase.FAILED, exit_code=KILLED, message=_error(name, KILLED, "", tail=True)) for name in names}
    return Outcome(phase=Phase.FAILED, exit_code=code, message=_error(names[0] if names else "main", KILLED, ""), members=members)


def _error(container: str, code: int, message: str, *, tail: bool = False) -> str:
    return f"{container}: Error (exit code {code})" + (f": {message}" if message or tail else "")


def _succeeded(invocation: Invocation, rule: Rule) -> Outcome:
    return Outcome(
        phase=Phase.SUCCEEDED,
        exit_code=0 if _has_main(invocation) else None,
        result=_result(invocation, rule) if invocation.capture_result else None,
        parameters={name: str(rule.get("parameters", {}).get(name, f"out-{name}")) for name in output_parameters(invocation)},
        artifacts=dict(_artifacts(invocation)),
        members={name: MemberOutcome(phase=Phase.SUCCEEDED, exit_code=0) for name in _members(invocation)},
    )


def _failed(invocation: Invocation, rule: Rule) -> Outcome:
    code = rule.get("exitCode", 1)
    return Outcome(
        phase=Phase.FAILED, exit_code=code, message=_error("main", code, rule.get("message", "")), **_named_outputs(invocation, rule)
    )


def _broken(invocation: Invocation, rule: Rule) -> Outcome:
    """The executor's own container fails after the work was done; resource and data pods have it only as init container."""
    own = "init" if invocation.body.get("resource") or invocation.body.get("data") else "wait"
    code = 0 if _has_main(invocation) else None
    message = _error(own, 1, rule.get("message", ""))
    members = {name: MemberOutcome(phase=Phase.SUCCEEDED, exit_code=0) for name in _members(invocation)}
    return Outcome(phase=Phase.ERROR, exit_code=code, message=message, members=members, **_named_outputs(invocation, rule))


def _named_outputs(invocation: Invocation, rule: Rule) -> dict[str, Any]:
    """Only what the rule names: work that failed reports nothing by itself. With that come its other parameters, empty or at their defaults."""
    named: dict[str, Any] = {}
    if rule.get("parameters"):
        given = rule["parameters"]
        named["parameters"] = {
            name: str(given.get(name, "")) for name in output_parameters(invocation) if name in given or not _default(invocation, name)
        }
    if "result" in rule and invocation.capture_result:
        named["result"] = rule["result"]
    return named


def _by_agent(invocation: Invocation, rule: Rule, phase: str) -> Outcome:
    message = rule.get("message", "")
    result = None
    if invocation.node_type is NodeType.HTTP:
        result = _result(invocation, rule)
        if phase == "Failed":
            message = message or HTTP_FAILED
    return Outcome(phase=Phase(phase), message=message if phase != "Succeeded" else "", result=result)


def _of_set(invocation: Invocation, rule: Rule, rules: Rules) -> Outcome:
    names = _members(invocation)
    if rule.get("phase") == "Error":
        return _broken(invocation, rule)
    if rule.get("phase") == "Failed":
        return _set_failed(invocation, "main" if "main" in names else names[0], rule)
    for name in names:
        own = rules.find(f"{invocation.node_name}.{name}", invocation.template_name, invocation.attempt)
        if own.get("phase") == "Failed":
            return _set_failed(invocation, name, own)
    return _succeeded(invocation, rule)


def _set_failed(invocation: Invocation, culprit: str, rule: Rule) -> Outcome:
    code, message = rule.get("exitCode", 1), ""  # what the container said is lost in a set
    members: dict[str, MemberOutcome] = {}
    blocked = {culprit}
    for container in invocation.body["containerSet"]["containers"]:
        name = container["name"]
        if name == culprit:
            members[name] = MemberOutcome(phase=Phase.FAILED, exit_code=code, message=_error(name, code, message, tail=True))
        elif blocked.intersection(container.get("dependencies") or ()):
            blocked.add(name)
            text = _error(name, DEPENDENCY_FAILED, "", tail=True)
            members[name] = MemberOutcome(phase=Phase.ERROR, exit_code=DEPENDENCY_FAILED, message=text)
        else:
            members[name] = MemberOutcome(phase=Phase.SUCCEEDED, exit_code=0)
    main = members["main"].exit_code if "main" in members else None
    outputs = _named_outputs(invocation, rule)
    return Outcome(phase=Phase.FAILED, exit_code=main, message=_error(culprit, code, message), members=members, **outputs)


# --- parts of an invocation -------------------------------------------------------------------------------------------------------


def _members(invocation: Invocation) -> list[str]:
    contained: Any = invocation.body.get("containerSet") or {}
    return [container["name"] for container in contained.get("containers") or ()]


def _has_main(invocation: Invocation) -> bool:
    return not _members(invocation) or "main" in _members(invocation)


def _result(invocation: Invocation, rule: Rule) -> str:
    if "result" in rule:
        return str(rule["result"])
    return DATA_RESULT if invocation.body.get("data") else f"result-{invocation.template_name}"


def output_parameters(invocation: Invocation) -> list[str]:
    """The output parameters that the work itself has to deliver."""
    outputs: Any = invocation.body.get("outputs") or {}
    return [
        parameter["name"]
        for parameter in outputs.get("parameters") or ()
        if parameter.get("valueFrom") and not {"expression", "parameter", "configMapKeyRef"}.intersection(parameter["valueFrom"])
    ]


def _default(invocation: Invocation, name: str) -> bool:
    outputs: Any = invocation.body.get("outputs") or {}
    found = next((parameter for parameter in outputs.get("parameters") or () if parameter["name"] == name), {})
    return found.get("valueFrom", {}).get("default") is not None


def _artifacts(invocation: Invocation) -> Iterator[tuple[str, dict[str, Any]]]:
    outputs: Any = invocation.body.get("outputs") or {}
    for artifact in outputs.get("artifacts") or ():
        if not (artifact.get("from") or artifact.get("fromExpression")):
            yield artifact["name"], _location(invocation, artifact)
    place: Any = invocation.body.get("archiveLocation") or {}
    if place.get("archiveLogs"):
        for name in (
            ["main", *(member for member in _members(invocation) if member != "main")] if _has_main(invocation) else _members(invocation)
        ):
            yield f"{name}-logs", _in_archive(place, f"{name}.log")


_STORES = ("s3", "gcs", "oss", "azure", "hdfs", "artifactory", "http", "raw", "git", "plugin")
_KEY_FIELDS = {"azure": "blob", "hdfs": "path", "artifactory": "url", "http": "url"}


def _location(invocation: Invocation, artifact: Mapping[str, Any]) -> dict[str, Any]:
    """The place that the document (or the engine) gave the artifact, or one beneath the archive location."""
    own = {store: dict(artifact[store]) for store in _STORES if isinstance(artifact.get(store), dict)}
    if any(place.get(_KEY_FIELDS.get(store, "key")) for store, place in own.items()):
        return own
    return _in_archive(invocation.body.get("archiveLocation") or {}, _file_name(artifact)) or own


def _file_name(artifact: Mapping[str, Any]) -> str:
    archive = artifact.get("archive") or {}
    name = str(artifact["name"])
    if "none" in archive:
        return name
    return f"{name}.zip" if "zip" in archive else f"{name}.tgz"


def _in_archive(archive: Mapping[str, Any], file: str) -> dict[str, Any]:
    for store in _STORES:
        place = archive.get(store)
        if isinstance(place, dict):
            field = _KEY_FIELDS.get(store, "key")
            return {store: {**place, field: posixpath.join(str(place.get(field, "")), file)}}
    return {}
