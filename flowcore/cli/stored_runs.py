"""Recorded runs on the terminal: lists, logs, and what a run looks like until it ends."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import anyio
import typer

from flowcore.cli.logs import prefixed
from flowcore.cli.output import Listing, Output, write, write_list, write_table
from flowcore.cli.summary import described, status_of
from flowcore.durable import StoredSummary, archive_key, outline
from flowcore.errors import UsageError
from flowcore.jsontypes import object_of
from flowcore.language.quantities import humanize
from flowcore.nodes import NodeId, RunRow, WorkflowPhase
from flowcore.operations import export_run
from flowcore.operations.estimates import with_estimates
from flowcore.ports import StoredRun
from flowcore.results import RunResult
from flowcore.service import Runs
from flowcore.status import children_of, progress_of

_LOOKED_EVERY = 0.5


async def listed(runs: Runs, summaries: Sequence[StoredSummary], output: Listing) -> None:
    """Print a list of runs."""
    if output in (Listing.JSON, Listing.YAML):
        stored = [await runs.store.load(each.key, each.run.namespace) for each in summaries]
        write_list([export_run(each) for each in stored if each is not None], output)
        return
    if output is Listing.NAME:
        for each in summaries:
            typer.echo(each.run.name)
        return
    wide = output is Listing.WIDE
    head = ["NAME", "NAMESPACE", "STATUS", "AGE", "DURATION", "PRIORITY", "MESSAGE"]
    rows = [head + (["PROGRESS", "DRIVEN BY", "ID"] if wide else [])]
    rows += [await _row(runs, each, wide=wide) for each in summaries]
    write_table(rows, "run" if not summaries or not summaries[0].archived else "archived run")


async def _row(runs: Runs, summary: StoredSummary, *, wide: bool) -> list[str]:
    run, now = summary.run, datetime.now(UTC)
    stored = await outline(runs.store, summary.key, run.namespace)
    priority = object_of(stored.manifest, "spec").get("priority") if stored is not None else None
    age = _short((now - run.created_at).total_seconds()) if run.created_at is not None else ""
    duration = _short(((run.finished_at or now) - run.started_at).total_seconds()) if run.started_at is not None else "0s"
    row = [run.name, run.namespace, status_of(run), age, duration, str(priority or 0), run.message.split("\n")[0][:80]]
    if wide and stored is not None:
        rows = sorted(stored.nodes, key=lambda node: node.seq)
        driver = summary.driver.split("/")[1] if summary.driver else ""
        row += [progress_of(rows, children_of(rows)).run, driver, run.uid]
    return row


def _short(seconds: float) -> str:
    """A length of time in its largest unit, as argo list shows it."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(int(seconds), 0)}s"


def told(row: RunRow, verb: str, *, driven: bool) -> str:
    """What is said after an order."""
    if row.suspended and verb in ("stop", "terminate"):
        return f"{row.name}: {verb} ordered; a suspended run ends when it is resumed: flowcore resume {row.name}"
    when = "" if driven else f"; it is done when somebody drives it: flowcore serve, or flowcore run --continue {row.name}"
    return f"{row.name}: {verb} ordered{when}"


async def shown(runs: Runs, name: str, namespace: str | None, output: Output | None, *, archived: bool = False) -> None:
    """Print one run: its tree, or its document."""
    stored = await runs.get(name, namespace, archived=archived)
    estimates = await runs.estimates(stored)
    if output is not None:
        write([with_estimates(export_run(stored), estimates)], output)
    else:
        typer.echo(described(stored.manifest, stored.run, stored.nodes, now=datetime.now(UTC), estimate=estimates.run), nl=False)


async def follow_logs(
    runs: Runs,
    name: str,
    namespace: str | None,
    node: str | None,
    *,
    follow: bool,
    archived: bool = False,
    container: str = "",
    grep: re.Pattern[str] | None = None,
) -> None:
    """Print kept output, of one ``container`` and what ``grep`` finds if they are given; with ``follow`` until the run has ended."""
    after = 0
    while True:
        stored = await runs.outline(name, namespace, archived=archived)
        ended = stored.run.phase.completed
        nodes = {row.id: row for row in stored.nodes}
        wanted = _node_of(stored, node) if node is not None else None
        lines = await runs.store.logs(
            archive_key(stored.run) if archived else stored.run.name, stored.run.namespace, node=wanted, after=after
        )
        for line in lines:
            after = line.id
            if container and line.logged.container != container:
                continue
            for source, text in prefixed(line.logged, stored.run, nodes):
                if grep is None or grep.search(text):
                    typer.echo(f"{source}: {text}")
        if not lines and (ended or not follow):
            return
        if not lines:
            await anyio.sleep(_LOOKED_EVERY)


def _node_of(stored: StoredRun, text: str) -> NodeId:
    if not stored.nodes:
        raise UsageError(f"run {stored.run.name} has no nodes yet: it is {stored.run.phase or 'Pending'}")
    try:
        return RunResult(stored.run, {row.id: row for row in stored.nodes}, stored.manifest).node(text).id
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None


async def shown_until_end(runs: Runs, name: str, namespace: str | None) -> int:
    """Print a run whenever it has changed, until it has ended; the exit status."""
    before = ""
    estimate = (await runs.estimates(await runs.get(name, namespace))).run
    while True:
        stored = await runs.get(name, namespace)
        now = stored.run.finished_at or datetime.now(UTC)
        text = described(stored.manifest, stored.run, stored.nodes, now=now, estimate=estimate)
        tree = text.partition("\n\n")[2]
        if tree != before or stored.run.phase.completed:
            sys.stdout.write("\033[H\033[2J" + text if sys.stdout.isatty() else text + "\n")
            sys.stdout.flush()
            before = tree
        if stored.run.phase.completed:
            return 0 if stored.run.phase is WorkflowPhase.SUCCEEDED else 1
        await anyio.sleep(_LOOKED_EVERY)


async def worded_end(runs: Runs, name: str, namespace: str | None) -> int:
    """Wait for the end of a run and say it in one line; the exit status."""
    while True:
        run = (await runs.outline(name, namespace)).run
        if run.phase.completed:
            length = f" after {humanize(run.finished_at - run.started_at)}" if run.finished_at and run.started_at else ""
            typer.echo(f"{run.name} {run.phase}{length}")
            return 0 if run.phase is WorkflowPhase.SUCCEEDED else 1
        name, namespace = run.name, run.namespace
        await anyio.sleep(_LOOKED_EVERY)


__all__ = ["follow_logs", "listed", "shown", "shown_until_end", "told", "worded_end"]
