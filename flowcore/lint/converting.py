"""Documents rewritten as text: tags from ``{{...}}`` to ``<<...>>`` and back, old names of fields to the newest. Comments and layout stay."""

from __future__ import annotations

import re
from enum import StrEnum

from flowcore import yaml
from flowcore.errors import InvalidWorkflow, UsageError
from flowcore.jsontypes import Json
from flowcore.language.tags import tags_in
from flowcore.lint.fixing import fixed
from flowcore.manifests import load_documents


class Delimiters(StrEnum):
    """How tags are written."""

    BRACES = "braces"
    ANGLES = "angles"


_BRACES = re.compile(r"\{\{(=?[^{}]*?)\}\}")
_START = re.compile(r"(^\s*(?:- +)*(?:[\w.$/-]+: +)?|[\[,{] *|: +)(?=<<)")


def converted(text: str, *, file: str | None = None, to: Delimiters | None = None) -> str:
    """``text`` with the newest field names and, if ``to`` says so, other delimiters; it means the same as before.

    Raises InvalidWorkflow for what cannot be read, and UsageError where the rewritten text would mean something else.
    """
    renamed = with_new_names(text, file=file)
    if to is None:
        return renamed
    before = [parsed.json for parsed in yaml.read(renamed, file=file)]
    angled = sorted({tag.whole for document in before for tag in tags_in(document) if tag.angled}, key=len, reverse=True)
    after = _to_angles(renamed) if to is Delimiters.ANGLES else _to_braces(renamed, angled)
    wanted = [_mapped(document, to, angled) for document in before]
    try:
        found = [parsed.json for parsed in yaml.read(after, file=file)]
    except InvalidWorkflow as error:
        raise UsageError(f"{file or 'the text'}: cannot be converted as it is laid out: {error.problems[0]}") from None
    if found != wanted:
        raise UsageError(f"{file or 'the text'}: cannot be converted as it is laid out; put values that begin with a tag into quotes first")
    return after


def with_new_names(text: str, *, file: str | None = None) -> str:
    """``text`` with the newest names of fields."""
    for _ in range(20):
        try:
            problems = [problem for document in load_documents(text, file=file) for problem in document.problems]
        except InvalidWorkflow as error:
            problems = list(error.problems)
        changed, mended = fixed(text, [problem for problem in problems if problem.rule in ("unknown-field", "old-name")])
        if not mended or changed == text:
            break
        text = changed
    return text


def _to_angles(text: str) -> str:
    return _BRACES.sub(_angled, text)


def _angled(match: re.Match[str]) -> str:
    """The tag with angles; expressions that compare keep their braces, since they hold angles themselves."""
    return match[0] if "<" in match[1] or ">" in match[1] else f"<<{match[1]}>>"


def _to_braces(text: str, tags: list[str]) -> str:
    """Each of ``tags`` with braces. A plain value that then begins with a brace gets quotes."""
    return "".join(_line_to_braces(line, tags) for line in text.splitlines(keepends=True))


def _line_to_braces(line: str, tags: list[str]) -> str:
    for tag in tags:
        place = line.find(tag)
        while place >= 0:
            braced = f"{{{{{tag[2:-2]}}}}}"
            end = place + len(tag)
            if _begins_value(line, place):
                end = _end_of_value(line, end)
                value = braced + line[place + len(tag) : end]
                braced = f'"{value}"' if '"' not in value and "\\" not in value else f"'{value}'"
            line = line[:place] + braced + line[end:]
            place = line.find(tag, place + len(braced))
    return line


def _begins_value(line: str, place: int) -> bool:
    return any(match.end() == place for match in _START.finditer(line))


def _end_of_value(line: str, start: int) -> int:
    """Where a plain value ends: at the end of the line, at a comment, or, inside of brackets, at the next sign."""
    opened = line[:start].count("[") + line[:start].count("{") > line[:start].count("]") + line[:start].count("}")
    match = re.compile(r"\s*(?:[,\]}]|\s#|$)" if opened else r"\s*(?:\s#|$)").search(line, start)
    return match.start() if match else len(line.rstrip())


def _mapped(value: Json, to: Delimiters, angled: list[str]) -> Json:
    """The document as it must be after the conversion."""
    if isinstance(value, str):
        if to is Delimiters.ANGLES:
            return _to_angles(value)
        for tag in angled:
            value = value.replace(tag, f"{{{{{tag[2:-2]}}}}}")
        return value
    if isinstance(value, list):
        return [_mapped(item, to, angled) for item in value]
    if isinstance(value, dict):
        return {str(_mapped(key, to, angled)): _mapped(item, to, angled) for key, item in value.items()}
    return value


__all__ = ["Delimiters", "converted", "with_new_names"]
