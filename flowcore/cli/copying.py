"""``flowcore cp``: the output artifacts of a recorded run as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flowcore.cli.operating import Archived, Name, Namespace, StoreUrl, with_runs
from flowcore.cli.problems import exits_cleanly
from flowcore.cli.recording import catalog_of_run
from flowcore.errors import UsageError
from flowcore.selection import find_run
from flowcore.service import Runs
from flowcore.service.copying import PATTERN, Wanted


def cp(
    name: Name,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files go.")],
    node: Annotated[str, typer.Option(metavar="NODE", help="Only of this node: its id, name or display name.")] = "",
    template: Annotated[str, typer.Option("--template-name", metavar="NAME", help="Only of nodes of this template.")] = "",
    artifact: Annotated[str, typer.Option("--artifact-name", metavar="NAME", help="Only artifacts of this name.")] = "",
    path: Annotated[
        str, typer.Option(metavar="PATTERN", help="Where in the folder each artifact goes; {templateName} is known too.")
    ] = PATTERN,
    resource: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="A file or folder with the artifact repository and its Secrets.")
    ] = None,
    archived: Archived = False,
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Copy the output artifacts of a run, unpacked, into a folder. Exits with 1 if one cannot be had."""

    async def act(runs: Runs) -> int:
        run = (await find_run(runs.store, name, namespace, archived=archived)).run
        fitted = Runs(runs.store, await catalog_of_run(runs.store, run, resource or ()), runs.clock)
        await fitted.catalog.refresh()
        wanted = Wanted(node, template, artifact)
        copied = await fitted.copy_artifacts(run.uid or run.name, folder, run.namespace, wanted=wanted, pattern=path, archived=archived)
        if not copied:
            raise UsageError(f"run {run.name} has no output artifact that fits: flowcore get -o yaml {run.name} shows which there are")
        for each in copied:
            if each.path is not None:
                typer.echo(str(each.path))
            else:
                sys.stderr.write(f"{each.node}: {each.artifact}: {each.problem}\n")
        return 1 if any(each.path is None for each in copied) else 0

    return with_runs(store, act)


def install(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("cp")(exits_cleanly(cp))


__all__ = ["install"]
