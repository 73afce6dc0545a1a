"""Commands that take ended runs out of the list: ``archive`` and ``delete``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from flowcore.cli.operating import Archived, Namespace, StoreUrl, with_runs
from flowcore.cli.problems import exits_cleanly
from flowcore.cli.recording import catalog_of_run
from flowcore.errors import ExpressionError, UsageError
from flowcore.language.quantities import parse_duration
from flowcore.selection import find_run
from flowcore.service import Runs

Some = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Runs: names, ids, beginnings of either, or @latest.")]
Completed = Annotated[bool, typer.Option("--completed", help="All runs that have ended.")]
OlderThan = Annotated[str, typer.Option(metavar="DURATION", help="With --completed: only those that ended so long ago, such as 12h or 7d.")]


def delete(
    names: Some = None,
    completed: Completed = False,
    older_than: OlderThan = "",
    archived: Archived = False,
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Forget runs, with their nodes and logs."""
    age = _age(names, completed, older_than, "delete")

    async def act(runs: Runs) -> None:
        for name, where in [(name, namespace) for name in names or ()] or await _ended(runs, namespace, age, archived=archived):
            run = (await find_run(runs.store, name, where, archived=archived)).run
            fitted = Runs(runs.store, await catalog_of_run(runs.store, run), runs.clock)  # they know the repository of its artifacts
            await fitted.catalog.refresh()
            await fitted.delete(run.uid or run.name, run.namespace, archived=archived)
            typer.echo(f"{run.name} deleted")

    with_runs(store, act)
    return 0


def archive(
    names: Some = None,
    completed: Completed = False,
    older_than: OlderThan = "",
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Move ended runs out of the list into the archive. There `get`, `logs`, `list`, `retry`, `resubmit`, `fork` and `delete` find them with --archived."""
    age = _age(names, completed, older_than, "archive")

    async def act(runs: Runs) -> None:
        for name, where in [(name, namespace) for name in names or ()] or await _ended(runs, namespace, age):
            row = await runs.archive(name, where)
            typer.echo(f"{row.name} archived: flowcore get --archived {row.name}")

    with_runs(store, act)
    return 0


def _age(names: list[str] | None, completed: bool, older_than: str, verb: str) -> timedelta | None:
    """How long ago runs must have ended that are not named; None is no matter when. Raises UsageError for options that do not go together."""
    if bool(names) == completed:
        raise UsageError(f"name runs to {verb}, or give --completed" + (", not both" if names else ""))
    if not older_than:
        return None
    if not completed:
        raise UsageError(f"--older-than {older_than} is about runs that are not named: give it with --completed")
    return length_of(older_than, "--older-than")


async def _ended(runs: Runs, namespace: str | None, age: timedelta | None, *, archived: bool = False) -> list[tuple[str, str]]:
    """Ids, else names, and namespaces of the runs that ended so long ago."""
    rows = [each.run for each in await runs.list(namespace, archived=archived) if each.run.phase.completed]
    if age is not None:
        latest = datetime.now(UTC) - age
        rows = [row for row in rows if (row.finished_at or latest) <= latest]
    return [(row.uid or row.name, row.namespace) for row in rows]


def length_of(text: str, option: str) -> timedelta:
    """A length of time as people write it: ``90m``, ``12h``, and also days, which Go's durations do not have. Raises UsageError."""
    days = re.fullmatch(r"(\d{1,5})d", text)
    try:
        return timedelta(days=int(days[1])) if days else parse_duration(text)
    except ExpressionError:
        raise UsageError(f"{option} {text}: write a length of time such as 90m, 12h or 7d") from None


def install(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    app.command("archive")(exits_cleanly(archive))
    app.command("delete")(exits_cleanly(delete))


__all__ = ["install", "length_of"]
