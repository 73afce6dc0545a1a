"""The page of all commands, read off the parser that the command line uses."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import EnumType
from typing import Any

from typer.main import get_command

from flowcore.cli.app import app

HEAD = """\
# Commands and options

Every command and option, made from the parser itself; [the command line](command-line.md) shows how they are used.
`-h` and `--help` print the same of any command.
"""


def page() -> str:
    """The page as Markdown."""
    return "\n".join([HEAD, *_commands("flowcore", get_command(app))])


def _commands(name: str, command: Any) -> Iterator[str]:
    for part in command.commands.values():
        whole = f"{name} {part.name}"
        if hasattr(part, "commands"):
            yield from _commands(whole, part)
        else:
            yield _section(whole, part)


def _section(name: str, command: Any) -> str:
    shown = [parameter for parameter in command.params if parameter.name != "help" and not getattr(parameter, "hidden", False)]
    arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
    options = [parameter for parameter in shown if parameter.param_type_name == "option"]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *(_argument(one) for one in arguments)])
    lines = [f"## {name}", "", "```text", usage, "```", "", inspect.cleandoc(command.help or ""), ""]
    rows = [(f"`{_argument(one)}`", _told(one)) for one in arguments] + [(_spelling(one), _told(one)) for one in options]
    if rows:
        lines += ["| | |", "|---|---|", *(f"| {spelling} | {told} |" for spelling, told in rows), ""]
    return "\n".join(lines)


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name.upper()).strip("{}[]").removesuffix("...")
    shown = f"{name}..." if parameter.nargs == -1 else name
    return shown if parameter.required else f"[{shown}]"


def _spelling(parameter: Any) -> str:
    names = sorted([*parameter.opts, *parameter.secondary_opts], key=lambda name: name.startswith("--"))
    if not parameter.is_flag:
        names[-1] += f" {_value(parameter)}"
    return ", ".join(f"`{name}`" for name in names).replace("|", "\\|")


def _value(parameter: Any) -> str:
    """What stands for the value of an option; the members where it is an enumeration (typer has moved that from ``type`` elsewhere)."""
    choices = getattr(getattr(parameter, "type", None), "choices", None)
    if choices is None:
        kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
        choices = list(kind) if isinstance(kind, EnumType) else None
    if choices and not parameter.metavar:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    return str(parameter.metavar or parameter.name.upper())


def _told(parameter: Any) -> str:
    text = " ".join((parameter.help or "").split())
    default = parameter.default
    if getattr(parameter, "multiple", False) and "repeated" not in text:
        text += " May be repeated."
    if isinstance(default, str | int | float) and default and not isinstance(default, bool):
        text += f" Default: `{getattr(default, 'value', default)}`."
    return text.strip().replace("|", "\\|")
