"""The commands about documents: ``lint``, ``schema``, ``convert``, ``compat``, ``expr``, ``graph``, ``testgen``, ``completion``. ``flowcore.cli.app`` takes them up by ``register``.

Only what the user says stands here; the work is done by ``flowcore.lint``, ``flowcore.schema``, ``flowcore.graphs`` and ``flowcore.testing``.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer._completion_classes import completion_init

from flowcore.cli.comparing import Comparison, compare_files
from flowcore.cli.converting import convert_files
from flowcore.cli.evaluating import evaluate
from flowcore.cli.inputs import parameters_of
from flowcore.cli.linting import lint_files
from flowcore.cli.picturing import Notation, picture
from flowcore.cli.problems import exits_cleanly
from flowcore.cli.writing import completion_script, schema_text, test_file
from flowcore.lint import Format
from flowcore.lint.converting import Delimiters
from flowcore.plan.semantics import LATEST

Files = Annotated[list[str], typer.Argument(metavar="FILE", help="YAML or JSON files, or folders; - is standard input.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="A YAML or JSON file; - is standard input.")]
Templates = Annotated[
    list[Path] | None, typer.Option("--template", metavar="PATH", help="A file or folder of shared templates; may be repeated.")
]
Resources = Annotated[
    list[Path] | None, typer.Option("--resource", metavar="PATH", help="A file or folder of ConfigMaps and Secrets; may be repeated.")
]


class Shell(StrEnum):
    """The shells that can be completed for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``, and answer shells that ask for completions."""
    completion_init()
    for command in (lint, schema, convert, compat, graph, completion):
        app.command()(exits_cleanly(command))
    app.command("expr")(exits_cleanly(expression))
    app.command("testgen")(exits_cleanly(generate))


def lint(
    files: Files,
    template: Templates = None,
    resource: Resources = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings as errors.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How problems are told.")] = Format.TEXT,
    fix: Annotated[bool, typer.Option("--fix", help="Mend in the files what can safely be mended.")] = False,
    ignore: Annotated[list[str] | None, typer.Option(metavar="RULE", help="Say nothing of this rule; may be repeated.")] = None,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="Tell also what this backend cannot do: docker, kubernetes (asks the cluster).")
    ] = None,
    backend_option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="An option of the backend, as for flowcore run.")
    ] = None,
) -> int:
    """Check documents without running them. Exits with 2 if something is wrong; warnings are told and do no harm."""
    return lint_files(
        files,
        templates=template or (),
        resources=resource or (),
        strict=strict,
        form=form,
        fix=fix,
        ignore=ignore or (),
        backend=backend,
        backend_options=backend_option or (),
    )


def schema(kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only documents of this kind.")] = None) -> int:
    """Print the JSON Schema of documents, for editors: strict, with descriptions."""
    typer.echo(schema_text(kind), nl=False)
    return 0


def convert(
    files: Files,
    to: Annotated[
        Delimiters | None, typer.Option("--to", help="How tags are written: braces {{...}} or angles <<...>>; without it they stay.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", "-w", help="Change the files instead of printing.")] = False,
) -> int:
    """Rewrite documents with the newest names of fields, and with other delimiters. Comments and layout stay."""
    return convert_files(files, to=to, write=write)


def compat(
    files: Files,
    before: Annotated[str, typer.Option("--from", metavar="VERSION", help="The version of Argo that runs the documents now, such as 3.6.")],
    after: Annotated[str, typer.Option("--to", metavar="VERSION", help="The version that will.")] = LATEST,
    parameter: Annotated[list[str] | None, typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="A parameter of the runs.")] = None,
    parameter_file: Annotated[
        str | None, typer.Option("--parameter-file", "-f", metavar="FILE", help="A mapping of parameters, YAML or JSON.")
    ] = None,
    stubs: Annotated[Path | None, typer.Option(metavar="FILE", help="What pods answer in the runs; else placeholders.")] = None,
    template: Templates = None,
    resource: Resources = None,
    form: Annotated[Format, typer.Option("--format", help="How changes are told.")] = Format.TEXT,
) -> int:
    """Tell what another version of Argo does differently: reads and simulates documents under both. Exits with 1 if something may change."""
    wanted = Comparison(
        before=before,
        after=after,
        parameters=parameters_of(parameter or (), parameter_file),
        stubs=stubs,
        templates=template or (),
        resources=resource or (),
        form=form,
    )
    return compare_files(files, wanted)


def expression(
    text: Annotated[str, typer.Argument(metavar="EXPRESSION", help="An expression, or a text with {{tags}}.")],
    scope: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What names stand for: a mapping, YAML or JSON, nested or with dots in its keys.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Names of a recorded run, or of a file with a Workflow and its status.")
    ] = None,
    node: Annotated[str | None, typer.Option(metavar="NODE", help="Names as this node of the run sees them.")] = None,
    when: Annotated[bool, typer.Option("--when", help="Evaluate it as a condition, as `when` is.")] = False,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace of the run.")] = None,
    store: Annotated[str | None, typer.Option(metavar="URL", help="Where runs are recorded. Also FLOWCORE_STORE.")] = None,
) -> int:
    """Evaluate an expression, and tell what its names stand for if it cannot be evaluated."""
    return evaluate(text, scope=scope, run=run, node=node, namespace=namespace, store=store, when=when)


def graph(
    file: File,
    output: Annotated[Notation, typer.Option("--output", "-o", help="What is printed.")] = Notation.MERMAID,
    entrypoint: Annotated[str, typer.Option(metavar="TEMPLATE", help="Begin with this template.")] = "",
) -> int:
    """Draw a workflow: what calls what, in which order, under which condition."""
    typer.echo(picture(file, output, entrypoint), nl=False)
    return 0


def generate(
    file: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A recorded run (name, id, @latest), or a file with a workflow and its status, as `kubectl get workflow NAME -o json` wrote it.",
        ),
    ],
    workflow: Annotated[
        str, typer.Option(metavar="PATH", help="What the test loads; without it the workflow is written into the test.")
    ] = "",
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace of the run.")] = None,
    store: Annotated[str | None, typer.Option(metavar="URL", help="Where runs are recorded. Also FLOWCORE_STORE.")] = None,
) -> int:
    """Write a test from a past run: what every node did as facts, what came of it as assertions. Goes to standard output."""
    typer.echo(test_file(file, workflow, namespace=namespace, store=store), nl=False)
    return 0


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> int:
    """Print the script that completes commands and options in your shell.

    For bash: flowcore completion bash > ~/.local/share/bash-completion/completions/flowcore. For zsh: source <(flowcore completion zsh) in ~/.zshrc, after compinit. For fish: flowcore completion fish > ~/.config/fish/completions/flowcore.fish.
    """
    typer.echo(completion_script(shell.value))
    return 0


__all__ = ["register"]
