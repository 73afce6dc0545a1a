"""Telling the user what is wrong: one line a problem on standard error, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import NoReturn, ParamSpec

import typer

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


__all__ = ["BAD_INPUT", "exits_cleanly", "tell_problems"]
