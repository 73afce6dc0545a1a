"""Outcomes as a container run time would report them: declared outputs filled in, failures worded as Argo words them."""

from __future__ import annotations

from collections.abc import Mapping

from flowcore.jsontypes import JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.nodes import NodeType, Phase
from flowcore.ports import Invocation, MemberOutcome, Outcome
from flowcore_backends.fake.facts import Ending, Said
from flowcore_backends.fake.fitting import Fitting, spoken_name

KILLED = 143
_DEPENDENCY_FAILED = 64
_BY_AGENT = (NodeType.HTTP, NodeType.PLUGIN)
_LOCATIONS = ("s3", "gcs", "oss", "azure", "hdfs", "artifactory", "http", "raw", "git", "plugin")
# Output parameters that are no part of the work: the engine computes them, or somebody supplies them.
_NOT_OURS = ("expression", "parameter", "supplied")


class NotScripted(Exception):
    """An output is declared, has no default, and no fact says what it is; the text says which ``line`` to write (``when(...)...``)."""

    def __init__(self, what: str, line: str) -> None:
        self.line = line
        super().__init__(f"{what}: write fake.{line}")


def succeeded(invocation: Invocation, said: Said, fitting: Fitting | None) -> Outcome:
    """Success with every declared output. What is missing gets a visible value of ``fitting``; without it, raises NotScripted."""
    outputs = object_of(invocation.body, "outputs")
    if not outputs and not invocation.capture_result and invocation.node_type not in _BY_AGENT and "containerSet" not in invocation.body:
        return _SUCCEEDED
    return Outcome(
        phase=Phase.SUCCEEDED,
        exit_code=0 if _has_main(invocation) else None,
        result=_result(invocation, said, fitting),
        parameters=_parameters(invocation, objects_of(outputs, "parameters"), said, fitting),
        artifacts={text_of(artifact, "name"): location_of(artifact) for artifact in objects_of(outputs, "artifacts")},
        members={name: MemberOutcome(phase=Phase.SUCCEEDED, exit_code=0) for name in _members(invocation)},
    )


_SUCCEEDED = Outcome(phase=Phase.SUCCEEDED, exit_code=0)


def failed(invocation: Invocation, ending: Ending) -> Outcome:
    """Failure of the work, with the outputs that were named for it."""
    outputs = object_of(invocation.body, "outputs")
    declared = {text_of(parameter, "name") for parameter in objects_of(outputs, "parameters")}
    said = ending.said
    parameters = {name: value for name, value in said.parameters.items() if name in declared}
    artifacts = {
        name: location_of(artifact)
        for artifact in objects_of(outputs, "artifacts")
        if (name := text_of(artifact, "name")) in said.artifacts
    }
    if invocation.node_type in _BY_AGENT:
        message = ending.message or ("received non-2xx response code: 500" if invocation.node_type is NodeType.HTTP else "")
        return Outcome(phase=Phase.FAILED, message=message, result=said.result, parameters=parameters, artifacts=artifacts)
    members = _members(invocation)
    culprit = ending.container or ("main" if "main" in members or not members else members[0])
    ended = _members_after_failure(invocation, culprit, ending) if members else {}
    return Outcome(
        phase=Phase.FAILED,
        message=failure_text(culprit, ending.exit_code, ending.message),
        exit_code=ended["main"].exit_code if "main" in ended else None if ended else ending.exit_code,
        result=said.result if invocation.capture_result else None,
        parameters=parameters,
        artifacts=artifacts,
        members=ended,
    )


def broken(invocation: Invocation, message: str) -> Outcome:
    """Phase Error: the system's fault, not the work's."""
    members = {name: MemberOutcome(phase=Phase.ERROR, message=message) for name in _members(invocation)}
    return Outcome(phase=Phase.ERROR, message=message, members=members)


def killed(invocation: Invocation) -> Outcome:
    """The end of work that was stopped."""
    if invocation.node_type in _BY_AGENT:
        return Outcome(phase=Phase.FAILED)
    names = _members(invocation)
    members = {name: MemberOutcome(phase=Phase.FAILED, exit_code=KILLED, message=failure_text(name, KILLED, "") + ": ") for name in names}
    return Outcome(
        phase=Phase.FAILED,
        message=failure_text(names[0] if names else "main", KILLED, ""),
        exit_code=KILLED if _has_main(invocation) else None,
        members=members,
    )


def failure_text(container: str, exit_code: int, message: str) -> str:
    """The message of a node whose container failed: ``main: Error (exit code 1): disk full``."""
    return f"{container}: Error (exit code {exit_code})" + (f": {message}" if message else "")


def location_of(artifact: JsonObject) -> JsonObject:
    """Where an output artifact is stored: the location of its declaration."""
    return {kind: artifact[kind] for kind in _LOCATIONS if artifact.get(kind) is not None}


def supplied(invocation: Invocation, fitting: Fitting) -> dict[str, str]:
    """A visible value for each output that somebody would supply to a suspend node, and that has no default."""
    declared = objects_of(object_of(invocation.body, "outputs"), "parameters")
    sources = {text_of(parameter, "name"): object_of(parameter, "valueFrom") for parameter in declared}
    return {name: fitting.value(invocation, name) for name, source in sources.items() if "supplied" in source and "default" not in source}


# --- outputs ----------------------------------------------------------------------------------------------------------------------


def _result(invocation: Invocation, said: Said, fitting: Fitting | None) -> str | None:
    if said.result is not None and (invocation.capture_result or invocation.node_type in _BY_AGENT):
        return said.result
    if not invocation.capture_result:
        return "" if invocation.node_type is NodeType.HTTP else None
    if fitting is None:
        line = f"when({spoken_name(invocation)!r}).returns(...)"
        raise NotScripted(f"the result of {_place(invocation)} is used, and nothing says what it is", line)
    return fitting.value(invocation)


def _parameters(invocation: Invocation, declared: list[JsonObject], said: Said, fitting: Fitting | None) -> Mapping[str, str]:
    found: dict[str, str] = {}
    missing: list[str] = []
    for parameter in declared:
        name, source = text_of(parameter, "name"), object_of(parameter, "valueFrom")
        if name in said.parameters:
            found[name] = said.parameters[name]
        elif "default" in source or "value" in parameter or any(key in source for key in _NOT_OURS):
            continue
        elif fitting is not None:
            found[name] = fitting.value(invocation, name)
        else:
            missing.append(name)
    if missing:
        given = ", ".join(f"{name!r}: ..." for name in missing)
        what = f"nothing says what output parameter {missing[0]!r} of {_place(invocation)} is"
        raise NotScripted(what, f"when({spoken_name(invocation)!r}).outputs(parameters={{{given}}})")
    return found


def _place(invocation: Invocation) -> str:
    return f"template {invocation.template_name!r}" if invocation.template_name else f"node {invocation.node_name!r}"


# --- containers -------------------------------------------------------------------------------------------------------------------


def _has_main(invocation: Invocation) -> bool:
    if invocation.node_type in _BY_AGENT:
        return False
    members = _members(invocation)
    return not members or "main" in members


def _members(invocation: Invocation) -> list[str]:
    return [text_of(container, "name") for container in objects_of(object_of(invocation.body, "containerSet"), "containers")]


def _members_after_failure(invocation: Invocation, culprit: str, ending: Ending) -> dict[str, MemberOutcome]:
    """How each container of a set ended when ``culprit`` failed: what depends on it never ran, the rest succeeded."""
    ended: dict[str, MemberOutcome] = {}
    blocked = {culprit}
    for container in objects_of(object_of(invocation.body, "containerSet"), "containers"):
        name = text_of(container, "name")
        if name == culprit:
            text = f"{failure_text(name, ending.exit_code, '')}: {ending.message}"
            ended[name] = MemberOutcome(phase=Phase.FAILED, exit_code=ending.exit_code, message=text)
        elif blocked.intersection(strings_of(container, "dependencies")):
            blocked.add(name)
            text = failure_text(name, _DEPENDENCY_FAILED, "") + ": "
            ended[name] = MemberOutcome(phase=Phase.ERROR, exit_code=_DEPENDENCY_FAILED, message=text)
        else:
            ended[name] = MemberOutcome(phase=Phase.SUCCEEDED, exit_code=0)
    return ended


__all__ = ["NotScripted", "broken", "failed", "failure_text", "killed", "location_of", "succeeded", "supplied"]
