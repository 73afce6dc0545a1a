"""What lint can mend without changing what a document means: quotes in conditions, and old names of fields. Text is edited, layout stays."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowcore.errors import Problem

_FLOW = re.compile(r"^(\s*(?:-\s+)*)(mutex|semaphore|schedule):(\s+|$)(.*?)(\s+#.*)?$")
_NEW = {"mutex": "mutexes", "semaphore": "semaphores", "schedule": "schedules"}
_QUOTED_TAG = re.compile(r"with single quotes|write '(?P<tag>.+?)' with")


def fixed(text: str, problems: Iterable[Problem]) -> tuple[str, list[Problem]]:
    """The text with what could be mended, and the problems that this mended. Line numbers of ``problems`` are those of ``text``."""
    lines = text.splitlines(keepends=True)
    mended = []
    for problem in sorted(problems, key=lambda each: -(each.line or 0)):
        if problem.line is None or problem.line > len(lines):
            continue
        done = _quotes(lines, problem) if problem.rule == "unquoted-when" else _renamed(lines, problem)
        if done:
            mended.append(problem)
    return "".join(lines), mended[::-1]


def _quotes(lines: list[str], problem: Problem) -> bool:
    """Single quotes around the tag, where the condition is one line whose own quotes are double or none."""
    match = _QUOTED_TAG.search(problem.remedy or "")
    tag = match["tag"] if match else None
    number = (problem.line or 1) - 1
    line = lines[number]
    if not tag or line.count(tag) != 1 or "'" in line or "when:" not in line or line.rstrip().endswith(("|", ">", "|-", ">-")):
        return False
    lines[number] = line.replace(tag, f"'{tag}'")
    return True


def _renamed(lines: list[str], problem: Problem) -> bool:
    """``mutex: {...}`` becomes ``mutexes: [{...}]``; blocks below the key become the one element of a list."""
    if problem.rule not in ("unknown-field", "old-name"):
        return False
    number = _line_of_key(lines, problem)
    if number is None:
        return _renamed_within(lines, (problem.line or 1) - 1, problem.path.rpartition(".")[2])
    match = _FLOW.match(lines[number].rstrip("\r\n"))
    if match is None or problem.path.rpartition(".")[2] != match[2]:
        return False
    lead, key, gap, value, comment = match[1], match[2], match[3], match[4], match[5] or ""
    if value.startswith("#"):
        value, comment = "", f"{gap}{value}{comment}"
    end = lines[number][len(lines[number].rstrip("\r\n")) :]
    if value:
        if value.startswith(("&", "|", ">")):
            return False
        lines[number] = f"{lead}{_NEW[key]}:{gap}[{value}]{comment}{end}"
        return True
    return _as_element(lines, number, f"{lead}{_NEW[key]}:{comment}{end}", len(lead.replace("-", " ")))


def _renamed_within(lines: list[str], number: int, key: str) -> bool:
    """The same where the key stands within braces, once on its line and with its value."""
    line = lines[number]
    found = list(re.finditer(rf"(?<=[{{,\s]){re.escape(key)}:\s+(?=\S)", line)) if key in _NEW else []
    if len(found) != 1:
        return False
    start = found[0].end()
    end = _end_in_flow(line, start)
    if end is None:
        return False
    lines[number] = f"{line[: found[0].start()]}{_NEW[key]}: [{line[start:end]}]{line[end:]}"
    return True


def _end_in_flow(line: str, start: int) -> int | None:
    """Where a value within braces ends, or None if that is on another line."""
    depth, quote = 0, ""
    for place in range(start, len(line)):
        sign = line[place]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "{[":
            depth += 1
        elif sign in "}]," and depth == 0:
            return place
        elif sign in "}]":
            depth -= 1
    return None


def _line_of_key(lines: list[str], problem: Problem) -> int | None:
    """The line of the key: values in blocks begin on the line below it."""
    key = problem.path.rpartition(".")[2]
    for number in range((problem.line or 1) - 1, max(-1, (problem.line or 1) - 4), -1):
        if re.match(rf"\s*(?:-\s+)*{re.escape(key)}:", lines[number]):
            return number
    return None


def _as_element(lines: list[str], number: int, head: str, indent: int) -> bool:
    """The block below a key, with a dash before its first line and the others moved in as far."""
    last = number + 1
    while last < len(lines) and (not lines[last].strip() or len(lines[last]) - len(lines[last].lstrip()) > indent):
        last += 1
    block = [line for line in lines[number + 1 : last] if line.strip()]
    if not block or block[0].lstrip().startswith(("-", "#")):
        return False
    depth = len(block[0]) - len(block[0].lstrip())
    moved = [f"{line[:depth]}  {line[depth:]}" if line.strip() else line for line in lines[number + 1 : last]]
    first = next(place for place, line in enumerate(moved) if line.strip())
    moved[first] = f"{moved[first][:depth]}- {moved[first][depth + 2 :]}"
    lines[number:last] = [head, *moved]
    return True


__all__ = ["fixed"]
