"""Artifacts on their way from one template to the next: where ``from`` and ``fromExpression`` point, sub-paths, and default keys.

Nothing is read or written here: an artifact is its location.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expressions import compile_expression
from flowcore.language.scope import ABSENT, MISSING, Scope
from flowcore.language.tags import substitute

DEFAULT_KEY_FORMAT = "{{workflow.name}}/{{pod.name}}"
KEY_FIELDS = {
    "s3": "key",
    "gcs": "key",
    "oss": "key",
    "azure": "blob",
    "hdfs": "path",
    "artifactory": "url",
    "http": "url",
    "plugin": "key",
}
LOCATIONS = (*KEY_FIELDS, "git", "raw")  # the fields of an artifact that say where it is

_KEY_FORMATS = {"azure": "blobNameFormat", "hdfs": "pathFormat"}  # all others say keyFormat


def key_format_of(kind: str, repository: JsonObject) -> str:
    """How an artifact repository of that kind names artifacts that have no key; empty if it does not say."""
    own = text_of(repository, _KEY_FORMATS.get(kind, "keyFormat")) or text_of(repository, "keyFormat")
    if own or kind != "s3" or not (prefix := text_of(repository, "keyPrefix")):
        return own
    return f"{prefix.rstrip('/')}/{DEFAULT_KEY_FORMAT}"


def unwrap(tag: str) -> str:
    """The name inside ``{{name}}`` or ``<<name>>``; text without delimiters is a name already."""
    text = tag.strip()
    for opening, closing in (("{{", "}}"), ("<<", ">>")):
        text = text.removeprefix(opening).removesuffix(closing)
    return text.strip()


def resolve_variable(tag: str, scope: Scope) -> Json:
    """What a tag or a bare name stands for, with its type kept. Raises ExpressionError, worded as Argo does."""
    name = unwrap(tag)
    if name.startswith("="):
        return _evaluate_tag(name[1:], scope)
    value = scope.lookup(name)
    if value is MISSING:
        raise ExpressionError(f'Unable to resolve: "{name}"')
    return None if value is ABSENT else value


def _evaluate_tag(source: str, scope: Scope) -> Json:
    try:
        result = compile_expression(source).evaluate(scope.environment(), functions=ARGO_FUNCTIONS)
    except ExpressionError as error:
        kind = "Unable to compile" if error.stage == "compile" else "Invalid expression"
        raise ExpressionError(f'{kind}: "{source}"') from None
    if result is None:
        raise ExpressionError(f'Unable to resolve: "={source}"')
    return cast("Json", result)


def resolve_artifact(artifact: JsonObject, scope: Scope) -> JsonObject:
    """The artifact that ``artifact`` refers to, with its sub-path appended to the key. Raises ExpressionError."""
    expression = text_of(artifact, "fromExpression")
    if expression:
        found = compile_expression(expression).evaluate(scope.environment(), functions=ARGO_FUNCTIONS)
    else:
        found = resolve_variable(text_of(artifact, "from"), scope)
    if not isinstance(found, dict):
        raise ExpressionError(f"Variable {{{{{text_of(artifact, 'from') or expression}}}}} is not an artifact")
    resolved = cast("JsonObject", found)
    sub_path = text_of(artifact, "subPath")
    return append_to_key(resolved, substitute(sub_path, scope)) if sub_path else resolved


def append_to_key(artifact: JsonObject, sub_path: str) -> JsonObject:
    """``artifact`` at ``sub_path`` below its key."""
    return _with_key(artifact, lambda key: _below(key, sub_path))


def with_key(artifact: JsonObject, key: str) -> JsonObject:
    """``artifact`` at another key of its store, or at another path of its server. Raises ExpressionError if it has none."""
    return _with_key(artifact, lambda _: key)


def _with_key(artifact: JsonObject, change: Callable[[str], str]) -> JsonObject:
    for kind, field in KEY_FIELDS.items():
        location = artifact.get(kind)
        if isinstance(location, dict) and location.get(field):
            key = str(location[field])
            return {**artifact, kind: {**location, field: _with_path(key, change) if field == "url" else change(key)}}
    if artifact.get("optional"):
        return artifact
    raise ExpressionError("key unsupported: the artifact has no location with a key")


def _below(key: str, sub_path: str) -> str:
    return str(PurePosixPath(key or "/") / sub_path.lstrip("/"))


def _with_path(url: str, change: Callable[[str], str]) -> str:
    """Of a URL it is the path that is the key."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ExpressionError(f"the artifact's url {url[:200]!r} cannot be read: {error}") from None
    return urlunsplit(parts._replace(path=change(parts.path)))


def has_key(artifact: JsonObject) -> bool:
    """Whether an artifact says where it is to be stored."""
    if any(object_of(artifact, kind).get(field) for kind, field in KEY_FIELDS.items()):
        return True
    return bool(artifact.get("raw")) or bool(artifact.get("git"))


def file_name(artifact: JsonObject) -> str:
    """The last part of the default key of an output artifact."""
    archive = object_of(artifact, "archive")
    name = text_of(artifact, "name")
    if "none" in archive and archive["none"] is not None:
        return PurePosixPath(text_of(artifact, "path")).name
    return f"{name}.zip" if archive.get("zip") is not None else f"{name}.tgz"


def placed(body: JsonObject, location: JsonObject, *, archive_logs: bool) -> JsonObject:
    """A template body in which all that it leaves behind has a place.

    ``location`` is the default repository with the key of this pod; output artifacts without a place of their own are files beneath it, and
    so are logs, if they are archived. A template's own ``archiveLocation`` goes before it.
    """
    outputs = object_of(body, "outputs")
    artifacts = objects_of(outputs, "artifacts")
    if not archive_logs and all(has_key(artifact) for artifact in artifacts):
        return body
    own = object_of(body, "archiveLocation")
    where: JsonObject = dict(own if has_key(own) else location)
    if archive_logs:
        where["archiveLogs"] = True
    made: JsonObject = {**body, "archiveLocation": where}
    if artifacts:
        made["outputs"] = {**outputs, "artifacts": [_placed(artifact, where) for artifact in artifacts]}
    return made


def _placed(artifact: JsonObject, where: JsonObject) -> Json:
    if has_key(artifact):
        return artifact
    for kind, field in KEY_FIELDS.items():
        location = object_of(where, kind)
        if location:
            return {**artifact, kind: {field: f"{location.get(field, '')}/{file_name(artifact)}".lstrip("/")}}
    return artifact
