"""Commands on recorded runs: from ``submit`` to ``import``. Thin: what they do stands in ``flowcore.service`` and ``flowcore.operations``."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, TypeVar

import anyio
import typer

from flowcore.cli.inputs import given_by, parameters_of, saved_workflow
from flowcore.cli.output import Listing, Output
from flowcore.cli.problems import exits_cleanly
from flowcore.cli.stored_runs import follow_logs, listed, shown_until_end, told, worded_end
from flowcore.clocks import RealClock
from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase, RunRow
from flowcore.service import Runs
from flowcore.service.submission import workflow_from_cron, workflow_from_template
from flowcore.stores import open_store

T = TypeVar("T")
Name = Annotated[str, typer.Argument(metavar="NAME", help="A run: its name, its id, the beginning of either, or @latest.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Runs: names, ids, beginnings of either, or @latest.")]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="Where runs are recorded: sqlite:///FILE or postgresql://... Also FLOWCORE_STORE."),
]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Only in this namespace.")]
InNamespace = Annotated[
    str | None, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace it gets; else the document's, or default.")
]
Parameter = Annotated[
    list[str] | None, typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="A parameter of the workflow; may be repeated.")
]
Selector = Annotated[str, typer.Option("--node-field-selector", metavar="FIELD=VALUE", help="Nodes, such as displayName=approve.")]
Archived = Annotated[bool, typer.Option("--archived", help="Runs of the archive, not of the live list.")]
Format = Annotated[Output | None, typer.Option("--output", "-o", help="Print it in this form instead.")]


def with_runs(store: str | None, act: Callable[[Runs], Awaitable[T]]) -> T:
    """Do something with the runs of a store."""

    async def acting() -> T:
        opened = open_store(store)
        try:
            runs = Runs(opened, None, RealClock())
            await runs.catalog.refresh()
            return await act(runs)
        finally:
            await opened.close()

    return anyio.run(acting)


def submit(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="YAML or JSON files; - is standard input.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="KIND/NAME", help="Submit a template of the store, such as workflowtemplate/build.")
    ] = None,
    parameter: Parameter = None,
    parameter_file: Annotated[str | None, typer.Option("--parameter-file", "-f", metavar="FILE", help="A mapping of parameters.")] = None,
    entrypoint: Annotated[str | None, typer.Option(metavar="TEMPLATE", help="Begin with this template.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The name of the run.")] = None,
    namespace: InNamespace = None,
    output: Format = None,
    store: StoreUrl = None,
) -> int:
    """Record workflows for `flowcore serve` to run, or for `flowcore run --continue`."""
    documents = [document.json for document in given_by(files).workflows] if files else []
    if bool(files) == bool(source):
        raise UsageError("name files to submit, or a template with --from" + (", not both" if files else ""))
    values = parameters_of(parameter or (), parameter_file)

    async def act(runs: Runs) -> list[RunRow]:
        given = [*documents, *([await _from(runs, source, namespace)] if source else [])]
        return [await runs.submit(each, parameters=values, entrypoint=entrypoint, name=name, namespace=namespace) for each in given]

    for row in with_runs(store, act):
        typer.echo(row.name if output is Output.NAME else f"{row.name} submitted to namespace {row.namespace}: flowcore serve runs it")
    return 0


_KINDS = {"workflowtemplate": "WorkflowTemplate", "wftmpl": "WorkflowTemplate", "clusterworkflowtemplate": "ClusterWorkflowTemplate"}
_KINDS |= {"cwft": "ClusterWorkflowTemplate", "cronworkflow": "CronWorkflow", "cwf": "CronWorkflow", "cronwf": "CronWorkflow"}


async def _from(runs: Runs, source: str, namespace: str | None) -> JsonObject:
    kind, slash, name = source.partition("/")
    if not slash or kind.lower() not in _KINDS:
        raise UsageError(f"--from {source}: write --from workflowtemplate/NAME, clusterworkflowtemplate/NAME or cronworkflow/NAME")
    found = runs.catalog.get(_KINDS[kind.lower()], name, namespace or "default")
    if found is None:
        raise UsageError(f"--from {source}: the store has none of that name; flowcore template list shows which there are")
    return workflow_from_cron(found) if found.get("kind") == "CronWorkflow" else workflow_from_template(found)


def list_runs(
    namespace: Namespace = None,
    running: Annotated[bool, typer.Option("--running", help="Only those that have not ended.")] = False,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="Only those whose names begin so.")] = "",
    archived: Archived = False,
    output: Annotated[Listing, typer.Option("--output", "-o", help="How the list is printed.")] = Listing.TABLE,
    store: StoreUrl = None,
) -> int:
    """List recorded runs, newest first."""

    async def act(runs: Runs) -> None:
        await listed(runs, await runs.list(namespace, unfinished=running, prefix=prefix, archived=archived), output)

    with_runs(store, act)
    return 0


def logs(
    name: Name,
    node: Annotated[str | None, typer.Argument(metavar="NODE", help="Only of this node: its id, name or display name.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    container: Annotated[str, typer.Option("--container", "-c", metavar="NAME", help="Only of containers of this name.")] = "",
    grep: Annotated[str, typer.Option(metavar="PATTERN", help="Only lines in which this regular expression is found.")] = "",
    archived: Archived = False,
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Print what the nodes of a run printed."""
    try:
        found = re.compile(grep) if grep else None
    except re.error as error:
        raise UsageError(f"--grep {grep}: it is no regular expression: {error}") from None
    show = partial(
        follow_logs, name=name, namespace=namespace, node=node, follow=follow, archived=archived, container=container, grep=found
    )
    with_runs(store, show)
    return 0


def watch(name: Name, namespace: Namespace = None, store: StoreUrl = None) -> int:
    """Show a run until it has ended. Exits with 0 if it succeeded, else with 1."""
    return with_runs(store, lambda runs: shown_until_end(runs, name, namespace))


def wait(names: Names, namespace: Namespace = None, store: StoreUrl = None) -> int:
    """Wait until runs have ended. Exits with 0 if all succeeded, else with 1."""

    async def act(runs: Runs) -> int:
        rows = [
            (await runs.outline(name, namespace)).run for name in names
        ]  # what is wrong with a name is told before anything is waited for
        return max([await worded_end(runs, row.name, row.namespace) for row in rows])

    return with_runs(store, act)


def stop(
    names: Names,
    selector: Selector = "",
    message: Annotated[str, typer.Option(metavar="TEXT", help="A message for the nodes that are failed.")] = "",
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Stop runs; their exit handlers still run. With a selector, fail suspended nodes instead."""
    return _order(store, names, "stop", lambda runs, name: runs.stop(name, namespace, selector=selector, message=message))


def terminate(names: Names, namespace: Namespace = None, store: StoreUrl = None) -> int:
    """End runs at once, without exit handlers."""
    return _order(store, names, "terminate", lambda runs, name: runs.terminate(name, namespace))


def suspend(names: Names, namespace: Namespace = None, store: StoreUrl = None) -> int:
    """Start nothing new in runs until they are resumed."""
    return _order(store, names, "suspend", lambda runs, name: runs.suspend(name, namespace))


def resume(names: Names, selector: Selector = "", namespace: Namespace = None, store: StoreUrl = None) -> int:
    """Resume suspended runs, or suspended nodes of them."""
    return _order(store, names, "resume", lambda runs, name: runs.resume(name, namespace, selector=selector))


def _order(store: str | None, names: list[str], verb: str, act: Callable[[Runs, str], Awaitable[RunRow]]) -> int:
    async def ordered(runs: Runs, name: str) -> str:
        row = await act(runs, name)
        driven = [each.driver for each in await runs.list(row.namespace, prefix=row.name) if each.run.name == row.name]
        return told(row, verb, driven=any(driven))

    return _each(store, names, ordered)


def _each(store: str | None, names: list[str], act: Callable[[Runs, str], Awaitable[str]]) -> int:
    """Do something with each run, and print what is told of it."""

    async def acting(runs: Runs) -> None:
        for name in names:
            typer.echo(await act(runs, name))

    with_runs(store, acting)
    return 0


def retry(
    names: Names,
    restart_successful: Annotated[bool, typer.Option("--restart-successful", help="Also run again what the selector matches.")] = False,
    selector: Selector = "",
    parameter: Parameter = None,
    archived: Archived = False,
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Have ended runs go on from where they failed. That happens when somebody drives them: `flowcore serve`, or `flowcore run --continue NAME`."""
    values = parameters_of(parameter or (), None)

    async def act(runs: Runs, name: str) -> str:
        row = await runs.retry(
            name, namespace, restart_successful=restart_successful, selector=selector, parameters=values, archived=archived
        )
        return f"{row.name} will be retried: by flowcore serve, or by flowcore run --continue {row.name}"

    return _each(store, names, act)


def resubmit(
    names: Names,
    memoized: Annotated[bool, typer.Option("--memoized", help="Take over what had succeeded.")] = False,
    parameter: Parameter = None,
    archived: Archived = False,
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Record new runs of the same workflows."""
    values = parameters_of(parameter or (), None)

    async def act(runs: Runs, name: str) -> str:
        row = await runs.resubmit(name, namespace, memoized=memoized, parameters=values, archived=archived)
        return f"{row.name} submitted to namespace {row.namespace}: flowcore serve runs it, or flowcore run --continue {row.name}"

    return _each(store, names, act)


def fork(
    name: Name,
    selector: Annotated[str, typer.Option("--from-node", metavar="FIELD=VALUE", help="Where it begins, such as displayName=train.")] = "",
    file: Annotated[str | None, typer.Option("--file", metavar="FILE", help="A changed document of the workflow.")] = None,
    parameter: Parameter = None,
    new_name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The name of the new run.")] = None,
    archived: Archived = False,
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Record a new run that begins in the middle of an ended one; what was done before is taken over."""
    changed = given_by([file]).workflows[0].json if file is not None else None
    selector = selector if "=" in selector or not selector else f"displayName={selector}"
    values = parameters_of(parameter or (), None)

    async def act(runs: Runs) -> RunRow:
        return await runs.fork(name, namespace, selector=selector, parameters=values, changed=changed, name=new_name, archived=archived)

    row = with_runs(store, act)
    typer.echo(f"{row.name} forked: flowcore serve runs it, or flowcore run --continue {row.name}")
    return 0


def import_file(file: Annotated[str, typer.Argument(metavar="FILE", help="A Workflow with its status.")], store: StoreUrl = None) -> int:
    """Record a run from a Workflow with its status, as `flowcore get -o json` or `argo get -o json` wrote it."""
    document = saved_workflow(file)
    row = with_runs(store, lambda runs: runs.import_run(document))
    typer.echo(f"{row.name} imported ({row.phase or 'Pending'})")
    return 0


def set_node(
    name: Name,
    selector: Selector = "",
    parameter: Annotated[
        list[str] | None, typer.Option("--output-parameter", "-p", metavar="NAME=VALUE", help="An output to supply.")
    ] = None,
    phase: Annotated[str | None, typer.Option(metavar="PHASE", help="Succeeded, Failed, ...")] = None,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="A message for the nodes.")] = None,
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Set outputs, phase or message of suspended nodes."""
    values = parameters_of(parameter or (), None)
    if not (values or phase or message):
        raise UsageError("nothing to set: give --output-parameter, --phase or --message")
    if phase is not None and phase not in set(Phase):
        raise UsageError(f"--phase {phase}: a node's phase is one of {', '.join(Phase)}")
    wanted = Phase(phase) if phase is not None else None
    return _order(
        store, [name], "set", lambda runs, each: runs.set_node(each, selector, namespace, parameters=values, phase=wanted, message=message)
    )


def install(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    for name, command in _COMMANDS.items():
        app.command(name)(exits_cleanly(command))
    node = typer.Typer(name="node", help="Act on nodes of runs.", no_args_is_help=True)
    node.command("set")(exits_cleanly(set_node))
    app.add_typer(node)


_COMMANDS: dict[str, Callable[..., int]] = {
    "submit": submit,
    "list": list_runs,
    "logs": logs,
    "watch": watch,
    "wait": wait,
    "stop": stop,
    "terminate": terminate,
    "suspend": suspend,
    "resume": resume,
    "retry": retry,
    "resubmit": resubmit,
    "fork": fork,
    "import": import_file,
}

__all__ = ["Archived", "Name", "Namespace", "StoreUrl", "install", "with_runs"]
