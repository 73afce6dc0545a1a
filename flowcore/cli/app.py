"""The commands and their options. What they do stands in the modules beside this one."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated

import typer

from flowcore.cli import copying, forgetting, operating, serving, shared_documents
from flowcore.cli.cleaning import remove_leftovers
from flowcore.cli.documents import register
from flowcore.cli.execution import Order, carry_on, carry_out
from flowcore.cli.inputs import saved_workflow
from flowcore.cli.operating import Archived, with_runs
from flowcore.cli.output import Output, write
from flowcore.cli.panels import arrange
from flowcore.cli.problems import OneLineGroup, exits_cleanly
from flowcore.cli.stored_runs import shown
from flowcore.cli.summary import described
from flowcore.errors import UsageError
from flowcore.status import rows_from_status

app = typer.Typer(
    name="flowcore",
    cls=OneLineGroup,
    help="Run, check and look at Argo workflows on this machine. Begin with `flowcore run FILE`; `flowcore COMMAND --help` tells more of each command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Files = Annotated[list[str], typer.Argument(metavar="FILE", help="YAML or JSON files; - is standard input.")]
Templates = Annotated[
    list[Path] | None, typer.Option("--template", metavar="PATH", help="A file or folder of shared templates; may be repeated.")
]
Resources = Annotated[
    list[Path] | None, typer.Option("--resource", metavar="PATH", help="A file or folder of ConfigMaps and Secrets; may be repeated.")
]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="Where runs are recorded: sqlite:///FILE, postgresql://..., or none. Also FLOWCORE_STORE."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Take warnings about documents, and outputs that nobody scripted, as errors.")]


@app.command()
@exits_cleanly
def run(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="YAML or JSON files; - is standard input.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="A parameter of the workflow; may be repeated.")
    ] = None,
    parameter_file: Annotated[
        str | None, typer.Option("--parameter-file", "-f", metavar="FILE", help="A mapping of parameters, YAML or JSON.")
    ] = None,
    entrypoint: Annotated[str | None, typer.Option(metavar="TEMPLATE", help="Begin with this template.")] = None,
    backend: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What runs the leaves: local (processes), fake (nothing, in virtual time), docker, kubernetes, or auto: docker where an engine answers, else local.",
        ),
    ] = "auto",
    backend_option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="An option of the backend, such as allow-shared-paths=true.")
    ] = None,
    template: Templates = None,
    resource: Resources = None,
    artifact: Annotated[
        list[str] | None, typer.Option("--artifact", metavar="NAME=PATH", help="A file or folder as artifact of the workflow.")
    ] = None,
    output: Annotated[
        Output | None, typer.Option("--output", "-o", help="Print the workflow with its status, and nothing else, to standard output.")
    ] = None,
    logs: Annotated[bool, typer.Option("--logs/--no-logs", help="Show what the nodes print.")] = True,
    strict: Strict = False,
    seed: Annotated[int | None, typer.Option(metavar="NUMBER", help="Make names, ids and chance repeat.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The name of the run.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace of the run.")] = None,
    stubs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --backend fake: a YAML file that says what each leaf answers.")
    ] = None,
    semantics: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Follow the rules of this version of Argo, such as 3.6 or 3.7.10.")
    ] = None,
    store: StoreUrl = None,
    continued: Annotated[
        str | None,
        typer.Option("--continue", metavar="NAME", help="Drive on a recorded run whose process has ended; @latest is the newest."),
    ] = None,
) -> int:
    """Run workflows to their end and show them as they go.

    Runs are recorded in the store (by default a file in your state folder), so that they can be continued, retried and listed. Exits with 0 if all succeeded, 1 if one failed, 2 if something given is wrong. Ctrl-C stops a run (exit handlers still run), twice ends it at once.
    """
    if bool(files) == bool(continued):
        raise UsageError("name files to run, or a recorded run to --continue" + (", not both" if files else ""))
    order = Order(
        files=files or (),
        parameters=parameter or (),
        parameter_file=parameter_file,
        entrypoint=entrypoint,
        backend=backend,
        backend_options=backend_option or (),
        templates=template or (),
        resources=resource or (),
        artifacts=artifact or (),
        output=output,
        logs=logs,
        strict=strict,
        seed=seed,
        name=name,
        namespace=namespace,
        stubs=stubs,
        store=store,
        semantics=semantics,
    )
    return carry_out(order) if continued is None else carry_on(order, continued)


@app.command()
@exits_cleanly
def get(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A recorded run (name, id, @latest), or a file with a workflow and its status; - is standard input."
        ),
    ],
    output: Annotated[Output | None, typer.Option("--output", "-o", help="Print the document instead of the tree.")] = None,
    archived: Archived = False,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Only in this namespace.")] = None,
    store: StoreUrl = None,
) -> int:
    """Show a recorded run, or one from a saved status."""
    if archived or (name != "-" and not Path(name).exists() and not Path(name).suffix):
        with_runs(store, lambda runs: shown(runs, name, namespace, output, archived=archived))
        return 0
    document = saved_workflow(name)
    run_row, rows = rows_from_status(document)
    if output is not None:
        write([document], output)
    else:
        typer.echo(described(document, run_row, rows, now=datetime.now(UTC)), nl=False)
    return 0


@app.command()
@exits_cleanly
def cleanup(
    backend: Annotated[str, typer.Option(metavar="NAME", help="The backend whose leftovers are meant.")] = "docker",
    older_than: Annotated[str, typer.Option(metavar="DURATION", help="Leave younger things alone, for instance 1h.")] = "0s",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Also what recorded runs left that could be continued.")] = False,
) -> int:
    """Remove what runs left behind that nobody looks after any more."""
    for leftover in remove_leftovers(backend, older_than=older_than, dry_run=dry_run, unfinished=unfinished):
        typer.echo(f"{'would remove' if dry_run else 'removed'} {leftover}")
    return 0


@app.command()
@exits_cleanly
def version() -> int:
    """Print the version."""
    typer.echo(f"flowcore {version_of('flowcore')}")
    return 0


operating.install(app)
forgetting.install(app)
copying.install(app)
serving.install(app)
shared_documents.install(app)

register(app)
arrange(app)

__all__ = ["app"]
