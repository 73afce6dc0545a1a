"""How ``flowcore --help`` lists the commands: in groups, in the order in which one meets them, each with the first sentence of its help."""

from __future__ import annotations

import inspect
import re

import typer
from typer.models import CommandInfo

_PANELS: dict[str, str] = {
    "Run and look": "run get list watch logs cp wait",
    "Before you run": "lint graph expr compat convert schema testgen",
    "Steer": "stop terminate suspend resume node",
    "Again": "retry resubmit fork",
    "Recorded runs": "submit serve cron template import archive delete",
    "This program": "completion cleanup version",
}
_PANEL_OF = {name: panel for panel, names in _PANELS.items() for name in names.split()}
_ORDER = list(_PANEL_OF)
_FIRST_SENTENCE = re.compile(r".*?[^.]\.(?=\s+[A-Z]|$)", re.DOTALL)


def arrange(app: typer.Typer) -> None:
    """Give every command and group of ``app`` its place. Called once, when all are there; unknown ones come last."""
    for command in app.registered_commands:
        name = _name(command)
        command.rich_help_panel = _PANEL_OF.get(name, "Other")
        command.short_help = _first_sentence(command.help or inspect.getdoc(command.callback) or "")
    for group in app.registered_groups:
        group.rich_help_panel = _PANEL_OF.get(_group_name(group), "Other")
    app.registered_commands.sort(key=lambda command: _place(_name(command)))


def _first_sentence(text: str) -> str:
    found = _FIRST_SENTENCE.match(text)
    return " ".join((found[0] if found else text).split())


def _name(command: CommandInfo) -> str:
    return command.name or str(getattr(command.callback, "__name__", ""))


def _group_name(group: object) -> str:
    inner = getattr(group, "typer_instance", None)
    return str(getattr(getattr(inner, "info", None), "name", "") or "")


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


__all__ = ["arrange"]
