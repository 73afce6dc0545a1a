"""Texts and archives that somebody might send by mistake or on purpose: pieces of real ones, cut, doubled, mixed and spiced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.targets import tarball

ROOT = Path(__file__).resolve().parents[2]
SPICE = [
    *("{{", "}}", "{{=", "<<", ">>", "<<=", "'", '"', "`", "\\", "\n", "\t", " ", "\x00", "\x7f", "\ud800", "\u2028", "ü", "🙂", "\ufeff"),
    *("&a ", "*a", "- ", ": ", "!!binary ", "!!python/object:os.system ", "? ", "|", ">", "---\n", "...\n", "%YAML 1.1\n", "#", "@", "%"),
    *("0x1F", "0b1", "0o7", "1e999", "-0", ".inf", ".nan", "9" * 40, "99999999999999999999h", "null", "~", "true", "no", "2001-01-01"),
    *("&&", "||", "!", "??", "?.", "..", "in", "not", "matches", "**", "%", "<=", "(", ")", "[", "]", "{", "}", "#", "let x = 1; x", "|"),
    *("item", "steps.one.outputs.result", "inputs.parameters.a", "sprig.repeat(99999999, 'x')", "A.Succeeded", "A-b.Daemoned", "@every 1s"),
    *("${x}", "$(x)", "../../etc/passwd", "/", "*/5", "1-7", "L", "a" * 3000, "[" * 60, "{" * 60, "(" * 300, "-" * 500, "a.b" * 200),
]
PHRASES = {
    "expressions": [
        "asInt(inputs.parameters.a) + 1",
        "[1, 2, 3] | filter(# > 1) | map(string(#))",
        "sprig.trim(' a ') ?? 'b'",
        "workflow?.name ?? item",
    ],
    "conditions": ["a == b", "'x' =~ '^x' && 3 > 2", "1 in (1, 2)", "a != '' || !(true)"],
    "dependencies": ["a && (b.Failed || !c.Skipped)", "A.Succeeded || B.AnySucceeded", "a"],
    "schedules": ["5 4 * * *", "@daily", "*/15 0-6,22 1 JAN-MAR MON", "CRON_TZ=Europe/Paris 0 0 * * *", "@every 1h30m"],
    "tags": ["{{inputs.parameters.a}} and {{=asInt(item)}}", "<<workflow.name>>-{{ steps.one.outputs.result }}", "{{a{{b}}c}}"],
}


def texts(name: str) -> list[str]:
    """Good beginnings for a target."""
    if name in PHRASES:
        return PHRASES[name]
    if name == "statuses":
        return [json.dumps(STATUS)]
    return [path.read_text() for path in sorted([*(ROOT / "docs" / "examples").glob("*.yaml"), *(ROOT / "tests" / "seeds").glob("*.yaml")])]


NODE = {
    "id": "wf-1",
    "name": "wf[0].a(0)",
    "displayName": "a(0)",
    "type": "Pod",
    "phase": "Failed",
    "boundaryID": "wf",
    "startedAt": "2024-01-01T00:00:00Z",
    "children": ["wf"],
    "outputs": {"parameters": [{"name": "x", "value": "1"}], "exitCode": "1"},
    "nodeFlag": {"retried": True},
    "inputs": {"parameters": [{"name": "p", "value": None}]},
}
STATUS = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "wf", "namespace": "ns", "uid": "u", "creationTimestamp": "2024-01-01T00:00:00Z", "labels": {"a": "b"}},
    "spec": {"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "i"}}]},
    "status": {
        "phase": "Running",
        "startedAt": "2024-01-01T00:00:00Z",
        "progress": "1/2",
        "nodes": {"wf-1": NODE, "wf": {**NODE, "id": "wf", "name": "wf", "type": "Steps", "boundaryID": ""}},
        "conditions": [{"type": "Completed", "status": "False"}],
        "synchronization": {"mutex": {"holding": [{"mutex": "ns/Mutex/m", "holder": "wf-1"}]}},
        "compressedNodes": "",
    },
}


def mutated(text: str, chance: Random) -> str:
    """``text`` after one to five accidents."""
    for _ in range(chance.randint(1, 5)):
        text = chance.choice(ACCIDENTS)(text, chance)[:20_000]
    return text


def _place(text: str, chance: Random) -> tuple[int, int]:
    start = chance.randint(0, len(text))
    return start, min(len(text), start + chance.choice([0, 1, 3, 10, 80]))


def _cut(text: str, chance: Random) -> str:
    start, end = _place(text, chance)
    return text[:start] + text[end:]


def _double(text: str, chance: Random) -> str:
    start, end = _place(text, chance)
    return text[:end] + text[start:end] * chance.choice([1, 2, 50]) + text[end:]


def _spice(text: str, chance: Random) -> str:
    start, end = _place(text, chance)
    return text[:start] + chance.choice(SPICE) + text[chance.choice([start, end]) :]


def _swap_lines(text: str, chance: Random) -> str:
    lines = text.split("\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def _indent(text: str, chance: Random) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    lines[at] = chance.choice(["", " ", "  ", "\t", "- "]) + (lines[at].lstrip() if chance.random() < 0.5 else lines[at])
    return "\n".join(lines)


def _value(text: str, chance: Random) -> str:
    """Another value behind a colon."""
    lines = text.split("\n")
    keyed = [index for index, line in enumerate(lines) if ":" in line]
    if not keyed:
        return _spice(text, chance)
    at = chance.choice(keyed)
    value = chance.choice(["[]", "{}", "null", "7", "-1", "3.5", "[[1]]", "{a: {b: [c]}}", "''", *SPICE])
    lines[at] = f"{lines[at].split(':', 1)[0]}: {value}"
    return "\n".join(lines)


ACCIDENTS: list[Callable[[str, Random], str]] = [_cut, _double, _spice, _spice, _swap_lines, _indent, _value, _value]


def archive(chance: Random) -> bytes:
    """An archive with hostile names, with some of its bytes changed."""
    parts = ["a", "b", "..", ".", "", "c" * 200, "/", "x\x01", "ü", "-"]
    names = ["/".join(chance.choice(parts) for _ in range(chance.randint(1, 4))) or "n" for _ in range(chance.randint(0, 4))]
    links = {
        chance.choice(["a", "l", "b/l"]): chance.choice(["/etc", "..", "../..", "a", "/tmp/x", "l"]) for _ in range(chance.randint(0, 2))
    }
    data = bytearray(tarball(names, links=links, sizes=chance.choice([0, 10, 3000])))
    for _ in range(chance.choice([0, 0, 1, 5, 50])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data[: chance.choice([len(data), len(data), chance.randrange(len(data))])])
