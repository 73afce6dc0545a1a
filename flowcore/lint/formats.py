"""Problems as other tools read them: lines for people, JSON, SARIF for code scanning, workflow commands of GitHub, and JUnit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from xml.sax.saxutils import escape, quoteattr

from flowcore.errors import Problem
from flowcore.jsontypes import Json, JsonObject
from flowcore.lint.rules import RULES


class Format(StrEnum):
    """What ``flowcore lint --format`` takes."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    JUNIT = "junit"


def formatted(problems: Sequence[Problem], files: Iterable[str], form: Format, *, version: str = "") -> str:
    """The problems of ``files`` in one of the formats, with a line end."""
    match form:
        case Format.JSON:
            return json.dumps([_plain(problem) for problem in problems], indent=2, ensure_ascii=False) + "\n"
        case Format.SARIF:
            return json.dumps(_sarif(problems, version), indent=2, ensure_ascii=False) + "\n"
        case Format.GITHUB:
            return "".join(_command(problem) for problem in problems)
        case Format.JUNIT:
            return _junit(problems, list(files))
        case _:
            return "".join(f"{'warning: ' if problem.severity == 'warning' else ''}{problem} [{problem.rule}]\n" for problem in problems)


def _plain(problem: Problem) -> JsonObject:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "rule": problem.rule,
        "severity": problem.severity,
        "message": problem.message,
        "remedy": problem.remedy,
    }


def _told(problem: Problem) -> str:
    return f"{problem.message} ({problem.remedy})" if problem.remedy else problem.message


# --- SARIF ------------------------------------------------------------------------------------------------------------------------


def _sarif(problems: Sequence[Problem], version: str) -> JsonObject:
    used = sorted({problem.rule for problem in problems})
    rules: list[Json] = [{"id": rule, "shortDescription": {"text": RULES.get(rule, rule)}} for rule in used]
    results: list[Json] = [_sarif_result(problem, used.index(problem.rule)) for problem in problems]
    driver: JsonObject = {"name": "flowcore", "rules": rules}
    if version:
        driver["version"] = version
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }


def _sarif_result(problem: Problem, index: int) -> JsonObject:
    place: JsonObject = {}
    if problem.file:
        place["artifactLocation"] = {"uri": problem.file.replace("\\", "/")}
        if problem.line is not None:
            place["region"] = {"startLine": problem.line, "startColumn": problem.column or 1}
    location: JsonObject = {"logicalLocations": [{"fullyQualifiedName": problem.path}]} if problem.path else {}
    if place:
        location["physicalLocation"] = place
    result: JsonObject = {"ruleId": problem.rule, "ruleIndex": index, "level": problem.severity, "message": {"text": _told(problem)}}
    return {**result, "locations": [location]} if location else result


# --- GitHub -----------------------------------------------------------------------------------------------------------------------


def _command(problem: Problem) -> str:
    places = {"file": problem.file, "line": problem.line, "col": problem.column, "title": f"flowcore {problem.rule}"}
    given = ",".join(f"{name}={_escaped(str(value), in_property=True)}" for name, value in places.items() if value is not None)
    where = f"{problem.path}: " if problem.path else ""
    return f"::{problem.severity} {given}::{_escaped(where + _told(problem))}\n"


def _escaped(text: str, *, in_property: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


# --- JUnit ------------------------------------------------------------------------------------------------------------------------


def _junit(problems: Sequence[Problem], files: list[str]) -> str:
    """One test case for each file; its errors are a failure, its warnings are output."""
    names = list(dict.fromkeys([*files, *(problem.file or "standard input" for problem in problems)]))
    cases = [_case(name, [problem for problem in problems if (problem.file or "standard input") == name]) for name in names]
    failures = sum("<failure" in case for case in cases)
    head = f'<testsuite name="flowcore lint" tests="{len(cases)}" failures="{failures}" errors="0">'
    return f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites>{head}\n{"".join(cases)}</testsuite></testsuites>\n'


def _case(name: str, problems: Sequence[Problem]) -> str:
    errors = [problem for problem in problems if problem.severity == "error"]
    warnings = [problem for problem in problems if problem.severity == "warning"]
    inner = ""
    if errors:
        inner += f"<failure message={quoteattr(_clean(errors[0].message))}>{_lines(errors)}</failure>"
    if warnings:
        inner += f"<system-out>{_lines(warnings)}</system-out>"
    return f'  <testcase classname="flowcore.lint" name={quoteattr(_clean(name))}>{inner}</testcase>\n'


def _lines(problems: Sequence[Problem]) -> str:
    return escape(_clean("\n".join(f"{problem} [{problem.rule}]" for problem in problems)))


def _clean(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(char for char in text if char in "\t\n\r" or ord(char) >= 32)


__all__ = ["Format", "formatted"]
