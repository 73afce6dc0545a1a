"""Telling the user what is wrong: one line a problem on standard error, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, NoReturn, ParamSpec, cast

import typer
from typer.core import TyperGroup

from flowcore.errors import FlowError, InvalidWorkflow, Problem

P = ParamSpec("P")
BAD_INPUT = 2


def tell_problems(problems: Iterable[Problem]) -> None:
    """Print ``problems`` to standard error, warnings marked as such."""
    for problem in problems:
        mark = "warning: " if problem.severity == "warning" else ""
        sys.stderr.write(f"{mark}{problem}\n")


def exits_cleanly(command: Callable[P, int]) -> Callable[P, NoReturn]:
    """A command that exits with the status it returns, and with 2 after telling what is wrong with what it was given."""

    @wraps(command)
    def carried_out(*args: P.args, **kwargs: P.kwargs) -> NoReturn:
        try:
            status = command(*args, **kwargs)
            sys.stdout.flush()
        except InvalidWorkflow as error:
            tell_problems(error.problems)
            status = BAD_INPUT
        except FlowError as error:
            sys.stderr.write(f"flowcore: {error}\n")
            status = BAD_INPUT
        except BrokenPipeError:  # the reader of our output has gone
            sys.stdout = None
            status = 1
        raise typer.Exit(status)

    return carried_out


_BAD_USE = cast("type[Exception]", typer.BadParameter.__bases__[0])  # what the parser raises for all that it cannot understand


class OneLineGroup(TyperGroup):
    """The commands, with what the parser does not understand told in one line like everything else."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Carry out a command line; exits unless ``standalone_mode`` is off."""
        try:
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except _BAD_USE as error:
            if not standalone_mode:
                raise
            _tell_bad_use(error)
            status = BAD_INPUT
        return sys.exit(status if isinstance(status, int) else 0) if standalone_mode else status


def _tell_bad_use(error: Any) -> None:
    """One line; a group that was called without a command shows its help."""
    text = " ".join(error.format_message().split())
    if error.ctx is None or "NoArgs" in type(error).__name__:
        error.show()
    else:
        sys.stderr.write(f"flowcore: {text.replace('Value error, ', '').rstrip('.')} ({error.ctx.command_path} -h tells more)\n")


__all__ = ["BAD_INPUT", "OneLineGroup", "exits_cleanly", "tell_problems"]
