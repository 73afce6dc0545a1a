"""Values that become part of shell or Python source, where a quote in them breaks the program or runs as code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from flowcore.errors import Problem
from flowcore.jsontypes import JsonObject, object_of, objects_of, strings_of, text_of

_TAG = re.compile(r"\{\{\s*(=?)\s*([^{}]+?)\s*\}\}|<<\s*(=?)\s*([^<>]+?)\s*>>")
_SHELL = re.compile(r"(.*/)?(ba|da|z|k|a)?sh")
_PYTHON = re.compile(r"(.*/)?python[\d.]*")
_TAKEN = frozenset({"HOME", "PATH", "PWD", "SECONDS", "RANDOM", "USER", "SHELL", "UID", "IFS", "LANG", "LINENO", "HOSTNAME", "_"})
# What has no quotes, blanks or signs in it, whoever runs the workflow.
_HARMLESS = re.compile(
    r"workflow\.(name|namespace|uid|status|duration|priority|serviceAccountName|mainEntrypoint|creationTimestamp.*)"
    r"|pod\.name|node\.name|retries|lastRetry\.(exitCode|status|duration)|(inputs|outputs)\.(artifacts|parameters)\.[^.]+\.path"
    r"|(steps|tasks)\.[^.]+\.(id|ip|status|exitCode|startedAt|finishedAt)"
)


def spliced_values(spec: JsonObject, path: str) -> Iterator[Problem]:
    """One warning for each piece of source that values become part of."""
    for index, template in enumerate(objects_of(spec, "templates")):
        here = f"{path}.templates[{index}]"
        for place, kind, source in _sources(template):
            tags = list(dict.fromkeys(tag for tag in _tags(source)))
            if tags:
                yield _spliced(kind, tags, f"{here}.{place}")


def _sources(template: JsonObject) -> Iterator[tuple[str, str, str]]:
    """Pieces of source: where they stand, their language, their text."""
    script = object_of(template, "script")
    language = _language(strings_of(script, "command"))
    if language:
        yield "script.source", language, text_of(script, "source")
    containers = [("container", object_of(template, "container"))]
    members = objects_of(object_of(template, "containerSet"), "containers")
    containers += [(f"containerSet.containers[{number}]", member) for number, member in enumerate(members)]
    for kind in ("initContainers", "sidecars"):
        containers += [(f"{kind}[{number}]", member) for number, member in enumerate(objects_of(template, kind))]
    for place, container in containers:
        command, args = strings_of(container, "command"), strings_of(container, "args")
        words = [(f"{place}.command[{number}]", word) for number, word in enumerate(command)]
        words += [(f"{place}.args[{number}]", word) for number, word in enumerate(args)]
        language = _language([*command, *args][:1])
        for (_, option), (where, word) in pairwise(words):
            if language and re.fullmatch(r"-\w*c", option):
                yield where, language, word


def _language(command: list[str]) -> str:
    if command and _SHELL.fullmatch(command[0]):
        return "shell"
    return "python" if command and _PYTHON.fullmatch(command[0]) else ""


def _tags(source: str) -> Iterator[str]:
    for match in _TAG.finditer(source):
        expression, name = match[1] or match[3], match[2] or match[4]
        if match[4] and not re.match(r"(inputs|workflow|steps|tasks|item|outputs)\b", name):
            continue  # a heredoc or a shift
        if expression or not _HARMLESS.fullmatch(name):
            yield match[0]


def _spliced(kind: str, tags: list[str], path: str) -> Problem:
    shown = ", ".join(tags[:3]) + (f" and {len(tags) - 3} more" if len(tags) > 3 else "")
    name = re.sub(r"\W+", "_", tags[0].strip("{}<>= ").split(".")[-1]).strip("_").upper() or "VALUE"
    name = f"{name}_VALUE" if name in _TAKEN or name[0].isdigit() else name
    read = f'"${name}"' if kind == "shell" else f'os.environ["{name}"]'
    remedy = f"pass it by env: [{{name: {name}, value: '{tags[0]}'}}] and read {read}"
    language = "a shell command" if kind == "shell" else "Python source"
    return Problem(f"{shown} becomes part of {language}", path, remedy=remedy, severity="warning", rule=f"spliced-{kind}")


__all__ = ["spliced_values"]
